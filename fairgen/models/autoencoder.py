"""Pictures to the latents of a base's autoencoder and back, in slices that fit into a small GPU's memory."""

import numpy as np
import torch

# pixels that the autoencoder works on at once: 8 pictures of 512 × 512, which take 6 GiB in bfloat16; more
# are no faster
SLICE = 1 << 21


def scale(vae: torch.nn.Module) -> int:
    """Pixels of a picture for each element of its latents, along a side."""
    return 2 ** (len(vae.config.block_out_channels) - 1)


def at_once(size: int) -> int:
    """How many pictures of a size it works on at once."""
    return max(1, SLICE // size**2)


@torch.inference_mode()
def encode(vae: torch.nn.Module, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Latent moments of (n, h, w, 3) uint8: scaled means and standard deviations, each (n, c, h', w') float32
    on the CPU.
    """
    means, stds = [], []
    batch = min(64, at_once(pixels.shape[2]))
    for i in range(0, len(pixels), batch):
        x = torch.from_numpy(pixels[i : i + batch]).permute(0, 3, 1, 2).float() / 127.5 - 1
        posterior = vae.encode(x.to(vae.device, vae.dtype)).latent_dist
        means.append(posterior.mean.float().cpu())
        stds.append(posterior.std.float().cpu())
    factor = vae.config.scaling_factor
    return torch.cat(means).clone() * factor, torch.cat(stds).clone() * factor


@torch.inference_mode()
def decode(vae: torch.nn.Module, latents: torch.Tensor) -> np.ndarray:
    """Scaled latents to (n, h, w, 3) uint8; an image with a value that is not finite is black all over."""
    pixels = []
    for part in latents.split(at_once(latents.shape[-1] * scale(vae))):
        x = vae.decode((part / vae.config.scaling_factor).to(vae.device, vae.dtype)).sample.float()
        x = torch.where(torch.isfinite(x).all((1, 2, 3), keepdim=True), x, -1)
        pixels.append(
            ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        )
    return np.concatenate(pixels)
