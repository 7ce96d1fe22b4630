"""An output that is whole or absent: written beside its place, and moved there when it is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairgen.core.errors import FairgenError


@contextmanager
def written(output: Path) -> Iterator[Path]:
    """The place to write a file or folder at; it becomes `output` if nothing is raised, with its folders.

    Raises:
        FairgenError: the output exists, or its folder cannot be made.
    """
    if output.exists() or output.is_symlink():
        raise FairgenError(f"{output} exists; choose another output")
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        as_usual(temporary)
        os.replace(temporary, output)
    except OSError as error:
        raise FairgenError(
            f"cannot write {output}: {error.strerror or error}; choose another output"
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def as_usual(place: Path) -> None:
    """Give what was written the permissions that the umask asks for: safetensors writes files that only
    their owner reads.
    """
    mask = os.umask(0)
    os.umask(mask)
    for path in [place, *place.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
