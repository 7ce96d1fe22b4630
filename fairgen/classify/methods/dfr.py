"""Deep feature reweighting (Kirichenko et al. 2023, arXiv 2204.02937, DFR on validation rows): refit the last
layer.

Features are fixed and standardised by the training rows. L1-regularised logistic regressions are fitted to
random group-balanced subsets of held-out rows, and their coefficients averaged. As in the authors' code, the
strength C is chosen on halves of the validation rows, one to fit and one to select, and the final heads are
fitted to all of them.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from sklearn.linear_model import LogisticRegression

from fairgen.classify.examples import Examples
from fairgen.classify.model_selection import Best, selection_score
from fairgen.classify.problem import Problem
from fairgen.core.errors import FairgenError
from fairgen.core.progress import counted
from fairgen.models.classifier import Network, embed

LABELS = ("training",)
ITERATIONS = 1000  # enough for the solvers to converge on a few hundred rows


@dataclass(frozen=True)
class Recipe:
    """Balanced subsets to average over, and the inverse strengths of regularisation to choose from."""

    refits: int
    c: list[float]

    gradient_steps: ClassVar[int] = 0


@dataclass(frozen=True)
class Scale:
    """Mean and deviation (d,) of the training features."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Standardised features (n, d)."""
        return (features - self.mean) / self.deviation

    def undo(self, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The head on plain features that equals the head (classes, d), (classes,) on standardised ones."""
        weight = weight / self.deviation
        return weight, bias - weight @ self.mean


def scale_of(features: torch.Tensor) -> Scale:
    """Scale of training features (n, d); a constant feature is only centred."""
    deviation = features.std(0, correction=0)
    return Scale(features.mean(0), torch.where(deviation > 0, deviation, 1.0))


def halves(
    group: torch.Tensor, names: list[str], generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Row numbers of two random halves that hold every group alike.

    Raises:
        FairgenError: a group has fewer than two rows.
    """
    first, second = [], []
    for number, name in enumerate(names):
        own = torch.nonzero(group == number).flatten()
        if len(own) < 2:
            raise FairgenError(
                f"dfr: group {name} has {len(own)} validation image(s) and needs 2, one to fit and one to"
                " select; raise split.validation_floor, add images of it, or leave the method out"
            )
        own = own[torch.randperm(len(own), generator=generator)]
        first.append(own[: (len(own) + 1) // 2])
        second.append(own[(len(own) + 1) // 2 :])
    return torch.cat(first), torch.cat(second)


def balanced(group: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Row numbers of a random subset that holds as many rows of every group as the smallest has."""
    order = torch.randperm(len(group), generator=generator)
    return torch.cat([order[group[order] == g][: int(group.bincount().min())] for g in group.unique()])


def logistic(
    features: torch.Tensor, target: torch.Tensor, c: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (classes, d) and bias (classes,) of one L1 logistic regression; two classes share ± half of one
    direction.
    """
    solver = "liblinear" if target.max() == 1 else "saga"
    model = LogisticRegression(l1_ratio=1, C=c, solver=solver, max_iter=ITERATIONS, random_state=seed)
    model.fit(features.numpy(), target.numpy())
    weight, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    return (
        (torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2) if len(bias) == 1 else (weight, bias)
    )


def refit(
    features: torch.Tensor, rows: Examples, c: float, refits: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean weight and bias of `refits` regressions, each on its own balanced subset."""
    generator = torch.Generator().manual_seed(seed)
    subsets = [balanced(rows.group, generator) for _ in range(refits)]
    fitted = [logistic(features[s], rows.target[s], c, i) for i, s in enumerate(subsets)]
    return tuple(torch.stack(part).mean(0) for part in zip(*fitted, strict=True))


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Choose C on halves of the validation rows, then refit the head on all of them.

    Raises:
        FairgenError: a group has too few validation rows.
    """
    scale, rows = scale_of(embed(network, problem.train.pixels)), problem.validation
    features = scale(embed(network, rows.pixels))
    fit, select = halves(rows.group, problem.groups, torch.Generator().manual_seed(problem.seed))
    judged, score = rows.take(select), {}
    for c in counted(recipe.c, len(recipe.c), "dfr", "candidate"):
        weight, bias = refit(features[fit], rows.take(fit), c, recipe.refits, problem.seed)
        score[c] = selection_score(features[select] @ weight.T + bias, judged, "groups")
    chosen = max(score, key=lambda c: score[c])
    weight, bias = scale.undo(*refit(features, rows, chosen, recipe.refits, problem.seed))
    network.head.load_state_dict({"weight": weight, "bias": bias})
    return Best("groups", score[chosen], notes={"c": chosen, "selection_rows": len(judged)})
