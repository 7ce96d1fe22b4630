"""Small finetunes: their settings, and what a denoiser answers."""

import dataclasses

import torch

from fairgen.generate.recipe import Adapt, Recipe
from fairgen.models import base_model

RECIPE = {"lr": 1e-3, "steps": 3, "batch": 4, "schedule": "constant", "warmup": 0, "ema": 0}
RECIPE |= {"accumulate": 1, "gradient_checkpointing": False}


def adapt_settings(kind: str, base: base_model.Base, **changes: object) -> Adapt:
    recipe = Recipe(**RECIPE, prior_weight=1 if kind == "full" else 0, prior_batch=2, rank=4, alpha=8)
    values = {"kind": kind, "recipe": recipe, "token": "V", "borrow_below": 20, "base": base}
    values |= {"min_snr": 5, "offset_noise": 0}
    return Adapt(**{**values, "prompts": {}, "donors": {"g": "d", "d": None}, "seed": 0, **changes})


def forward(unet: torch.nn.Module) -> torch.Tensor:
    """The UNet's answer to a fixed input."""
    generator = torch.Generator().manual_seed(0)
    x, text = (
        torch.randn(shape, generator=generator) for shape in ((2, unet.config.in_channels, 8, 8), (2, 24, 64))
    )
    with torch.inference_mode():
        return unet(x, torch.tensor([10, 500]), text).sample.clone()


def changed(settings: Adapt, **recipe: object) -> Adapt:
    """The same settings with changes in the recipe."""
    return dataclasses.replace(settings, recipe=dataclasses.replace(settings.recipe, **recipe))
