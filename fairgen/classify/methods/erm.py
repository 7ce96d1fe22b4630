"""Empirical risk minimisation: all weights, the mean loss over the biased training rows. Uses no group labels
to train.
"""

from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import fit_all
from fairgen.models.classifier import Network

LABELS = ()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise the mean cross-entropy."""
    return fit_all(network, problem, recipe)
