"""Weights that are no numbers are no export: another program would draw black images or give one answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError


def check(path: Path, tensors: Mapping[str, Any]) -> None:
    """Every weight is finite.

    Raises:
        FairgenError: names the first tensor with one that is not.
    """
    for name, x in tensors.items():
        if x.is_floating_point() and not x.isfinite().all():
            count = int((~x.isfinite()).sum())
            raise FairgenError(
                f"{path}: {count} of {x.numel()} numbers of {name} are not finite (NaN or infinite): the"
                " file is damaged, or its training has diverged; train it again"
            )
