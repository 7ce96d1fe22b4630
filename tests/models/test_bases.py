"""Every architecture of the base model, as a random miniature: from prior to score on each, from folder, file
and hub.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import miniatures
import numpy as np
import pytest
import single_files
import torch
from chains import base_of, chain
from safetensors.torch import load_file, save_file
from workflows import PROJECT

from fairgen.core.errors import FairgenError
from fairgen.models import adapters, autoencoder, base_model, diffusion, lora, text_encoders
from fairgen.models.ddpm import min_snr_weights, noise_schedule
from fairgen.models.parts import DTYPES
from fairgen.models.spacing import check_steps, spaced


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("architecture", miniatures.ARCHITECTURES)
def test_the_chain_runs_on_every_architecture(
    folders: dict, tmp_path: Path, architecture: str, kind: str
) -> None:
    rows = chain(tmp_path, base_of(folders[architecture]), kind)
    assert len({row["image"]["bytes"] for row in rows}) == 3
    assert {len(row["adapter_hash"]) for row in rows} == {16}
    assert all(-1 <= row["cosines"][0] <= 1 for row in rows)


@pytest.mark.parametrize("architecture", miniatures.ARCHITECTURES)
def test_a_tokenizer_that_states_no_length_is_refused(
    folders: dict, tmp_path: Path, architecture: str
) -> None:
    """It would pad prompts to the longest of them, so that images were drawn under other conditioning."""
    folder = shutil.copytree(folders[architecture], tmp_path / "base")
    (folder / "tokenizer/tokenizer_config.json").unlink()
    with pytest.raises(FairgenError, match=r"^diffusion\.model: .*no tokenizer_config\.json of its"):
        text_encoders.encode_prompts(base_of(folder), ["a duck", "a duck"])


@pytest.fixture(scope="module")
def files(folders: dict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, base_model.Base]:
    """Every architecture in one file, beside a folder that describes it."""
    place, bases = tmp_path_factory.mktemp("files"), {}
    for name, folder in folders.items():
        described = single_files.describe(folder, place / name)
        bases[name] = base_of(
            single_files.write(folder, place / f"{name}.safetensors"), config=str(described)
        )
    return bases


@pytest.mark.parametrize("architecture", miniatures.ARCHITECTURES)
def test_a_single_file_is_its_folder(folders: dict, files: dict, architecture: str) -> None:
    bases = (base_of(folders[architecture]), files[architecture])
    for load in (diffusion.load_denoiser, diffusion.load_vae):
        wanted, found = (load(base).state_dict() for base in bases)
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    wanted, found = (text_encoders.encode_prompts(base, ["a duck on lake", ""]) for base in bases)
    assert torch.equal(wanted.states, found.states)
    assert architecture != "sdxl" or torch.equal(wanted.pooled, found.pooled)
    assert noise_schedule(bases[0]).config.prediction_type == noise_schedule(bases[1]).config.prediction_type


def test_a_gpu_without_bfloat16_is_named(folders: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    base = base_of(folders["sd15"], dtype="bfloat16")
    diffusion.load_denoiser(base)
    monkeypatch.setattr(diffusion.devices, "current", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    with pytest.raises(
        FairgenError, match=r"diffusion\.dtype: Tesla T4 does not compute in bfloat16; set float16"
    ):
        diffusion.load_denoiser(base)


def test_the_chain_runs_on_a_single_file_in_bfloat16(files: dict, tmp_path: Path) -> None:
    base = files["sdxl"]
    assert len(chain(tmp_path, base_of(base.model, config=base.config, dtype="bfloat16"), "lora")) == 3


def test_another_file_is_another_base(files: dict, tmp_path: Path) -> None:
    base, other = files["sd15"], tmp_path / "other.safetensors"
    tensors = load_file(base.model)
    save_file({**tensors, "first_stage_model.quant_conv.bias": torch.zeros(8)}, other)
    assert diffusion.identity(base_of(other, config=base.config)) != diffusion.identity(base)
    assert diffusion.identity(
        base_of(shutil.copy(base.model, other), config=base.config)
    ) == diffusion.identity(base)


def test_what_is_wrong_with_a_single_file_is_one_line(files: dict, tmp_path: Path) -> None:
    base, part = files["sd15"], tmp_path / "lora.safetensors"
    save_file({"model.diffusion_model.out.2.bias": torch.zeros(4)}, part)
    (tmp_path / "x.ckpt").touch()
    for changes, said in (
        ({"config": None}, r"diffusion\.config: .*sd15\.safetensors is a single file; give the folder"),
        ({"config": str(tmp_path)}, r"diffusion\.config: .* holds no model_index\.json"),
        (
            {"model": str(tmp_path / "gone.safetensors")},
            r"diffusion\.model: the file .*gone\.safetensors does not exist",
        ),
        ({"model": str(tmp_path / "x.ckpt")}, r"diffusion\.model: .*x\.ckpt is a pickle"),
        (
            {"model": str(part)},
            r"diffusion\.model: .*lora\.safetensors \(its unet, .* conv_in\.bias is missing \(and ",
        ),
        (
            {"config": files["sdxl"].config},
            r"diffusion\.model: .*sd15\.safetensors \(its unet .*as sdxl describes it",
        ),
    ):
        with pytest.raises(FairgenError, match=said):
            diffusion.load_denoiser(base_of(base.model, **{"config": base.config, **changes}))


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_half_precision_variants(tmp_path: Path, architecture: str, capfd: pytest.CaptureFixture) -> None:
    folder = miniatures.build(tmp_path, architecture, "fp16", torch.float16)
    base = base_of(folder, variant="fp16", dtype="bfloat16")
    assert len(chain(tmp_path, base, "lora")) == 3
    capfd.readouterr()
    for wrong in (base_of(folder), base_of(folder, variant="bf16")):
        with pytest.raises(
            FairgenError, match=r"diffusion\.model: cannot load a model from the folder .* \(.*safetensors"
        ):
            diffusion.load_denoiser(wrong)
        assert capfd.readouterr().err == ""


@pytest.mark.parametrize("architecture", miniatures.ARCHITECTURES)
def test_conditioning_is_the_pipelines(folders: dict, architecture: str) -> None:
    """The same states, pooled vector and time ids as diffusers' own pipeline, for a prompt and for none."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folders[architecture], safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    found = text_encoders.encode_prompts(base_of(folders[architecture]), ["a duck on lake", ""])
    negative = None if architecture == "sdxl" else ""
    wanted = pipeline.encode_prompt(
        "a duck on lake",
        device="cpu",
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
        negative_prompt=negative,
    )
    assert torch.allclose(found.states, torch.cat(wanted[:2]), atol=1e-6)
    if architecture != "sdxl":
        assert found.pooled is None
        return
    assert torch.allclose(found.pooled, torch.cat(wanted[2:]), atol=1e-6)
    ids = pipeline._get_add_time_ids(
        (32, 32), (0, 0), (32, 32), torch.float32, text_encoder_projection_dim=12
    )
    assert torch.equal(found.time_ids, ids.repeat(2, 1))


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_lora_file_loads_in_a_plain_pipeline(
    folders: dict, tmp_path: Path, architecture: str, dora: bool
) -> None:
    """Alpha differs from the rank, so a loader that lost it would scale the adapter wrongly."""
    from diffusers import DiffusionPipeline

    base, file = base_of(folders[architecture]), tmp_path / "a.safetensors"
    text = text_encoders.encode_prompts(base, ["a duck on lake"])
    latents, step = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(500)

    def answer(unet: torch.nn.Module) -> torch.Tensor:
        with torch.inference_mode():
            return diffusion.predict(unet, latents, step, text)

    unet = diffusion.load_denoiser(base)
    untouched = answer(unet)
    lora.inject_lora(unet, 2, 5, dora)
    with torch.no_grad():
        for weight in [p for p in unet.parameters() if p.requires_grad]:
            weight += 0.3 * torch.randn(weight.shape)
    unet.eval()
    facts = {"kind": "lora", "rank": 2, "alpha": 5, "dora": dora, "base": diffusion.identity(base)}
    adapters.write(file, unet, facts)
    pipeline = DiffusionPipeline.from_pretrained(folders[architecture])
    pipeline.load_lora_weights(file)
    again = diffusion.load_denoiser(base)
    adapters.apply(file, again, diffusion.identity(base))
    assert torch.allclose(answer(pipeline.unet), answer(unet), atol=1e-5)
    assert torch.allclose(answer(again), answer(unet), atol=1e-5)
    assert (answer(unet) - untouched).abs().max() > 1e-3


def test_another_architecture_is_refused_by_name(folders: dict, tmp_path: Path) -> None:
    folder = shutil.copytree(folders["sd15"], tmp_path / "other")
    about = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**about, "_class_name": "FluxPipeline"}))
    with pytest.raises(FairgenError, match=r"other is a FluxPipeline; give one of StableDiffusionPipeline, "):
        text_encoders.encode_prompts(base_of(folder), ["a duck"])


HUB = """
import sys
from fairgen.core.errors import FairgenError
from fairgen.models import base_model, diffusion, text_encoders
for revision in (None, "c0ffee" + "0" * 34):
    for model in sys.argv[1:]:
        base = base_model.Base(model, revision, None, "float32", 32)
        try:
            text_encoders.encode_prompts(base, ["a duck"])
            diffusion.load_denoiser(base), diffusion.load_vae(base)
            diffusion.process(base).sampler("euler" if "klein" in model else "unipc")
            print(diffusion.identity(base))
        except FairgenError as error:
            print(error)
"""


def test_hub_ids_offline(folders: dict, flow_folders: dict, tmp_path: Path) -> None:
    """A cached id loads without the network at its pinned commit; others give one clear line."""
    commit = "c0ffee" + "0" * 34
    for name, folder in {"tiny": folders["sd15"], "klein": flow_folders["klein"]}.items():
        cache = tmp_path / f"hub/models--me--{name}"
        shutil.copytree(folder, cache / "snapshots" / commit)
        (cache / "refs").mkdir()
        (cache / "refs/main").write_text(commit)
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT)}
    names = ["me/tiny", "me/gone", "runwayml/stable-diffusion-v1-5", "me/klein"]
    done = subprocess.run([sys.executable, "-c", HUB, *names], env=env, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 8, done.stdout + done.stderr
    assert lines[0] == lines[4] == f"me/tiny@{commit}"
    assert lines[3] == lines[7] == f"me/klein@{commit}"
    for line in (lines[1], lines[5]):
        assert line.startswith(
            "diffusion.model: 'me/gone' is neither a local folder nor to be had from the hub"
        )
        assert "hf download me/gone" in line
    assert "has moved; write 'stable-diffusion-v1-5/stable-diffusion-v1-5'" in lines[2]


@pytest.mark.parametrize(("prediction", "last"), [("epsilon", 1), ("v_prediction", 0)])
def test_zero_terminal_snr_divides_by_nothing(prediction: str, last: float) -> None:
    weights = min_snr_weights(torch.tensor([0.9, 0.0]), torch.tensor([0, 1]), 5, prediction)
    assert weights.tolist() == pytest.approx([5 / 9 if prediction == "epsilon" else 0.5, last])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"prediction_type": "sample"},
            "has prediction_type sample in its scheduler, and fairgen trains only epsilon and v_prediction",
        ),
        ({"prediction_type": "flow_prediction"}, "has prediction_type flow_prediction in its scheduler"),
        (
            {"beta_start": None},
            "is a FlowMatchEulerDiscreteScheduler, and Stable Diffusion 1.x, 2.x and XL are trained",
        ),
    ],
)
@pytest.mark.parametrize("single", [False, True])
def test_what_is_not_trained_right_is_refused(
    folders: dict, files: dict, tmp_path: Path, changes: dict, said: str, single: bool
) -> None:
    """Such a base would be trained towards noise, or on a schedule that it has not, without a word."""
    folder = shutil.copytree(folders["sd15"], tmp_path / "other")
    path = folder / "scheduler/scheduler_config.json"
    about = json.loads(path.read_text()) | changes
    if "beta_start" in changes:
        about = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    path.write_text(json.dumps(about))
    base = base_of(files["sd15"].model, config=str(folder)) if single else base_of(folder)
    for load in (noise_schedule, diffusion.process):
        with pytest.raises(FairgenError, match=r"^diffusion\.model: .*") as error:
            load(base)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["v_pred"], "prediction_type: v_prediction, and"),
        (["v_pred", "ztsnr"], "prediction_type: v_prediction and rescale_betas_zero_snr: true"),
        (["edm_mean"], "EDM's schedule"),
        ([], None),
    ],
)
def test_a_file_that_says_how_it_was_trained_is_believed(
    files: dict, tmp_path: Path, names: list[str], said: str | None
) -> None:
    """As epsilon it would be trained towards something else, without a word."""
    file = tmp_path / "model.safetensors"
    save_file({**load_file(files["sd15"].model), **{name: torch.zeros(1) for name in names}}, file)
    base = base_of(str(file), config=files["sd15"].config)
    if said is None:
        assert diffusion.process(base).prediction == "epsilon"
        return
    with pytest.raises(FairgenError, match=said):
        diffusion.process(base)


def test_no_run_has_more_steps_than_it_was_asked_for(folders: dict) -> None:
    """By rounding, 61 steps of 1,000 come out as 62, of which the last is before the first."""
    sampler = diffusion.process(base_of(folders["sd15"])).sampler("dpmsolver++")
    assert len(sampler.begin(60, torch.zeros(1, 4, 8, 8))[0].steps) == 60
    with pytest.raises(FairgenError, match=r"solver\.steps: 61 steps cannot be spaced .*; take 60 or 62$"):
        sampler.begin(61, torch.zeros(1, 4, 8, 8))
    scheduler = sampler.scheduler
    for steps in range(1, 140):
        scheduler.set_timesteps(steps)
        assert spaced(steps) == (len(scheduler.timesteps) == steps)
    with pytest.raises(FairgenError, match=r"take 120 or 123$"):
        check_steps(121, 1000, "x")
    with pytest.raises(FairgenError, match=r"1001 steps are more than the 1000 .*; take fewer$"):
        check_steps(1001, 1000, "x")


@pytest.mark.parametrize("solver", ["dpmsolver++", "unipc", "euler"])
def test_images_end_without_noise_whatever_the_folders_own_solver_leaves(
    folders: dict, tmp_path: Path, solver: str
) -> None:
    folder = shutil.copytree(folders["sdxl"], tmp_path / "base")
    file = folder / "scheduler/scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"final_sigmas_type": "sigma_min"}))
    scheduler = diffusion.process(base_of(folder)).sampler(solver).scheduler
    scheduler.set_timesteps(5)
    assert scheduler.sigmas[-1] == 0


def test_images_are_decoded_in_the_autoencoders_own_dtype(folders: dict) -> None:
    """Also while a full finetune in float16 draws samples: SDXL's overflows in it."""
    vae = diffusion.load_vae(base_of(folders["sd15"]))
    latents = torch.randn(1, vae.config.latent_channels, 8, 8)
    plain = autoencoder.decode(vae, latents)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(autoencoder.decode(vae, latents), plain)


def test_the_autoencoder_is_never_half(folders: dict) -> None:
    """float16 overflows in its decoder, and the images come out black."""
    dtypes = {dtype: diffusion.load_vae(base_of(folders["sd15"], dtype=dtype)).dtype for dtype in DTYPES}
    assert dtypes == {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float32}
