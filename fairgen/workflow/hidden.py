"""What the command line sets in vain: a data set's own settings go over the blocks of all data sets, also
over those that a file given with `--configfile`, or `--config`, has just changed.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fairgen.workflow.config_file import ENTRIES
from fairgen.workflow.expansion import at_home
from fairgen.workflow.method_chain import Config, dataset_block

ABSENT = object()
Path = tuple[str, ...]


def hidden(given: Config, config: Config, datasets: Iterable[str]) -> Iterator[str]:
    """Yield a line for each value that changes nothing on one of some data sets.

    Args:
        given: what the command line's files and words say, merged.
        config: the whole config, expanded.
        datasets: those that the call is about.
    """
    given = at_home(given)
    blocks = {name: value for name, value in given.items() if name not in ENTRIES}
    wanted = [*leaves(blocks), *leaves({"methods": given.get("methods", {})})]
    entries = [(entry or {}).get("settings", {}) for entry in given.get("datasets", {}).values()]
    for path, value in wanted:
        found: dict[str, list[str]] = {}
        for dataset in dict.fromkeys(datasets):
            there = at(dataset_block(config, dataset)["settings"], path)
            meant = any(at(entry, path) == there for entry in entries)  # the command line says that as well
            if there not in (ABSENT, value) and not meant:
                found.setdefault(str(there), []).append(dataset)
        key = ".".join(path)
        for there, names in found.items():
            yield (
                f"config: {key}: {value}, as the command line has it, changes nothing on {', '.join(names)},"
                f" whose own settings have {there}; give it as datasets.{names[0]}.settings.{key}"
            )


def leaves(blocks: Config, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value in some blocks with its place."""
    for name, value in blocks.items():
        if isinstance(value, dict) and name != "args":  # those of a model stay together
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def at(blocks: Any, path: Path) -> Any:
    """The value at a place, `ABSENT` if there is none."""
    for name in path:
        if not isinstance(blocks, dict) or name not in blocks:
            return ABSENT
        blocks = blocks[name]
    return blocks
