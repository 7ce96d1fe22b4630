"""The weights that ship: small enough, in the ordinary layout, and good enough for what they are for."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from workflows import PROJECT

from fairgen.embedded import birds, tiny, world
from fairgen.embedded.looks import LOOKS
from fairgen.generate.solver import Solver, sample_images
from fairgen.models import autoencoder, base_model, clip, diffusion, encoder, scorer, text_encoders

PROMPTS = [f"a {kind} on {place}" for kind in birds.KINDS for place in birds.PLACES]


@pytest.fixture(scope="module")
def model() -> clip.Clip:
    return scorer.load("fairgen:embedded/weights/clip", "score.model")


def accuracy(
    model: clip.Clip, pixels: np.ndarray, kind: np.ndarray, place: np.ndarray
) -> tuple[float, float]:
    """Zero-shot accuracy of the two attributes."""
    best = (model.images(pixels) @ model.texts(PROMPTS).T).argmax(1).numpy()
    return float((best // 2 == kind).mean()), float((best % 2 == place).mean())


def test_weights_are_recorded_and_small() -> None:
    record = json.loads((tiny.FOLDER / "record.json").read_text())
    files = sorted(tiny.FOLDER.rglob("*.safetensors"))
    assert sum(f.stat().st_size for f in files) <= 25e6
    found = {str(f.relative_to(tiny.FOLDER)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    assert record["sha256"] == found


def test_the_tokenizer_knows_its_words_and_spells_others() -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(tiny.DIFFUSION / "tokenizer")
    assert all(len(tokenizer(word).input_ids) == 3 for word in tiny.WORDS)
    assert (
        tokenizer.decode(tokenizer("young").input_ids, skip_special_tokens=True).replace(" ", "") == "young"
    )
    assert tokenizer.eos_token_id != 2


def test_zero_shot_accuracy_on_held_out_drawings(model: clip.Clip) -> None:
    drawn = [world.world(11, i, "held-out") for i in range(300)]
    kind = np.array([d.species in birds.WATERBIRDS for d in drawn])
    place = np.array([d.scene in birds.WATER for d in drawn])
    assert min(accuracy(model, np.stack([d.pixels for d in drawn]), kind, place)) >= 0.9


def test_vanilla_samples_follow_the_prompt(model: clip.Clip, base: base_model.Base) -> None:
    solver = Solver("dpmsolver++", 12, 2.0, "", 50)
    unet, vae = diffusion.load_denoiser(base), diffusion.load_vae(base)
    pixels = []
    for prompt in PROMPTS:
        text = text_encoders.encode_prompts(base, [prompt, ""])
        pixels += list(sample_images(unet, vae, base, text, list(range(50)), solver))
    truth = np.repeat(np.arange(4), 50)
    assert min(accuracy(model, np.stack(pixels), truth // 2, truth % 2)) >= 0.85


@pytest.mark.parametrize("look", LOOKS)
def test_the_autoencoder_keeps_every_look_of_the_users(look: str, base: base_model.Base) -> None:
    groups = [(kind, place) for kind in birds.KINDS for place in birds.PLACES]
    drawn = [birds.users(11, "train", *groups[i % 4], i) for i in range(400)]
    pixels = np.stack([d.pixels for d in drawn if d.look == look])
    vae = diffusion.load_vae(base)
    again = autoencoder.decode(vae, autoencoder.encode(vae, pixels)[0])
    assert 10 * np.log10(255**2 / np.square(again.astype(float) - pixels).mean()) >= 26


def test_where_nothing_is_left_to_draw_no_network_is_touched(base: base_model.Base) -> None:
    assert not list(sample_images(None, None, base, None, [1, 2, 3], Solver("", 8, 2.0, "", 2), skip=3))


def drawn_by(base: base_model.Base, prompt: str) -> np.ndarray:
    """Forty images of a prompt as float, from the same seeds."""
    text = text_encoders.encode_prompts(base, [prompt, ""])
    parts = diffusion.load_denoiser(base), diffusion.load_vae(base)
    found = sample_images(*parts, base, text, list(range(40)), Solver("dpmsolver++", 8, 2.0, "", 40))
    return np.stack(list(found)).astype(float)


def test_the_rare_token_is_a_modifier_that_says_nothing(base: base_model.Base) -> None:
    """It moves the images about as other words do that say nothing, and less than a word of a style; the
    state of the prompt, which finetuning binds the user's looks to, it moves as much as a style's word.
    """
    plain = "a landbird on land"
    words = [tiny.RARE_TOKEN, "nice", "zib", "dax", "pastel", "grainy", "bright"]
    start = drawn_by(base, plain)
    moved = {w: np.abs(drawn_by(base, f"a {w} landbird on land") - start).mean() for w in words}
    neutral, styles = (np.mean([moved[w] for w in part]) for part in (words[1:4], words[4:]))
    assert 0.5 * neutral <= moved[tiny.RARE_TOKEN] <= 2 * neutral
    assert moved[tiny.RARE_TOKEN] < styles
    texts = [plain, *(f"a {w} landbird on land" for w in words)]
    state = text_encoders.encode_prompts(base, texts).states.float()
    far = {w: float((state[i] - state[0]).norm()) for i, w in enumerate(words, 1)}
    assert far[tiny.RARE_TOKEN] > 0.5 * np.mean([far[w] for w in words[4:]])


def test_the_backbone_sees_looks_and_the_clip_does_not() -> None:
    """By the nearest neighbour's look, among drawings of one group and other seeds."""
    drawn = [birds.users(11, "train", "landbird", "land", i) for i in range(300)]
    pixels, looks = np.stack([d.pixels for d in drawn]), np.array([d.look for d in drawn])
    right = {}
    for kind, name in (("timm", "backbone"), ("clip", "clip")):
        x = encoder.load(encoder.Encoder(kind, f"fairgen:embedded/weights/{name}"))(pixels)
        cosine = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (
            x / np.linalg.norm(x, axis=1, keepdims=True)
        ).T
        np.fill_diagonal(cosine, -1)
        right[name] = (looks[cosine.argmax(1)] == looks).mean()
    assert right["backbone"] >= 0.9
    assert right["clip"] < right["backbone"]


def test_the_folder_opens_as_an_ordinary_pipeline() -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tiny.DIFFUSION, safety_checker=None)
    assert pipeline("a swan on lake", num_inference_steps=2, output_type="np").images.shape == (1, 32, 32, 3)


def test_lean_imports_hide_nothing_that_was_seen_before() -> None:
    script = """
import transformers.utils
assert transformers.utils.is_scipy_available()
from fairgen.models import base_model, diffusion, text_encoders
base = base_model.Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)
text_encoders.encode_prompts(base, ["a landbird on land"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lean_imports_defer_packages_that_work_all_the_same() -> None:
    """In a fresh process: loading the UNet leaves other architectures and scipy alone, and diffusers works as
    always.
    """
    script = """
import sys
from fairgen.models import base_model, diffusion, text_encoders
base = base_model.Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)
diffusion.load_denoiser(base), diffusion.load_vae(base)
text_encoders.encode_prompts(base, ["a landbird on land"])
assert "diffusers.models.unets.unet_3d_condition" not in sys.modules
assert "scipy" not in sys.modules
from diffusers import UNet2DModel, StableDiffusionPipeline
from diffusers.models.unets import UNet3DConditionModel
from diffusers.models.transformers import Transformer2DModel
import scipy.stats
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_parts_load_in_any_order() -> None:
    """In a fresh process: the schedule first, for which transformers is imported only to be silenced."""
    script = """
from fairgen.models import base_model, diffusion, text_encoders
base = base_model.Base("fairgen:embedded/weights/diffusion", None, None, "float32", 32)
diffusion.process(base), diffusion.load_vae(base)
text_encoders.encode_prompts(base, ["a landbird on land"])
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
