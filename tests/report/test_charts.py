"""Line charts: round ticks, labels that do not cover each other, gaps, and all numbers in words."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from workflows import PROJECT

from fairgen.report import charts, page_parts
from fairgen.report.charts import APART, HEIGHT, Series, curves_section

EVIL = "<script>alert(1)</script>"
PAGES = page_parts.templates(PROJECT / "fairgen/report/page")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0.0", "0.5", "1.0"]),
        (0, 2000, ["0", "500", "1000", "1500", "2000"]),
        (0.013, 0.049, ["0.01", "0.02", "0.03", "0.04", "0.05"]),
        (-3, 5, ["-4", "-2", "0", "2", "4", "6"]),
        (7, 7, ["2", "4", "6", "8", "10", "12"]),
        (0, 0, ["0.0", "0.2", "0.4", "0.6"]),  # a share or a loss, never below 0
        (1, 1, ["0.4", "0.6", "0.8", "1.0"]),
        (0.75, 0.75, ["0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-2, -2, ["-3.0", "-2.5", "-2.0", "-1.5", "-1.0"]),
        (1e-7, 3e-7, ["1.0e-07", "1.5e-07", "2.0e-07", "2.5e-07", "3.0e-07"]),
    ],
)
def test_ticks_are_round_and_hold_all_points(low: float, high: float, expected: list[str]) -> None:
    found = charts.ticks(low, high)
    assert found[0] <= low and high <= found[-1]
    assert [charts.text(value, found) for value in found] == expected


def test_names_beside_lines_do_not_cover_each_other() -> None:
    heights = charts.apart([100.0, 101.0, 99.0, 20.0, HEIGHT])
    assert heights[3] == 20
    assert all(later - earlier >= APART - 1e-9 for earlier, later in pairwise(sorted(heights)))
    assert sorted(range(3), key=heights.__getitem__) == [2, 0, 1]  # as their lines end
    assert max(heights) < HEIGHT


def test_a_value_that_is_no_number_leaves_a_gap() -> None:
    found = charts.chart("loss", [Series("a", [0, 1, 2, 3], [1, math.nan, 2, math.inf])], "step", "")
    assert found is not None
    assert found.lines[0].path.count("M") == 2 and "nan" not in found.lines[0].path
    assert [row for row in found.body] == [["0", "1"], ["2", "2"]]
    assert found.words == "a from 1 to 2."
    assert charts.chart("loss", [Series("a", [0], [math.nan]), Series("b", [], [])], "step", "") is None


def test_long_curves_are_thinned_to_their_ends() -> None:
    found = charts.chart("loss", [Series("a", range(5000), range(5000))], "step", "")
    assert found is not None
    assert found.lines[0].path.count("L") == charts.STEPS - 1
    assert (found.body[0][0], found.body[-1][0], len(found.body)) == ("0", "4999", charts.LISTED)
    assert found.left_out == 5000 - charts.LISTED


def test_curves_are_drawings_with_words_and_a_table() -> None:
    html = curves_section(
        [
            ("lora, landbird", [Series("loss", [0, 10, 20], [1, 0.5, 0.25]), Series(EVIL, [0, 20], [2, 1])]),
            ("nothing yet", [Series("loss", [], [])]),
            ("two", [Series("loss", [0, 1], [0, 1])]),
        ],
        PAGES,
    )
    assert EVIL not in html and html.count("<figure") == 2 and "nothing yet" not in html
    root = ElementTree.fromstring(f"<main>{html}</main>")
    first = root.find(".//figure/svg")
    assert first is not None and first.get("role") == "img"
    named = {e.get("id"): "".join(e.itertext()) for e in root.iter() if e.get("id")}
    assert [named[name] for name in (first.get("aria-labelledby") or "").split()] == [
        "lora, landbird",
        f"loss from 1 to 0.25; {EVIL} from 2 to 1.",
    ]
    # lines differ by more than colour, and are named beside themselves and in the legend
    styles = {e.get("class") for e in first.iter("path") if (e.get("class") or "").startswith("curve")}
    assert styles == {"curve s0", "curve s1"}
    assert "loss" in [e.text for e in first.iter("text")] and "<script>alert…" in [
        e.text for e in first.iter("text")
    ]
    figure = root.find(".//figure")
    assert figure is not None
    assert [" ".join("".join(e.itertext()).split()) for e in figure.findall("ul/li")] == ["loss", EVIL]
    cells = [[cell.text for cell in row] for row in figure.findall(".//tr")]
    assert cells == [["step", "loss", EVIL], ["0", "1", "2"], ["10", "0.5", "–"], ["20", "0.25", "1"]]


def test_names_beside_lines_are_short() -> None:
    given = ("a, b", "cluster 0, step 36 kept", "a name that is long", "another long name, with more")
    assert [charts.shortened(name) for name in given] == [
        "a, b",
        "cluster 0",
        "a name that i…",
        "another long …",
    ]


def test_no_curves_are_no_section() -> None:
    assert curves_section([], PAGES) == ""
    assert curves_section([("loss", [])], PAGES) == ""


def test_every_style_of_a_line_has_dashes_of_its_own() -> None:
    style = (PROJECT / "fairgen/report/page/report.css").read_text()
    dashes = re.findall(r"^\.s(\d) \{[^}]*?(?:stroke-dasharray: ([^}]+?))? \}", style, re.M)
    assert [int(number) for number, _ in dashes] == list(range(charts.STYLES))
    assert len({dash for _, dash in dashes}) == charts.STYLES
