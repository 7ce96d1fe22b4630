"""Two-way transfer: what a linear classifier of one side's images makes of the other side's, group by group.

From real to synthetic it asks whether generated images show their class as real ones do, from synthetic to
real whether they teach it (GAN-test and GAN-train of Shmelkov et al. 2018, arXiv 1807.09499, with a linear
probe on fixed features in place of a network). From one half of the real images to the other it is what the
two are to be measured by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

COPIES = "too many real images are (near-)copies of one another to tell halves of them apart"
WAYS = ("real_to_real", "real_to_synthetic", "synthetic_to_real")
ITERATIONS = 500  # of L-BFGS; it ends before, where the gradient vanishes
Rows = Mapping[str, torch.Tensor]  # features (n, d) of each group
Sets = Mapping[str, Sequence[int]]  # set of (near-)copies of each row


@dataclass(frozen=True)
class Probe:
    """A linear classifier on features standardised by those that it was fitted to."""

    mean: torch.Tensor
    deviation: torch.Tensor
    weight: torch.Tensor  # (classes, d + 1), the bias last

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """The class (n,) of each row (n, d)."""
        return logits((features.double() - self.mean) / self.deviation, self.weight).argmax(1)


def logits(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(n, d) and (classes, d + 1) to (n, classes)."""
    return features @ weight[:, :-1].T + weight[:, -1]


def fit(rows: Rows, target: Mapping[str, int], penalty: float) -> Probe:
    """Multinomial logistic regression in which every group counts the same.

    Args:
        rows: features of each group.
        target: class of each group, from 0 on.
        penalty: of half the squared norm of the weights, in the mean loss.
    """
    features = torch.cat(list(rows.values())).double()
    deviation = features.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    mean = features.mean(0)
    x = (features - mean) / deviation
    wanted = torch.cat([torch.full((len(own),), target[name]) for name, own in rows.items()])
    share = torch.cat([torch.full((len(own),), 1 / len(own) / len(rows)) for own in rows.values()]).double()
    weight = torch.zeros(max(target.values()) + 1, x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        cost = (share * F.cross_entropy(logits(x, weight), wanted, reduction="none")).sum()
        value = cost + penalty * weight[:, :-1].square().sum() / 2
        value.backward()
        return value

    optimizer.step(loss)
    return Probe(mean, deviation, weight.detach())


def right(probe: Probe, rows: Rows, target: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Whether the class of each row (n,) of each group is told."""
    return {name: probe(own) == target[name] for name, own in rows.items()}


def halves(rows: Rows, sets: Sets) -> tuple[Rows, Rows]:
    """Every other set of (near-)copies of each group, and the rest: of a set in both the one half would tell
    the other too well.
    """
    numbers = {name: {one: n for n, one in enumerate(dict.fromkeys(own))} for name, own in sets.items()}
    second = {name: torch.tensor([numbers[name][one] % 2 == 1 for one in own]) for name, own in sets.items()}
    return {name: own[~second[name]] for name, own in rows.items()}, {
        name: own[second[name]] for name, own in rows.items()
    }


def two_way(
    real: Rows, generated: Rows, classes: Mapping[str, str], least: int, penalty: float, sets: Sets
) -> dict[str, dict[str, Any]]:
    """Accuracy of each group, each way; null, with the reason, for groups with too few images on a side.

    Args:
        real: features (n, d) of each group's real images.
        generated: features (m, d) of its generated ones.
        classes: class of each group.
        least: images below which a group is left out, of the probes too.
        penalty: see `fit`.
        sets: of the real images.
    """
    names = [name for name in classes if min(len(real[name]), len(generated[name])) >= least]
    listed = list(dict.fromkeys(classes[name] for name in names))
    found = {name: {**dict.fromkeys(WAYS), "null_because": _reason(listed)} for name in classes}
    if len(listed) < 2:
        return found
    target = {name: listed.index(classes[name]) for name in names}
    real, generated = ({name: side[name] for name in names} for side in (real, generated))
    # groups of which each half has some images, as far as these are of two classes
    first, second = halves(real, {name: sets[name] for name in names})
    split = [name for name in names if 2 * min(len(first[name]), len(second[name])) + 1 >= least]
    if len({target[name] for name in split}) < len(listed):
        split = []
    parts = [{name: half[name] for name in split} for half in (first, second)]
    across = [right(fit(a, target, penalty), b, target) for a, b in (parts, parts[::-1])] if split else []
    told = {
        "real_to_real": {name: torch.cat([part[name] for part in across]) for name in split},
        "real_to_synthetic": right(fit(real, target, penalty), generated, target),
        "synthetic_to_real": right(fit(generated, target, penalty), real, target),
    }
    for name in names:
        values = {way: float(own[name].double().mean()) if name in own else None for way, own in told.items()}
        found[name] = {**values, "null_because": None if name in split else COPIES}
    return found


def _reason(listed: list[str]) -> str:
    """Why a group is left out, where these classes have enough images."""
    if len(listed) < 2:
        return "fewer than two classes have a group with audit.min_images images on both sides"
    return "fewer images than audit.min_images on a side"
