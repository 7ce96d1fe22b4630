"""Every architecture of the base model, as a random miniature: prior, adapt and sample on each, and loading from the hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import miniatures
import pyarrow as pa
import pytest
import torch
from conftest import PROJECT

from fairgen import adapt, images, prior, sample, tables
from fairgen.dreambooth import min_snr_weights
from fairgen.embedded import birds
from fairgen.errors import FairgenError
from fairgen.models import adapters, diffusion
from fairgen.settings import read
from fairgen.work import Work

PROMPTS = {"prompts": {"g": "a landbird on land [V]"}, "seed": 0}
SOLVER = {"scheduler": "dpmsolver++", "steps": 2, "guidance": 2, "negative_prompt": "", "batch": 2}
RECIPE = {"lr": 1e-2, "steps": 2, "batch": 2, "schedule": "constant", "warmup": 0, "ema": 0, "prior_weight": 1, "prior_batch": 2}
RECIPE |= {"accumulate": 1, "gradient_checkpointing": False}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("bases")
    return {name: miniatures.build(place, name) for name in miniatures.ARCHITECTURES}


def base_of(folder: Path, **changes: object) -> diffusion.Base:
    return diffusion.Base(
        **{"model": str(folder), "revision": None, "variant": None, "dtype": "float32", "resolution": 32, **changes}
    )


def chain(folder: Path, base: diffusion.Base, kind: str) -> list[dict]:
    """Rows of a sample file made by prior, adapt and sample."""
    pixels = [images.encode_png(birds.users(5, "train", "landbird", "land", i).pixels) for i in range(3)]
    tables.write_images(folder / "d.parquet", [(x, {"n": 0}) for x in pixels], {"n": pa.int32()}, {})
    files = [f"d.parquet#{i}" for i in range(3)]
    tables.write(folder / "split.parquet", {"id": range(3), "path": files}, {"root": str(folder)})
    tables.write(folder / "clusters.parquet", {"id": range(3), "group": ["g"] * 3, "cluster": [0] * 3})
    common = {**PROMPTS, "base": vars(base)}

    def run(stage: object, cls: type, settings: dict, output: str, **paths: object) -> Path:
        work = Work(folder / output, settings)
        work.lock(print)
        name = output.split(".")[0]
        stage.work(read(cls, settings), SimpleNamespace(**{name: folder / output}, work=work, group="g", **paths))
        work.close(done=True)
        return folder / output

    class_images = run(prior, prior.Prior, {**common, "count": 2, "solver": SOLVER}, "prior.parquet")
    recipe = {**RECIPE, **({"rank": 2, "alpha": 4} if kind == "lora" else {})}
    settings = {**common, "kind": kind, "recipe": recipe, "token": "V", "borrow_below": 0, "donors": {"g": None}}
    settings |= {"min_snr": 5, "offset_noise": 0}
    more = {"clusters": folder / "clusters.parquet", "split": folder / "split.parquet", "prior": [class_images], "cluster": "0"}
    adapter = run(adapt, adapt.Adapt, settings, "adapter.safetensors", **more)
    settings = {**common, "per_group": 3, "solver": SOLVER, "token": "V", "donors": {"g": None}}
    drawn = run(sample, sample.Sample, settings, "samples.parquet", adapters=[adapter], donors=[])
    assert adapters.read_facts(adapter)["base"] == diffusion.identity(base)
    return tables.read(drawn).to_pylist()


@pytest.mark.parametrize("kind", ["lora", "full"])
@pytest.mark.parametrize("architecture", miniatures.ARCHITECTURES)
def test_the_chain_runs_on_every_architecture(folders: dict, tmp_path: Path, architecture: str, kind: str) -> None:
    rows = chain(tmp_path, base_of(folders[architecture]), kind)
    assert len({row["image"]["bytes"] for row in rows}) == 3
    assert {len(row["adapter_hash"]) for row in rows} == {16}


@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_half_precision_variants(tmp_path: Path, architecture: str) -> None:
    folder = miniatures.build(tmp_path, architecture, "fp16", torch.float16)
    base = base_of(folder, variant="fp16", dtype="bfloat16")
    assert len(chain(tmp_path, base, "lora")) == 3
    with pytest.raises(FairgenError, match=r"diffusion\.model: cannot load a model from the folder"):
        diffusion.load_unet(base_of(folder))


@pytest.mark.parametrize("architecture", miniatures.ARCHITECTURES)
def test_conditioning_is_the_pipelines(folders: dict, architecture: str) -> None:
    """The same states, pooled vector and time ids as diffusers' own pipeline, for a prompt and for none."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folders[architecture], safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    found = diffusion.encode_prompts(base_of(folders[architecture]), ["a duck on lake", ""])
    negative = None if architecture == "sdxl" else ""
    wanted = pipeline.encode_prompt(
        "a duck on lake", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=True, negative_prompt=negative
    )
    assert torch.allclose(found.states, torch.cat(wanted[:2]), atol=1e-6)
    if architecture != "sdxl":
        assert found.pooled is None
        return
    assert torch.allclose(found.pooled, torch.cat(wanted[2:]), atol=1e-6)
    ids = pipeline._get_add_time_ids((32, 32), (0, 0), (32, 32), torch.float32, text_encoder_projection_dim=12)
    assert torch.equal(found.time_ids, ids.repeat(2, 1))


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("architecture", ["sd15", "sdxl"])
def test_a_lora_file_loads_in_a_plain_pipeline(folders: dict, tmp_path: Path, architecture: str, dora: bool) -> None:
    """Alpha differs from the rank, so a loader that lost it would scale the adapter wrongly."""
    from diffusers import DiffusionPipeline

    base, file = base_of(folders[architecture]), tmp_path / "a.safetensors"
    text = diffusion.encode_prompts(base, ["a duck on lake"])
    latents, step = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(500)

    def answer(unet: torch.nn.Module) -> torch.Tensor:
        with torch.inference_mode():
            return diffusion.predict(unet, latents, step, text)

    unet = diffusion.load_unet(base)
    untouched = answer(unet)
    adapters.inject_lora(unet, 2, 5, dora)
    with torch.no_grad():
        for weight in [p for p in unet.parameters() if p.requires_grad]:
            weight += 0.3 * torch.randn(weight.shape)
    unet.eval()
    facts = {"kind": "lora", "rank": 2, "alpha": 5, "dora": dora, "base": diffusion.identity(base)}
    adapters.write(file, unet, facts)
    pipeline = DiffusionPipeline.from_pretrained(folders[architecture])
    pipeline.load_lora_weights(file)
    again = diffusion.load_unet(base)
    adapters.apply(file, again, diffusion.identity(base))
    assert torch.allclose(answer(pipeline.unet), answer(unet), atol=1e-5)
    assert torch.allclose(answer(again), answer(unet), atol=1e-5)
    assert (answer(unet) - untouched).abs().max() > 1e-3


def test_another_architecture_is_refused_by_name(folders: dict, tmp_path: Path) -> None:
    folder = shutil.copytree(folders["sd15"], tmp_path / "other")
    about = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**about, "_class_name": "FluxPipeline"}))
    with pytest.raises(FairgenError, match=r"other is a FluxPipeline; give one of StableDiffusionPipeline, "):
        diffusion.encode_prompts(base_of(folder), ["a duck"])


HUB = """
import sys
from fairgen.errors import FairgenError
from fairgen.models import diffusion
for revision in (None, "c0ffee" + "0" * 34):
    for model in sys.argv[1:]:
        base = diffusion.Base(model, revision, None, "float32", 32)
        try:
            diffusion.encode_prompts(base, ["a duck"]), diffusion.load_unet(base), diffusion.load_vae(base)
            diffusion.sampler(base, "unipc")
            print(diffusion.identity(base))
        except FairgenError as error:
            print(error)
"""


def test_hub_ids_offline(folders: dict, tmp_path: Path) -> None:
    """A cached id loads without the network at its pinned commit; others give one clear line."""
    commit = "c0ffee" + "0" * 34
    cache = tmp_path / "hub/models--me--tiny"
    shutil.copytree(folders["sd15"], cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text(commit)
    env = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT)}
    names = ["me/tiny", "me/gone", "runwayml/stable-diffusion-v1-5"]
    done = subprocess.run([sys.executable, "-c", HUB, *names], env=env, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 6, done.stdout + done.stderr
    assert lines[0] == lines[3] == f"me/tiny@{commit}"
    for line in (lines[1], lines[4]):
        assert line.startswith("diffusion.model: 'me/gone' is neither a local folder nor to be had from the hub")
        assert "hf download me/gone" in line
    assert "has moved; write 'stable-diffusion-v1-5/stable-diffusion-v1-5'" in lines[2]


@pytest.mark.parametrize(("prediction", "last"), [("epsilon", 1), ("v_prediction", 0)])
def test_zero_terminal_snr_divides_by_nothing(prediction: str, last: float) -> None:
    weights = min_snr_weights(torch.tensor([0.9, 0.0]), torch.tensor([0, 1]), 5, prediction)
    assert weights.tolist() == pytest.approx([5 / 9 if prediction == "epsilon" else 0.5, last])
