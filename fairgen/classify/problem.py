"""What a classifier method works on: training and validation rows, and where it goes on from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fairgen.classify.examples import Examples
from fairgen.core.workfolder import WorkFolder, digest


@dataclass(frozen=True)
class Problem:
    """Training and validation rows, the groups' names, and the random stream of the run.

    `trained` says that the network comes with trained weights, which then are a candidate of the selection;
    `synthetic` holds selected images for the methods that mix them into the training rows; `work` is where an interrupted
    training goes on from.
    """

    train: Examples
    validation: Examples
    groups: list[str]
    seed: int
    trained: bool = False
    synthetic: Examples | None = None
    work: WorkFolder | None = None

    def kept(self, phase: str, state: Sequence[torch.Tensor] = ()) -> "Kept | None":
        """How one phase of the training is kept, with the tensors that change beside the network; None without a folder."""
        if self.work is None:
            return None
        parts = {"train": self.train, "validation": self.validation}
        seen = {name: digest(*rows.content()) for name, rows in parts.items()}
        return Kept(self.work.part(phase), seen, list(state))


@dataclass(frozen=True)
class Kept:
    """Where checkpoints of a training lie, hashes of what it depends on, and what changes beside the network."""

    work: WorkFolder
    inputs: dict[str, str]
    state: list[torch.Tensor]
