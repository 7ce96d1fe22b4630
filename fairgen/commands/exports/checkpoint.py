"""A base of Stable Diffusion 1.x, 2.x or XL as one file with the original names, as AUTOMATIC1111 and
ComfyUI load it.

The file is written from the whole networks and read back by name: diffusers' own conversion, the one that
`from_single_file` uses, has to find every weight in it.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen.commands.exports.bases import UNETS, adapted, base_of, check_sizes, family
from fairgen.core import safetensors_file
from fairgen.core.errors import FairgenError
from fairgen.generate.text_adapters import WRAPPER
from fairgen.models import original_names, weights
from fairgen.models.base_model import Base
from fairgen.models.parts import DTYPES, Encoders, config, index

UNET, VAE = "model.diffusion_model.", "first_stage_model."


def text_prefixes(family: str) -> dict[str, str]:
    """Where the text encoders lie in a file, by their names in a pipeline."""
    if family == "xl":
        return {
            "text_encoder": "conditioner.embedders.0.transformer.",
            "text_encoder_2": "conditioner.embedders.1.model.",
        }
    return {"text_encoder": "cond_stage_model." + ("model." if family == "sd2" else "transformer.")}


def prediction(base: Base, family: str) -> dict[str, Any]:
    """What tells a file of v-prediction from one of epsilon.

    Of XL two empty tensors do, of 2.x the programs guess by the weights.

    Raises:
        FairgenError: the base is a 1.x of v-prediction, of which nothing does.
    """
    import torch
    from diffusers import DDPMScheduler

    schedule = config(DDPMScheduler, base, "scheduler")
    if schedule.get("prediction_type", "epsilon") == "epsilon" or family == "sd2":
        return {}
    if family == "sd1":
        raise FairgenError(
            f"{base.model} predicts v, which no single file of a Stable Diffusion 1.x can say; use --layout"
            f" diffusers"
        )
    marks = {"v_pred": True, "ztsnr": schedule.get("rescale_betas_zero_snr")}
    return {name: torch.tensor([]) for name, wanted in marks.items() if wanted}


def state(base: Base, unet: Any, vae: Any, encoders: Encoders) -> dict[str, Any]:
    """All weights by their original names.

    Raises:
        FairgenError: one of them has no original name, or the base is of another architecture.
    """
    kind = family(index(base)["_class_name"], unet.config)
    blocks = original_names.unet_blocks(unet.config)
    found: dict[str, Any] = {}
    for name, x in unet.state_dict().items():
        own = original_names.unet(name, blocks)
        if own is None:
            raise FairgenError(
                f"{base.model}: the original code has no name for the UNet's {name}; use --layout diffusers"
            )
        found[UNET + own] = x
    own_vae = original_names.vae_state(vae.state_dict(), len(vae.config.block_out_channels))
    found |= {VAE + name: x for name, x in own_vae.items()}
    for part, prefix in text_prefixes(kind).items():
        encoder = encoders[part][1]
        found |= {prefix + name: x for name, x in text_state(encoder, kind, part).items()}
    check(base, found, unet, vae)
    return found | prediction(base, kind)


def text_state(encoder: Any, kind: str, part: str) -> dict[str, Any]:
    """The weights of a text encoder by the names of its original."""
    given = {
        name if name.startswith((WRAPPER, "text_projection.")) else WRAPPER + name: x
        for name, x in encoder.state_dict().items()
        if not name.endswith(weights.COUNTERS)
    }
    if kind == "sd1" or (kind == "xl" and part == "text_encoder"):
        return given
    own = original_names.open_clip_state(given)
    return original_names.with_last_layer(own, encoder.config.num_hidden_layers) if kind == "sd2" else own


def check(base: Base, found: dict[str, Any], unet: Any, vae: Any) -> None:
    """diffusers reads from the names the very weights that were written.

    Raises:
        FairgenError: it does not.
    """
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    for network in (unet, vae):
        convert = SINGLE_FILE_LOADABLE_CLASSES[type(network).__name__]["checkpoint_mapping_fn"]
        read = convert(config=dict(network.config), checkpoint=dict(found))
        lost = [
            name
            for name, x in network.state_dict().items()
            if name not in read or read[name].reshape(x.shape).data_ptr() != x.data_ptr()
        ]
        if lost:
            raise FairgenError(
                f"{base.model}: its {type(network).__name__} cannot be written as a single file ({lost[0]}"
                f" is not found"
                " in it again); use --layout diffusers"
            )


def write(options: Namespace, facts: dict[str, Any], file: Path) -> None:
    """The whole base with the adapter's weights as one file with the original names."""
    kind = index(base_of(facts, options))["_class_name"]
    if kind not in UNETS:
        raise FairgenError(
            f"{options.source} is a full finetune of a {kind}, which is not written as one file; use"
            f" --layout diffusers"
        )
    base, unet, vae, encoders = adapted(options, facts)
    check_sizes(options.layout, kind, unet.config)
    tensors = {
        name: x.to(DTYPES[options.dtype]) if x.is_floating_point() else x
        for name, x in state(base, unet, vae, encoders).items()
    }
    safetensors_file.save(file, safetensors_file.storable(tensors), facts, {"format": "pt"})
