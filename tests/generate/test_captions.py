"""Captions of single images: which prompt each row of a batch is trained under; crops that follow a box."""

import dataclasses
import hashlib
import logging
from pathlib import Path
from types import SimpleNamespace

import flow_miniatures
import numpy as np
import pytest
import torch
from adapting import adapt_settings, changed
from chains import base_of
from PIL import Image

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.generate import cuda_graphs, text_adapters
from fairgen.generate.captions import Captions, numbered, prompts_of
from fairgen.generate.denoising import Noised
from fairgen.generate.material import material
from fairgen.generate.training import train
from fairgen.generate.training_shared import train as train_shared
from fairgen.models import base_model, diffusion, text_encoders, tokens
from fairgen.models.conditioning import Conditioning

GROUP, CLASS = "a landbird on land V", "a landbird on land"
SAID = ["V a duck on grass", "", "V a crow on sand"]


def states_read(monkeypatch: pytest.MonkeyPatch) -> list[Conditioning]:
    """Collect what the denoiser reads in each call."""
    seen, predict = [], diffusion.predict

    def watching(unet: torch.nn.Module, *rest: object) -> torch.Tensor:
        seen.append(rest[2])
        return predict(unet, *rest)

    monkeypatch.setattr(diffusion, "predict", watching)
    return seen


def pixels(count: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (count, side, side, 3), dtype=np.uint8)


def test_the_rare_word_stays_in_front_and_long_captions_are_cut(
    base: base_model.Base, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fairgen"):
        found = prompts_of(["a duck", "", "see the [V] duck", "duck " * 400], "zxq", base)
    hidden = prompts_of([f"a zxqual house {'duck ' * 400} [V]"], "zxq", base)
    assert hidden[0].startswith("zxq a zxqual house duck")  # the word alone is not the rare one
    assert found[:3] == ["zxq a duck", "", "see the zxq duck"]
    assert found[3].startswith("zxq duck duck") and len(found[3].split()) < 77
    text_encoders.encode_prompts(base, found)  # none is too long
    assert "1 of 4 captions are longer than the text encoder reads, and cut" in caplog.text


@pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)
def test_captions_without_spaces_are_cut_inside(flow_folders: dict, architecture: str) -> None:
    """As much of them as the text encoders read, with the rare word, wherever it stood."""
    base = base_of(flow_folders[architecture])
    letters = "xyzabcdefg" * 80
    captions = [letters, f"{letters}[V]", f"[V]{letters}", f"{letters} [V] {letters}"]
    found = prompts_of(captions, "V", base)
    assert all(prompt.count("V") == 1 and len(prompt) > 15 for prompt in found)
    assert [prompt.startswith("V") for prompt in found] == [True] * 4
    text_encoders.encode_prompts(base, found)


def test_a_cut_prompt_is_the_longest_that_fits() -> None:
    class Bytes:
        model_max_length = 12

        def __call__(self, prompts: list[str], **_: object) -> dict:
            return {"input_ids": [[0, *prompt.encode(), 0] for prompt in prompts]}

    for prompt, wanted in (
        ("V a duck", "V a duck"),
        ("V  a\nduck", "V a duck"),
        ("V a duck on", "V a duck"),
        ("V a ducks on", "V a ducks"),
        ("V a duck_on_grass", "V a duck_o"),
        ("V duckongrass", "V duckongr"),
        ("duckonsand V", "duckonsand"),
    ):
        assert tokens.cut([Bytes()], prompt) == wanted


def test_marks_of_a_tokenizer_and_captions_of_the_rare_word_alone_are_no_prompts(
    base: base_model.Base,
) -> None:
    """The first would end a prompt early, or open a turn of a chat; the second says less than the group's."""
    captions = [
        "a duck<|im_end|> <|im_start|>assistant",
        "<|endoftext|> on grass",
        "[V]",
        "<|pad|>",
        "a [V] duck",
    ]
    assert prompts_of(captions, "V", base) == ["V a duck assistant", "V on grass", "", "", "a V duck"]


def test_each_caption_is_encoded_once() -> None:
    every, (one, other) = numbered(["g", "c"], [["x", "", "y"], ["y", "x"]])
    assert every == ["g", "c", "x", "y"]
    assert (one.tolist(), other.tolist()) == ([2, 0, 3], [3, 2])


def test_a_share_of_the_rows_keeps_the_groups_prompt() -> None:
    """Mirror images, behind the images, have the captions of these."""
    own, rows = torch.tensor([2, 0, 3]), torch.arange(6).repeat(500)
    generator = torch.Generator().manual_seed(0)
    assert Captions(own, 1.0).choose(rows[:6], generator).tolist() == [2, 0, 3, 2, 0, 3]
    assert not Captions(own, 0.0).choose(rows, generator).any()
    kept = Captions(own, 0.7).choose(rows, generator)[rows % 3 != 1]
    assert (kept > 0).float().mean().item() == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("shared", [False, True])
def test_rows_are_trained_under_their_captions(
    base: base_model.Base, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Two of three images have one; class images keep their prompt, and no captions change nothing."""
    texts = text_encoders.encode_prompts(base, [GROUP, CLASS, SAID[0], SAID[2]]).states
    recipe = {"steps": 1, "batch": 3, "prior_weight": 1, "prior_batch": 2}
    settings = changed(adapt_settings("lora", base, captions=1.0), **recipe)
    prior, seen = [(CLASS, pixels(2))], states_read(monkeypatch)

    def read(captions: list[str]) -> list[list[int]]:
        """Which of the four texts each row of each adapter's batch reads."""
        seen.clear()
        if shared:
            named, listed = {"g/0": pixels(3), "g/1": pixels(3)}, [captions] * 2 if captions else []
            train_shared(settings, base, GROUP, named, prior, "g", captions=listed)
        else:
            train(settings, base, (GROUP, pixels(3)), prior, "g/0", captions=captions)
        (found,) = seen
        rows = [int((texts - row).abs().flatten(1).sum(1).argmin()) for row in found.states]
        return [sorted(rows[i : i + 3]) + rows[i + 3 : i + 5] for i in range(0, len(rows), 5)]

    # a batch of three is each image or its mirror image, of six; so it may have a caption twice
    for rows in read(SAID):
        assert set(rows[:3]) <= {0, 2, 3} and {2, 3} & set(rows[:3])
        assert rows[3:] == [1, 1]
    assert read([]) == [[0, 0, 0, 1, 1]] * (2 if shared else 1)


@pytest.mark.parametrize("architecture", flow_miniatures.ARCHITECTURES)
def test_bases_of_flow_matching_read_captions_of_any_length(
    flow_folders: dict, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    base = base_of(flow_folders[architecture])
    settings = adapt_settings("lora", base, captions=1.0, min_snr=0)
    seen = states_read(monkeypatch)
    train(settings, base, ("V", pixels(3)), [], "g/0", captions=["V a", "V a much longer one", ""])
    assert len({row.sum().item() for text in seen for row in text.states}) == 3
    if architecture == "z-image":
        assert len({n for text in seen for n in text.lengths.tolist()}) == 3


@pytest.mark.parametrize("architecture", ["sd", "z-image"])
def test_many_prompts_are_encoded_in_parts(
    base: base_model.Base, flow_folders: dict, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    """The rows are the same, of a base whose texts are of different lengths too."""
    own = base if architecture == "sd" else base_of(flow_folders[architecture])
    prompts = [f"a duck {i}" for i in (1, 10, 1000, 2, 20)]
    whole = text_encoders.encode_prompts(own, prompts)
    monkeypatch.setattr(text_encoders, "AT_ONCE", 2)
    parts = text_encoders.encode_prompts(own, prompts)
    assert torch.allclose(parts.states, whole.states, atol=1e-5)
    assert parts.lengths is whole.lengths or torch.equal(parts.lengths, whole.lengths)


def test_captions_and_trained_text_encoders_are_refused(base: base_model.Base) -> None:
    settings = changed(adapt_settings("lora", base, captions=0.5), text_lr=1e-4)
    with pytest.raises(
        FairgenError, match=r"adapt\.captions: captions are encoded once, and adapt\.lora\.text_lr"
    ):
        text_adapters.load(settings, base)


def test_a_step_that_reads_lengths_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph would read those of its first batch ever after."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: pytest.fail("recorded"))
    text = Conditioning(torch.zeros(2, 3, 4), lengths=torch.tensor([1, 2]))
    batch = Noised(*(torch.zeros(2) for _ in range(5)), text=text)
    step = cuda_graphs.Replayed(lambda batches: batches[0].latents.sum())
    for _ in range(cuda_graphs.WARM_UP + 2):
        step([batch])
    assert step.graph is None


def test_the_stage_reads_captions_and_boxes_of_its_images(base: base_model.Base, tmp_path: Path) -> None:
    """The crop of each image follows its own box, SDXL is told its corner, and other captions are other
    inputs.
    """
    rows = {"id": [7, 8], "path": ["a.png", "b.png"]}
    for name in rows["path"]:
        Image.new("RGB", (100, 50)).save(tmp_path / name)
    rows["hash"] = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in rows["path"]]
    rows |= {"box": ["0,0,10,10", ""], "caption": ["a duck", ""]}

    def given(crop: str, share: float, **changes: list) -> SimpleNamespace:
        parquet.write(tmp_path / "s.parquet", {**rows, **changes}, {"root": str(tmp_path)})
        settings = adapt_settings("lora", base, crop=crop, captions=share)
        settings = dataclasses.replace(settings, prompts={"g": "a [V]"})
        paths = SimpleNamespace(split=tmp_path / "s.parquet", group="g", prior=[], work=None)
        return material(settings, paths, {7: 0, 8: 0}, [0])

    found = given("box", 0.9)
    assert found.origins[0].tolist() == [[50, 100, 0, 0], [50, 100, 0, 16]]
    assert found.captions == [["V a duck", ""]]
    other = given("box", 0.9, caption=["a crow", ""])
    assert found.resume.inputs["captions"] != other.resume.inputs["captions"]
    plain = given("centre", 0)
    assert plain.origins[0].tolist() == [[50, 100, 0, 16]] * 2
    assert plain.captions == [] and "captions" not in plain.resume.inputs


def test_xl_is_told_where_a_mirror_image_was_cut(base: base_model.Base) -> None:
    from fairgen.generate.latents import Latents

    origins = np.array([[50, 100, 0, 0]])
    found = Latents(diffusion.load_vae(base), pixels(1), origins).time_ids
    assert found.tolist() == [[50, 100, 0, 0, 32, 32], [50, 100, 0, 32, 32, 32]]
    assert images.origin(Image.new("RGB", (100, 50)), 32, (1.0, 0.5))[3] == 32
