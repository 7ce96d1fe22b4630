"""The denoiser's repeated blocks, compiled (torch.compile) one by one.

Blocks of one kind share what is compiled for a shape, so that it takes a fraction of the whole network's
time, and Inductor keeps it on disk, in one folder for all jobs, where the second job finds it.
"""

import os
import tempfile
from pathlib import Path

import torch

from fairgen.core import job

# what UNets and Stable Diffusion 3 are made of; other transformers name theirs themselves
BLOCKS = ("ResnetBlock2D", "BasicTransformerBlock", "JointTransformerBlock")
FOLDER = Path("results/.compiled")  # no artifact: it may be deleted at any time
CACHE = "TORCHINDUCTOR_CACHE_DIR"  # PyTorch's own variable; what the user has set stays
SHAPES = 128  # of one kind of block: a UNet of SDXL has about 20, for two sizes of batch


def blocks(denoiser: torch.nn.Module) -> list[torch.nn.Module]:
    """The denoiser's repeated blocks."""
    names = {*BLOCKS, *(getattr(denoiser, "_repeated_blocks", None) or ())}
    return [block for block in denoiser.modules() if type(block).__name__ in names]


def keep_compiled(folder: Path = FOLDER) -> None:
    """Let Inductor keep what it compiles in a folder, unless the user has named one; where that cannot be
    written, in PyTorch's own in the system's temporary folder.

    Several jobs may write there at once: Inductor locks and renames its files.
    """
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get(CACHE, default_cache_dir()) != default_cache_dir():  # which PyTorch may have set itself
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        job.log.info("%s cannot be written (%s): compiled blocks are kept elsewhere", folder, error.strerror)
    else:
        os.environ[CACHE] = str(folder.absolute())


def compile_blocks(denoiser: torch.nn.Module) -> None:
    """Compile each block when it is first called with a shape; a second call of this changes nothing."""
    import torch._dynamo

    keep_compiled()
    torch._dynamo.config.recompile_limit = SHAPES
    for block in blocks(denoiser):
        if block._compiled_call_impl is None:
            block.compile(dynamic=False)
