"""How many steps a solver can take where they are spaced from a base's last training step on
(`timestep_spacing: trailing`); it knows no array library, for it is asked before the first job too.
"""

import math
from itertools import count

from fairgen.core.errors import FairgenError

TRAINED = 1000  # training steps of Stable Diffusion 1.x, 2.x and XL


def spaced(steps: int, trained: int = TRAINED) -> bool:
    """Whether so many steps come out: by rounding, 61 of 1,000 come out as 62, the last of them before the
    first training step.
    """
    return math.ceil(trained / (trained / steps)) == steps


def check_steps(steps: int, trained: int, key: str) -> None:
    """So many steps of a run can be spaced.

    Raises:
        FairgenError: they cannot; names the nearest numbers that can.
    """
    if steps > trained:
        raise FairgenError(
            f"{key}: {steps} steps are more than the {trained} that the base was trained on; take fewer"
        )
    if spaced(steps, trained):
        return
    below, above = (next(n for n in count(steps, way) if spaced(n, trained)) for way in (-1, 1))
    raise FairgenError(
        f"{key}: {steps} steps cannot be spaced on a base of {trained} training steps; take {below} or"
        f" {above}"
    )
