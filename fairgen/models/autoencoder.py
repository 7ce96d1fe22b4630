"""Pictures to the latents of a base's autoencoder and back, in slices that fit into a small GPU's memory."""

import numpy as np
import torch

# pixels that the autoencoder works on at once: 8 pictures of 512 × 512, which take 6 GiB in bfloat16; more
# are no faster
SLICE = 1 << 21


def scale(vae: torch.nn.Module) -> int:
    """Pixels of a picture for each element of its latents, along a side."""
    return 2 ** (len(vae.config.block_out_channels) - 1) * patch(vae)


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
    return normalised(vae, torch.cat(means), torch.cat(stds))


def normalised(
    vae: torch.nn.Module, mean: torch.Tensor, std: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Moments of latents as denoisers want them: (z − shift)·factor, or by FLUX.2's batch norm in patches."""
    if patch(vae) > 1:
        centre, spread = batch_norm(vae)
        mean, std = (torch.nn.functional.pixel_unshuffle(x, patch(vae)) for x in (mean, std))
        return (mean - centre) / spread, std / spread
    factor = vae.config.scaling_factor
    return (mean - shift(vae)) * factor, std * factor


def original(vae: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
    """Latents as the decoder wants them."""
    if patch(vae) > 1:
        centre, spread = (x.to(latents.device) for x in batch_norm(vae))
        return torch.nn.functional.pixel_shuffle(latents * spread + centre, patch(vae))
    return latents / vae.config.scaling_factor + shift(vae)


def shift(vae: torch.nn.Module) -> float:
    """What is taken off each element of its latents."""
    return vae.config.get("shift_factor") or 0.0


def patch(vae: torch.nn.Module) -> int:
    """Side of the squares of latents that become one, with as many times the channels; 1 for most."""
    return vae.config.patch_size[0] if hasattr(vae, "bn") else 1


def batch_norm(vae: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and spread of each channel of the squares, (1, c, 1, 1) on the CPU."""
    mean, variance = (x.float().cpu().view(1, -1, 1, 1) for x in (vae.bn.running_mean, vae.bn.running_var))
    return mean, (variance + vae.config.batch_norm_eps).sqrt()


@torch.inference_mode()
def decode(vae: torch.nn.Module, latents: torch.Tensor) -> np.ndarray:
    """Scaled latents to (n, h, w, 3) uint8, in the autoencoder's own dtype whatever autocast is around; an
    image with a value that is not finite is black all over.
    """
    pixels = []
    for part in latents.split(at_once(latents.shape[-1] * scale(vae))):
        with torch.autocast(vae.device.type, enabled=False):
            x = vae.decode(original(vae, part).to(vae.device, vae.dtype)).sample.float()
        x = torch.where(torch.isfinite(x).all((1, 2, 3), keepdim=True), x, -1)
        pixels.append(
            ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        )
    return np.concatenate(pixels)
