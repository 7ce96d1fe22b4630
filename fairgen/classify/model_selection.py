"""Selection of the best weights on validation rows."""

from typing import Any

import torch

from fairgen.classify.examples import Examples
from fairgen.classify.recipe import Recipe
from fairgen.core import callback

# what weights are selected by: the figures of the validation rows that count, the first one first
SCORES = {
    "groups": ("validation_worst_group", "validation_balanced"),
    "clusters": ("validation_worst_cluster", "validation_balanced_clusters"),  # inferred groups
    "average": ("validation_average",),
}
DIGITS = 9


def selection_score(logits: torch.Tensor, rows: Examples, select: str) -> tuple[float, ...]:
    """The figures of `SCORES[select]`: worst-group and balanced accuracy over the groups present, or plain
    accuracy.
    """
    right = (logits.argmax(1) == rows.target).double()
    if select == "average":
        return (right.mean().item(),)
    accuracies = [right[rows.group == g].mean().item() for g in rows.group.unique()]
    # rounding decides no tie: as many right rows, in other groups, are the same figure
    return min(accuracies), round(sum(accuracies) / len(accuracies), DIGITS)


class Best:
    """The best weights seen: by the figures of `SCORES[select]` in their order, then the earlier step.

    `notes` is what else a method has to say, `unspent` the steps that an early stop left out.
    """

    def __init__(
        self, select: str = "groups", score: tuple[float, ...] = (), notes: dict[str, Any] | None = None
    ):
        self.select, self.notes, self.unspent = select, notes or {}, 0
        self.state: dict[str, torch.Tensor] = {}
        self._record = torch.tensor([0.0, *(score or [-1.0] * len(SCORES[select]))], dtype=torch.float64)

    @property
    def step(self) -> int:
        """The step of the best weights."""
        return int(self._record[0])

    @property
    def score(self) -> tuple[float, ...]:
        """Their figures."""
        return tuple(self._record[1:].tolist())

    def tensors(self, module: torch.nn.Module) -> list[torch.Tensor]:
        """All that changes when weights of the module are offered, for a checkpoint to restore in place."""
        self.state = {name: x.detach().clone() for name, x in module.state_dict().items()}
        return [self._record, *self.state.values()]

    def offer(self, score: tuple[float, ...], step: int, module: torch.nn.Module) -> None:
        """Keep the module's weights if the score beats all before it."""
        callback.current.look(step, [dict(zip(SCORES[self.select], score, strict=True))])
        if score > self.score:
            self._record.copy_(torch.tensor([step, *score], dtype=torch.float64))
            for name, x in module.state_dict().items():
                self.state[name] = self.state[name].copy_(x) if name in self.state else x.detach().clone()

    def stops(self, step: int, recipe: Recipe) -> bool:
        """Whether the last `patience` looks have found nothing better, so that training ends at this step."""
        if not recipe.patience or step - self.step < recipe.patience * recipe.evaluate_every:
            return False
        self.unspent = recipe.steps - step
        return True

    def facts(self) -> dict[str, Any]:
        """What was selected, and the method's notes."""
        return {
            "selected_step": self.step,
            **dict(zip(SCORES[self.select], self.score, strict=True)),
            **self.notes,
        }
