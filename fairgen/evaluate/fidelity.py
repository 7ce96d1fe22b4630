"""How close a set of generated images is to a real one, and how varied it is, on unit features of both.

Features are rows of length one. Figures depend on the number of images: compare only those of equal numbers.
"""

from typing import Any

import torch


def cubic(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The kernel (x·y / d + 1)³ of Bińkowski et al. 2018 (arXiv 1801.01401, eq. 3), (n, m).

    Unit features are taken at length √d, the length that standardised features have, so that x·y / d is their
    cosine.
    """
    return (x @ y.T + 1) ** 3


def squared_mmd(x: torch.Tensor, y: torch.Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy of two sets (Gretton et al. 2012, eq. 3); may
    be negative.
    """
    n, m = len(x), len(y)
    own, other = cubic(x, x), cubic(y, y)
    within = (own.sum() - own.trace()) / (n * (n - 1)) + (other.sum() - other.trace()) / (m * (m - 1))
    return float(within - 2 * cubic(x, y).mean())


def kernel_distance(
    real: torch.Tensor, generated: torch.Tensor, blocks: int, size: int, seed: int
) -> dict[str, Any]:
    """Kernel distance (the estimator of KID, arXiv 1801.01401) over random blocks of both sets: mean and sd
    over blocks.

    A block holds `size` images of each set, at most half of the smaller one, or all blocks would be alike.
    Blocks overlap, so the sd is that of one block and not the standard error of the mean.
    """
    size = min(size, len(real) // 2, len(generated) // 2)
    generator = torch.Generator().manual_seed(seed)

    def some(features: torch.Tensor) -> torch.Tensor:
        return features[torch.randperm(len(features), generator=generator)[:size]].double()

    found = torch.tensor([squared_mmd(some(real), some(generated)) for _ in range(blocks)])
    return {
        "mean": float(found.mean()),
        "sd": float(found.std()) if blocks > 1 else None,
        "blocks": blocks,
        "block_size": size,
    }


def inside(points: torch.Tensor, centres: torch.Tensor, k: int) -> float:
    """Share of `points` that lie in a ball around some centre, as wide as that centre's distance to its k-th
    neighbour.
    """
    return float((torch.cdist(points, centres) <= radii(centres, k)).any(1).double().mean())


def radii(centres: torch.Tensor, k: int) -> torch.Tensor:
    """Distance (n,) of each centre to its k-th neighbour, of which the first is not itself."""
    return torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values


def precision_recall(real: torch.Tensor, generated: torch.Tensor, k: int) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991, eq. 1 and 2); sets of equal
    numbers.

    Precision is the share of generated images within the real ones' neighbourhoods, recall the share of real
    images within the generated ones'.
    """
    real, generated = real.double(), generated.double()
    return inside(generated, real, k), inside(real, generated, k)


def density_coverage(real: torch.Tensor, generated: torch.Tensor, k: int) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, arXiv 2002.09797).

    Density is the mean number of real neighbourhoods that a generated image lies in, in parts of k: unlike
    precision, one outlier among the real images with a wide neighbourhood counts little, and it may exceed 1.
    Coverage is the share of real images with a generated one in their neighbourhood; of two sets of one
    distribution it is about 1 - 2⁻ᵏ.
    """
    real, generated = real.double(), generated.double()
    within = torch.cdist(generated, real) <= radii(real, k)
    return float(within.sum(1).double().mean() / k), float(within.any(0).double().mean())


def vendi(features: torch.Tensor) -> float:
    """Vendi score (Friedman & Dieng 2023, arXiv 2210.02410, eq. 2) with the cosine kernel: the effective
    number of images.

    The exponential of the entropy of the eigenvalues of K / n; those of the (d, d) matrix XᵀX / n are the
    same.
    """
    features = features.double()
    values = torch.linalg.eigvalsh(features.T @ features / len(features)).clamp(min=0)
    return float(torch.special.entr(values).sum().exp())


def nearest(
    points: torch.Tensor, among: torch.Tensor, skip: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine (n,) to the most similar row of `among`, and its number (n,); `skip` (n,) names a row that does
    not count.
    """
    best = []
    for start in range(0, max(1, len(points)), 256):
        cosine = points[start : start + 256] @ among.T
        if skip is not None:
            cosine[torch.arange(len(cosine)), skip[start : start + 256]] = -1
        best.append(cosine.max(1))
    return torch.cat([b.values for b in best]), torch.cat([b.indices for b in best])
