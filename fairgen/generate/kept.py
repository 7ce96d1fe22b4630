"""What the trainings of a process have in common, made by the first and kept for those after it.

They are of one group, so base, recipe, prompt and class images are the same: prompt states, the autoencoder,
latents of the class images, the denoiser with its trainable layers, and the recorded step. Weights are put
where a training of its own would begin, so each ends with the bytes that it would end with alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from fairgen.core import devices
from fairgen.generate.cuda_graphs import Replayed
from fairgen.generate.latents import Companion, Latents, Priors, latents_beside
from fairgen.generate.recipe import Adapt
from fairgen.models import base_model, diffusion, stacked_lora, text_encoders
from fairgen.models.conditioning import Conditioning
from fairgen.models.regions import compile_regions

Weights = list[torch.nn.Parameter]
Trainable = Callable[[torch.nn.Module, Adapt], Weights]


@dataclass
class Kept:
    """What has been made so far."""

    texts: dict[tuple[str, ...], Conditioning] = field(default_factory=dict)
    vae: Any = None
    beside: list[Latents] | None = None
    unet: Any = None
    weights: Weights = field(default_factory=list)
    step: Replayed | None = None  # on a GPU

    def states(self, base: base_model.Base, prompts: list[str]) -> Conditioning:
        """One row of conditioning for each prompt; those of a long list, of captions, are not kept."""
        key = tuple(prompts)
        if key in self.texts:
            return self.texts[key]
        found = text_encoders.encode_prompts(base, prompts)
        if len(prompts) <= text_encoders.AT_ONCE:
            self.texts[key] = found
        return found

    def autoencoder(self, base: base_model.Base) -> torch.nn.Module:
        """The autoencoder on the device, until `put_away`."""
        self.vae = self.vae or diffusion.load_vae(base)
        return self.vae.to(devices.current())

    def put_away(self) -> None:
        """Let the autoencoder wait in the CPU's memory."""
        self.vae.to("cpu")

    def latents_beside(
        self, vae: torch.nn.Module, priors: Priors, companions: Sequence[Companion]
    ) -> list[Latents]:
        """Latents of each set that is trained beside the cluster's own."""
        if self.beside is None:
            self.beside = latents_beside(vae, priors, companions)
        return self.beside

    def denoiser(
        self, settings: Adapt, base: base_model.Base, seed: int, trainable: Trainable
    ) -> tuple[Any, Weights]:
        """The denoiser and its trainable weights, which `trainable` makes, as they are before a training with
        this seed; so is torch's generator.
        """
        if self.unet is None:
            self.unet, self.weights = begun(settings, base, seed, trainable)
            if settings.recipe.compile:
                compile_regions(self.unet)
            return self.unet, self.weights
        if settings.kind == "lora":
            fresh = self._new_layers(settings, seed, trainable)
        else:
            _, fresh = begun(settings, base, seed, trainable)
        with torch.no_grad():
            for own, value in zip(self.weights, fresh, strict=True):
                own.copy_(value)
        return self.unet, self.weights

    def _new_layers(self, settings: Adapt, seed: int, trainable: Trainable) -> Weights:
        """Weights of LoRA layers of this seed; the old layers keep their places and their memory, which a
        recorded step reads.
        """
        config, layers = self.unet.peft_config, stacked_lora.take_out(self.unet)
        torch.manual_seed(seed)
        fresh = trainable(self.unet, settings)
        stacked_lora.take_out(self.unet)
        stacked_lora.put_back(self.unet, layers)
        self.unet.peft_config = config
        return fresh


def begun(settings: Adapt, base: base_model.Base, seed: int, trainable: Trainable) -> tuple[Any, Weights]:
    """The base's denoiser with the weights that are trained."""
    unet = diffusion.load_denoiser(base, torch.float32 if settings.kind == "full" else None)
    torch.manual_seed(seed)
    return unet, trainable(unet, settings)
