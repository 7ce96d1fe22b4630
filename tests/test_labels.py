"""Raw attributes to target and bias, as the config asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairgen.errors import FairgenError
from fairgen.formats import Reject, Row
from fairgen.labels import Attribute, label

GENDER, RACE = Attribute("gender"), Attribute("race", values={"white": ["White"], "other": ["Black", "Asian"]})
AGE = Attribute("age", ranges={"young": (0, 5), "old": (20, 50)})


def row(**attributes: str) -> Row:
    return Row("a.jpg", attributes)


@pytest.mark.parametrize(
    ("age", "name"), [("0", "young"), ("5", "young"), ("20", "old"), ("50", "old"), ("6", None), ("x", None)]
)
def test_ranges_include_both_ends(age: str, name: str | None) -> None:
    assert AGE.name(age) == name


def test_attributes_combine_into_one() -> None:
    found = label(row(gender="female", race="Asian", age="30"), [AGE], [GENDER, RACE])
    assert (found.target, found.bias) == ("old", "female+other")


def test_a_value_that_is_not_asked_for_is_named() -> None:
    found = label(row(gender="male", age="12"), [GENDER], [AGE])
    assert found.bias is None
    assert found.outside == "age is in no value of the config: '12' (asked for: young 0-5, old 20-50)"


def test_an_empty_label_is_a_malformed_row() -> None:
    found = label(row(gender="", age="12"), [GENDER], [AGE])
    assert isinstance(found, Reject)
    assert found.reason == "label is missing: gender is empty"


def test_an_attribute_that_the_data_lacks_stops_with_the_ones_it_has() -> None:
    with pytest.raises(FairgenError, match=r"no attribute 'sex'; a\.jpg has gender, age"):
        label(row(gender="male", age="12"), [Attribute("sex")], [AGE])


@given(st.text())
def test_no_value_crashes(raw: str) -> None:
    assert AGE.name(raw) in {"young", "old", None}
    assert RACE.name(raw) in {"white", "other", None}
