"""Reweighting: every row's loss counts in inverse proportion to its group's frequency.

The importance-weighted risk E[ℓ(x, y) / p̂_g] of Sagawa et al. 2020 (arXiv 2005.04345), with p̂_g the share
of group g in the training rows; divided by the number of groups, so that the weights are one on average.
"""

import torch

from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import fit_all, group_weights
from fairgen.models.classifier import Network

LABELS = ("training",)


class Reweighted:
    """The objective with its weight per group (groups,)."""

    def __init__(self, weights: torch.Tensor):
        self.weights = weights

    def __call__(self, losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        """Mean of the weighted losses of a batch."""
        return (self.weights[groups] * losses).mean()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Train all weights with group labels; groups without training images do not count."""
    return fit_all(
        network, problem, recipe, Reweighted(group_weights(problem.train.group, len(problem.groups)))
    )
