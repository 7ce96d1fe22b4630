"""A base of Stable Diffusion 1.x, 2.x or XL as one file with the original names, as AUTOMATIC1111 and
ComfyUI load it.

The file is written from the whole networks and read back by name: diffusers' own conversion, the one that
`from_single_file` uses, has to find every weight in it.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen.commands.exports import card, public
from fairgen.commands.exports.bases import UNETS, adapted, base_of, check_sizes, family
from fairgen.core import safetensors_file
from fairgen.core.errors import FairgenError
from fairgen.generate.text_adapters import wrapped
from fairgen.models import original_names, weights
from fairgen.models.base_model import Base
from fairgen.models.parts import DTYPES, Encoders, config, index

# what readers take for granted of a file, by its family
SCALES = {"sd1": 0.18215, "sd2": 0.18215, "xl": 0.13025}  # of latents
LAYERS = {"sd1": (12,), "sd2": (23,), "xl": (12, 32)}  # of the text encoders; of 2.x a file has one more
NOISE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
}
# by its spread ComfyUI (0.8, `supported_models.SD20`) tells v-prediction from epsilon
GUESS, SPREAD = "output_blocks.11.1.transformer_blocks.0.norm1.bias", 0.09
UNET, VAE = "model.diffusion_model.", "first_stage_model."


def text_prefixes(family: str) -> dict[str, str]:
    """Where the text encoders lie in a file, by their names in a pipeline."""
    if family == "xl":
        return {
            "text_encoder": "conditioner.embedders.0.transformer.",
            "text_encoder_2": "conditioner.embedders.1.model.",
        }
    return {"text_encoder": "cond_stage_model." + ("model." if family == "sd2" else "transformer.")}


def refuse(base: Base, what: str) -> FairgenError:
    """The line for a base of which a single file cannot say something."""
    return FairgenError(f"{base.model} {what}; use --layout diffusers")


def check_values(base: Base, family: str, schedule: dict[str, Any], vae: Any, encoders: Encoders) -> None:
    """What a file does not say is as its readers take it for granted.

    Raises:
        FairgenError: it is not.
    """
    scale = vae.config.scaling_factor
    if abs(scale - SCALES[family]) > 1e-6 or vae.config.get("latents_mean") or vae.config.get("shift_factor"):
        raise refuse(
            base,
            f"scales its latents otherwise than its family ({scale} in place of {SCALES[family]}, or with a"
            " mean), which no single file can say",
        )
    for name, wanted in NOISE.items():
        if (found := schedule.get(name, wanted)) != wanted:
            raise refuse(base, f"was trained with {name} {found}, and a single file means {wanted}")
    layers = tuple(encoders[part][1].config.num_hidden_layers for part in text_prefixes(family))
    if layers != LAYERS[family]:
        raise refuse(
            base,
            f"has text encoders of {', '.join(map(str, layers))} layers in place of"
            f" {', '.join(map(str, LAYERS[family]))}; a single file would be read with layers that it has not"
            " or from another layer",
        )


def prediction(base: Base, family: str, schedule: dict[str, Any]) -> dict[str, Any]:
    """What tells a file of v-prediction from one of epsilon.

    Of XL two empty tensors do, of 2.x the programs guess by the weights (`check_guess`).

    Raises:
        FairgenError: nothing tells what the base predicts, or that its last step is pure noise.
    """
    import torch

    kind = schedule.get("prediction_type") or "epsilon"
    zero = bool(schedule.get("rescale_betas_zero_snr"))
    if kind not in ("epsilon", "v_prediction") or (family == "sd1" and kind == "v_prediction"):
        what = "v" if kind == "v_prediction" else f"'{kind}'"
        told = {"sd1": "1.x", "sd2": "2.x", "xl": "XL"}[family]
        raise refuse(base, f"predicts {what}, which no single file of a Stable Diffusion {told} can say")
    if zero and not (family == "xl" and kind == "v_prediction"):
        raise refuse(base, "was trained to zero SNR (rescale_betas_zero_snr), which no such file can say")
    marks = {"v_pred": family == "xl" and kind == "v_prediction", "ztsnr": zero}
    return {name: torch.tensor([]) for name, wanted in marks.items() if wanted}


def check_guess(base: Base, schedule: dict[str, Any], found: dict[str, Any]) -> None:
    """ComfyUI guesses of these weights of a 2.x what the base predicts.

    Raises:
        FairgenError: it would guess otherwise.
    """
    weight = found.get(UNET + GUESS)
    guess = weight is not None and float(weight.float().std(unbiased=False)) > SPREAD
    if guess != (schedule.get("prediction_type") == "v_prediction"):
        own, other = ("epsilon", "v") if guess else ("v", "epsilon")
        raise refuse(base, f"predicts {own}, and ComfyUI would guess {other} by these weights")


def state(base: Base, unet: Any, vae: Any, encoders: Encoders, guessed: bool) -> dict[str, Any]:
    """All weights by their original names; `guessed` says that ComfyUI is to read them.

    Raises:
        FairgenError: one of them has no original name, the base is of another architecture, or has something
            that no file can say.
    """
    from diffusers import DDPMScheduler

    kind, schedule = family(index(base)["_class_name"], unet.config), config(DDPMScheduler, base, "scheduler")
    marks = prediction(base, kind, schedule)
    check_values(base, kind, schedule, vae, encoders)
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
    for part, prefix in text_prefixes(kind).items():
        check_text(base, found, encoders[part][1], prefix)
    if guessed and kind == "sd2":
        check_guess(base, schedule, found)
    return found | marks


def stored(encoder: Any) -> dict[str, Any]:
    """The weights of a text encoder by the names that files have."""
    return {
        wrapped(name): x for name, x in encoder.state_dict().items() if not name.endswith(weights.COUNTERS)
    }


def text_state(encoder: Any, kind: str, part: str) -> dict[str, Any]:
    """The weights of a text encoder by the names of its original."""
    given = stored(encoder)
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
                " is not found in it again); use --layout diffusers"
            )


def check_text(base: Base, found: dict[str, Any], encoder: Any, prefix: str) -> None:
    """diffusers reads from the names the very weights of a text encoder.

    Raises:
        FairgenError: it does not.
    """
    import torch
    from diffusers.loaders import single_file_utils

    if prefix.endswith("model."):
        read = single_file_utils.convert_open_clip_checkpoint(encoder, dict(found), prefix)
    else:
        read = single_file_utils.convert_ldm_clip_checkpoint(dict(found))
    lost = [
        name
        for name, x in stored(encoder).items()
        if name not in read or read[name].shape != x.shape or not torch.equal(read[name], x)
    ]
    if lost:
        raise refuse(
            base,
            f"has a {type(encoder).__name__} that cannot be written as a single file ({lost[0]} is lost)",
        )


def write(options: Namespace, facts: dict[str, Any], file: Path) -> None:
    """The whole base with the adapter's weights as one file with the original names."""
    kind = index(base_of(facts, options))["_class_name"]
    if kind not in UNETS:
        raise FairgenError(
            f"{options.source} is a full finetune of a {kind}, which is not written as one file; use"
            " --layout diffusers"
        )
    base, unet, vae, encoders = adapted(options, facts)
    check_sizes(options.layout, kind, unet.config)
    tensors = {
        name: x.to(DTYPES[options.dtype]) if x.is_floating_point() else x
        for name, x in state(base, unet, vae, encoders, options.layout == "comfyui").items()
    }
    more = {"format": "pt", **card.in_file(options)}
    safetensors_file.save(file, safetensors_file.storable(tensors), public.facts(facts), more)
