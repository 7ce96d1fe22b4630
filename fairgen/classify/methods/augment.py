"""Real and synthetic images mixed, up to balance: the control for synthetic pretraining (USB in arXiv
2308.04553).

Every group is lifted to the size of the largest with selected synthetic images, as far as they reach; then
plain ERM from the usual start, without stage 1.
"""

from dataclasses import replace

import torch

from fairgen.classify.examples import Examples
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import fit_all
from fairgen.models.classifier import Network

LABELS = ("generation", "training")


def lift(rows: Examples, synthetic: Examples, groups: int, generator: torch.Generator) -> Examples:
    """Random synthetic rows that lift every group of `rows` to the size of the largest."""
    sizes = torch.bincount(rows.group, minlength=groups)
    order = torch.randperm(len(synthetic), generator=generator)
    chosen = [order[synthetic.group[order] == g][: sizes.max() - sizes[g]] for g in range(groups)]
    return synthetic.take(torch.cat(chosen))


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Minimise the mean cross-entropy over real and added rows."""
    assert problem.synthetic is not None
    added = lift(
        problem.train, problem.synthetic, len(problem.groups), torch.Generator().manual_seed(problem.seed)
    )
    best = fit_all(network, replace(problem, train=problem.train.join(added)), recipe)
    best.notes["added_rows"] = len(added)
    return best
