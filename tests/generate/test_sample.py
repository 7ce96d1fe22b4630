"""Sampling: quotas, sources, and images that do not depend on their batch."""

import dataclasses
import gc
import json
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from workflows import PROJECT

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.embedded import birds
from fairgen.generate import sample, solver
from fairgen.generate.prompts import instance_prompt, plain_prompt
from fairgen.generate.sample import FIELDS, Sample, Source, rows, shares, sources
from fairgen.generate.solver import Composed, Solver, sample_images
from fairgen.models import adapters, autoencoder, base_model, diffusion, lora, text_encoders

NOISE = torch.zeros(1, 4, 8, 8)


def record(path: Path, count: int, cluster: int = 0) -> Path:
    adapters.write_empty(path, {"images": count, "cluster": cluster})
    return path


def test_shares_follow_sizes_and_add_up() -> None:
    assert shares([60, 30, 10], 100, 0) == [60, 30, 10]
    assert shares([1, 1, 1], 100, 0) == [34, 33, 33]


def test_no_cluster_is_below_the_floor() -> None:
    assert shares([990, 9, 1], 100, 0) == [99, 1, 0]
    assert shares([990, 9, 1], 100, 1) == [98, 1, 1]
    assert shares([600, 300, 90, 10], 100, 15) == [47, 23, 15, 15]
    assert shares([600, 300, 90, 10], 100, 10) == [53, 27, 10, 10]
    assert shares([60, 30, 10], 8, 5) == [4, 2, 2]
    assert shares([60, 30, 10], 2, 5) == [1, 1, 0]


def test_a_group_without_adapters_uses_its_donors(tmp_path: Path) -> None:
    own = [record(tmp_path / "o.safetensors", 0)]
    donors = [record(tmp_path / "d0.safetensors", 30), record(tmp_path / "d1.safetensors", 10, 1)]
    chosen, borrowed = sources(own, donors, 40, 1, "g")
    assert borrowed
    assert [(s.cluster, s.count) for s in chosen] == [(0, 30), (1, 10)]
    chosen, borrowed = sources(donors, own, 40, 1, "g")
    assert not borrowed
    with pytest.raises(FairgenError, match="group g: neither it nor its donor"):
        sources(own, own, 40, 1, "g")


def test_no_adapters_at_all_means_the_base_alone() -> None:
    chosen, borrowed = sources([], [], 7, 1, "g")
    assert (chosen[0].path, chosen[0].count, borrowed) == (None, 7, False)


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "unipc", "euler"])
def test_an_image_depends_on_its_seed_not_on_its_batch(base: base_model.Base, scheduler: str) -> None:
    unet, vae, text = (
        diffusion.load_denoiser(base),
        diffusion.load_vae(base),
        text_encoders.encode_prompts(base, ["a duck on lake", ""]),
    )
    together = list(sample_images(unet, vae, base, text, [1, 2, 3], Solver(scheduler, 4, 2.0, "", 3)))
    apart = list(sample_images(unet, vae, base, text, [3, 1], Solver(scheduler, 4, 2.0, "", 1)))
    for one, other in ((together[2], apart[0]), (together[0], apart[1])):
        assert np.abs(one.astype(int) - other).max() <= 2
    assert np.abs(together[0].astype(int) - together[1]).mean() > 5


def parts(base: base_model.Base) -> tuple:
    """What `draw` needs of a base."""
    text = text_encoders.encode_prompts(base, ["a duck on lake", ""])
    return diffusion.load_denoiser(base), diffusion.load_vae(base), base, text


def spoil(monkeypatch: pytest.MonkeyPatch, row: int | slice, kinds: tuple[torch.dtype, ...]) -> list[int]:
    """Let the denoiser give NaN for one row while its weights are of some types; returns a list of its batch
    sizes.
    """
    predict, sizes = diffusion.predict, []

    def spoilt(unet: torch.nn.Module, latents: torch.Tensor, *rest: object) -> torch.Tensor:
        sizes.append(len(latents))
        found = predict(unet, latents, *rest)
        if unet.dtype in kinds:
            found[row] = torch.nan
        return found

    monkeypatch.setattr(diffusion, "predict", spoilt)
    return sizes


def test_a_broken_image_is_drawn_once_more_in_float32(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only that image: what the others look like does not depend on their neighbours."""
    solver, half = Solver("dpmsolver++", 4, 1.0, "", 3), dataclasses.replace(base, dtype="bfloat16")
    exact, rough = (
        list(sample_images(*parts(base), [1, 2, 3], solver)),
        list(sample_images(*parts(half), [1, 2, 3], solver)),
    )
    sizes = spoil(monkeypatch, 1, (torch.bfloat16,))
    found = list(sample_images(*parts(half), [1, 2, 3], solver))
    assert sizes == [3] * 4 + [1] * 4
    assert np.array_equal(found[0], rough[0])
    assert np.array_equal(found[2], rough[2])
    assert np.abs(found[1].astype(int) - exact[1]).max() <= 2
    assert not np.array_equal(found[1], rough[1])


def test_images_are_drawn_again_one_by_one_and_the_copies_go(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 they take twice the memory, of which the first try has taken the most that there is."""
    copies: list[weakref.ref] = []
    copied = solver.exact

    def remembered(network: torch.nn.Module) -> torch.nn.Module:
        found = copied(network)
        copies.append(weakref.ref(found))
        return found

    monkeypatch.setattr(solver, "exact", remembered)
    sizes = spoil(monkeypatch, slice(None), (torch.bfloat16,))
    drawing = sample_images(
        *parts(dataclasses.replace(base, dtype="bfloat16")), [1, 2, 3], Solver("unipc", 2, 1.0, "", 3)
    )
    next(drawing)
    assert sizes == [3] * 2 + [1] * 6
    gc.collect()
    assert copies and not any(ref() for ref in copies)


def test_a_copy_in_float32_computes_with_its_own_layers(base: base_model.Base) -> None:
    """Those of DoRA have calls of their own, for the dtype that they were made for."""
    unet = diffusion.load_denoiser(dataclasses.replace(base, dtype="bfloat16"))
    lora.inject_lora(unet, 4, 8, dora=True)
    lora.mixed_precision(unet)
    found = solver.exact(unet)
    layer = next(iter(lora.lora_layers(found).values()))
    x = torch.randn(1, 3, layer.get_base_layer().in_features)
    before = layer(x)
    assert before.dtype == torch.float32
    with torch.no_grad():
        layer.lora_magnitude_vector["default"].weight.mul_(2)
    assert torch.allclose(layer(x), 2 * before, atol=1e-4)


@pytest.mark.parametrize(("dtype", "calls"), [("bfloat16", [3, 3, 1, 1]), ("float32", [3, 3])])
def test_an_image_that_stays_broken_is_an_error(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch, dtype: str, calls: list[int]
) -> None:
    sizes = spoil(monkeypatch, -1, (torch.bfloat16, torch.float32))
    with pytest.raises(
        FairgenError, match="the image of seed 3 is not finite or of one colour, in float32 too"
    ):
        list(
            sample_images(
                *parts(dataclasses.replace(base, dtype=dtype)), [1, 2, 3], Solver("unipc", 2, 1.0, "", 3)
            )
        )
    assert sizes == calls


def test_guidance_doubles_the_batch_only_where_it_is_on(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, given = spoil(monkeypatch, 0, ()), parts(base)
    for guidance in (1.0, 1.5):
        list(sample_images(*given, [1, 2, 3], Solver("unipc", 1, guidance, "", 3)))
    assert sizes == [3, 6]


def test_what_is_composed_is_added_to_every_answer(base: base_model.Base) -> None:
    """A denoiser composed with itself, from the negative prompt to the prompt, has that much more guidance;
    from a prompt to the same one it stays what it is.
    """
    given, plain = parts(base), Solver("dpmsolver++", 4, 1.0, "", 2)
    guided = dataclasses.replace(plain, guidance=3.0)
    for own in (plain, guided):
        itself = Composed(given[0], given[3], 3.0 - own.guidance)
        wanted = list(sample_images(*given, [1, 2], guided))
        for one, other in zip(sample_images(*given, [1, 2], own, 0, itself), wanted, strict=True):
            assert np.abs(one.astype(int) - other).max() <= 2
    same = Composed(diffusion.load_denoiser(base), text_encoders.encode_prompts(base, ["a", "a"]), 2.0)
    for one, other in zip(
        sample_images(*given, [1, 2], plain, 0, same), sample_images(*given, [1, 2], plain), strict=True
    ):
        assert np.abs(one.astype(int) - other).max() <= 2
        assert np.abs(one.astype(int) - wanted[0]).max() > 20


def test_a_borrowed_generator_is_told_its_place_by_the_base(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the difference of the two groups' prompts, without the token; only where it is borrowed."""
    given: list = []
    monkeypatch.setattr(sample, "sample_images", lambda *rest: given.append(rest[-1]) or iter(()))
    prompts = {"g": "a [V] duck on lake", "d": "a [V] duck on land"}
    asked = Sample(1, 1, 0, Solver("unipc", 1, 2.0, "", 1), "V", base, prompts, {"g": "d"}, 3.0)
    for settings, borrowed in (
        (asked, True),
        (asked, False),
        (dataclasses.replace(asked, borrowed_guidance=0), True),
    ):
        list(rows(settings, "g", [Source(None, 0, 1)], borrowed, "base"))
    composed, *others = given
    assert others == [None, None]
    wanted = text_encoders.encode_prompts(base, ["a duck on lake", "a duck on land"])
    assert torch.equal(composed.text.states, wanted.states)
    assert composed.weight == 3
    same = zip(composed.unet.parameters(), diffusion.load_denoiser(base).parameters(), strict=True)
    assert all(torch.equal(own, other) for own, other in same)


@pytest.mark.parametrize("kind", ["dpmsolver++", "unipc", "euler"])
@pytest.mark.parametrize("stated", ["leading", None])
def test_steps_begin_at_the_last_training_step_whatever_the_folder_states(
    base: base_model.Base, tmp_path: Path, kind: str, stated: str | None
) -> None:
    """Stable Diffusion 1.5's folder states no spacing, and diffusers then takes each solver's own."""
    folder = shutil.copytree(PROJECT / "fairgen/embedded/weights/diffusion", tmp_path / "base")
    file = folder / "scheduler/scheduler_config.json"
    config = {k: v for k, v in json.loads(file.read_text()).items() if k != "timestep_spacing"}
    file.write_text(json.dumps(config | ({"timestep_spacing": stated} if stated else {})))
    run, _ = diffusion.process(dataclasses.replace(base, model=str(folder))).sampler(kind).begin(4, NOISE)
    assert run.steps.round().long().tolist() == [999, 749, 499, 249]


def test_guidance_in_an_interval_of_noise(base: base_model.Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps outside it are those of no guidance: half the rows."""
    asked, given = Solver("dpmsolver++", 4, 2.0, "", 2), parts(base)
    levels = [
        round(level, 2) for level in diffusion.process(base).sampler("unipc").begin(4, NOISE)[0].levels()
    ]
    assert levels == [0.94, 0.8, 0.62, 0.41]
    images = {
        interval: np.stack(
            list(sample_images(*given, [1, 2], dataclasses.replace(asked, guidance_interval=interval)))
        )
        for interval in ((0, 1), (0.5, 0.9))
    }
    plain = np.stack(list(sample_images(*given, [1, 2], dataclasses.replace(asked, guidance=1.0))))
    for beside in ((0.95, 1), (0.65, 0.75)):
        own = dataclasses.replace(asked, guidance_interval=beside)
        with pytest.raises(FairgenError, match=r"none of the 4 steps in it, which go from 0\.936 to 0\.4"):
            list(sample_images(*given, [1, 2], own))
        unasked = list(sample_images(*given, [1, 2], dataclasses.replace(own, guidance=1.0)))
        assert np.array_equal(np.stack(unasked), plain)
    assert not np.array_equal(images[0.5, 0.9], images[0, 1])
    assert not np.array_equal(images[0.5, 0.9], plain)
    sizes = spoil(monkeypatch, 0, ())
    list(sample_images(*given, [1, 2], dataclasses.replace(asked, guidance_interval=(0.5, 0.9))))
    assert sizes == [2, 4, 4, 2]


def test_a_compiled_denoiser_sees_one_batch_size(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver, given, compiled = Solver("dpmsolver++", 2, 2.0, "", 2), parts(base), []
    wanted = list(sample_images(*given, [1, 2, 3], solver))
    sizes = spoil(monkeypatch, 0, ())
    monkeypatch.setattr(
        torch.nn.Module, "compile", lambda self, dynamic: compiled.append(type(self).__name__)
    )
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "named by the user")
    found = list(sample_images(*given, [1, 2, 3], dataclasses.replace(solver, compile=True)))
    assert set(compiled) == {"ResnetBlock2D", "BasicTransformerBlock"}
    assert set(sizes) == {4}
    assert len(found) == 3
    assert all(np.abs(x.astype(int) - y).max() <= 2 for x, y in zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_adapters_take_each_others_place_exactly(base: base_model.Base, tmp_path: Path, kind: str) -> None:
    """One after the other in one denoiser, each is what it is in a fresh one."""
    facts = {
        "kind": kind,
        "base": diffusion.identity(base),
        "rank": 2,
        "alpha": 5,
        "dora": False,
        "images": 1,
    }
    for seed, name in enumerate("ab"):
        unet = diffusion.load_denoiser(base)
        if kind == "lora":
            lora.inject_lora(unet, 2, 5)
        torch.manual_seed(seed)
        with torch.no_grad():
            for weight in (p for n, p in unet.named_parameters() if kind == "full" or "lora_" in n):
                weight += 0.1 * torch.randn(weight.shape)
        adapters.write(tmp_path / name, unet, facts)
    swapped = diffusion.load_denoiser(base)
    for name in "aba":
        adapters.apply(tmp_path / name, swapped, facts["base"])
        fresh = diffusion.load_denoiser(base)
        adapters.apply(tmp_path / name, fresh, facts["base"])
        wanted, found = fresh.state_dict(), swapped.state_dict()
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)


def test_drawing_goes_on_at_any_image(base: base_model.Base) -> None:
    """Batches of 3 over two sources of 4 images: image 5 is the second one of the second source."""
    settings = Sample(
        8, 1, 0, Solver("dpmsolver++", 2, 2.0, "", 3), "V", base, {"g": "a duck on lake"}, {"g": None}
    )
    chosen = [Source(None, 0, 4), Source(None, 1, 4)]
    whole = list(rows(settings, "g", chosen, False, "base"))
    for skip in (3, 5, 8):
        assert list(rows(settings, "g", chosen, False, "base", skip)) == whole[skip:]


def test_the_autoencoder_works_in_slices(base: base_model.Base, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, (unet, vae, _, text) = (
        np.stack([birds.users(5, "train", "landbird", "land", i).pixels for i in range(5)]),
        parts(base),
    )
    solver, sizes, encode, decode = Solver("dpmsolver++", 2, 1.0, "", 5), [], vae.encode, vae.decode
    wanted, moments = (
        list(sample_images(unet, vae, base, text, [1, 2, 3, 4, 5], solver)),
        autoencoder.encode(vae, pixels),
    )
    monkeypatch.setattr(autoencoder, "SLICE", 2 * 32 * 32)
    monkeypatch.setattr(vae, "encode", lambda x: (sizes.append(len(x)), encode(x))[1])
    monkeypatch.setattr(vae, "decode", lambda x: (sizes.append(len(x)), decode(x))[1])
    found, again = (
        list(sample_images(unet, vae, base, text, [1, 2, 3, 4, 5], solver)),
        autoencoder.encode(vae, pixels),
    )
    assert sizes == [2, 2, 1] * 2
    assert all(np.abs(x.astype(int) - y).max() <= 1 for x, y in zip(found, wanted, strict=True))
    assert all(torch.allclose(x, y, atol=1e-5) for x, y in zip(again, moments, strict=True))


def test_images_are_encoded_in_order_while_the_next_ones_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made, encode = [], images.encode_png
    pictures = [np.full((2, 2, 3), i, np.uint8) for i in range(5)]
    monkeypatch.setattr(images, "encode_png", lambda x: (made.append(int(x[0, 0, 0])), encode(x))[1])
    drawn: list[int] = []
    contents = images.encode_all((drawn.append(i) or x for i, x in enumerate(pictures)), 2)
    first = next(contents)
    assert drawn == [0, 1, 2]
    assert [first, *contents] == [encode(x) for x in pictures]
    assert made == [0, 1, 2, 3, 4]


def test_prompts_with_and_without_the_token() -> None:
    assert instance_prompt("a photo of a [V] blond man", "V") == "a photo of a V blond man"
    assert plain_prompt("a photo of a [V] blond man") == "a photo of a blond man"


def test_samples_open_as_a_hugging_face_image_table(tmp_path: Path) -> None:
    row = {name: ("" if str(kind) == "string" else 0) for name, kind in FIELDS.items()}
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[1, 2] = (10, 20, 30)
    parquet.write_images(tmp_path / "s.parquet", [(images.encode_png(pixels), row)], FIELDS, {})
    schema = parquet.read(tmp_path / "s.parquet").schema
    assert b'"_type": "Image"' in schema.metadata[b"huggingface"]
    assert np.array_equal(images.load_column(tmp_path / "s.parquet", 4)[0], pixels)
