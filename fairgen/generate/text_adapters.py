"""Text encoders that are trained along with the denoiser: prepared, stored in the adapter's file, and put
back.

Their tensors have the prefixes of a pipeline's parts, `text_encoder.` and for SDXL's second one
`text_encoder_2.`, so that `pipeline.load_lora_weights` of diffusers finds them.
"""

from pathlib import Path
from typing import Any

import torch

from fairgen.core.errors import FairgenError
from fairgen.generate.recipe import Adapt
from fairgen.models import adapters, base_model, lora, parts, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.models.parts import Encoders

# stands in front of most names in every file; transformers has dropped it from some classes since 5.6
WRAPPER = "text_model."


def load(settings: Adapt, base: base_model.Base) -> Encoders:
    """The base's text encoders where they are trained, else none.

    Raises:
        FairgenError: they are to be, and are not those of Stable Diffusion 1.x, 2.x or XL, or the images have
            captions, which are encoded once.
    """
    if settings.recipe.text_lr and settings.captions:
        raise FairgenError(
            f"adapt.captions: captions are encoded once, and adapt.{settings.kind}.text_lr trains the text"
            " encoders; set one of them to 0"
        )
    if settings.recipe.text_lr and parts.layout(base).flow:
        raise FairgenError(
            f"adapt.{settings.kind}.text_lr: the text encoders of {base.model} are not trained; set 0"
        )
    whole = torch.float32 if settings.kind == "full" else None
    return text_encoders.load_text(base, whole) if settings.recipe.text_lr else {}


def trainable(encoders: Encoders, settings: Adapt) -> list[torch.nn.Parameter]:
    """Prepare text encoders for training and list their float32 trainable weights."""
    recipe, weights = settings.recipe, []
    for _, encoder in encoders.values():
        if settings.kind == "lora":
            lora.inject_lora(encoder, recipe.rank, recipe.alpha, recipe.dora, lora.TEXT_TARGETS)
            lora.mixed_precision(encoder)
        else:
            encoder.float().requires_grad_(True)
        weights += [p for p in encoder.parameters() if p.requires_grad]
    return weights


def state(encoders: Encoders, kind: str) -> dict[str, Any]:
    """What an adapter of this kind stores of its text encoders."""
    found: dict[str, Any] = {}
    for part, (_, encoder) in encoders.items():
        own = lora.lora_tensors(encoder) if kind == "lora" else encoder.state_dict()
        found |= {f"{part}.{wrapped(name)}": x for name, x in own.items()}
    return found


def wrapped(name: str) -> str:
    """A weight's name as files have it."""
    return name if name.startswith((WRAPPER, "text_projection.")) else WRAPPER + name


def there(path: Path) -> bool:
    """Whether an adapter holds text encoders."""
    from safetensors import safe_open

    with safe_open(adapters.place(path)[0], framework="pt") as stored:
        return any(name.startswith("text_encoder") for name in stored.keys())  # noqa: SIM118


def adapted(path: Path, base: base_model.Base, identity: str) -> Encoders:
    """The base's text encoders with an adapter's weights in them; `identity` is the base's.

    Raises:
        FairgenError: the adapter was trained on another base.
    """
    adapters.check_base(path, identity)
    tensors = adapters.load(path)
    encoders = text_encoders.load_text(base, adapters.sampling_dtype(adapters.read_facts(path)))
    for part, (_, encoder) in encoders.items():
        own = {name.removeprefix(f"{part}."): x for name, x in tensors.items() if name.startswith(f"{part}.")}
        if not hasattr(encoder, WRAPPER.rstrip(".")):
            own = {name.removeprefix(WRAPPER): x for name, x in own.items()}
        adapters.put(path, encoder, own, lora.TEXT_TARGETS)
    return encoders


@torch.inference_mode()
def encode(path: Path, base: base_model.Base, identity: str, prompts: list[str]) -> Conditioning:
    """One row of conditioning per prompt by an adapter's own text encoders."""
    return text_encoders.encode(base, adapted(path, base, identity), prompts)
