"""An output that is whole or absent: written beside its place, and moved there when it is complete."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fairgen.core.errors import FairgenError, shortened

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def written(output: Path) -> Iterator[Path]:
    """The place to write a file or folder at; it becomes `output` if nothing is raised, with its folders.

    Raises:
        FairgenError: the output exists, or something cannot be read or written.
    """
    if output.exists() or output.is_symlink():
        raise FairgenError(f"{output} exists; choose another output")
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    made = [folder for folder in output.absolute().parents if not folder.exists()]  # deepest first
    try:
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        as_usual(temporary)
        os.replace(temporary, output)
    except OSError as error:
        raise FairgenError(told(output, error)) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        elif os.path.lexists(temporary):
            temporary.unlink()
        if not output.exists():
            remove_empty(made)


def told(output: Path, error: OSError) -> str:
    """What went wrong, and what to do about it where that is known."""
    reason = error.strerror or shortened(str(error), 240) or type(error).__name__
    if error.errno in FULL:
        return f"cannot write {output}: {reason}; make room, or choose another output"
    place = Path(os.fsdecode(error.filename)).absolute() if error.filename else None
    if place and (place in output.absolute().parents or place.name.startswith(f".{output.name}.")):
        return f"cannot write {output}: {reason}; choose another output"
    return f"cannot export to {output}: {f'{place}: ' if place else ''}{reason}"


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, deepest first, as far as they are there and empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def as_usual(place: Path) -> None:
    """Give what was written the permissions that the umask asks for: safetensors writes files that only
    their owner reads.
    """
    mask = os.umask(0)
    os.umask(mask)
    for path in [place, *place.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
