"""The figures of one group's images beside its real ones, each null where there are too few to tell."""

from dataclasses import dataclass
from typing import Any

import torch

from fairgen.evaluate import fidelity

NAMES = (
    *("kernel_distance", "precision", "recall", "density", "coverage"),
    *("vendi_score", "vendi_score_real", "compared_images"),
)


@dataclass(frozen=True)
class Measures:
    """How the figures are taken."""

    min_images: int  # of either side
    blocks: int  # of the kernel distance
    block_size: int
    neighbours: int  # of precision and recall
    coverage_neighbours: int  # of density and coverage
    similarity: float  # from which an image is a near copy
    penalty: float  # of the linear probes


def fidelity_figures(
    real: torch.Tensor, generated: torch.Tensor, measures: Measures, seed: int
) -> dict[str, Any]:
    """Distance, precision, recall, density, coverage and diversity of unit features (n, d) and (m, d); null,
    with the reason, where either side has too few images.
    """
    n = min(len(real), len(generated))
    if n < measures.min_images:
        reason = (
            f"{len(generated)} generated and {len(real)} real images; audit.min_images asks for"
            f" {measures.min_images}"
        )
        return {**dict.fromkeys(NAMES), "null_because": reason}
    generator = torch.Generator().manual_seed(seed)
    x, y = (
        features[torch.randperm(len(features), generator=generator)[:n]] for features in (real, generated)
    )
    values = (
        fidelity.kernel_distance(real, generated, measures.blocks, measures.block_size, seed),
        *fidelity.precision_recall(x, y, measures.neighbours),
        *fidelity.density_coverage(x, y, measures.coverage_neighbours),
        *(fidelity.vendi(y), fidelity.vendi(x), n),
    )
    return {**dict(zip(NAMES, values, strict=True)), "null_because": None}


def copies(cosine: torch.Tensor, reference: torch.Tensor, measures: Measures) -> dict[str, Any]:
    """Share of generated images as similar to a training row as `similarity`, and of real rows to another
    real row, from the largest cosine (n,) of each.
    """
    enough = min(len(cosine), len(reference)) >= measures.min_images
    values = [
        float((c >= measures.similarity).double().mean()) if enough else None for c in (cosine, reference)
    ]
    return {
        "flagged": int((cosine >= measures.similarity).sum()),
        **dict(zip(("share", "share_among_real"), values, strict=True)),
    }
