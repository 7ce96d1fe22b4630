"""Compilation of the blocks that a network repeats, and not of the network: what can be fused lies in them.

Blocks of one kind and shape share their compiled code, so it takes less time than a whole network's, and from
the second job on it is read from a folder (docs.pytorch.org/tutorials/recipes/regional_compilation.html). The
compiler sums in another order than PyTorch's own kernels, so results agree up to rounding.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from fairgen.core import job, user_cache

# beside those that diffusers names in a network (`_repeated_blocks`): what UNets and Stable Diffusion 3 are
# made of
BLOCKS = ("ResnetBlock2D", "BasicTransformerBlock", "JointTransformerBlock")
SHAPES = 256  # of blocks, in one process: PyTorch's limit is 8, and what is over it is not compiled
FOLDER = "TORCHINDUCTOR_CACHE_DIR"  # environment variable: where the compiler keeps its code
WRITING = 60  # seconds in which an empty library may still be written by another job
OWN_CHOICE = "torchinductor_"  # in the temporary folder, how the name begins of what it takes otherwise


def regions(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The blocks of a network that are compiled: residual and transformer blocks."""
    names = {*(getattr(network, "_repeated_blocks", None) or ()), *BLOCKS}
    return [module for module in network.modules() if type(module).__name__ in names]


def compile_regions(network: torch.nn.Module) -> int:
    """Let the blocks of a network be compiled when they are first called, for equal shapes from then on;
    weights and their names stay what they are, and a second call changes nothing.

    Returns:
        How many blocks there are.
    """
    use_cache_folder()
    import torch._dynamo

    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    found = regions(network)
    for module in found:
        if module._compiled_call_impl is None:
            module.compile(dynamic=False)
    return len(found)


def use_cache_folder() -> None:
    """Have compiled code kept in one folder for all jobs: the environment's, else in the user's cache; where
    that cannot be written, in PyTorch's own in the system's temporary folder.

    Several jobs may write there at once: the compiler locks and renames its files.
    """
    # the compiler's import writes its own choice there
    own_choice = str(Path(tempfile.gettempdir(), OWN_CHOICE))
    if not os.environ.get(FOLDER, own_choice).startswith(own_choice):
        sweep(Path(os.environ[FOLDER]))
        return
    own = (user_cache.folder() / "inductor").absolute()
    try:
        own.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=own).close()
    except OSError as error:
        job.log.info("%s cannot be written (%s): compiled blocks are kept elsewhere", own, error.strerror)
    else:
        os.environ[FOLDER] = str(own)
        sweep(own)


def sweep(folder: Path) -> None:
    """Remove empty libraries, which a job leaves that was killed while the C++ compiler wrote one: they would
    fail every later job.
    """
    for path in folder.rglob("*.so"):
        with suppress(FileNotFoundError):
            state = path.stat()
            if not state.st_size and time.time() - state.st_mtime > WRITING:
                path.unlink()


@contextmanager
def uncompiled() -> Iterator[None]:
    """Call blocks as they are for a while: for shapes that are not worth their compilation."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and its import takes seconds
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
