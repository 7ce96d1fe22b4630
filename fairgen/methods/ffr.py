"""Finetuning after synthetic pretraining, all weights (the order of FFR, arXiv 2308.04553): stage 1, then plain ERM.

Differs from `head` in what moves, and from `erm` in where it starts. The untouched pretrained network is a candidate of
the selection.
"""

from fairgen.models.classifier import Network
from fairgen.training import Best, Problem, Recipe, fit_all

LABELS = ()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise the mean cross-entropy from the pretrained weights."""
    return fit_all(network, problem, recipe)
