"""Base models from the hub, a folder or a file, part by part: a job loads just the parts that it uses.

Which architecture a folder holds is read from its `model_index.json`; what is special to one is in its file
of `architectures`. The loops carry a `Conditioning` about and call `predict`.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from fairgen.core import devices
from fairgen.models import architectures, eight_bits, single_file
from fairgen.models.base_model import Base
from fairgen.models.checkpoints import WORDS, locate, missing
from fairgen.models.conditioning import Conditioning
from fairgen.models.parts import DTYPES, Encoders, config, index, index_file, layout, load_part
from fairgen.models.pipelines import encoders_of, left_out
from fairgen.models.process import Process

BLOCK, SKIP = 1 << 20, 16  # bytes that are read at once of a file, and of how many blocks one


def predict(denoiser: Any, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning) -> torch.Tensor:
    """The denoiser's answer in float32 for latents (n, c, h, w) at one time step or at n."""
    return architectures.of_denoiser(denoiser).predict(denoiser, latents, steps, text)


def process(base: Base) -> Process:
    """The diffusion process that the base was trained on.

    Raises:
        FairgenError: fairgen does not train it.
    """
    return architectures.of(base).process(base)


def load_denoiser(base: Base, dtype: torch.dtype | None = None) -> torch.nn.Module:
    """The denoiser, frozen and in evaluation mode; `dtype` overrides the base's, and is for one whose weights
    will change: it is never in eight bits.
    """
    kind = architectures.of(base).denoiser()
    denoiser = load_part(kind, base, layout(base).denoiser, torch_dtype=dtype or DTYPES[base.dtype])
    if base.memory == "low" and dtype is None:
        eight_bits.reduce(denoiser)
    return denoiser.requires_grad_(False).eval().to(devices.current(), memory_format=torch.channels_last)


def lora_targets(base: Base) -> list[str]:
    """The layers that LoRA usually adapts in this base."""
    family = architectures.of(base)
    return family.lora_targets(config(family.denoiser(), base, layout(base).denoiser))


def sampling_layout(denoiser: torch.nn.Module) -> torch.memory_format:
    """How tensors of a denoiser that only draws lie in memory.

    On a GPU the group norms of channels-last tensors cost more than the convolutions save when nothing is
    trained.
    """
    return torch.channels_last if denoiser.device.type == "cpu" else torch.contiguous_format


def load_vae(base: Base) -> torch.nn.Module:
    """The autoencoder; never float16, which overflows in its decoder."""
    dtype = torch.float32 if base.dtype == "float16" else DTYPES[base.dtype]
    vae = load_part(architectures.of(base).autoencoder(), base, "vae", torch_dtype=dtype)
    if base.memory == "low":
        vae.enable_slicing()
    return vae.requires_grad_(False).eval().to(devices.current())


def pipeline(base: Base, denoiser: torch.nn.Module, encoders: Encoders) -> Any:
    """diffusers' own pipeline of the base around another denoiser and these text encoders."""
    import diffusers

    kind, place, dtype = getattr(diffusers, index(base)["_class_name"]), base.layout, DTYPES[base.dtype]
    parts = {
        layout(base).denoiser: denoiser,
        "vae": load_vae(base),
        **{part: encoder for part, (_, encoder) in encoders.items()},
    }
    options = {**{name: part.to(dtype) for name, part in parts.items()}, "dtype": dtype}
    options |= left_out(index(base))
    if kind is diffusers.StableDiffusionPipeline:
        options |= {"safety_checker": None, "requires_safety_checker": False}
    try:
        if single_file.is_one(base.model):
            return kind.from_single_file(locate(base.model), config=place, local_files_only=True, **options)
        more = {"revision": base.revision, "variant": base.variant, "use_safetensors": True}
        return kind.from_pretrained(place, **more, **options)
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def identity(base: Base) -> str:
    """What an adapter was trained on and images were drawn with: the hub id and its commit, or a hash of what
    lies in the local folder.

    The denoiser's weights count as a whole, and so do tokenizers and a single file; of the text encoders' and
    the autoencoder's weights a sixteenth does.
    """
    own, folder = layout(base), Path(base.layout)
    if not folder.is_dir():
        return f"{base.model}@{index_file(base).parent.name}"
    suffixes = list(encoders_of(index(base)))
    others = ["vae", *(f"text_encoder{suffix}" for suffix in suffixes)]
    digest = hashlib.sha256((folder / "scheduler/scheduler_config.json").read_bytes())
    for part in (own.denoiser, *others):
        digest.update(part.encode() + (folder / part / "config.json").read_bytes())
    for path in (path for suffix in suffixes for path in sorted((folder / f"tokenizer{suffix}").glob("*"))):
        if path.suffix in WORDS:
            read_into(digest, path)
    if single_file.is_one(base.model):
        read_into(digest, Path(locate(base.model)))
    else:
        for part in (own.denoiser, *others):
            for path in sorted((folder / part).glob("*.safetensors")):
                read_into(digest, path, 1 if part == own.denoiser else SKIP)
    return digest.hexdigest()[:16]


def read_into(digest: Any, path: Path, skip: int = 1) -> None:
    """Add a file's size and content to a digest, or of every `skip` blocks the first."""
    digest.update(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            file.seek((skip - 1) * BLOCK, os.SEEK_CUR)
