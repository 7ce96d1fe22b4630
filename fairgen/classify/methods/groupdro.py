"""Group-DRO (Sagawa et al. 2020, arXiv 1911.08731, algorithm 1): minimise the loss of the worst group.

Each step raises the weight q of a group by exp(step size × its loss) and minimises the q-weighted group
losses. Batches draw every group with the same probability, as the reference code's weighted sampler does.
"""

from dataclasses import dataclass

import torch

from fairgen.classify import recipe
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.training import fit_all, group_weights
from fairgen.core.errors import FairgenError
from fairgen.models.classifier import Network

LABELS = ("training",)


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """The recipe with the settings of the group weights."""

    step_size: float  # of the exponentiated gradient ascent
    adjustment: float  # C of the group adjustments; 0 switches them off


class GroupDro:
    """The objective with its group weights `q` (groups,), which sum to one.

    Args:
        counts: training images per group (groups,).
        step_size: of the exponentiated gradient ascent.
        adjustment: C of the group adjustments C / √n (section 3.3 of the paper), which favour small groups.
    """

    def __init__(self, counts: torch.Tensor, step_size: float, adjustment: float = 0.0):
        self.q = torch.full((len(counts),), 1 / len(counts))
        self.step_size = step_size
        self.margin = adjustment / counts.float().sqrt()

    def __call__(self, losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Update q by exponentiated gradient ascent, then return the weighted loss; groups absent from the
        batch count 0.
        """
        count = torch.bincount(groups, minlength=len(self.q)).clamp(min=1)
        mean = torch.zeros(len(self.q)).index_add(0, groups, losses) / count
        # in place: a checkpoint restores it
        self.q.mul_(torch.exp(self.step_size * (mean.detach() + self.margin)))
        self.q.div_(self.q.sum())
        return (self.q * mean).sum()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Train all weights with group labels.

    Raises:
        FairgenError: a group has no training image.
    """
    counts = torch.bincount(problem.train.group, minlength=len(problem.groups))
    if (counts == 0).any():
        empty = problem.groups[int(counts.argmin())]
        raise FairgenError(
            f"groupdro: group {empty} has no training image at this ratio; leave the method out or lower the"
            " ratio"
        )
    objective = GroupDro(counts, recipe.step_size, recipe.adjustment)
    weights = group_weights(problem.train.group, len(counts))[problem.train.group]
    return fit_all(network, problem, recipe, objective, weights=weights, state=[objective.q])
