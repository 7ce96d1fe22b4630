"""What a classifier method works on: training and validation rows, and where it goes on from."""

from dataclasses import dataclass

from fairgen.classify.examples import Examples
from fairgen.core.workfolder import Resume, WorkFolder, digest


@dataclass(frozen=True)
class Problem:
    """Training and validation rows, the groups' names, and the random stream of the run.

    `trained` says that the network comes with trained weights, which then are a candidate of the selection;
    `synthetic` holds selected images for the methods that mix them into the training rows; `work` is where an
    interrupted training goes on from.
    """

    train: Examples
    validation: Examples
    groups: list[str]
    seed: int
    trained: bool = False
    synthetic: Examples | None = None
    work: WorkFolder | None = None

    def resume(self, phase: str) -> Resume | None:
        """Where one phase of the training goes on from; None without a work folder."""
        if self.work is None:
            return None
        parts = {"train": self.train, "validation": self.validation}
        seen = {name: digest(*rows.content()) for name, rows in parts.items()}
        return Resume(self.work.part(phase), seen)
