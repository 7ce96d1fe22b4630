"""fairgen: worst-group accuracy from diffusion-generated, group-balanced training images."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from fairgen.api.folder import Results

__version__ = "0.1.0"


def open(path: "str | os.PathLike[str]", strict: bool = True) -> "Results":
    """Open the results of a data set, for example `results/birds`.

    It has `.result`, `.selection(method, ratio)`, `.adapters(…)`, `.predictions(…)` and more, which
    `docs/outputs.md` shows.

    Args:
        path: the folder, or the `worst_group.json` in it.
        strict: refuse files that the result was not made from; False only warns.

    Raises:
        FairgenError: there is no result, or one of another version.
    """
    from fairgen.api.folder import open_results

    return open_results(path, strict)
