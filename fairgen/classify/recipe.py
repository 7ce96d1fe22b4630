"""How a classifier's weights are moved: the settings that methods share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Optimisation:
    """How weights are moved."""

    steps: int
    batch: int
    lr: float
    weight_decay: float  # decoupled with adamw; the L2 norm's factor in the gradient with sgd
    optimizer: str  # adamw | sgd


@dataclass(frozen=True)
class Recipe(Optimisation):
    """Optimisation with selection: the settings that every method trained by gradient steps has."""

    evaluate_every: int  # steps between looks at the validation rows
    select: str  # groups | clusters | average: a key of SCORES
    patience: int  # looks without a better one after which training ends; 0: never

    @property
    def gradient_steps(self) -> int:
        """Gradient steps of the whole method."""
        return self.steps
