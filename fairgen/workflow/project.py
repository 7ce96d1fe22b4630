"""Where the workflow's own files are (Snakefile, rules, config, profiles), and which config files are read.

In a clone they stand beside the package; a wheel brings them inside of it (`envs/wheel.py`). A Snakefile in
the working folder goes first, as with snakemake itself: the clone's, or another workflow's that has fairgen
as a module.
"""

import copy
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from fairgen.core.errors import FairgenError
from fairgen.workflow import config_file

PACKAGE = Path(__file__).parents[1]
BROUGHT = PACKAGE / "project"  # what a wheel brings
PLACES = ("Snakefile", "workflow/Snakefile")  # where snakemake looks in the working folder, of its places
CONFIG = "config.yaml"
# what runs it from any folder: -P lets no module in the working folder stand for one of the same name
SNAKEMAKE = (sys.executable, "-P", str(PACKAGE / "workflow/start.py"))


def folder() -> Path:
    """The folder of the workflow that belongs to this package."""
    return BROUGHT if BROUGHT.is_dir() else PACKAGE.parent


def importable() -> Path:
    """A folder from which jobs import this very package, and of an installed one nothing that lies beside
    it: they may run in an environment of their own.
    """
    return BROUGHT / "python" if BROUGHT.is_dir() else PACKAGE.parent


def snakefile() -> Path:
    """The Snakefile that belongs to this package, for another workflow that has it as a module.

    Raises:
        FairgenError: the package has none.
    """
    found = folder() / PLACES[0]
    if not found.is_file():
        raise FairgenError(
            f"no Snakefile here, and none in {folder()}: this fairgen was installed without its workflow;"
            " install its wheel, or call it in a clone"
        )
    return found


def called() -> Path:
    """The Snakefile to run here: the working folder's, or the package's own.

    Raises:
        FairgenError: there is neither.
    """
    return next((Path(name) for name in PLACES if Path(name).is_file()), None) or snakefile()


def config_files(workflow: Path, outer: bool = False) -> list[Path]:
    """The config files that are read without being named, the later over the earlier: the workflow's own,
    then the working folder's.

    Args:
        workflow: the workflow's folder.
        outer: another workflow has it as a module, and the working folder's config is of that one.
    """
    own, here = workflow / CONFIG, Path(CONFIG)
    if not here.is_file() or outer:
        return [own]
    return [here] if own.is_file() and own.samefile(here) else [own, here]


def config(given: list[Path]) -> dict[str, Any]:
    """The config as the rules read it, files of the command line merged over it; neither expanded nor
    checked.

    Raises:
        FairgenError: a file is not there, or is no config.
    """
    own = config_files(called().parent)
    for path in own:
        config_file.check(path)
    config_file.check_given(given)
    return read([*own, *given])


def read(files: Iterable[str | Path], words: dict[str, Any] | None = None) -> dict[str, Any]:
    """What config files say, those that are there, and the values of `--config` over them."""
    found: dict[str, Any] = {}
    for path in filter(Path.is_file, map(Path, files)):
        merge(found, yaml.safe_load(path.read_text(encoding="utf-8")))
    merge(found, config_file.as_yaml(words or {}))
    return found


def merge(config: dict[str, Any], given: dict[str, Any]) -> None:
    """Put a config over another one, in place: block by block as snakemake does, but `args` as a whole, since
    those of one model mean nothing to another.
    """
    from snakemake.utils import update_config

    update_config(config, given)
    replace_args(config, given)


def replace_args(config: dict[str, Any], given: dict[str, Any]) -> None:
    """Let every `args` in a config be what is given for it, and nothing beside."""
    for name, value in given.items():
        if name == "args" and isinstance(value, dict):
            config[name] = copy.deepcopy(value)
        elif isinstance(value, dict) and isinstance(config.get(name), dict):
            replace_args(config[name], value)


def in_order(found: Any, order: Any) -> Any:
    """A config with its keys in the order of another. Snakemake puts what the command line has first, and the
    order of the groups is that of the classes.
    """
    if not isinstance(found, dict) or not isinstance(order, dict):
        return found
    names = [*(name for name in order if name in found), *(name for name in found if name not in order)]
    return {name: in_order(found[name], order.get(name)) for name in names}


def completed(workflow: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What another workflow gives its module as a config, merged over the workflow's own."""
    found = yaml.safe_load((workflow / CONFIG).read_text(encoding="utf-8"))
    merge(found, given)
    return found


def profile(name: str) -> str:
    """A profile that the command line names: a folder or file that is there, or one of the workflow's own by
    its name, with or without `profiles/`.

    Raises:
        FairgenError: there is none; snakemake would go on without it.
    """
    own = called().parent / "profiles"
    bare = name.removeprefix("profiles/")
    for place in (Path(name), Path("profiles") / bare, own / bare):
        if place.exists():
            return str(place)
    known = ", ".join(sorted(path.name for path in own.iterdir())) if own.is_dir() else "none"
    raise FairgenError(f"--workflow-profile {name}: no such profile; the workflow's own are {known}")


def caller(folder: Path = Path()) -> str:
    """What a user calls to run the workflow here, or in another folder."""
    return "snakemake" if any((folder / name).is_file() for name in PLACES) else "fairgen run"
