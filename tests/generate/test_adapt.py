"""Adapters: trained, stored, loaded back, and skipped where there is nothing to train."""

import dataclasses
import hashlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import miniatures
import numpy as np
import pyarrow as pa
import pytest
import torch
from adapting import RECIPE, adapt_settings, changed, forward
from PIL import Image

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.embedded import birds
from fairgen.generate import optimization, sample, text_adapters, training
from fairgen.generate.denoising import noised, row_losses
from fairgen.generate.latents import batch_sizes
from fairgen.generate.material import enough, material, reason_to_skip
from fairgen.generate.optimization import RunningMean, lr_schedule
from fairgen.generate.recipe import Adapt, Recipe
from fairgen.generate.solver import Solver
from fairgen.generate.training import train
from fairgen.generate.training_shared import train as train_shared
from fairgen.models import adapters, base_model, diffusion, lora, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.models.ddpm import min_snr_weights
from fairgen.models.parts import DTYPES


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(8)])


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_an_adapter_comes_back_as_it_was(
    kind: str, base: base_model.Base, pixels: np.ndarray, tmp_path: Path
) -> None:
    settings = adapt_settings(kind, base)
    prior = (
        [("a landbird on land", pixels[:4]), ("a landbird on water", pixels[4:])] if kind == "full" else []
    )
    unet, losses = train(settings, base, ("a landbird on land V", pixels), prior, "g/0")
    facts = {
        "kind": kind,
        "base": diffusion.identity(base),
        "rank": 4,
        "alpha": 8,
        "dora": False,
        "images": 8,
    }
    adapters.write(tmp_path / "a.safetensors", unet, facts)
    fresh = diffusion.load_denoiser(base)
    before = forward(fresh)
    adapters.apply(tmp_path / "a.safetensors", fresh, diffusion.identity(base))
    assert torch.allclose(forward(fresh), forward(unet), atol=1e-5)
    assert (forward(fresh) - before).abs().max() > 1e-3
    assert np.isfinite(losses["loss"]).all()


def test_lora_trains_its_own_matrices_only(base: base_model.Base, pixels: np.ndarray) -> None:
    unet, _ = train(adapt_settings("lora", base), base, ("a landbird on land V", pixels), [], "g/0")
    original = diffusion.load_denoiser(base).state_dict()
    for name, weight in unet.state_dict().items():
        if "lora_" not in name:
            assert torch.equal(weight, original[name.replace("base_layer.", "")])


def test_lora_adapts_the_layers_that_are_named(base: base_model.Base, tmp_path: Path) -> None:
    unet, file = diffusion.load_denoiser(base), tmp_path / "a.safetensors"
    lora.inject_lora(unet, 2, 5, targets=["ff.net.2", "to_q"])
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if "lora_" in name:
                weight += 0.1 * torch.randn(weight.shape)
    unet.eval()
    facts = {
        "kind": "lora",
        "base": diffusion.identity(base),
        "rank": 2,
        "alpha": 5,
        "dora": False,
        "images": 1,
    }
    adapters.write(file, unet, facts)
    assert adapters.read_configs(file)["unet"]["target_modules"] == ["to_q", "ff.net.2"]
    fresh = diffusion.load_denoiser(base)
    adapters.apply(file, fresh, facts["base"])
    adapted = {
        name.split(".lora_")[0].rsplit("transformer_blocks.0.", 1)[1]
        for name, _ in fresh.named_parameters()
        if "lora_" in name
    }
    assert adapted == {"attn1.to_q", "attn2.to_q", "ff.net.2"}
    assert torch.allclose(forward(fresh), forward(unet), atol=1e-5)
    with pytest.raises(FairgenError, match=r"adapt\.lora\.targets: no layer of the base is named to_x"):
        lora.inject_lora(diffusion.load_denoiser(base), 2, 5, targets=["to_q", "to_x"])


def test_training_is_reproducible(base: base_model.Base, pixels: np.ndarray) -> None:
    runs = [
        train(adapt_settings("full", base), base, ("a V", pixels), [("a", pixels)], "g/0")[0]
        for _ in range(2)
    ]
    assert torch.equal(forward(runs[0]), forward(runs[1]))


def test_a_step_takes_the_mean_of_its_batches(
    base: base_model.Base, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches with the losses 1·s and 3·s, s the sum of one weight: gradient 2, and 2·s is reported."""
    factors, gradients = iter((1.0, 3.0)), []

    def loss(unet: torch.nn.Module, *rest: object) -> torch.Tensor:
        return unet.conv_in.bias.sum() * next(factors)

    def clip(weights: list[torch.nn.Parameter], limit: float) -> torch.Tensor:
        gradients.extend(w.grad.clone() for w in weights if w.grad is not None)
        return torch.zeros(())

    monkeypatch.setattr(training, "row_losses", loss)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    settings = changed(adapt_settings("full", base), accumulate=2, steps=1)
    _, losses = train(settings, base, ("a V", pixels), [("a", pixels)], "g/0")
    assert losses["loss"] == pytest.approx([2 * diffusion.load_denoiser(base).conv_in.bias.sum().item()])
    assert [g.unique().tolist() for g in gradients] == [[2.0]]


def test_eight_bit_adam_is_asked_for_by_name(base: base_model.Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent, it is one clear line; present, it gets the trainable weights and their learning rate."""
    settings = changed(adapt_settings("lora", base), optimizer="adamw8bit", lr=0.5)
    weight = torch.nn.Parameter(torch.zeros(1))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(
        FairgenError, match=r"adapt\.lora\.optimizer: adamw8bit needs the package bitsandbytes"
    ):
        optimization.adamw([weight], settings)
    kind = type("AdamW8bit", (torch.optim.AdamW,), {})
    monkeypatch.setitem(sys.modules, "bitsandbytes", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", SimpleNamespace(AdamW8bit=kind))
    optimizer = optimization.adamw([weight], settings)
    assert isinstance(optimizer, kind)
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert type(optimization.adamw([weight], adapt_settings("lora", base))) is torch.optim.AdamW


def test_gradient_checkpointing_changes_no_result(base: base_model.Base, pixels: np.ndarray) -> None:
    settings = adapt_settings("lora", base)
    plain, _ = train(settings, base, ("a V", pixels), [], "g/0")
    thrifty, _ = train(changed(settings, gradient_checkpointing=True), base, ("a V", pixels), [], "g/0")
    assert thrifty.is_gradient_checkpointing
    assert not plain.is_gradient_checkpointing
    assert torch.allclose(forward(plain), forward(thrifty), atol=1e-5)


def test_offset_noise_is_one_number_per_channel(base: base_model.Base) -> None:
    process, clean = diffusion.process(base), (torch.zeros(2, 4, 8, 8), torch.zeros(2, 6))
    plain, with_offset = (
        noised(
            process,
            clean,
            torch.ones(2),
            adapt_settings("full", base, offset_noise=part),
            torch.Generator().manual_seed(0),
        )
        for part in (0, 0.5)
    )
    offset = (with_offset.target - plain.target).flatten(2)
    assert torch.allclose(offset, offset[:, :, :1].expand_as(offset), atol=1e-6)
    assert 0.2 < offset[:, :, 0].std().item() < 1
    assert offset[:, :, 0].unique().numel() == 2 * 4


def test_the_same_adapter_is_the_same_file(base: base_model.Base, tmp_path: Path) -> None:
    unet = diffusion.load_denoiser(base)
    lora.inject_lora(unet, 2, 5)
    facts = {"kind": "lora", "base": "b", "rank": 2, "alpha": 5, "dora": False, "images": 1}
    hashes = set()
    for _ in range(8):
        adapters.write(tmp_path / "a.safetensors", unet, facts)
        hashes.add(adapters.digest(tmp_path / "a.safetensors"))
    assert len(hashes) == 1


def test_an_adapter_of_another_base_is_refused(base: base_model.Base, tmp_path: Path) -> None:
    unet = diffusion.load_denoiser(base)
    adapters.write(tmp_path / "a.safetensors", unet, {"kind": "full", "base": "other", "images": 1})
    with pytest.raises(FairgenError, match=r"a\.safetensors: the adapter was trained on base other"):
        adapters.apply(tmp_path / "a.safetensors", unet, diffusion.identity(base))


def test_reasons_to_skip(base: base_model.Base) -> None:
    settings = adapt_settings("full", base)
    assert "borrows from d: 3 images" in reason_to_skip("g", 0, [0, 0, 0], settings)
    assert reason_to_skip("d", 0, [0, 0, 0], settings) == ""
    assert "2 clusters" in reason_to_skip("d", 3, [0, 1, 1], settings)
    with pytest.raises(FairgenError, match=r"group d has no training image .*; give it a donor"):
        reason_to_skip("d", 0, [], settings)
    with pytest.raises(FairgenError, match=r"group g has no training image .*; raise adapt\.borrow_below"):
        reason_to_skip("g", 0, [], dataclasses.replace(settings, borrow_below=0))


@pytest.mark.parametrize("stage", ["adapt", "adapt_shared"])
def test_an_empty_slot_imports_nothing_heavy(tmp_path: Path, stage: str) -> None:
    program = (
        "import sys; from pathlib import Path; from types import SimpleNamespace as N\n"
        f"from fairgen.core import parquet\nfrom fairgen.generate import {stage} as stage\n"
        f"folder = Path({str(tmp_path)!r}); parquet.write(folder / 'c.parquet', dict(id=[1], group=['g'],"
        " cluster=[0]))\n"
        "settings = stage.Adapt('full', None, 'V', 20, 5, 0, {}, {}, {'g': 'd'}, 0)\n"
        "file = folder / 'a.safetensors'\n"
        "paths = N(group='g', cluster='0', clusters=folder / 'c.parquet', adapter=file, adapters=file)\n"
        "stage.work(settings, paths)\n"
        "assert stage.adapters.read_facts(file)['reason'].startswith('borrows from d')\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'peft'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_training_reads_no_more_images_than_it_can_see(base: base_model.Base) -> None:
    settings = changed(adapt_settings("lora", base), steps=3, batch=4, accumulate=2)
    files = [f"{i}.png" for i in range(30)]
    found = enough(files, settings, "g/0", 4)
    assert len(set(found)) == 24
    assert set(found) < set(files)
    assert found == enough(files, settings, "g/0", 4) != enough(files, settings, "g/1", 4)
    assert enough(files[:24], settings, "g/0", 4) == files[:24]
    assert len(enough(files, settings, "g other", 2)) == 12  # of a companion's, of which a batch takes two


def test_the_running_mean_takes_the_place_of_the_weights() -> None:
    """Weights 0, then 1 and 1: the decay is 2/11 after the first step, and 3/12 after the second."""
    weight = torch.nn.Parameter(torch.zeros(1))
    mean, last = RunningMean([weight], 0.9), RunningMean([weight], 0)
    for step in (1, 2):
        weight.data.fill_(1)
        mean.update(step)
        last.update(step)
    last.install()
    assert weight.item() == 1
    mean.install()
    assert weight.item() == pytest.approx(1 - 2 / 11 * 3 / 12)


@pytest.mark.parametrize(
    ("name", "warmup", "wanted"),
    [
        ("constant", 0, [1, 1, 1, 1, 1, 1, 1]),
        ("constant", 2, [0, 0.5, 1, 1, 1, 1, 1]),
        ("linear", 2, [0, 0.5, 1, 0.75, 0.5, 0.25, 0]),
        ("cosine", 2, [0, 0.5, 1, 0.854, 0.5, 0.146, 0]),
    ],
)
def test_the_learning_rate_rises_and_falls_as_its_schedule_says(
    name: str, warmup: int, wanted: list[float]
) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    recipe = {**RECIPE, "lr": 1.0, "schedule": name, "warmup": warmup, "steps": 6}
    schedule = lr_schedule(optimizer, Recipe(**recipe, prior_weight=0, prior_batch=0))
    rates = []
    for _ in range(7):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(wanted, abs=1e-3)


def test_min_snr_weights() -> None:
    """Two time steps with SNR 9 and 1 at gamma 5, for both predictions (arXiv 2303.09556)."""
    alphas, steps = torch.tensor([0.9, 0.5]), torch.tensor([0, 1])
    assert min_snr_weights(alphas, steps, 5, "epsilon").tolist() == pytest.approx([5 / 9, 1])
    assert min_snr_weights(alphas, steps, 5, "v_prediction").tolist() == pytest.approx([0.5, 0.5])
    assert min_snr_weights(alphas, steps, 0, "epsilon").tolist() == [1, 1]


def test_float16_loses_no_small_gradients(
    base: base_model.Base, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a scale on the loss, one weight in a thousand of this model gets none."""
    seen = []

    def clip(weights: list[torch.nn.Parameter]) -> torch.Tensor:
        seen.append(torch.cat([w.grad.flatten() for w in weights]))
        return torch.zeros(())

    monkeypatch.setattr(training, "clip_gradients", clip)
    for dtype in ("float32", "float16"):
        own = dataclasses.replace(base, dtype=dtype)
        train(changed(adapt_settings("full", own), steps=1), own, ("a V", pixels), [("a", pixels)], "g/0")
    exact, half = seen
    assert torch.nn.functional.cosine_similarity(exact, half, dim=0) > 0.999
    assert exact.norm().item() == pytest.approx(half.norm().item(), rel=0.01)
    assert ((half == 0) & (exact != 0)).float().mean() < 1e-5


@pytest.mark.parametrize(
    "recipe", [{}, {"dora": True}, {"targets": ("to_q", "conv1")}, {"gradient_checkpointing": True}], ids=str
)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lora_on_a_half_precision_base(
    base: base_model.Base, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch, dtype: str, recipe: dict
) -> None:
    """Its matrices are float32, their gradients those of float32, and the base is not under autocast."""
    gradients, outside = [], []

    def clip(weights: list[torch.nn.Parameter]) -> torch.Tensor:
        gradients.append(torch.cat([w.grad.flatten() for w in weights]))
        return torch.zeros(())

    def watched(unet: torch.nn.Module, settings: Adapt) -> list[torch.nn.Parameter]:
        unet.conv_norm_out.register_forward_hook(
            lambda *_: outside.append(not torch.is_autocast_enabled("cpu"))
        )
        return trainable(unet, settings)

    trainable = training.trainable
    monkeypatch.setattr(training, "clip_gradients", clip)
    monkeypatch.setattr(training, "trainable", watched)
    for own in (base, dataclasses.replace(base, dtype=dtype)):
        settings = changed(adapt_settings("lora", own), steps=1, **recipe)
        unet, _ = train(settings, own, ("a V", pixels), [], "g/0")
        assert all(p.dtype == torch.float32 for p in unet.parameters() if p.requires_grad)
    exact, half = gradients
    assert set(outside) == {True}
    assert half.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(exact, half, dim=0) > 0.99
    assert exact.norm().item() == pytest.approx(half.norm().item(), rel=0.05)


def test_dora_on_a_half_precision_base_starts_and_comes_back_exactly(
    base: base_model.Base, pixels: np.ndarray, tmp_path: Path
) -> None:
    """Its norms are those of the base in float32, not rounded to bfloat16, and it draws with the norms it was
    trained with.
    """
    own = dataclasses.replace(base, dtype="bfloat16")
    settings = changed(adapt_settings("lora", own), dora=True, steps=2)
    unet = diffusion.load_denoiser(own)
    training.trainable(unet, settings)
    for layer in lora.lora_layers(unet).values():
        norms = layer.get_base_layer().weight.float().norm(dim=1)
        assert torch.allclose(layer.lora_magnitude_vector["default"].weight, norms, rtol=1e-6)
    unet, _ = train(settings, own, ("a V", pixels), [], "g/0")
    facts = {
        "kind": "lora",
        "base": diffusion.identity(own),
        "rank": 4,
        "alpha": 8,
        "dora": True,
        "images": 8,
    }
    adapters.write(tmp_path / "a.safetensors", unet, facts)
    fresh = diffusion.load_denoiser(own)
    adapters.apply(tmp_path / "a.safetensors", fresh, diffusion.identity(own))
    x = torch.randn(2, unet.config.in_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    text = text_encoders.encode_prompts(own, ["a duck"]).expand(2)
    with torch.inference_mode():
        answers = [diffusion.predict(model, x, torch.tensor([10, 500]), text) for model in (unet, fresh)]
    assert torch.equal(*answers)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_full_finetune_at_a_low_rate_is_drawn_as_it_was_trained(
    base: base_model.Base, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """Steps of 1e-6 vanish in half precision; what draws holds exactly the trained weights, and computes in
    their precision.
    """
    own, file, drawn = dataclasses.replace(base, dtype=dtype), tmp_path / "a.safetensors", []
    settings = changed(adapt_settings("full", own), steps=1, lr=1e-6, text_lr=1e-6)
    encoders = text_adapters.load(settings, own)
    unet, _ = train(settings, own, ("a V", pixels), [("a", pixels)], "g/0", None, encoders)
    facts = {
        "kind": "full",
        "base": diffusion.identity(own),
        "rank": 0,
        "alpha": 0,
        "dora": False,
        "images": 8,
        "cluster": 0,
    }
    adapters.write(file, unet, facts, text_adapters.state(encoders, "full"))
    monkeypatch.setattr(sample, "sample_images", lambda *given: drawn.append(given) or iter(()))
    monkeypatch.setattr(sample.devices, "fast_float32", lambda: drawn.append("TensorFloat-32"))
    solver = Solver("unipc", 1, 2.0, "", 1)
    asked = sample.Sample(1, 1, 0, solver, "V", own, {"g": "a [V]"}, {"g": None})
    list(sample.rows(asked, "g", [sample.Source(file, 0, 1)], False, diffusion.identity(own)))
    mode, (found, _, _, text, *_) = drawn
    assert mode == "TensorFloat-32"
    before = diffusion.load_denoiser(base).state_dict()
    for name, weight in unet.state_dict().items():
        assert torch.equal(found.state_dict()[name], weight)
        assert weight.dtype == torch.float32
    assert torch.equal(text.states, text_encoders.encode(base, encoders, ["a V", ""]).states)
    moved = torch.cat([(weight - before[name]).flatten() for name, weight in unet.state_dict().items()])
    lost = torch.cat([(weight - weight.to(DTYPES[dtype])).flatten() for weight in unet.state_dict().values()])
    assert lost.norm() > moved.norm() > 0


def sizes_read(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The time ids that the denoiser gets, call by call."""
    seen, predict = [], diffusion.predict
    monkeypatch.setattr(
        diffusion,
        "predict",
        lambda unet, x, steps, text: seen.append(text.time_ids) or predict(unet, x, steps, text),
    )
    return seen


@pytest.mark.parametrize("shared", [False, True])
def test_xl_reads_the_images_own_sizes_and_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Rows of a batch: a wide and a tall photograph, then class images, which the base has drawn at its
    size.
    """
    folder = miniatures.build(tmp_path, "sdxl")
    base, seen = base_model.Base(str(folder), None, None, "float32", 32), sizes_read(monkeypatch)
    files = []
    for i, (width, height) in enumerate([(100, 50), (64, 97)]):
        files.append(f"{i}.png")
        Image.fromarray(np.full((height, width, 3), 90 * i, np.uint8)).save(tmp_path / files[-1])
    origins = np.empty((2, 4), np.int64)
    found = images.load(tmp_path, files, 32, None, origins)
    assert origins.tolist() == [[50, 100, 0, 16], [97, 64, 8, 0]]
    recipe = {"steps": 1, "batch": 4, "prior_weight": 1, "prior_batch": 2}
    settings, prior = changed(adapt_settings("lora", base), **recipe), [("a", found)]
    if shared:
        train_shared(settings, base, "a V", {"g/0": found, "g/1": found}, prior, "g", origins=[origins, None])
    else:
        train(settings, base, ("a V", found), prior, "g/0", origins=origins)
    whole, photographs = [32, 32, 0, 0, 32, 32], [[50, 100, 0, 16, 32, 32], [97, 64, 8, 0, 32, 32]]
    (ids,) = [ids.tolist() for ids in seen]
    assert sorted(ids[:4]) == sorted(photographs * 2)
    assert ids[4:] == [whole] * (len(ids) - 4)
    assert len(ids) == (12 if shared else 6)


def test_origins_are_those_of_diffusers_script() -> None:
    """As train_dreambooth_lora_sdxl.py with `--center_crop`, on torchvision's own scaling."""
    from torchvision.transforms import v2

    for width, height in ((640, 480), (333, 517), (31, 90), (64, 64)):
        image = Image.new("RGB", (width, height))
        scaled = v2.Resize(64)(image)
        corner = [max(0, round((side - 64) / 2.0)) for side in (scaled.height, scaled.width)]
        assert images.origin(image, 64) == (height, width, *corner)


def test_the_stage_passes_the_sizes_of_its_files(base: base_model.Base, tmp_path: Path) -> None:
    Image.new("RGB", (100, 50)).save(tmp_path / "a.png")
    digest = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    parquet.write(
        tmp_path / "s.parquet", {"id": [7], "path": ["a.png"], "hash": [digest]}, {"root": str(tmp_path)}
    )
    settings = dataclasses.replace(adapt_settings("lora", base), prompts={"g": "a [V]"})
    paths = SimpleNamespace(split=tmp_path / "s.parquet", group="g", prior=[], work=None)
    given = material(settings, paths, {7: 0}, [0])
    assert [x.tolist() for x in given.origins] == [[[50, 100, 0, 16]]]


def test_companions_are_the_training_images_of_other_groups(base: base_model.Base, tmp_path: Path) -> None:
    """Under their own prompts, with the corners of their crops; held-out ones stay out."""
    rows = []
    for number, (group, split) in enumerate(
        (("g", "train"), ("o", "train"), ("o", "validation"), ("x", "train"))
    ):
        Image.new("RGB", (40 + 10 * number, 40), (number, 0, 0)).save(tmp_path / f"{number}.png")
        digest = hashlib.sha256((tmp_path / f"{number}.png").read_bytes()).hexdigest()
        rows.append({"id": number, "path": f"{number}.png", "hash": digest, "group": group, "split": split})
    parquet.write(tmp_path / "s.parquet", pa.Table.from_pylist(rows), {"root": str(tmp_path)})
    prompts = {"g": "a [V] cat", "o": "a [V] dog", "x": "a [V] cow"}
    settings = dataclasses.replace(adapt_settings("lora", base), prompts=prompts, companions=("o",))
    paths = SimpleNamespace(split=tmp_path / "s.parquet", group="g", prior=[], work=None)
    ((prompt, pixels, origins),) = material(settings, paths, {0: 0}, [0]).companions
    assert (prompt, len(pixels), pixels[0, 0, 0, 0]) == ("a V dog", 1, 1)
    assert origins.tolist() == [[40, 50, 0, 4]]
    alone = dataclasses.replace(settings, companions=())
    assert material(alone, paths, {0: 0}, [0]).companions == []


def test_companions_together_count_as_much_as_the_clusters_own_images(base: base_model.Base) -> None:
    recipe = changed(adapt_settings("full", base), batch=4, prior_weight=0.5, prior_batch=2).recipe
    sizes, weight = batch_sizes(recipe, 1, 2)
    assert sizes == [4, 2, 2, 2]
    parts = [part.sum().item() for part in weight.split(sizes)]
    assert parts == pytest.approx([1, 0.5, 0.5, 0.5])
    assert batch_sizes(recipe, 1)[0] == [4, 2]


@pytest.mark.parametrize("batch", [1, 3])
def test_min_snr_weighs_each_row_by_its_own_step(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """A denoiser that answers zero: mean over the cluster's rows + prior weight · mean over class images, by
    their own steps.
    """
    settings = changed(adapt_settings("lora", base), batch=batch, prior_weight=0.5, prior_batch=2)
    process, generator = diffusion.process(base), torch.Generator().manual_seed(0)
    _, loss_weight = batch_sizes(settings.recipe, 1)
    clean, unet = (
        torch.randn(batch + 2, 4, 8, 8, generator=generator),
        SimpleNamespace(device=torch.device("cpu")),
    )
    noisy = noised(process, (clean, torch.zeros(batch + 2, 6)), loss_weight, settings, generator)
    monkeypatch.setattr(diffusion, "predict", lambda unet, x, steps, text: torch.zeros_like(x))
    losses = row_losses(unet, noisy, Conditioning(torch.zeros(batch + 2, 1, 1)), settings)
    own = noisy.target.square().mean((1, 2, 3)) * min_snr_weights(
        process.schedule.alphas_cumprod, noisy.steps, 5, "epsilon"
    )
    assert losses.shape == (batch + 2,)
    assert losses.sum().item() == pytest.approx(
        (own[:batch].mean() + 0.5 * own[batch:].mean()).item(), rel=1e-5
    )


def test_gradients_are_clipped_in_every_step(
    base: base_model.Base, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of weights, not an iterator that the first step uses up; the text encoders' are among them."""
    norms, clip = [], training.clip_gradients

    def norm(weights: list[torch.nn.Parameter]) -> float:
        return torch.cat([w.grad.flatten() for w in weights if w.grad is not None]).norm().item()

    def watched(weights: list[torch.nn.Parameter]) -> torch.Tensor:
        before = clip(weights)
        norms.append((before.item(), norm(weights), len(weights)))
        return before

    monkeypatch.setattr(training, "clip_gradients", watched)
    settings = changed(adapt_settings("full", base), steps=3, lr=1e-5, text_lr=1e-5, prior_weight=1e4)
    encoders = text_adapters.load(settings, base)
    unet, _ = train(settings, base, ("a V", pixels), [("a", pixels)], "g/0", None, encoders)
    count = len([*unet.parameters()]) + len([*encoders["text_encoder"][1].parameters()])
    assert len(norms) == 3
    assert all(
        before > 2 and after == pytest.approx(1, rel=1e-3) and size == count for before, after, size in norms
    )
