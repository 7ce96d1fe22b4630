"""Losses of the classifiers."""

import torch
from torch.nn import functional as F


def supcon(features: torch.Tensor, labels: torch.Tensor, temperature: float) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362, eq. 2).

    Features (n, d) are normalised here; anchors without another row of their class are skipped, and without any anchor
    the loss is zero with a live graph.
    """
    z = F.normalize(features, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    log_probability = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~itself
    count = positive.sum(1)
    per_anchor = -log_probability.masked_fill(~positive, 0).sum(1) / count.clamp(min=1)
    return per_anchor[count > 0].mean() if (count > 0).any() else (z * 0).sum()
