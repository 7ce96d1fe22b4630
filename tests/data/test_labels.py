"""Raw attributes to target and bias, as the config asks."""

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairgen.core.errors import FairgenError
from fairgen.data.formats import Reject, Row
from fairgen.data.labels import Attribute, check, check_fractions, check_group, label, spoken

GENDER, RACE = (
    Attribute("gender"),
    Attribute("race", values={"white": ["White"], "other": ["Black", "Asian"]}),
)
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
@example("0\x1f")
def test_no_value_crashes(raw: str) -> None:
    assert AGE.name(raw) in {"young", "old", None}
    assert RACE.name(raw) in {"white", "other", None}


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("1", "yes"),
        ("1.0", "yes"),
        ("01", "yes"),
        (" 1 ", "yes"),
        ("-1.00", "no"),
        ("-1", "no"),
        ("1_0", None),
        ("١", None),
        ("nan", None),
    ],
)
def test_a_number_is_one_word_however_it_is_written(raw: str, name: str | None) -> None:
    for yes, no in (("1", "-1"), ("1.0", "-1.0")):
        assert Attribute("blond", values={"yes": [yes], "no": [no]}).name(raw) == name


def test_a_word_as_it_stands_goes_before_the_same_number() -> None:
    codes = Attribute("code", values={"a": ["01"], "b": ["1"]})
    assert (codes.name("01"), codes.name("1")) == ("a", "b")


def test_long_numbers_are_names() -> None:
    codes = Attribute("code", values={"a": ["9007199254740992"], "b": ["9007199254740993"]})
    assert (codes.name("9007199254740993"), codes.name("9007199254740992.0")) == ("b", None)


def test_without_values_a_whole_number_has_one_name() -> None:
    assert [Attribute("blond").name(raw) for raw in ("1.0", "1", "-1.", "1.5", "01", "x.0")] == [
        "1",
        "1",
        "-1",
        "1.5",
        "01",
        "x.0",
    ]


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (
            {"ranges": {"young": (0, 20), "old": (20, 50)}},
            r"target\.age\.ranges: young and old overlap from 20 to 20",
        ),
        ({"ranges": {"a": (0, 5), "b": (10, 20), "c": (4, 6)}}, "a and c overlap from 4 to 5"),
        ({"ranges": {"young": (5, 0)}}, r"ranges\.young: nothing is from 5 to 0"),
        ({"ranges": {"young": (0, float("nan"))}}, "nothing is from"),
        ({"values": {"a": ["x", "y"], "b": ["y"]}}, "'y' stands under a and b"),
        ({"values": {"a": ["1"], "b": ["1.0"]}}, "'1' stands under a and b"),
        ({"values": {"a": ["1"]}, "ranges": {"b": (2, 3)}}, "has values and ranges"),
    ],
)
def test_a_word_or_number_with_two_names_is_an_error(attribute: dict, said: str) -> None:
    with pytest.raises(FairgenError, match=said):
        check([{"attribute": "age", **attribute}], "datasets.faces.target")


def test_a_group_has_a_value_that_the_config_names() -> None:
    age = {"attribute": "age", "ranges": {"young": (0, 5), "old": (20, 50)}}
    race = {"attribute": "race", "values": {"white": ["White"]}}
    check_group([age, race], "young+white", "groups.a.bias")
    # the data's own words, which nobody knows yet
    check_group([age, {"attribute": "gender"}], "young+female", "groups.a.bias")
    with pytest.raises(
        FairgenError,
        match=r"groups\.a\.bias: no image can have 'old'; the values of bias are young\+white, old\+white",
    ):
        check_group([age, race], "old", "groups.a.bias")


def test_ranges_and_values_that_touch_nothing_are_good() -> None:
    check([{"attribute": "age", "ranges": {"young": (0, 5), "old": (5.5, 50)}}, {"attribute": "x"}], "target")
    check([{"attribute": "age", "values": {"young": ["1", "1.0"], "old": ["10"]}}], "target")


@pytest.mark.parametrize(
    ("fractions", "said"),
    [((0.8, 0.1, 0.2), "0.8, 0.1, 0.2 sum to 1.1"), ((0, 0.5, 0.5), "no image is for training")],
)
def test_fractions_are_all_of_the_images(fractions: tuple, said: str) -> None:
    check_fractions((0.7, 0.2, 0.1), "index.fractions")
    with pytest.raises(FairgenError, match=said):
        check_fractions(fractions, "index.fractions")


def test_the_datas_own_words_are_told_with_counts() -> None:
    assert spoken({"gender": Counter({"1.0": 12, "0.0": 7}), "age": Counter(map(str, range(10)))}) == (
        "gender: 1.0 (12), 0.0 (7); age: 0 (1), 1 (1), 2 (1), 3 (1), 4 (1), 5 (1), 6 (1), 7 (1) and 2 more"
    )
