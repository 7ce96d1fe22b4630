"""The result file as dataclasses and tables."""

import re

import pytest
from workflows import result

from fairgen.api.result import Result
from fairgen.core.errors import FairgenError


@pytest.fixture
def found() -> Result:
    """Two ratios, two methods, three seeds."""
    document = result(ratios=(0.9, 0.99), erm=[0.25, 0.5, 0.75], lora=[0.75, 0.875, 1.0])
    document["config"]["dataset"]["groups"] = {"a": {}, "b": {}}
    return Result(document)


def test_figures_are_typed(found: Result) -> None:
    figure = found.figure("erm", 0.9)
    assert (figure.mean, figure.sd, figure.per_seed) == (0.5, 0.25, (0.25, 0.5, 0.75))
    assert figure.ci95 == tuple(found.document["results"]["0.9"]["erm"]["worst_group_accuracy"]["ci95"])
    group = found.group("erm", "b", "0.99")
    assert (group.n, group.train_n, group.accuracy.mean, len(group.wilson95)) == (9, 9, 0.5, 3)
    assert found.worst_group("erm", 0.9) == "a"
    assert (found.methods, found.ratios, found.seeds) == (("erm", "lora"), ("0.9", "0.99"), (0, 1, 2))


def test_tables_have_a_row_for_each_number(found: Result) -> None:
    figures = found.figures
    worst = figures[figures["figure"] == "worst_group_accuracy"]
    assert list(zip(worst["ratio"], worst["method"], worst["mean"], strict=True)) == [
        ("0.9", "erm", 0.5),
        ("0.9", "lora", 0.875),
        ("0.99", "erm", 0.5),
        ("0.99", "lora", 0.875),
    ]
    assert (worst["low"] < worst["mean"]).all() and (worst["mean"] < worst["high"]).all()
    assert len(found.per_seed) == len(figures) * 3
    groups = found.group_figures
    assert len(groups) == 2 * 2 * 2 and set(groups["group"]) == {"a", "b"}
    pairs = found.comparisons
    assert list(pairs[["ratio", "method", "minus", "mean"]].itertuples(index=False, name=None)) == [
        ("0.9", "lora", "erm", 0.375),
        ("0.99", "lora", "erm", 0.375),
    ]


def test_few_seeds_have_no_interval() -> None:
    document = result(erm=[0.25, 0.5])
    assert Result(document).figure("erm").ci95 is None
    assert Result(document).figures["low"].isna().all()


def test_what_the_test_rows_do_not_define_is_none(found: Result) -> None:
    """A group without a test image, as `fairgen.evaluate.metrics` has it."""
    for methods in found.document["results"].values():
        for entry in methods.values():
            entry["equalized_odds_difference"] = None
            entry["groups"]["b"] |= {"n": 0, "accuracy": None, "wilson95": None}
    undefined = found.figure("erm", 0.9, "equalized_odds_difference")
    assert (undefined.mean, undefined.ci95, undefined.per_seed) == (None, None, ())
    group = found.group("erm", "b", 0.9)
    assert (group.n, group.accuracy.mean, group.wilson95) == (0, None, ())
    groups = found.group_figures
    assert groups[groups["group"] == "b"]["mean"].isna().all() and len(groups) == 2 * 2 * 2
    means = found.figures.pivot(index=["ratio", "method"], columns="figure", values="mean")
    assert means["equalized_odds_difference"].isna().all()
    rows = found.per_seed.query("figure == 'equalized_odds_difference'")
    assert len(rows) == 2 * 2 * 3 and rows["value"].isna().all()


def test_names_that_are_not_there_are_told(found: Result) -> None:
    for call, told in (
        (lambda: found.figure("erm"), "say which bias ratio; there are 0.9, 0.99"),
        (lambda: found.figure("erm", 0.9, "acuracy"), "unknown figure 'acuracy'"),
        (lambda: found.group("erm", "c", 0.9), "unknown group 'c'"),
        (
            lambda: found.figure("emr", 0.9),
            "unknown method 'emr'; did you mean erm?; the result has erm, lora",
        ),
    ):
        with pytest.raises(FairgenError, match=re.escape(told)):
            call()
