"""Plots of the comparison: written for any number of ratios and methods, intervals within the axis, ratios
spread.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from workflows import result

from fairgen.evaluate import plots

METHODS = {f"method-{i}": [0.9 - 0.05 * i, 1 - 0.05 * i] for i in range(12)}


@pytest.mark.parametrize("ratios", [(0.99,), ("natural",), (0.9, 0.95, "natural", 0.99, 0.999)])
@pytest.mark.parametrize("count", [1, 12])
def test_plots_are_pictures(tmp_path: Path, ratios: tuple, count: int) -> None:
    document = result(ratios=ratios, **dict(list(METHODS.items())[:count]))
    plots.plot_bars(document, tmp_path / "bars.png")
    plots.plot_curve(document, tmp_path / "curve.png")
    plots.plot_groups(document, ["a", "b"], tmp_path / "groups.png")
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert 200 < min(picture.size) < max(picture.size) < 2600
            assert np.asarray(picture.convert("L")).std() > 5


def test_whiskers_are_the_interval() -> None:
    assert plots.whiskers({"mean": 0.75, "ci95": [0.5, 1]}).ravel() == pytest.approx([0.25, 0.25])
    assert np.isnan(plots.whiskers({"mean": 0.75, "ci95": None})).all()


def test_pictures_name_groups_without_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, document = [], result(erm=[0.1, 0.2])
    entry = document["results"]["0.99"]["erm"]
    entry["empty_groups"], entry["groups"]["b"]["n"] = {"train": ["a"], "validation": [], "test": ["b"]}, 0
    monkeypatch.setattr(plots, "save", lambda figure, path: kept.append(figure.axes[0]))
    for draw, *more in ((plots.plot_bars,), (plots.plot_curve,), (plots.plot_groups, ["a", "b"])):
        draw(document, *more, tmp_path / "x.png")
    assert kept[0].get_title() == "bias ratio 0.99\nno training image: a\nno test image: b"
    assert kept[1].get_xlabel().endswith("\n0.99: no training image: a\n0.99: no test image: b")
    assert [text.get_text() for text in kept[2].get_legend().get_texts()] == ["a", "b (no test image)"]
    plt.close("all")


def test_ratios_stand_apart_and_the_legend_beside_the_axes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    monkeypatch.setattr(plots, "save", lambda figure, path: kept.append(figure))
    plots.plot_curve(
        result(ratios=(0.999, 0.9, "natural", 0.99), erm=[0.1, 0.2], lora=[0.5, 0.6]), tmp_path / "curve.png"
    )
    ax = kept[0].axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["natural", "0.9", "0.99", "0.999"]
    steps = np.diff(ax.get_xticks())
    assert steps == pytest.approx([0.5, np.log10(99 / 9), np.log10(999 / 99)])
    kept[0].canvas.draw()
    assert ax.get_legend().get_window_extent().x0 > ax.get_window_extent().x1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["lora", "erm"]
    plt.close(kept[0])
