"""Just Train Twice (Liu et al. 2021, arXiv 2107.09044, algorithm 1), which uses no group labels to train.

A first network is trained by ERM for a few steps; the training rows that it gets wrong are the error set E.
The second network starts anew and is trained by ERM on the rows with those of E repeated λ_up times.
"""

import copy
from dataclasses import dataclass, replace

import torch

from fairgen.classify import recipe
from fairgen.classify.examples import Examples
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.training import first_network, fit_all
from fairgen.core import job
from fairgen.models.classifier import Network, predict

LABELS = ()


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """`steps` are those of the second network."""

    identify_steps: int  # T: steps of the first network
    upweight: int  # λ_up: how often a row of the error set occurs

    @property
    def gradient_steps(self) -> int:
        """Of both networks."""
        return self.identify_steps + self.steps


def error_set(network: Network, problem: Problem, recipe: Recipe) -> torch.Tensor:
    """Train the first network; True (n,) where it misjudges a training row."""
    first_network(network, problem, recipe)
    return predict(network, problem.train.pixels).argmax(1) != problem.train.target


def upweighted(rows: Examples, errors: torch.Tensor, times: int) -> Examples:
    """The rows with those of the error set `times` over: their numbers, not their pixels."""
    return rows.take(torch.repeat_interleave(torch.arange(len(rows)), torch.where(errors, times, 1)))


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Train twice, both times from the weights that the network comes with."""
    fresh = copy.deepcopy(network.state_dict())
    errors = error_set(network, problem, recipe)
    if not errors.any():
        job.warn(
            "jtt: the first network makes no error on the training rows, so that the second is trained as by"
            " erm; lower finetune.jtt.identify_steps"
        )
    network.load_state_dict(fresh)
    best = fit_all(
        network, replace(problem, train=upweighted(problem.train, errors, recipe.upweight)), recipe
    )
    best.notes["error_set"] = int(errors.sum())
    return best
