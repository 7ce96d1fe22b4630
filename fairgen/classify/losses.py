"""Losses of the classifiers."""

import torch
from torch.nn import functional as F


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross-entropy of logits (n, classes), by the rows' `weights` (n,) if there are any."""
    if weights is None:
        return F.cross_entropy(logits, labels)
    return average(F.cross_entropy(logits, labels, reduction="none"), weights)


def average(values: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Mean of values (n,), by weights (n,) if there are any."""
    return values.mean() if weights is None else (weights * values).sum() / weights.sum()


def supcon(
    features: torch.Tensor, labels: torch.Tensor, temperature: float, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362, eq. 2), of one view per image in
    place of two.

    Features (n, d) are normalised here; anchors without another row of their class are skipped, and without
    any anchor the loss is zero with a live graph. `weights` (n,) weigh the anchors.
    """
    z = F.normalize(features, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    log_probability = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels[None]) & ~itself
    count = positive.sum(1)
    per_anchor = -log_probability.masked_fill(~positive, 0).sum(1) / count.clamp(min=1)
    kept = count > 0
    return (
        average(per_anchor[kept], weights if weights is None else weights[kept])
        if kept.any()
        else (z * 0).sum()
    )
