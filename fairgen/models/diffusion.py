"""Stable Diffusion 1.x, 2.x and XL from the hub, a folder or a file, part by part: a job loads just the parts
that it uses.

The only module that knows architectures. Which one a folder holds is read from its `model_index.json`; the
loops carry a `Conditioning` about and call `predict`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fairgen.core import devices
from fairgen.core.errors import FairgenError
from fairgen.models import single_file, weights
from fairgen.models.base_model import Base
from fairgen.models.checkpoints import locate, missing, quiet
from fairgen.models.lazy_imports import lean
from fairgen.models.pipelines import ARCHITECTURES

# tokenizer and text encoder, by the encoder's name in a pipeline
Encoders = dict[str, tuple[Any, torch.nn.Module]]
PREDICTIONS = ("epsilon", "v_prediction")  # what a denoiser may be trained to answer
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Conditioning:
    """What the denoiser reads beside the latents, row by row.

    `states` (n, length, width) of the text; for SDXL also `pooled` (n, d), and `time_ids` (n, 6): the
    picture's size, the corner of its crop, and the size wanted (arXiv 2307.01952, section 2.2).
    """

    states: torch.Tensor
    pooled: torch.Tensor | None = None
    time_ids: torch.Tensor | None = None

    def __getitem__(self, rows: slice) -> "Conditioning":
        """Some of the rows."""
        return self._each(lambda x: x[rows])

    def expand(self, count: int) -> "Conditioning":
        """A single row, `count` times."""
        return self._each(lambda x: x.expand(count, *x.shape[1:]))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Conditioning":
        return Conditioning(
            *(None if x is None else change(x) for x in (self.states, self.pooled, self.time_ids))
        )


def joined(parts: Sequence[Conditioning]) -> Conditioning:
    """The rows of several conditionings of one base, one after the other."""
    fields = zip(*((part.states, part.pooled, part.time_ids) for part in parts), strict=True)
    return Conditioning(*(None if rows[0] is None else torch.cat(rows) for rows in fields))


def predict(
    unet: torch.nn.Module, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning
) -> torch.Tensor:
    """The denoiser's output in float32 for latents (n, c, h, w) at one time step or at n."""
    place, added = unet.device, None
    if text.pooled is not None:
        added = {"text_embeds": text.pooled.to(unet.dtype), "time_ids": text.time_ids}
    states = text.states.to(unet.dtype)
    return unet(
        latents.to(place, unet.dtype), steps.to(place), states, added_cond_kwargs=added
    ).sample.float()


def _index_file(base: Base) -> Path:
    """The base's `model_index.json`, in its folder or in the hub's cache."""
    place = Path(base.layout)
    if place.is_dir():
        return place / "model_index.json"
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(base.model, "model_index.json", revision=base.revision))
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def index(base: Base) -> dict[str, Any]:
    """What the base's folder says about itself.

    Raises:
        FairgenError: the base is not to be had, or it is of an architecture that fairgen does not know.
    """
    try:
        found = json.loads(_index_file(base).read_text())
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error
    if found.get("_class_name") not in ARCHITECTURES:
        raise FairgenError(
            f"diffusion.model: {base.model} is a {found.get('_class_name')}; give one of"
            f" {', '.join(ARCHITECTURES)}"
        )
    return found


def check_dtype(base: Base) -> None:
    """Refuse what this job's device cannot compute in.

    Raises:
        FairgenError: bfloat16 on a GPU without it.
    """
    on_gpu = devices.current().type == "cuda"
    if base.dtype == "bfloat16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name()
        raise FairgenError(
            f"diffusion.dtype: {name} does not compute in bfloat16; set float16, or float32 if images break"
        )


def load_part(kind: Any, base: Base, part: str, **options: Any) -> Any:
    """A part of the base by its name in a pipeline; `kind` is its class.

    Raises:
        FairgenError: it is not there, cannot be read, or does not hold all its weights.
    """
    quiet()
    check_dtype(base)
    place, common = base.layout, {"subfolder": part, "revision": base.revision}
    try:
        if not options:
            return kind.from_pretrained(place, **common)
        if single_file.is_one(base.model):
            return single_file.load(kind, base.model, Path(place), part, *options.values())
        more = {"variant": base.variant, "use_safetensors": True, **options}
        return weights.load(kind, place, "diffusion.model", **common, **more)
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def load_unet(base: Base, dtype: torch.dtype | None = None) -> torch.nn.Module:
    """The denoiser, frozen and in evaluation mode; `dtype` overrides the base's."""
    with lean():
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    unet = load_part(UNet2DConditionModel, base, "unet", torch_dtype=dtype or DTYPES[base.dtype])
    return unet.requires_grad_(False).eval().to(devices.current(), memory_format=torch.channels_last)


def sampling_layout(unet: torch.nn.Module) -> torch.memory_format:
    """How tensors of a denoiser that only draws lie in memory.

    On a GPU the group norms of channels-last tensors cost more than the convolutions save when nothing is
    trained.
    """
    return torch.channels_last if unet.device.type == "cpu" else torch.contiguous_format


def pipeline(base: Base, unet: torch.nn.Module, encoders: Encoders) -> Any:
    """diffusers' own pipeline of the base around another denoiser and these text encoders."""
    import diffusers

    kind, place, dtype = getattr(diffusers, index(base)["_class_name"]), base.layout, DTYPES[base.dtype]
    parts = {
        "unet": unet,
        "vae": load_vae(base),
        **{part: encoder for part, (_, encoder) in encoders.items()},
    }
    options = {**{name: part.to(dtype) for name, part in parts.items()}, "dtype": dtype}
    if kind is diffusers.StableDiffusionPipeline:
        options |= {"safety_checker": None, "requires_safety_checker": False}
    try:
        if single_file.is_one(base.model):
            return kind.from_single_file(locate(base.model), config=place, local_files_only=True, **options)
        more = {"revision": base.revision, "variant": base.variant, "use_safetensors": True}
        return kind.from_pretrained(place, **more, **options)
    except (OSError, ValueError) as error:
        raise missing(base.model, "diffusion.model", error) from error


def load_vae(base: Base) -> torch.nn.Module:
    """The autoencoder; never float16, which overflows in its decoder."""
    with lean():
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    dtype = torch.float32 if base.dtype == "float16" else DTYPES[base.dtype]
    return (
        load_part(AutoencoderKL, base, "vae", torch_dtype=dtype)
        .requires_grad_(False)
        .eval()
        .to(devices.current())
    )


def noise_schedule(base: Base) -> Any:
    """The training noise schedule (DDPM, Ho et al. 2020).

    Raises:
        FairgenError: the base has another one, or predicts what fairgen does not train.
    """
    with lean():
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    schedule = load_part(DDPMScheduler, base, "scheduler")
    found, own = (
        schedule.config.prediction_type,
        DDPMScheduler.load_config(base.layout, subfolder="scheduler", revision=base.revision),
    )
    # flow matching and EDM, which DDPM reads as its own defaults
    if "beta_start" not in own and "trained_betas" not in own:
        raise FairgenError(
            f"diffusion.model: the schedule of {base.model} is a {own.get('_class_name')}, and fairgen"
            " trains on DDPM's noise (beta_start, beta_end); give Stable Diffusion 1.x, 2.x or XL"
        )
    if found not in PREDICTIONS:
        raise FairgenError(
            f"diffusion.model: {base.model} has prediction_type {found} in its scheduler, and fairgen trains"
            f" only {' and '.join(PREDICTIONS)}; give another base"
        )
    return schedule


def sampler(base: Base, kind: str) -> Any:
    """A fast solver on the base's own schedule: `dpmsolver++` (arXiv 2211.01095) or `unipc` (arXiv
    2302.04867).

    Steps are spaced from the last training step on (arXiv 2305.08891, section 3.3): the spacing that most
    folders ask for starts a ten-step run at step 900 of 1,000 with pure noise, and the images come out pale.
    """
    config = {**noise_schedule(base).config, "timestep_spacing": "trailing"}
    if kind == "unipc":
        with lean():
            from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        return UniPCMultistepScheduler.from_config(config)
    with lean():
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler.from_config(config, algorithm_type="dpmsolver++", solver_order=2)


def identity(base: Base) -> str:
    """What an adapter was trained on: a hash of the local UNet's config and weights, or the hub id and its
    commit.

    Of a single file, everything in it counts.
    """
    config = Path(base.layout) / "unet"
    if not config.is_dir():
        return f"{base.model}@{_index_file(base).parent.name}"
    digest = hashlib.sha256((config / "config.json").read_bytes())
    single = single_file.is_one(base.model)
    for path in [Path(locate(base.model))] if single else sorted(config.glob("*.safetensors")):
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
    return digest.hexdigest()[:16]
