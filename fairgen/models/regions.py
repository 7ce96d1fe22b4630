"""Compilation of the blocks that a network repeats, and not of the network: what can be fused lies in them.

Blocks of one kind and shape share their compiled code, so it takes less time than a whole network's, and from
the second job on it is read from a folder (docs.pytorch.org/tutorials/recipes/regional_compilation.html). The
compiler sums in another order than PyTorch's own kernels, so results agree up to rounding.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# beside the blocks that diffusers names in a network (`_repeated_blocks`): half of a U-Net's work
RESIDUAL = ("ResnetBlock2D",)
SHAPES = 256  # of blocks, in one process: PyTorch's limit is 8, and what is over it is not compiled
FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # environment variable: where the compiler keeps its code
OWN_CHOICE = "torchinductor_"  # how the name of the folder begins that it takes otherwise


def regions(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks of a network that are compiled: residual and transformer blocks."""
    names = {*(getattr(network, "_repeated_blocks", None) or ()), *RESIDUAL}
    return [module for module in network.modules() if type(module).__name__ in names]


def compile_regions(network: torch.nn.Module) -> int:
    """Let the blocks of a network be compiled when they are first called, for equal shapes from then on;
    weights and their names stay what they are.

    Returns:
        How many blocks there are.
    """
    use_cache_folder()
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    found = regions(network)
    for module in found:
        module.compile(dynamic=False)
    return len(found)


def use_cache_folder() -> Path:
    """Have compiled code kept in one folder for all jobs: the environment's, else in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    own = Path(os.environ.get("FAIRGEN_CACHE") or Path(home, "fairgen"), "inductor")
    # the compiler's import writes its own choice there, in the system's temporary folder
    if Path(os.environ.get(FOLDER, OWN_CHOICE)).name.startswith(OWN_CHOICE):
        os.environ[FOLDER] = str(own)
    return Path(os.environ[FOLDER])


@contextmanager
def uncompiled() -> Iterator[None]:
    """Call blocks as they are for a while: for shapes that are not worth their compilation."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and its import takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
