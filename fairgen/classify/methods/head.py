"""Stage 2 of the paper: finetune only the linear classifier on the real, biased data (arXiv 2511.08711).

Features are computed once. The untouched pretrained head is a candidate of the selection.
"""

import torch
from torch.nn import functional as F

from fairgen.classify.model_selection import Best, selection_score
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.classify.training import optimizer_and_schedule, step
from fairgen.core import callback
from fairgen.core.batches import Batches
from fairgen.core.progress import counted
from fairgen.models.classifier import Network, embed

LABELS = ()


def train(network: Network, problem: Problem, recipe: Recipe) -> Best:
    """Train the head on fixed features."""
    features, validation = embed(network, problem.train.pixels), embed(network, problem.validation.pixels)
    generator, best, head = (
        torch.Generator().manual_seed(problem.seed),
        Best(recipe.select),
        network.head.cpu(),
    )
    optimizer, schedule = optimizer_and_schedule(head.parameters(), recipe)

    def look(number: int) -> None:
        with torch.no_grad():
            best.offer(selection_score(head(validation), problem.validation, recipe.select), number, head)

    look(0)
    callback.current.begin("train", [""], recipe.steps, {})
    plan = Batches(len(features), recipe.batch, generator)
    for number in counted(range(1, recipe.steps + 1), recipe.steps, "finetune"):
        rows = next(plan)
        loss = F.cross_entropy(head(features[rows]), problem.train.target[rows])
        step(loss, optimizer, schedule, number)
        if number % recipe.evaluate_every == 0 or number == recipe.steps:
            look(number)
            if best.stops(number, recipe):
                break
    head.load_state_dict(best.state)
    callback.current.selected([best.step])
    network.to(network.mean.device)
    return best
