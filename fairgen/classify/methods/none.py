"""Stage 1 alone: the classifier as it comes, without a step on real data; the control of the ablation of
stages.

Nothing is selected, so the validation rows are looked at only to be reported.
"""

from dataclasses import dataclass
from typing import ClassVar

from fairgen.classify.model_selection import Best, selection_score
from fairgen.classify.problem import Problem
from fairgen.models.classifier import Network, predict

LABELS = ()


@dataclass(frozen=True)
class Recipe:
    """There is nothing to set."""

    gradient_steps: ClassVar[int] = 0


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Leave the weights as they are."""
    return Best(
        "average", selection_score(predict(network, problem.validation.pixels), problem.validation, "average")
    )
