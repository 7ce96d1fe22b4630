"""The architectures of base models that fairgen knows, for what loads them and for what only looks at their
files.
"""

from dataclasses import dataclass, replace
from typing import Any

from fairgen.models import single_file


@dataclass(frozen=True)
class Text:
    """A text encoder of a pipeline."""

    sign: str  # how the name of a weight in its file starts, or ends if that has a dot in front
    tokens: int = 0  # how many it is given; 0: as many as its tokenizer says
    around: int = 2  # of them, those around a prompt: start and end, or a chat's
    optional: bool = False


@dataclass(frozen=True)
class Layout:
    """Where the parts of a pipeline lie in its folder, and how its denoiser is trained."""

    encoders: dict[str, Text]  # by the suffix of their folders
    denoiser: str = "unet"
    sign: str = "conv_in.weight"  # of the denoiser, as of a text encoder
    flow: bool = False  # by flow matching, else by DDPM
    multiple: int = 8  # of the picture's side in pixels


CLIP = Text(".token_embedding.weight")
THINKING = Text(".embed_tokens.weight", 512, around=8)
QWEN = ("Qwen3ForCausalLM", "Qwen3Model")  # classes of a folder with its language-model head, and without
NOT_THINKING = replace(THINKING, around=12)
CHATS = (THINKING, NOT_THINKING)  # read prompts in the frame of a chat
T5 = Text("shared.weight", 256, optional=True)
ARCHITECTURES = {
    "StableDiffusionPipeline": Layout({"": CLIP}),
    "StableDiffusionXLPipeline": Layout({"": CLIP, "_2": CLIP}),
    "StableDiffusion3Pipeline": Layout(
        {"": CLIP, "_2": CLIP, "_3": T5}, "transformer", "pos_embed.proj.weight", flow=True, multiple=16
    ),
    "Flux2KleinPipeline": Layout(
        {"": NOT_THINKING}, "transformer", "x_embedder.weight", flow=True, multiple=16
    ),
    "ZImagePipeline": Layout({"": THINKING}, "transformer", "all_x_embedder.", flow=True, multiple=16),
}
# by what hub ids of their bases hold
NAMED = {
    "stable-diffusion-3": "StableDiffusion3Pipeline",
    "flux.2-klein": "Flux2KleinPipeline",
    "z-image": "ZImagePipeline",
}
EULER = "euler"  # the solver of bases that are trained by flow matching
FAST = ("turbo", "lightning", "schnell")  # in names of models that are distilled to few steps


def encoders_of(about: dict[str, Any]) -> dict[str, Text]:
    """The text encoders of a base by their suffixes, without those left out; `about` is its index."""
    return {
        suffix: text
        for suffix, text in ARCHITECTURES[about["_class_name"]].encoders.items()
        if not text.optional or named(about, suffix)[0]
    }


def named(about: dict[str, Any], suffix: str) -> tuple[Any, Any]:
    """Library and class of a text encoder in a base's index; None for one that it leaves out."""
    match about.get(f"text_encoder{suffix}"):
        case [library, kind]:
            return library, kind
    return None, None


def unread(model: str, about: dict[str, Any]) -> str:
    """Which text encoder of a base cannot be loaded, by its index; "" if all can."""
    for suffix, text in encoders_of(about).items():
        kind = named(about, suffix)[1]
        if kind is None:
            return f"model_index.json of {model} names no text_encoder{suffix}; fetch the model again"
        if text in CHATS and kind not in QWEN:
            return (
                f"the text encoder of {model} is a {kind}, and fairgen reads {' and '.join(QWEN)}; give"
                " another base"
            )
    return ""


def left_out(about: dict[str, Any]) -> dict[str, None]:
    """The parts that a base's folder leaves out, as a pipeline of diffusers wants to be told."""
    suffixes = ARCHITECTURES[about["_class_name"]].encoders.keys() - encoders_of(about).keys()
    return {f"{part}{suffix}": None for suffix in suffixes for part in ("text_encoder", "tokenizer")}


def fault(model: str, about: dict[str, Any]) -> str:
    """Why a base cannot be loaded and finetuned, by its name and its index; "" if it can."""
    kind = about.get("_class_name")
    if kind not in ARCHITECTURES:
        return f"{model} is a {kind}; give one of {', '.join(ARCHITECTURES)}"
    if about.get("is_distilled") or distilled(model):
        return (
            f"{model} is distilled to few steps, which finetuning undoes; give the base that it was made from"
        )
    if single_file.is_one(model) and ARCHITECTURES[kind].flow:
        return (
            f"{model} is a single file, which is read of Stable Diffusion 1.x, 2.x and XL only; give a folder"
            " in diffusers' layout"
        )
    return ""


def distilled(model: str) -> bool:
    """Whether a model's name says that it is distilled; klein's bases are called so, the others are not."""
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    return any(word in name for word in FAST) or ("flux.2-klein" in name and "base" not in name)


def guess(model: str) -> str:
    """The pipeline class of a base that is not here yet, by its hub id; "" where that says nothing."""
    name = model.rsplit("/", 1)[-1].lower()
    return next((kind for part, kind in NAMED.items() if part in name), "")


def part_of(denoiser: Any) -> str:
    """What a pipeline calls this denoiser."""
    return "unet" if type(denoiser).__name__ == "UNet2DConditionModel" else "transformer"
