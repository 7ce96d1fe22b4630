"""The base of an adapter: where it is found, what it is, and it with the adapter in it."""

from argparse import Namespace
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models import adapters
from fairgen.models.base_model import Base

XL = "StableDiffusionXLPipeline"
UNETS = ("StableDiffusionPipeline", XL)
SIZES = {
    "sd1": (768, 320),
    "sd2": (1024, 320),
    "xl": (2048, 320),
}  # width of the text, channels of the first block
PROGRAMS = {"comfyui": "ComfyUI", "a1111": "AUTOMATIC1111"}


def base_of(facts: dict[str, Any], options: Namespace) -> Base:
    """The base: what the command line says, else the hub id and commit that the adapter was trained on.

    Raises:
        FairgenError: the adapter was trained on a folder or file, and the command line names none.
    """
    model, _, revision = facts["base"].rpartition("@")
    if not (options.model or model):
        raise FairgenError(
            f"{options.source} was trained on a local base ({facts['base']}); name it with --model"
        )
    named = (options.model, options.revision) if options.model else (model, revision)
    return Base(*named, options.variant, options.dtype, 0, options.config)


def adapted(options: Namespace, facts: dict[str, Any], whole: bool = True) -> tuple[Base, Any, Any, Any]:
    """The base, its denoiser with the adapter in it, its autoencoder, and its text encoders with the
    adapter's; unless `whole`, no autoencoder (None), and text encoders only where the adapter has some.
    """
    from fairgen.generate import text_adapters
    from fairgen.models import diffusion, text_encoders

    base = base_of(facts, options)
    # a damaged part is named as such, before the base as a whole is found to be another
    unet, encoders, vae = (
        diffusion.load_denoiser(base),
        text_encoders.load_text(base) if whole else {},
        diffusion.load_vae(base) if whole else None,
    )
    identity = diffusion.identity(base)
    adapters.apply(options.source, unet, identity)
    if text_adapters.there(options.source):
        encoders = text_adapters.adapted(options.source, base, identity)
    return base, unet, vae, encoders


def family(kind: str, unet: dict[str, Any]) -> str:
    """sd1, sd2 or xl, by the class of a pipeline and the config of its UNet."""
    return "xl" if kind == XL else "sd2" if unet.get("use_linear_projection") else "sd1"


def check_sizes(layout: str, kind: str, config: dict[str, Any]) -> None:
    """The program knows the base.

    Raises:
        FairgenError: it tells its bases by their sizes, and has none of this one's.
    """
    if layout not in PROGRAMS:
        return
    if kind not in UNETS and layout == "a1111":
        raise FairgenError(
            f"AUTOMATIC1111 loads Stable Diffusion 1.x, 2.x and XL, and no {kind}; use --layout comfyui"
        )
    sizes = (config.get("cross_attention_dim"), (config.get("block_out_channels") or [None])[0])
    if kind in UNETS and sizes != SIZES[family(kind, config)]:
        raise FairgenError(
            f"{PROGRAMS[layout]} tells Stable Diffusion 1.x, 2.x and XL by their sizes, and this base has"
            f" others (text of {sizes[0]} numbers, {sizes[1]} channels), so it would not load it;"
            " use --layout diffusers"
        )
