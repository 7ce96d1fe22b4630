"""Adapters as other programs read them: compared by what the exported denoiser answers."""

import json
import os
import re
from pathlib import Path

import exporting
import miniatures
import pytest
import recorded
import single_files
import torch
from exporting import base_of
from safetensors.torch import load_file, save_file

from fairgen import cli
from fairgen.core import parquet, safetensors_header
from fairgen.embedded import tiny
from fairgen.models import adapters, base_model, classifier, diffusion, lora, text_encoders

LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def answer(unet: torch.nn.Module, base: base_model.Base) -> torch.Tensor:
    """The denoiser's answer to a fixed input."""
    with torch.inference_mode():
        return diffusion.predict(
            unet, LATENTS, torch.tensor(500), text_encoders.encode_prompts(base, ["a duck on lake"])
        )


def adapter_of(base: base_model.Base, kind: str, path: Path) -> torch.Tensor:
    """Write an adapter with random weights; returns its denoiser's answer."""
    return answer(exporting.adapter_of(base, kind, path), base)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LoRA file of a base that is not there, as a run stores it."""
    path = tmp_path_factory.mktemp("lora") / "a.safetensors"
    facts = {**exporting.ABOUT, "kind": "lora", "base": "some/base@c0ffee"}
    state = {"unet.x.to_q.lora_A.weight": torch.ones(2, 4), "unet.x.to_q.lora_B.weight": torch.ones(4, 2)}
    adapters.write_lora(path, state, facts, {"unet": lora.lora_config(2, 5, False, ["to_q"])})
    return path


def changed(trained: Path, place: Path, facts: object, metadata: dict[str, str] | None = None) -> Path:
    """The same with other facts, or other metadata."""
    found = {**safetensors_header.metadata(trained), "fairgen": json.dumps(facts), **(metadata or {})}
    save_file(load_file(trained), place, metadata=found)
    return place


@pytest.mark.parametrize(
    ("change", "told"),
    [
        *((name, f"{name}: the key is missing") for name in ("images", "base", "kind", "group", "cluster")),
        *((name, f"{name}: the key is missing") for name in ("prompt", "rank", "alpha", "dora")),
        ({"images": "many"}, "images: .* a whole number is expected"),
        ({"alpha": 0}, "alpha: 0 is less than or equal to the minimum"),
        ({"alpha": 9}, "lora_alpha 5 for unet in one place and 9 in another"),
        ({"rank": 3}, "says r 2 for unet in one place and 3"),
        ({"group": "../../a"}, r"group: '../../a' does not do"),
        ([], "its metadata are damaged"),
        ({"clusters": {"1": 5}}, "its metadata are damaged"),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_damaged_facts_are_one_line(
    trained: Path, tmp_path: Path, change: object, told: str, layout: str, capsys: pytest.CaptureFixture
) -> None:
    facts = adapters.read_facts(trained)
    if isinstance(change, str):
        del facts[change]
    path = changed(trained, tmp_path / "a.safetensors", facts | change if isinstance(change, dict) else facts)
    if isinstance(change, list):
        path = changed(trained, path, change)
    assert cli.main(["export", str(path), str(tmp_path / "out"), "--layout", layout]) == 1
    said = capsys.readouterr().err
    assert re.search(told, said) and said.count("\n") == 1


def test_scales_that_contradict_the_tensors_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Each place says the same, and the tensors another."""
    facts, path = adapters.read_facts(trained), tmp_path / "a.safetensors"
    for config, more, told in (
        (
            lora.lora_config(3, 5, False, ["to_q"]),
            {"rank": 3},
            "rank 3, and unet.x.to_q.lora_A.weight has rank 2",
        ),
        (lora.lora_config(2, 5, True, ["to_q"]), {"dora": True}, "that it is a DoRA, and its tensors"),
        ({}, {}, ""),
    ):
        named = json.dumps({f"unet.{name}": value for name, value in config.items()})
        changed(trained, path, facts | more, {"lora_adapter_metadata": named if config else "5"})
        assert cli.main(["export", str(path), str(tmp_path / "out")]) == 1
        assert (told or "lora_adapter_metadata are missing or damaged") in capsys.readouterr().err


def test_weights_that_are_not_finite_are_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    state, path = load_file(trained), tmp_path / "a.safetensors"
    state["unet.x.to_q.lora_B.weight"][1, 1] = float("nan")
    save_file(state, path, metadata=safetensors_header.metadata(trained))
    for layout in ("diffusers", "kohya", "comfyui", "a1111"):
        assert cli.main(["export", str(path), str(tmp_path / "out"), "--layout", layout]) == 1
        assert "1 of 8 numbers of unet.x.to_q.lora_B.weight are not finite" in capsys.readouterr().err


def test_an_adapter_that_was_changed_after_its_samples_were_drawn_is_refused(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file, samples = tmp_path / "lora/adapters/g/1.safetensors", tmp_path / "lora/samples/g.parquet"
    for path in (file, samples):
        path.parent.mkdir(parents=True)
    facts = adapters.read_facts(trained)
    with recorded.job("ada"):
        adapters.write_lora(file, load_file(trained), facts, adapters.read_configs(trained))
    with recorded.job("5a", file):
        drawn = {"cluster": [1], "adapter_hash": [adapters.digest(file)], "borrowed_from": [""]}
        parquet.write(samples, drawn)
    assert cli.main(["export", str(file), str(tmp_path / "out")]) == 0
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    capsys.readouterr()
    assert cli.main(["export", str(file), str(tmp_path / "again")]) == 1
    assert "is not the file that the samples beside it were drawn with" in capsys.readouterr().err


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_full_finetune_becomes_a_pipeline_folder(
    tmp_path: Path, architecture: str, capsys: pytest.CaptureFixture
) -> None:
    from diffusers import DiffusionPipeline

    folder = miniatures.build(tmp_path, architecture)
    wanted = adapter_of(base_of(folder), "full", tmp_path / "a.safetensors")
    assert (
        cli.main(
            ["export", str(tmp_path / "a.safetensors"), str(tmp_path / "new/out"), "--model", str(folder)]
        )
        == 0
    )
    assert "full of g, cluster 1; its prompt is 'a V'" in capsys.readouterr().out
    pipeline = DiffusionPipeline.from_pretrained(tmp_path / "new/out")
    assert torch.allclose(answer(pipeline.unet, base_of(folder)), wanted, atol=1e-6)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a duck", num_inference_steps=5, height=32, width=32).images[0].size == (32, 32)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    written = [path for path in (tmp_path / "new/out").rglob("*") if path.is_file()]
    assert [path for path in written if str(tmp_path).encode() in path.read_bytes()] == []
    index = json.loads((tmp_path / "new/out/model_index.json").read_text())
    assert index.get("_name_or_path", folder.name) == folder.name


def test_a_full_finetune_of_a_single_file_becomes_a_pipeline_folder(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    folder = miniatures.build(tmp_path, "sd2")
    config = single_files.describe(folder, tmp_path / "config")
    base = base_of(single_files.write(folder, tmp_path / "sd.safetensors"), config)
    wanted = adapter_of(base, "full", tmp_path / "a.safetensors")
    words = [
        "export",
        tmp_path / "a.safetensors",
        tmp_path / "out",
        "--model",
        base.model,
        "--config",
        config,
    ]
    assert cli.main([str(word) for word in words]) == 0
    assert torch.allclose(
        answer(StableDiffusionPipeline.from_pretrained(tmp_path / "out").unet, base), wanted, atol=1e-6
    )


@pytest.mark.parametrize("output", ["folder", "lora.safetensors"])
def test_a_lora_becomes_a_plain_lora_file(tmp_path: Path, output: str) -> None:
    from diffusers import StableDiffusionPipeline

    folder = miniatures.build(tmp_path, "sd15")
    wanted = adapter_of(base_of(folder), "lora", tmp_path / "a.safetensors")
    words = ["--license", "mit", "--base-license", "openrail"]
    assert cli.main(["export", str(tmp_path / "a.safetensors"), str(tmp_path / output), *words]) == 0
    alone = (tmp_path / output).is_file()  # without a card, so the file says it
    about = safetensors_header.metadata(next((tmp_path / output).glob("*.saf*"), tmp_path / output))
    assert (about.get("license"), about.get("base_license")) == (
        ("mit", "openrail") if alone else (None, None)
    )
    pipeline = StableDiffusionPipeline.from_pretrained(folder)
    pipeline.load_lora_weights(tmp_path / output)
    assert torch.allclose(answer(pipeline.unet, base_of(folder)), wanted, atol=1e-5)


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_a_lora_has_the_dtype_and_no_place_of_this_machine(tmp_path: Path, layout: str) -> None:
    """The card reads the dtype from the file; a folder that reads like a hub id is known by the identity."""
    folder, own = miniatures.build(tmp_path, "sd15"), tmp_path / "a.safetensors"
    adapter_of(base_of(folder), "lora", own)
    base = {"model": "bases/alice/sd15", "config": "/home/alice/config"}
    facts = {**adapters.read_facts(own), "settings": {"base": base, "seed": 3}}
    adapters.write_lora(own, adapters.load(own), facts, adapters.read_configs(own))
    words = ["--layout", layout, *(["--model", str(folder)] if layout == "kohya" else [])]
    assert cli.main(["export", str(own), str(tmp_path / "out"), "--dtype", "bfloat16", *words]) == 0
    (file,) = (tmp_path / "out").glob("*.safetensors")
    assert {x.dtype for x in load_file(file).values()} == {torch.bfloat16}
    assert "| dtype | `bfloat16` |" in (tmp_path / "out/README.md").read_text()
    settings = json.loads(safetensors_header.metadata(file)["fairgen"])["settings"]
    assert settings == {"base": {"model": "sd15", "config": "config"}, "seed": 3}


def test_one_adapter_of_a_shared_batch_becomes_a_plain_lora_file(tmp_path: Path) -> None:
    """The file is the one that the adapter would have if it had been trained alone; it names no place, and
    float32 is what it has, so not a byte differs.
    """
    alone, group, out = (tmp_path / f"{name}.safetensors" for name in ("a", "group", "out"))
    adapter_of(base_of(miniatures.build(tmp_path, "sd15")), "lora", alone)
    state, facts = adapters.load(alone), adapters.read_facts(alone)
    other = {name: x + 1 for name, x in state.items()}
    config = lora.lora_config(facts["rank"], facts["alpha"], facts["dora"])
    adapters.write_group(group, {"0": (other, {**facts, "cluster": 0}), "1": (state, facts)}, "unet", config)
    assert cli.main(["export", f"{group}#1", str(out)]) == 0
    assert out.read_bytes() == alone.read_bytes()


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder, other = miniatures.build(tmp_path, "sd15"), miniatures.build(tmp_path, "sd2")
    full, empty, none, group = (
        tmp_path / f"{name}.safetensors" for name in ("full", "empty", "none", "group")
    )
    adapter_of(base_of(folder), "full", full)
    started = tmp_path / "pretrained.safetensors"
    settings = classifier.Classifier("resnet10t", {"channels": [8, 8, 16, 16], "stem_width": 8}, False, 32)
    network, steps = classifier.build(settings, 2, 0), {"gradient_steps": 5}
    classifier.save(started, network, steps)
    adapters.write_empty(empty, {"images": 0, "reason": "borrows from d"})
    adapters.write_group(group, {"0": ({}, {}), "2": ({}, {})}, "unet", lora.lora_config(1, 1, False))
    none.touch()
    for words, said in (
        ([none, "out"], "none.safetensors is no adapter of fairgen"),
        (
            [tmp_path / "gone", "out"],
            "gone: give an adapter (adapters/<group>/<cluster>.safetensors), a classifier",
        ),
        ([tmp_path, "out"], "or a synthetic set (selection.parquet)"),
        (
            [tiny.CLIP / "model.safetensors", "out"],
            "is no adapter of fairgen (no metadata of fairgen); give a file of an",
        ),
        ([started, "out"], "pretrained.safetensors: the file does not say which classifier and classes it"),
        ([f"{group}#1", "out"], "group.safetensors holds no adapter of cluster 1; it holds 0, 2"),
        ([f"{full}#1", "out"], "holds no adapter of cluster 1; it holds a single adapter"),
        ([empty, "out"], "empty.safetensors holds no generator: borrows from d"),
        (
            [group, "out"],
            "holds the adapters of a group; name one of group.safetensors#0, group.safetensors#2",
        ),
        ([full, folder], f"{folder} exists; choose another output"),
        ([full, "out"], "was trained on a local base"),
        ([full, "out", "--model", other], "the adapter was trained on base"),
    ):
        words = [tmp_path / "out" if word == "out" else word for word in words]
        assert cli.main(["export", *(str(word) for word in words)]) == 1
        error = capsys.readouterr().err
        assert said in error.splitlines()[-1]
        assert error.splitlines()[-1].startswith("fairgen export: ")
        assert "Traceback" not in error
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_step_is_in_the_exported_weights(tmp_path: Path, dtype: str) -> None:
    """What half precision would lose; whoever asks for half precision gets the trained weights rounded
    once.
    """
    base, file = base_of(miniatures.build(tmp_path, "sd15")), tmp_path / "a.safetensors"
    unet = diffusion.load_denoiser(base)
    with torch.no_grad():
        for weight in unet.parameters():
            weight += 1e-6
    about = {"group": "g", "cluster": 1, "images": 3, "prompt": "a V", "rank": 0, "alpha": 0, "dora": False}
    adapters.write(file, unet, {"kind": "full", "base": diffusion.identity(base), **about})
    assert (
        cli.main(["export", str(file), str(tmp_path / "out"), "--model", base.model, "--dtype", dtype]) == 0
    )
    (stored,) = (tmp_path / "out/unet").glob("*.safetensors")
    found = load_file(stored)
    assert all(
        torch.equal(found[name], weight.to(getattr(torch, dtype)))
        for name, weight in unet.state_dict().items()
    )


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o007, 0o660)])
def test_exported_files_have_the_permissions_of_the_umask(
    tmp_path: Path, kind: str, mask: int, mode: int
) -> None:
    folder, file = miniatures.build(tmp_path, "sd15"), tmp_path / "a.safetensors"
    adapter_of(base_of(folder), kind, file)
    before = os.umask(mask)
    words = ["--model", str(folder)] if kind == "full" else []
    try:
        assert cli.main(["export", str(file), str(tmp_path / "out"), *words]) == 0
    finally:
        os.umask(before)
    found = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*")}
    assert {bits for path, bits in found.items() if path.is_file()} == {mode}
    assert {bits for path, bits in found.items() if path.is_dir()} <= {mode | mode >> 2 & 0o111}
