"""Empirical risk minimisation: all weights, the mean loss over the biased training rows. Uses no group labels to train."""

from fairgen.models.classifier import Network
from fairgen.training import Best, Problem, Recipe, fit_all

LABELS = ()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise the mean cross-entropy."""
    return fit_all(network, problem, recipe)
