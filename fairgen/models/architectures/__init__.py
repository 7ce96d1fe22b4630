"""One file per family of base models.

Each has the classes of its parts (`denoiser`, `autoencoder`, `text`), `lora_targets(config)`, the layers that
LoRA usually adapts, and what the loops call: `encode(base, encoders, prompts)`, prompts to a `Conditioning`;
`predict(denoiser, latents, steps, text)`, the denoiser's answer in the sign that its process trains;
`process(base)`, its diffusion process with `noised`, `target` and the `step` of a sampler.
"""

from typing import Any, Protocol

import torch

from fairgen.models.architectures import flux2_klein, stable_diffusion, stable_diffusion_3, z_image
from fairgen.models.base_model import Base
from fairgen.models.conditioning import Conditioning
from fairgen.models.parts import Encoders, index
from fairgen.models.process import Process


class Architecture(Protocol):
    """What the module of a family has."""

    def denoiser(self) -> Any:
        """Class of the denoiser."""

    def autoencoder(self) -> Any:
        """Class of the autoencoder."""

    def text(self, about: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Classes of each tokenizer and text encoder, by their suffix; `about` is the base's index."""

    def lora_targets(self, config: dict[str, Any]) -> list[str]:
        """The layers that LoRA usually adapts, of a denoiser with this config."""

    def encode(self, base: Base, encoders: Encoders, prompts: list[str]) -> Conditioning:
        """One row of conditioning per prompt by these text encoders; gradients flow."""

    def predict(
        self, denoiser: Any, latents: torch.Tensor, steps: torch.Tensor, text: Conditioning
    ) -> torch.Tensor:
        """The denoiser's answer in float32 for latents (n, c, h, w) at one time step or at n."""

    def process(self, base: Base) -> Process:
        """The diffusion process that the base was trained on."""


PIPELINES: dict[str, Architecture] = {
    "StableDiffusionPipeline": stable_diffusion,
    "StableDiffusionXLPipeline": stable_diffusion,
    "StableDiffusion3Pipeline": stable_diffusion_3,
    "Flux2KleinPipeline": flux2_klein,
    "ZImagePipeline": z_image,
}
DENOISERS: dict[str, Architecture] = {
    "UNet2DConditionModel": stable_diffusion,
    "SD3Transformer2DModel": stable_diffusion_3,
    "Flux2Transformer2DModel": flux2_klein,
    "ZImageTransformer2DModel": z_image,
}


def of(base: Base) -> Architecture:
    """The family of a base.

    Raises:
        FairgenError: the base is not to be had, or of none of them.
    """
    return PIPELINES[index(base)["_class_name"]]


def of_denoiser(denoiser: Any) -> Architecture:
    """The family of a denoiser."""
    return DENOISERS[type(denoiser).__name__]
