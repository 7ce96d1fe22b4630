"""Markdown tables."""

from fairgen.core.markdown import plain, table
from fairgen.data import ingest_report


def test_cells_break_no_table_and_inject_nothing() -> None:
    lines = table(("a", "b"), [("x|y", "<img src=q>\nz"), (1, None)]).splitlines()
    assert lines[:2] == ["| a | b |", "| --- | --- |"]
    assert lines[2] == "| x\\|y | &lt;img src=q&gt; z |"
    assert lines[3] == "| 1 | None |"


def test_a_page_is_plain_text_on_a_terminal() -> None:
    page = "## A title\n\nText.\n\n" + table(("a", "long head"), [("x|y", "<b>"), ("longer", 1)])
    assert plain(page) == "A TITLE\n\nText.\n\na       long head\nx|y     <b>\nlonger  1"


def test_repeats_across_official_splits_are_one_column() -> None:
    none = {"sets": 0, "images": 0, "conflicting_sets": 0, "conflicting_images": 0, "conflicting": []}
    audit = {
        **{
            "dataset": "d",
            "root": "r",
            "read": 2,
            "indexed": 2,
            "left_out": {"malformed": 0, "not_asked_for": 0},
        },
        **{
            "counts": {s: {"g": 1} for s in ingest_report.SPLITS},
            "rejects": [],
            "outside": {},
            "conversions": {},
        },
        **{"identical": none, "near_identical": none},
        "across_splits": {"sets": 1, "images": 2, "examples": [["a.png (train)", "b.png (test)"]]},
    }
    assert "| for example |\n| --- |\n| a.png (train), b.png (test) |" in ingest_report.page(audit)
