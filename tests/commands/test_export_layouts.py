"""Adapters by kohya's names and as one original file: read back by diffusers, and by what the programs
compute.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import exporting
import numpy as np
import pytest
import single_files
import torch
from diffusers.configuration_utils import FrozenDict
from safetensors import safe_open
from safetensors.torch import load_file

from fairgen import cli
from fairgen.commands.exports import bases, checkpoint
from fairgen.core import safetensors_file
from fairgen.core.errors import FairgenError
from fairgen.models import diffusion, lora, text_encoders

WIDE = [
    "to_q",
    "to_k",
    "to_v",
    "to_out.0",
    "ff.net.0.proj",
    "ff.net.2",
    "proj_in",
    "conv1",
    "conv2",
    "time_emb_proj",
]
KNOWN = {"sd1": (16, 8), "sd2": (16, 8), "xl": (40, 8)}  # sizes of the miniatures
NOT_CLOSE = 1e-3  # of pixels in [0, 1]: what an adapter must change at least


def export(*words: object) -> int:
    return cli.main(["export", *map(str, words)])


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """ComfyUI and AUTOMATIC1111 know the miniatures."""
    monkeypatch.setattr(bases, "SIZES", KNOWN)
    monkeypatch.setattr(checkpoint, "LAYERS", {"sd1": (2,), "sd2": (2,), "xl": (2, 3)})
    monkeypatch.setattr(checkpoint, "SCALES", dict.fromkeys(KNOWN, 0.18215))


@pytest.mark.parametrize("architecture", ["sd15", "sd2", "sdxl"])
def test_kohyas_names_load_in_diffusers_and_draw_the_same(
    folders: dict[str, Path], tmp_path: Path, architecture: str
) -> None:
    """Bit by bit: denoiser, text encoders and α ≠ rank; the file has no metadata of diffusers' own."""
    folder, own, out = folders[architecture], tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    exporting.adapter_of(exporting.base_of(folder), "lora", own, WIDE, text=True)
    assert export(own, out, "--layout", "kohya", "--model", folder) == 0
    plain, wanted, found = (exporting.drawn(folder, path) for path in (None, own, out))
    assert abs(plain - wanted).max() > NOT_CLOSE
    assert np.array_equal(wanted, found)
    names = {name.partition(".")[0] for name in load_file(out)}
    second = architecture == "sdxl"
    assert ("lora_unet_mid_block_attentions_0_proj_in" in names) != second
    assert ("lora_unet_middle_block_1_proj_in" in names) == second
    assert {n.split("text_model")[0] for n in names if "text_model" in n} == (
        {"lora_te1_", "lora_te2_"} if second else {"lora_te_"}
    )


@pytest.mark.parametrize("layout", ["kohya", "comfyui"])
@pytest.mark.parametrize("architecture", ["klein", "z-image"])
def test_joined_projections_load_in_diffusers_and_draw_the_same(
    flow_folders: dict, tmp_path: Path, architecture: str, layout: str
) -> None:
    """diffusers multiplies the scale into a matrix there, so the last bits differ."""
    folder, own, out = flow_folders[architecture], tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    base = exporting.base_of(folder)
    exporting.adapter_of(base, "lora", own, diffusion.lora_targets(base))
    assert export(own, out, "--layout", layout, "--model", folder) == 0
    plain, wanted, found = (exporting.drawn(folder, path) for path in (None, own, out))
    assert abs(plain - wanted).max() > NOT_CLOSE
    assert abs(wanted - found).max() < 1e-5
    joined = any(name.endswith("qkv.lora_up.weight") for name in load_file(out))
    assert joined == (architecture == "klein" or layout == "comfyui")  # musubi-tuner's Z-Image has them apart


def added(tensors: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """What sd-scripts, AUTOMATIC1111 and ComfyUI add to a layer's weight: up · down · α / rank, or the
    difference.
    """
    if f"{name}.diff" in tensors:
        return tensors[f"{name}.diff"]
    down, up = (tensors[f"{name}.lora_{side}.weight"] for side in ("down", "up"))
    return up.flatten(1) @ down.flatten(1) * tensors[f"{name}.alpha"] / len(down)


def differences(denoiser: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What an adapter adds to each layer's weight, by diffusers' names."""
    found = {}
    for name, layer in lora.lora_layers(denoiser).items():
        before = layer.get_base_layer().weight.detach().clone()
        layer.merge()
        found[name] = (layer.get_base_layer().weight.detach() - before).flatten(1)
    return found


@pytest.mark.parametrize("layout", ["kohya", "comfyui"])
@pytest.mark.parametrize("absent", ["", "to_k"])
def test_stable_diffusion_3_has_queries_keys_and_values_in_one_layer(
    flow_folders: dict, tmp_path: Path, layout: str, absent: str
) -> None:
    """A projection without LoRA gets nothing; ComfyUI 0.8 and sd-scripts 0.10 read these names."""
    folder, own, out = flow_folders["sd35"], tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    base = exporting.base_of(folder)
    targets = [name for name in diffusion.lora_targets(base) if name != absent]
    wanted = differences(exporting.adapter_of(base, "lora", own, targets))
    assert export(own, out, "--layout", layout, "--model", folder) == 0
    tensors = load_file(out)
    assert {n.partition(".")[0] for n in tensors} == {
        *(f"lora_unet_joint_blocks_{i}_x_block_attn_{part}" for i in (0, 1) for part in ("qkv", "proj")),
        *(f"lora_unet_joint_blocks_0_x_block_attn2_{part}" for part in ("qkv", "proj")),
        *(f"lora_unet_joint_blocks_{i}_context_block_attn_qkv" for i in (0, 1)),
        "lora_unet_joint_blocks_0_context_block_attn_proj",
    }
    parts = added(tensors, "lora_unet_joint_blocks_0_x_block_attn2_qkv").chunk(3)
    for name, found in zip(("to_q", "to_k", "to_v"), parts, strict=True):
        own_part = wanted.get(f"transformer_blocks.0.attn2.{name}", torch.zeros_like(found))
        assert torch.allclose(found, own_part, atol=1e-6)
    text = added(tensors, "lora_unet_joint_blocks_1_context_block_attn_qkv").chunk(3)[2]
    assert torch.allclose(text, wanted["transformer_blocks.1.attn.add_v_proj"], atol=1e-6)


@pytest.mark.parametrize("layout", ["comfyui", "a1111"])
def test_dora_becomes_the_differences_of_the_weights(
    folders: dict[str, Path], tmp_path: Path, known: None, layout: str
) -> None:
    """Its norms are of outputs; AUTOMATIC1111 takes those of inputs, and ComfyUI 0.8 those of the base."""
    folder, own, out = folders["sd15"], tmp_path / "a.safetensors", tmp_path / "out.safetensors"
    denoiser = exporting.adapter_of(exporting.base_of(folder), "lora", own, text=True, dora=True)
    assert export(own, out, "--layout", layout, "--model", folder) == 0
    tensors, wanted = load_file(out), differences(denoiser)
    for name, x in wanted.items():
        found = added(tensors, f"lora_unet_{name.replace('.', '_')}")
        assert torch.allclose(found.flatten(1), x, atol=1e-6)
    text = [name for name in tensors if name.startswith("lora_te_text_model_encoder_layers_")]
    assert len(text) == 2 * 4
    assert len(tensors) == len(wanted) + len(text)
    assert all(tensors[name].abs().max() > 0 for name in text)


def test_a_file_says_what_it_is_of(folders: dict[str, Path], tmp_path: Path) -> None:
    own, out = tmp_path / "a.safetensors", tmp_path / "out"
    exporting.adapter_of(exporting.base_of(folders["sdxl"]), "lora", own)
    assert export(own, out, "--layout", "kohya", "--model", folders["sdxl"]) == 0
    assert {path.name for path in out.iterdir()} == {"g-1.safetensors", "README.md", "fairgen.json"}
    with safe_open(out / "g-1.safetensors", framework="pt") as file:
        about = file.metadata()
    assert (about["ss_base_model_version"], about["ss_network_dim"], about["ss_v2"]) == (
        "sdxl_base_v1-0",
        "2",
        "False",
    )
    assert json.loads(about["fairgen"])["prompt"] == "a V"
    assert "lora_adapter_metadata" not in about  # diffusers would take it for its own names
    record = json.loads((out / "fairgen.json").read_text())
    assert (record["kind"], record["layout"], set(record["files"])) == (
        "generator",
        "kohya",
        {"README.md", "g-1.safetensors"},
    )
    card = (out / "README.md").read_text()
    assert "instance_prompt: a V" in card
    assert "\nlicense: unknown\n" in card


@pytest.mark.parametrize("architecture", ["sd15", "sd2", "sdxl"])
def test_a_full_finetune_becomes_one_file_with_the_original_names(
    folders: dict[str, Path], tmp_path: Path, known: None, architecture: str
) -> None:
    """diffusers reads it and draws the same; the names are those of the tests' own table."""
    import diffusers

    folder, own = folders[architecture], tmp_path / "a.safetensors"
    exporting.adapter_of(exporting.base_of(folder), "full", own, text=True)
    out, pipeline = tmp_path / "whole.safetensors", tmp_path / "pipeline"
    assert export(own, pipeline, "--model", folder) == 0
    assert export(own, out, "--layout", "a1111", "--model", folder) == 0
    reference = load_file(single_files.write(pipeline, tmp_path / "reference.safetensors"))
    found = load_file(out)
    assert set(reference) <= set(found)
    assert all(torch.equal(x, found[name].reshape(x.shape)) for name, x in reference.items())
    more = {name for name in set(found) - set(reference) if ".resblocks.2." not in name}
    assert more <= {
        f"{p}.model.{n}"
        for p in ("cond_stage_model", "conditioner.embedders.1")
        for n in ("logit_scale", "text_projection")
    }
    assert all(x.ndim == 4 for name, x in found.items() if ".attn_1.q.weight" in name)
    kind = (
        diffusers.StableDiffusionXLPipeline if architecture == "sdxl" else diffusers.StableDiffusionPipeline
    )
    describes = single_files.describe(pipeline, tmp_path / "config")
    encoders = (
        {}
        if architecture != "sd2"
        else {  # diffusers wants 24 layers of it
            "text_encoder": text_encoders.load_text(exporting.base_of(pipeline))["text_encoder"][1]
        }
    )
    whole = kind.from_single_file(out, config=str(describes), local_files_only=True, **encoders)
    assert np.array_equal(exporting.drawn(pipeline), exporting.drawn(pipeline, whole=whole))
    assert abs(exporting.drawn(pipeline) - exporting.drawn(folder)).max() > NOT_CLOSE


def test_v_prediction_is_told(
    folders: dict[str, Path], tmp_path: Path, known: None, capsys: pytest.CaptureFixture
) -> None:
    """Two empty tensors say it of XL; of 1.x nothing can."""
    for name, status in (("sdxl", 0), ("sd15", 1)):
        folder = tmp_path / name
        single_files.shutil.copytree(folders[name], folder)
        schedule = folder / "scheduler/scheduler_config.json"
        text = {
            **json.loads(schedule.read_text()),
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
        }
        schedule.write_text(json.dumps(text))
        own, out = tmp_path / f"{name}-a.safetensors", tmp_path / f"{name}-out.safetensors"
        exporting.adapter_of(exporting.base_of(folder), "full", own)
        assert export(own, out, "--layout", "comfyui", "--model", folder) == status
    assert {"v_pred", "ztsnr"} <= load_file(tmp_path / "sdxl-out.safetensors").keys()
    assert "predicts v, which no single file of a Stable Diffusion 1.x can say" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("family", "schedule", "scale", "layers", "said"),
    [
        (
            "sd1",
            {"beta_end": 0.02},
            0.18215,
            (12,),
            "was trained with beta_end 0.02, and a single file means",
        ),
        ("sd1", {}, 0.2, (12,), "scales its latents otherwise than its family (0.2 in place of 0.18215"),
        ("xl", {}, 0.18215, (12, 32), "(0.18215 in place of 0.13025"),
        ("sd1", {}, 0.18215, (11,), "has text encoders of 11 layers in place of 12"),
        ("sd2", {}, 0.18215, (24,), "has text encoders of 24 layers in place of 23"),
        ("sd2", {"rescale_betas_zero_snr": True}, 0.18215, (23,), "was trained to zero SNR"),
        ("xl", {"rescale_betas_zero_snr": True}, 0.13025, (12, 32), "was trained to zero SNR"),
        ("sd2", {"prediction_type": "sample"}, 0.18215, (23,), "predicts 'sample', which no single file"),
        ("sd2", {"prediction_type": "v_prediction"}, 0.18215, (23,), "ComfyUI would guess epsilon"),
        ("sd2", {"prediction_type": "v_prediction"}, 0.18215, (23,), ""),
        ("xl", {}, 0.13025, (12, 32), ""),
    ],
)
def test_a_base_must_be_what_readers_of_a_file_take_for_granted(
    family: str, schedule: dict, scale: float, layers: tuple[int, ...], said: str
) -> None:
    base = exporting.base_of(Path("sd"))
    vae = SimpleNamespace(config=FrozenDict(scaling_factor=scale))
    encoders = {
        part: (None, SimpleNamespace(config=SimpleNamespace(num_hidden_layers=count)))
        for part, count in zip(("text_encoder", "text_encoder_2"), layers, strict=False)
    }
    v = schedule.get("prediction_type") == "v_prediction" and not said
    weights = {checkpoint.UNET + checkpoint.GUESS: torch.tensor([-1.0, 1.0]) * (0.2 if v else 0.05)}
    try:
        checkpoint.prediction(base, family, schedule)
        checkpoint.check_values(base, family, schedule, vae, encoders)
        if family == "sd2":
            checkpoint.check_guess(base, schedule, weights)
    except FairgenError as error:
        assert said
        assert said in str(error) and "use --layout diffusers" in str(error)
    else:
        assert not said


def test_a_text_encoder_that_would_be_lost_is_refused(
    folders: dict[str, Path],
    tmp_path: Path,
    known: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """Whatever is written under other names, or as other numbers, than diffusers finds it."""
    own, whole = tmp_path / "a.safetensors", checkpoint.text_state
    exporting.adapter_of(exporting.base_of(folders["sd2"]), "full", own)

    def wrong(*words: Any) -> dict[str, torch.Tensor]:
        return {name: x + 1 if "in_proj" in name else x for name, x in whole(*words).items()}

    monkeypatch.setattr(checkpoint, "text_state", wrong)
    assert export(own, tmp_path / "out", "--layout", "a1111", "--model", folders["sd2"]) == 1
    assert "self_attn" in capsys.readouterr().err.splitlines()[-1]


def test_a_dora_is_exact_at_strength_one_and_takes_what_it_needs(
    folders: dict[str, Path], tmp_path: Path, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its card says so; autoencoder and text encoders, which it does not adapt, stay where they are."""
    folder, own = folders["sd15"], tmp_path / "a.safetensors"
    exporting.adapter_of(exporting.base_of(folder), "lora", own, dora=True)

    def needless(*words: object) -> None:
        raise AssertionError("loaded for nothing")

    monkeypatch.setattr(diffusion, "load_vae", needless)
    monkeypatch.setattr(text_encoders, "load_text", needless)
    assert export(own, tmp_path / "out", "--layout", "comfyui", "--model", folder) == 0
    text = (tmp_path / "out/README.md").read_text()
    assert "it is exact at strength 1 only" in text
    assert "library_name: diffusion-single-file" in text


def test_what_a_layout_cannot_hold_is_one_line(
    folders: dict[str, Path],
    flow_folders: dict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sd, xl, flow = folders["sd15"], folders["sdxl"], flow_folders["klein"]
    made = {
        name: tmp_path / f"{name}.safetensors"
        for name in ("plain", "dora", "full", "flow", "flow-full", "odd", "other")
    }
    exporting.adapter_of(exporting.base_of(sd), "lora", made["plain"])
    exporting.adapter_of(exporting.base_of(sd), "lora", made["dora"], dora=True)
    exporting.adapter_of(exporting.base_of(sd), "full", made["full"])
    exporting.adapter_of(exporting.base_of(flow), "lora", made["flow"])
    exporting.adapter_of(exporting.base_of(flow), "full", made["flow-full"])
    exporting.adapter_of(exporting.base_of(flow), "lora", made["odd"], ["to_q", "proj_out"])
    for name, words, said in (
        (
            "plain",
            ["--layout", "comfyui", "--model", sd],
            "ComfyUI tells Stable Diffusion 1.x, 2.x and XL by their sizes",
        ),
        (
            "full",
            ["--layout", "a1111", "--model", sd],
            "AUTOMATIC1111 tells Stable Diffusion 1.x, 2.x and XL by",
        ),
        ("dora", ["--layout", "kohya", "--model", sd], "is a DoRA, which sd-scripts does not read"),
        (
            "flow",
            ["--layout", "a1111", "--model", flow],
            "AUTOMATIC1111 loads Stable Diffusion 1.x, 2.x and XL, and no Flux",
        ),
        (
            "flow-full",
            ["--layout", "comfyui", "--model", flow],
            "is a full finetune of a Flux2KleinPipeline, which is not",
        ),
        (
            "odd",
            ["--layout", "kohya", "--model", flow],
            "the layer transformer.proj_out has no name in --layout kohya",
        ),
        ("plain", ["--layout", "kohya", "--model", xl], "the adapter was trained on base"),
        ("plain", ["--layout", "kohya"], "was trained on a local base"),
        ("plain", ["--layout", "onnx"], "is an adapter; give one of diffusers, kohya, comfyui, a1111"),
        (
            "plain",
            ["--model", sd],
            "--model: LoRA in diffusers' layout is written without its base; leave it",
        ),
        ("full", ["--revision", "ab"], "--revision: the adapter's own base has the commit"),
        ("full", ["--model", sd, "--revision", "ab"], "lies here and has none; leave it out"),
        (
            "full",
            ["--model", sd, "--config", sd],
            "--config: it describes a single file, which --model names",
        ),
        ("plain", ["--rejected"], "--rejected: diffusers, as "),
        ("plain", ["--input", "uint8"], "--input: diffusers, as "),
        ("plain", ["--license", "mit", "--license-name", "x"], "--license-name: it names a licence that is"),
        ("plain", ["--license-link", "https://x.org"], "--license-link: give --license, too"),
        ("plain", ["--license", "My Own"], "--license My Own: give an id of the hub"),
        ("plain", ["--license", "other"], "say which one with --license-name and --license-link"),
    ):
        for output in ("out", "out.safetensors"):
            assert export(made[name], tmp_path / output, *words) == 1
            (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("fairgen export: ")]
            assert said in line
            assert not (tmp_path / output).exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_write_that_fails_leaves_nothing(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    own = tmp_path / "a.safetensors"
    exporting.adapter_of(exporting.base_of(folders["sd15"]), "lora", own)

    def full(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors_file, "save", full)
    assert export(own, tmp_path / "new/out") == 1
    assert not (tmp_path / "new").exists()
    assert "cannot write" in capsys.readouterr().err


def test_what_cannot_be_read_is_not_blamed_on_the_output(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Folders that were there before stay."""
    own, gone = tmp_path / "a.safetensors", tmp_path / "gone.json"
    exporting.adapter_of(exporting.base_of(folders["sd15"]), "lora", own)
    monkeypatch.setattr(safetensors_file, "save", lambda *words: gone.read_bytes())
    (tmp_path / "empty").mkdir()
    assert export(own, tmp_path / "empty/new/out") == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{gone}: No such file" in line
    assert "choose another output" not in line
    assert list((tmp_path / "empty").iterdir()) == []
