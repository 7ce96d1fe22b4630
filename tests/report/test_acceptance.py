"""Outcomes of the filter by generator, cluster, group and reason, and their figure."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from fairgen.core import parquet
from fairgen.report import acceptance


def write(path: Path, rows: list[tuple[str, int, str]]) -> Path:
    """A selection of (group, cluster, reason)."""
    path.parent.mkdir()
    group, cluster, reason = zip(*rows, strict=True)
    parquet.write(path, {"group": group, "cluster": cluster, "reason": reason})
    return path


@pytest.fixture
def selections(tmp_path: Path) -> list[Path]:
    low = "probability below threshold"
    vanilla = [("a", 0, ""), ("a", 0, low), ("b", 0, ""), ("b", 0, "over quota")]
    clustered = [("a", 0, ""), ("a", 1, low), ("a", 1, ""), ("a", 1, low), ("b", 0, "")]
    return [
        write(tmp_path / name / "s.parquet", rows)
        for name, rows in (("vanilla", vanilla), ("clustered", clustered))
    ]


def test_outcomes_are_counted_by_group_cluster_and_reason(selections: list[Path]) -> None:
    low = "probability below threshold"
    assert acceptance.outcomes(selections[1]) == {
        ("a", 0): {"": 1},
        ("a", 1): {"": 1, low: 2},
        ("b", 0): {"": 1},
    }
    assert [label for label, _ in acceptance.lines(selections)] == [
        "vanilla",
        "clustered, cluster 0",
        "clustered, cluster 1",
    ]


def test_every_bar_says_what_share_is_accepted(
    selections: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(acceptance, "save", lambda figure, path: kept.append(figure))
    acceptance.plot_acceptance(selections, ["a", "b"], Path("x.png"))
    said = {ax.get_title(): [text.get_text() for text in ax.texts] for ax in kept[0].axes}
    assert said == {"a": ["0.50 of 2", "1.00 of 1", "0.33 of 3"], "b": ["1.00 of 2", "1.00 of 1"]}
    lengths = [[bar.get_width() for bar in ax.patches] for ax in kept[0].axes]
    assert lengths[1] == [0.5, 0.5, 0, 1, 0, 0]
    assert [text.get_text() for text in kept[0].legends[0].get_texts()][2] == "probability below threshold"
    plt.close(kept[0])
