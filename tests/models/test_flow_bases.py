"""Every base that is trained by flow matching, as a random miniature: from prior to score, and against
diffusers' own pipelines.
"""

import dataclasses
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import flow_miniatures
import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed
from chains import base_of, chain

from fairgen import cli
from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import Resume, WorkFolder
from fairgen.embedded import birds
from fairgen.generate import solver, text_adapters, training
from fairgen.generate.training import train, trainable
from fairgen.generate.training_shared import train as train_shared
from fairgen.models import adapters, autoencoder, base_model, diffusion, lora, text_encoders
from fairgen.workflow.artifacts import weight_files

EVERY = pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)
PROMPT, STEPS, GUIDANCE = "a duck on lake", 3, 3.0
# Z-Image's pipeline adds g·(c − u) to c, the others to u
PLAIN_GUIDANCE = {"sd35": GUIDANCE, "klein": GUIDANCE, "z-image": GUIDANCE - 1}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(4)])


def flow_settings(base: base_model.Base, kind: str = "lora", **changes: object) -> Any:
    return adapt_settings(kind, base, **{"min_snr": 0, **changes})


def plain_pipeline(folder: Path, **parts: object) -> Any:
    """diffusers' own pipeline, silent and in evaluation mode."""
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(folder, **parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def drawn(base: base_model.Base, denoiser: torch.nn.Module, seeds: list[int]) -> np.ndarray:
    """Images by fairgen's own loop."""
    text = text_encoders.encode_prompts(base, [PROMPT, ""])
    asked = solver.Solver("euler", STEPS, GUIDANCE, "", len(seeds))
    vae = diffusion.load_vae(base)
    return np.stack(list(solver.sample_images(denoiser, vae, base, text, seeds, asked)))


def drawn_plainly(pipeline: Any, base: base_model.Base, seed: int, guidance: float) -> np.ndarray:
    """The image of a seed by diffusers' own pipeline."""
    noise = solver.initial_noise(pipeline.transformer, base, [seed], autoencoder.scale(pipeline.vae))
    options = {"height": 32, "width": 32, "num_inference_steps": STEPS, "guidance_scale": guidance}
    found = pipeline(prompt=PROMPT, latents=noise, output_type="np", **options).images[0]
    return (found * 255).round().astype(np.uint8)


def adapted(base: base_model.Base, dora: bool = False) -> torch.nn.Module:
    """The base's denoiser with a random LoRA on its usual layers, whose alpha is not its rank."""
    denoiser = diffusion.load_denoiser(base)
    lora.inject_lora(denoiser, 2, 5, dora, diffusion.lora_targets(base))
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in [p for p in denoiser.parameters() if p.requires_grad]:
            weight += 0.3 * torch.randn(weight.shape)
    return denoiser.eval()


@EVERY
def test_conditioning_is_the_pipelines(flow_folders: dict, architecture: str) -> None:
    """The same states as diffusers' own pipeline, for a prompt and for none."""
    pipeline = plain_pipeline(flow_folders[architecture])
    found = text_encoders.encode_prompts(base_of(flow_folders[architecture]), [PROMPT, ""])
    with torch.inference_mode():
        if architecture == "sd35":
            wanted, empty, *pooled = pipeline.encode_prompt(PROMPT, None, None, device="cpu")
            assert torch.allclose(found.states, torch.cat([wanted, empty]), atol=1e-5)
            assert torch.allclose(found.pooled, torch.cat(pooled), atol=1e-5)
        elif architecture == "klein":
            wanted = pipeline.encode_prompt([PROMPT, ""], device="cpu")[0]
            assert torch.allclose(found.states, wanted, atol=1e-5)
        else:
            listed = pipeline.encode_prompt([PROMPT, ""], device="cpu", do_classifier_free_guidance=False)[0]
            assert found.lengths.tolist() == [len(states) for states in listed]
            for states, wanted in zip(found.states, listed, strict=True):
                assert torch.allclose(states[: len(wanted)], wanted, atol=1e-5)


@EVERY
@pytest.mark.parametrize("dora", [False, True])
def test_a_lora_file_draws_the_same_images_in_a_plain_pipeline(
    flow_folders: dict, tmp_path: Path, architecture: str, dora: bool
) -> None:
    """Alpha differs from the rank; guidance means the same as for every other base."""
    folder, file = flow_folders[architecture], tmp_path / "a.safetensors"
    base = base_of(folder)
    denoiser, identity = adapted(base, dora), diffusion.identity(base)
    facts = {"kind": "lora", "rank": 2, "alpha": 5, "dora": dora, "base": identity, "images": 1}
    adapters.write(file, denoiser, facts)
    again = diffusion.load_denoiser(base)
    adapters.apply(file, again, identity)
    images = drawn(base, again, [3, 4])
    assert np.array_equal(images, drawn(base, denoiser, [3, 4]))
    pipeline, guidance = plain_pipeline(folder), PLAIN_GUIDANCE[architecture]
    untouched = drawn_plainly(pipeline, base, 4, guidance)
    pipeline.load_lora_weights(file)
    plain = drawn_plainly(pipeline, base, 4, guidance)
    assert np.abs(plain.astype(int) - images[1]).max() <= 1
    assert np.abs(untouched.astype(int) - images[1]).max() > 10


@EVERY
def test_a_full_finetune_becomes_a_pipeline_folder(
    flow_folders: dict, tmp_path: Path, architecture: str
) -> None:
    folder, file = flow_folders[architecture], tmp_path / "a.safetensors"
    base = base_of(folder)
    denoiser = diffusion.load_denoiser(base)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in denoiser.parameters():
            weight += 0.05 * torch.randn(weight.shape)
    facts = {"group": "g", "cluster": 0, "images": 1, "prompt": "a V", "base": diffusion.identity(base)}
    adapters.write(file, denoiser, {"kind": "full", **facts})
    assert cli.main(["export", str(file), str(tmp_path / "out"), "--model", str(folder)]) == 0
    exported = drawn_plainly(plain_pipeline(tmp_path / "out"), base, 3, PLAIN_GUIDANCE[architecture])
    assert np.abs(exported.astype(int) - drawn(base, denoiser, [3])[0]).max() <= 1


@EVERY
def test_an_image_depends_on_its_seed_not_on_its_batch(flow_folders: dict, architecture: str) -> None:
    base = base_of(flow_folders[architecture])
    denoiser = diffusion.load_denoiser(base)
    together, apart = drawn(base, denoiser, [1, 2]), drawn(base, denoiser, [2])
    assert np.abs(together[1].astype(int) - apart[0]).max() <= 1
    assert np.abs(together[0].astype(int) - apart[0]).max() > 1


@EVERY
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_the_chain_runs(flow_folders: dict, tmp_path: Path, architecture: str, kind: str) -> None:
    rows = chain(tmp_path, base_of(flow_folders[architecture]), kind, flow=True)
    assert len({row["image"]["bytes"] for row in rows}) == 3
    assert {len(row["adapter_hash"]) for row in rows} == {16}
    assert all(-1 <= row["cosines"][0] <= 1 for row in rows)


@EVERY
def test_clusters_in_a_shared_batch_are_as_alone(
    flow_folders: dict, pixels: np.ndarray, architecture: str
) -> None:
    """With class images, by Adam's tiny steps: gradients differ by rounding alone."""
    base = base_of(flow_folders[architecture])
    settings = changed(flow_settings(base), steps=2, batch=2, prior_weight=1, prior_batch=2)
    priors = [("a", pixels)]
    halves = {"g/0": pixels[:2], "g/1": pixels[2:]}
    together = train_shared(settings, base, "a V", halves, priors, "g")
    for (name, own), (state, losses) in zip(halves.items(), together, strict=True):
        alone, wanted = train(settings, base, ("a V", own), priors, name)
        expected = lora.lora_state(alone)
        assert losses["loss"] == pytest.approx(wanted["loss"], rel=1e-4)
        assert state.keys() == expected.keys()
        assert all(torch.allclose(state[key], expected[key], atol=1e-4) for key in state)


def test_a_killed_training_goes_on_as_if_it_had_not_been(
    flow_folders: dict, pixels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(flow_folders["z-image"])
    settings = changed(flow_settings(base, weighting="logit_normal"), steps=4, batch=2)

    def trained(resume: Resume | None) -> tuple[torch.nn.Module, dict]:
        return train(settings, base, ("a V", pixels), [], "g/0", resume)

    def resume() -> Resume:
        work = WorkFolder(tmp_path / "a.safetensors", {})
        work.folder.mkdir(exist_ok=True)
        return Resume(work, {})

    monkeypatch.setenv("FAIRGEN_CHECKPOINT_SECONDS", "0")
    whole, losses = trained(None)
    clip, steps = training.clip_gradients, iter(range(2))

    def killed(weights: list[torch.nn.Parameter]) -> torch.Tensor:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return clip(weights)

    monkeypatch.setattr(training, "clip_gradients", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(resume())
    monkeypatch.setattr(training, "clip_gradients", clip)
    again, found = trained(resume())
    assert found == losses
    for name, weight in lora.lora_state(whole).items():
        assert torch.equal(weight, lora.lora_state(again)[name])


def test_a_broken_image_is_drawn_once_more_in_float32(
    flow_folders: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(flow_folders["klein"])
    half, predict = dataclasses.replace(base, dtype="bfloat16"), diffusion.predict
    exact = drawn(base, diffusion.load_denoiser(base), [1, 2])

    def spoilt(denoiser: Any, *rest: Any) -> torch.Tensor:
        found = predict(denoiser, *rest)
        found[1] = torch.nan if denoiser.dtype == torch.bfloat16 else found[1]
        return found

    monkeypatch.setattr(diffusion, "predict", spoilt)
    images = drawn(half, diffusion.load_denoiser(half), [1, 2])
    assert np.abs(images[1].astype(int) - exact[1]).max() <= 4
    assert not np.array_equal(images[0], exact[0])


@EVERY
def test_usual_layers_are_adapted(flow_folders: dict, architecture: str) -> None:
    base = base_of(flow_folders[architecture])
    denoiser = diffusion.load_denoiser(base)
    trainable(denoiser, flow_settings(base))
    found = set(lora.lora_layers(denoiser))
    names = {name for name, module in denoiser.named_modules() if isinstance(module, torch.nn.Linear)}
    attention = {
        name.replace(".base_layer", "")
        for name in names
        if re.search(r"\.(attn2?|attention)\.", name) and "lora_" not in name
    }
    left_out = {
        "sd35": {"attn.norm"},
        "klein": {"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out"},
        "z-image": set(),
    }[architecture]
    assert found == {name for name in attention if not name.endswith(tuple(left_out))}


def test_without_t5_its_states_are_zeros(tmp_path: Path) -> None:
    base = base_of(flow_miniatures.build(tmp_path, "sd35", t5=False))
    found = text_encoders.encode_prompts(base, [PROMPT])
    encoders = text_encoders.load_text(base)
    pipeline = diffusion.pipeline(base, diffusion.load_denoiser(base), encoders)
    with torch.inference_mode():
        wanted, _, pooled, _ = pipeline.encode_prompt(PROMPT, None, None, device="cpu")
    assert found.states.shape == (1, 24 + 256, 32)
    assert not found.states[:, 24:].any()
    assert torch.allclose(found.states, wanted, atol=1e-5)
    assert torch.allclose(found.pooled, pooled, atol=1e-5)


def test_every_file_of_a_base_is_an_input(flow_folders: dict, tmp_path: Path) -> None:
    """The frame of a chat too, and parts that are links, as where two bases share their text encoder."""
    folder = shutil.copytree(flow_folders["klein"], tmp_path / "base")
    whole = {str(path) for path in folder.rglob("*") if path.is_file() and path.suffix != ".md"}
    assert any(path.endswith("chat_template.jinja") for path in whole)
    assert set(weight_files(str(folder))) == whole
    linked = shutil.copytree(folder, tmp_path / "linked")
    shutil.move(linked / "text_encoder", tmp_path / "shared")
    (linked / "text_encoder").symlink_to(tmp_path / "shared")
    found = {os.path.relpath(path, linked) for path in weight_files(str(linked))}
    assert found == {os.path.relpath(path, folder) for path in whole}


def test_a_base_is_another_with_other_text_encoders_or_another_schedule(
    flow_folders: dict, tmp_path: Path
) -> None:
    """Their images differ, though the denoiser is the same."""
    folder, found = flow_folders["sd35"], [diffusion.identity(base_of(flow_folders["sd35"]))]
    edits = {
        "without": ("model_index.json", {"text_encoder_3": [None, None], "tokenizer_3": [None, None]}),
        "schedule": ("scheduler/scheduler_config.json", {"shift": 5.0}),
    }
    for name, (file, changes) in edits.items():
        found.append(diffusion.identity(other(folder, tmp_path / name, file, **changes)))
    words = shutil.copytree(folder, tmp_path / "words") / "tokenizer_2/tokenizer.json"
    words.write_text(words.read_text() + "\n")
    found.append(diffusion.identity(base_of(tmp_path / "words")))
    for part in ("text_encoder_2", "vae"):
        copy = shutil.copytree(folder, tmp_path / part)
        (weights,) = (copy / part).glob("*.safetensors")
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
        found.append(diffusion.identity(base_of(copy)))
    assert len(set(found)) == len(found)
    assert diffusion.identity(base_of(shutil.copytree(folder, tmp_path / "same"))) == found[0]


def test_adapters_of_a_shared_batch_draw_and_load_in_a_plain_pipeline(
    flow_folders: dict, pixels: np.ndarray, tmp_path: Path
) -> None:
    base, file = base_of(flow_folders["klein"]), tmp_path / "g.safetensors"
    settings = changed(flow_settings(base), lr=0.1, steps=3, batch=2)
    halves = {"g/0": pixels[:2], "g/1": pixels[2:]}
    together = train_shared(settings, base, "a V", halves, [], "g")
    facts = {"kind": "lora", "rank": 4, "alpha": 8, "dora": False, "base": diffusion.identity(base)}
    config = lora.lora_config(4, 8, False, diffusion.lora_targets(base))
    facts |= {"group": "g", "images": 2, "prompt": "a V"}
    stored = {str(i): (state, {**facts, "cluster": i}) for i, (state, _) in enumerate(together)}
    adapters.write_group(file, stored, "transformer", config)
    exported = tmp_path / "one.safetensors"
    assert cli.main(["export", f"{file}#1", str(exported)]) == 0
    denoiser, pipeline = diffusion.load_denoiser(base), plain_pipeline(flow_folders["klein"])
    untouched = drawn(base, denoiser, [3])[0]
    adapters.apply(Path(f"{file}#1"), denoiser, diffusion.identity(base))
    image = drawn(base, denoiser, [3])[0]
    pipeline.load_lora_weights(exported)
    plain = drawn_plainly(pipeline, base, 3, PLAIN_GUIDANCE["klein"])
    assert np.abs(plain.astype(int) - image).max() <= 1
    assert np.abs(untouched.astype(int) - image).max() > 4


@pytest.mark.parametrize(("file", "text"), [("tokenizer.json", "{}"), ("tokenizer_config.json", "[]")])
def test_a_tokenizer_that_cannot_be_read_is_one_line(
    flow_folders: dict, tmp_path: Path, file: str, text: str
) -> None:
    folder = shutil.copytree(flow_folders["klein"], tmp_path / "base")
    (folder / "tokenizer" / file).write_text(text)
    with pytest.raises(FairgenError, match=r"^diffusion\.model: cannot load a model from the folder .*"):
        text_encoders.encode_prompts(base_of(folder), [PROMPT])


def other(folder: Path, place: Path, file: str, **changes: object) -> base_model.Base:
    """A copy of a base with changes in one of its JSON files."""
    shutil.copytree(folder, place)
    path = place / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return base_of(place)


def test_what_is_not_for_flow_matching_is_one_line(flow_folders: dict, tmp_path: Path) -> None:
    folder = flow_folders["klein"]
    base = base_of(folder)
    flow = diffusion.process(base)
    for changes, said in (
        ({"min_snr": 5}, r"^adapt\.min_snr: .*klein is trained by flow matching, .* set min_snr: 0$"),
        ({"offset_noise": 0.1}, r"^adapt\.offset_noise: .* set offset_noise: 0$"),
    ):
        with pytest.raises(FairgenError, match=said):
            flow.check(flow_settings(base, **changes))
    with pytest.raises(FairgenError, match=r"^solver\.scheduler: .*klein is sampled by euler, and unipc "):
        flow.sampler("unipc")
    with pytest.raises(FairgenError, match=r"^adapt\.lora\.text_lr: the text encoders of .* set 0$"):
        text_adapters.load(changed(flow_settings(base), text_lr=1e-5), base)
    for name, file, changes, said in (
        ("fast", "model_index.json", {"is_distilled": True}, "fast is distilled to few steps"),
        ("Z-Image-Turbo", "model_index.json", {}, "Z-Image-Turbo is distilled to few steps"),
        (
            "gpt",
            "model_index.json",
            {"text_encoder": ["transformers", "GPT2Model"]},
            "the text encoder of .* is a GPT2Model",
        ),
    ):
        with pytest.raises(FairgenError, match=rf"^diffusion\.model: .*{said}"):
            text_encoders.encode_prompts(other(folder, tmp_path / name, file, **changes), [PROMPT])
    unscheduled = shutil.copytree(folder, tmp_path / "unscheduled")
    (unscheduled / "scheduler/scheduler_config.json").unlink()
    with pytest.raises(FairgenError, match=r"^diffusion\.model: cannot load a model from the folder .*"):
        diffusion.process(base_of(unscheduled))
    ddpm = {"_class_name": "DDPMScheduler", "beta_start": 0.1}
    with pytest.raises(FairgenError, match=r"^diffusion\.model: the schedule of .*ddpm is a DDPMScheduler"):
        diffusion.process(other(folder, tmp_path / "ddpm", "scheduler/scheduler_config.json", **ddpm))
    long = dataclasses.replace(base, model=str(folder / "x.safetensors"), config=str(folder))
    Path(long.model).touch()
    with pytest.raises(
        FairgenError, match=r"^diffusion\.model: .* is a single file, which is read of Stable"
    ):
        diffusion.load_denoiser(long)
    Path(long.model).unlink()
