"""Finetuning after synthetic pretraining, all weights (the order of FFR, arXiv 2308.04553): stage 1, then
plain ERM.

Differs from `head` in what moves, and from `erm` in where it starts. The untouched pretrained network is a
candidate of the selection.
"""

from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import fit_all
from fairgen.models.classifier import Network

LABELS = ()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise the mean cross-entropy from the pretrained weights."""
    return fit_all(network, problem, recipe)
