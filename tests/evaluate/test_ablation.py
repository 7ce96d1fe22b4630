"""An ablation: a comparison with a name of its own."""

import json
from pathlib import Path
from types import SimpleNamespace

from outcomes import CONFIG, run
from PIL import Image

from fairgen.evaluate import ablation, results
from fairgen.evaluate.comparison import WorstGroup


def test_an_ablation_is_a_comparison_with_a_name_and_a_picture(tmp_path: Path) -> None:
    files = []
    for i, found in enumerate(
        [run(0.2, 0.1), run(0.3, 0.1), run(0.2, 0.1), run(0.9, 0.8), run(0.9, 0.7), run(0.9, 0.6)]
    ):
        files.append(tmp_path / f"{i}.json")
        files[-1].write_text(json.dumps(found))
    settings = ablation.Ablation(
        "loss", WorstGroup("toy", [0.99], ["ce", "supcon"], [0, 1, 2], "0" * 64, CONFIG)
    )
    ablation.work(
        settings, SimpleNamespace(metrics=files, table=tmp_path / "loss.json", bars=tmp_path / "loss.png")
    )
    found = results.load(tmp_path / "loss.json")
    assert found["ablation"] == "loss"
    assert list(found["results"]["0.99"]) == ["ce", "supcon"]
    assert found["results"]["0.99"]["supcon"]["worst_group_accuracy"]["per_seed"] == [0.8, 0.7, 0.6]
    assert found["comparisons"]["0.99"]["leader"] == "supcon"
    with Image.open(tmp_path / "loss.png") as picture:
        assert min(picture.size) > 200
