"""Classifiers as folders of timm and as ONNX: both answer as `fairgen predict`, and the card says how groups
do.
"""

import csv
import hashlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fairgen import cli
from fairgen.commands.exports import card, onnx_file
from fairgen.core import lineage, safetensors_header
from fairgen.models import classifier

SETTINGS = classifier.Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)
SMALL = {"channels": [8, 8, 8, 8, 8, 8]}  # of a model whose classifier is a convolution
CLASSES = ["dark", "bright|er"]
GROUPS = {"d-left": ("dark", 0.5), "b-left": ("bright|er", 0.75)}


def saved(path: Path, settings: classifier.Classifier = SETTINGS) -> Path:
    """A network, as `finetune` saves it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network = classifier.build(settings, 2, 3)
    network(torch.randint(0, 255, (16, 3, settings.resolution, settings.resolution)))  # running statistics
    history = {"gradient_steps": 5, "group_labels": ["selection"], **classifier.identity(settings, CLASSES)}
    classifier.save(path, network, history)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network with its metrics and a result file at their places."""
    path = saved(tmp_path_factory.mktemp("made") / "results/toy/bias-0.9/lora/seed-1/model.safetensors")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    one = {"wilson95": [0.1, 0.9], "n": 4, "train_n": 7, "validation_n": 2}
    figures = {
        "groups": {g: {"accuracy": accuracy, **one} for g, (_, accuracy) in GROUPS.items()},
        "worst_group": "d-left",
        "worst_group_accuracy": 0.5,
        "worst_group_wilson95": [0.05, 0.95],
        "average_accuracy": 0.625,
        "balanced_accuracy": 0.625,
        "training_rows": 14,
        "validation_rows": 4,
        "shift": None,
        "weights_sha256": digest,
        "lineage": {
            "settings": {"groups": {g: {"target": t, "bias": "left"} for g, (t, _) in GROUPS.items()}}
        },
    }
    lineage.write_json(path.with_name("metrics.json"), figures)
    results = {
        "config_sha256": "c" * 64,
        "results": {"0.9": {"lora": {"weights_sha256": ["0" * 64, digest]}}},
    }
    lineage.write_json(path.parents[3] / "worst_group.json", results)
    return path


@pytest.fixture(scope="module")
def predicted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3), and their probabilities by `fairgen predict`."""
    place = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(place / f"{i}.png")
    assert cli.main(["predict", str(model), str(place), "--output", str(place.with_suffix(".csv"))]) == 0
    with place.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return pixels, np.array([[float(row[f"probability_{c}"]) for c in CLASSES] for row in rows])


def export(*words: object) -> int:
    return cli.main(["export", *map(str, words)])


def test_timm_loads_the_folder_with_its_preprocessing(
    model: Path, predicted: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    import timm

    assert export(model, tmp_path / "out") == 0
    net = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model=net))
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(picture)) for picture in predicted[0]])
        found = net(batch).softmax(1).numpy()
    assert found == pytest.approx(predicted[1], abs=2e-6)  # the CSV has six decimals
    assert net.pretrained_cfg["label_names"] == CLASSES
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
        "fairgen.json",
    }


@pytest.mark.parametrize("given", ["uint8", "float"])
def test_onnxruntime_answers_as_predict(
    model: Path, predicted: tuple[np.ndarray, np.ndarray], tmp_path: Path, given: str
) -> None:
    """Batches of any size, preprocessing in the graph or before it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    words = ["--layout", "onnx", "--input", given, "--license", "mit"]
    assert export(model, tmp_path / "out.onnx", *words) == 0
    assert str(Path(onnx_file.__file__).parents[3]).encode() not in (tmp_path / "out.onnx").read_bytes()
    assert b"site-packages" not in (tmp_path / "out.onnx").read_bytes()
    session = onnxruntime.InferenceSession(tmp_path / "out.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == CLASSES
    assert about["license"] == "mit"
    pixels = predicted[0]
    if given == "float":
        mean, std = (np.array(json.loads(about[name]), dtype=np.float32) for name in ("mean", "std"))
        pixels = ((pixels.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2)
    for count in (1, 5):
        logits, shares = session.run(None, {"images": pixels[:count]})
        assert shares == pytest.approx(predicted[1][:count], abs=1e-5)
        assert logits.shape == (count, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx"]


def test_the_card_says_how_groups_do(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert export(model, tmp_path / "out", "--license", "mit", "--data-license", "cc-by-4.0") == 0
    shown = capsys.readouterr()
    assert "resnet10t for dark, bright|er at 32 pixels; worst group d-left 0.500" in shown.out
    assert "warning" not in shown.err
    text, front = (tmp_path / "out" / card.CARD).read_text(), card.front_matter(tmp_path / "out")
    assert (front["license"], front["library_name"], front["pipeline_tag"]) == (
        "mit",
        "timm",
        "image-classification",
    )
    result = front["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == 0.5
    assert result["dataset"]["type"] == "local data set"  # `toy` at the hub would be another one
    for said in (
        "| d-left | dark | left | 0.500 | 0.100 … 0.900 | 4 | 7 | 2 |",
        "| b-left | bright\\|er | left | 0.750 |",
        "Worst group: `d-left` with 0.500 (0.050 … 0.950",
        "| data set | `toy` |",
        "| method | `lora` |",
        "| gradient steps in all | 5 |",
        "| group labels used for | `selection` |",
        f"| config (SHA-256) | `{'c' * 64}` |",
        "its logits of 3 random images differed from fairgen's by at most",
        "| training images | cc-by-4.0 |",
        "## Intended use",
        "## Limits",
    ):
        assert said in text, said


def test_a_model_without_metrics_says_so(tmp_path: Path) -> None:
    assert export(saved(tmp_path / "model.safetensors"), tmp_path / "out") == 0
    text = (tmp_path / "out" / card.CARD).read_text()
    assert "Not stated: no `metrics.json` lay beside the weights" in text
    assert "model-index" not in text


def test_a_model_elsewhere_is_not_called_after_its_folders(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "alice/any/best/seed-0/model.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(model.read_bytes())
    place.with_name("metrics.json").write_bytes(model.with_name("metrics.json").read_bytes())
    assert export(place, tmp_path / "out") == 0
    written = (tmp_path / "out" / card.CARD).read_text()
    assert "alice" not in written
    assert "best" not in written


def test_the_card_of_a_model_pretrained_on_generated_images_says_so(tmp_path: Path) -> None:
    network = classifier.build(SETTINGS, 2, 3)
    history = {"gradient_steps": 5, "group_labels": ["generation"], **classifier.identity(SETTINGS, CLASSES)}
    classifier.save(tmp_path / "model.safetensors", network, history)
    assert export(tmp_path / "model.safetensors", tmp_path / "out", "--base-license", "openrail") == 0
    text = (tmp_path / "out" / card.CARD).read_text()
    assert "| generated images | `of stage 1` |" in text
    assert "| base model of the generated images | openrail |" in text


@pytest.mark.parametrize("layout", ["timm", "onnx"])
def test_a_file_of_pretrained_weights_is_a_name(tmp_path: Path, layout: str) -> None:
    network = classifier.build(SETTINGS, 2, 3)
    own = {**asdict(SETTINGS), "pretrained": "private/alice/weights.safetensors"}
    history = {"gradient_steps": 5, "group_labels": [], "classifier": own, "classes": CLASSES}
    classifier.save(tmp_path / "model.safetensors", network, history)
    assert export(tmp_path / "model.safetensors", tmp_path / "out", "--layout", layout) == 0
    written = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    assert not [content for content in written if b"alice" in content]
    assert [content for content in written if b"weights.safetensors" in content]


def test_what_cannot_be_exported_is_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics of other weights, a head that timm does not have, a missing package, answers that differ."""
    other = saved(
        tmp_path / "other/model.safetensors", classifier.Classifier("resnet10t", SETTINGS.args, False, 40)
    )
    other.with_name("metrics.json").write_bytes(model.with_name("metrics.json").read_bytes())
    foreign = saved(tmp_path / "foreign/model.safetensors", classifier.Classifier("dla34", SMALL, False, 32))
    for path, words, said in (
        (other, [], "metrics.json is of other weights than"),
        (foreign, [], "dla34 has no linear classifier of its own in timm"),
        (model, ["--layout", "kohya"], "is a classifier; give one of timm, onnx"),
    ):
        assert export(path, tmp_path / "out", *words) == 1
        assert said in capsys.readouterr().err.splitlines()[-1]
        assert not (tmp_path / "out").exists()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "onnxscript", None)
        assert export(model, tmp_path / "out", "--layout", "onnx") == 1
        assert (
            "install them with `pip install 'fairgen[onnx]'` (onnxscript is missing)"
            in capsys.readouterr().err
        )
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnx_file, "CLOSE", -1)
    assert export(model, tmp_path / "out", "--layout", "onnx") == 1
    assert "onnxruntime answers otherwise than torch" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["timm", "onnx"])
def test_a_network_that_has_diverged_or_says_nonsense_is_refused(
    tmp_path: Path, layout: str, capsys: pytest.CaptureFixture
) -> None:
    path = saved(tmp_path / "model.safetensors")
    state, known = load_file(path), safetensors_header.metadata(path)
    name = sorted(state)[0]
    save_file({**state, name: state[name] / 0}, path, metadata=known)
    assert cli.main(["export", str(path), str(tmp_path / "out"), "--layout", layout]) == 1
    assert f"numbers of {name.removeprefix('net.')} are not finite" in capsys.readouterr().err.replace(
        "net.", ""
    )
    facts = json.dumps({**json.loads(known["fairgen"]), "classes": "dark"})
    save_file(state, path, metadata={**known, "fairgen": facts})
    assert cli.main(["export", str(path), str(tmp_path / "out"), "--layout", layout]) == 1
    said = capsys.readouterr().err
    assert "classes: " in said and "a list is expected" in said and said.count("\n") == 1
