"""Resampling: batches draw every group equally often (RWG of Idrissi et al. 2022, arXiv 2110.14503).

Rows are drawn with replacement with probability 1 / (groups · n_g), n_g the rows of their group.
"""

from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import fit_all, group_weights
from fairgen.models.classifier import Network

LABELS = ("training",)


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise the mean cross-entropy over balanced batches; groups without training images do not count."""
    groups = problem.train.group
    return fit_all(network, problem, recipe, weights=group_weights(groups, len(problem.groups))[groups])
