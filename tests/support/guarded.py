"""Images that refuse to be read all at once."""

import torch

from fairgen.classify.examples import Examples


class Guarded:
    """Images that refuse to be read but a batch at a time."""

    def __init__(self, whole: torch.Tensor, most: int = 256):
        self.whole, self.most = whole, most

    def __len__(self) -> int:
        return len(self.whole)

    def __getitem__(self, index: torch.Tensor | slice) -> torch.Tensor:
        found = self.whole[index]
        assert len(found) <= self.most, f"{len(found)} images at once"
        return found


def guarded(rows: Examples) -> Examples:
    """The same rows, whose pixels cannot be read all at once."""
    return Examples(Guarded(rows.pixels), rows.target, rows.group)
