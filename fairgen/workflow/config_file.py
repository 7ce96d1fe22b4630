"""The config's text before it is merged and checked: YAML mistakes, empty files, keys that stand twice, and
`--config`.
"""

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from fairgen.core.errors import FairgenError

LOADER = yaml.SafeLoader  # as snakemake reads them: libyaml takes tabs where this one does not
MERGE, TEXT, BOOL = (f"tag:yaml.org,2002:{kind}" for kind in ("merge", "str", "bool"))
PLAIN = "tag:yaml.org,2002:"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
# top-level blocks of named entries, of which there may be none
ENTRIES = ("datasets", "methods", "ablations", "replicates")


def check(path: Path) -> None:
    """Check a config file's text; one that is not there is left to snakemake.

    Raises:
        FairgenError: names the file, and each mistake with its line, a line each.
    """
    if not path.is_file():
        return
    try:
        tree = yaml.compose(path.read_text(encoding="utf-8"), LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        what = " ".join(f"{error.context or ''} {error.problem or ''}".split())
        raise FairgenError(
            f"config: {path}{line}: no YAML: {what}; mend this line or the one above"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FairgenError(
            f"config: {path}: no YAML: {' '.join(str(error).split())}; save it as UTF-8 text"
        ) from error
    if not isinstance(tree, yaml.MappingNode):
        what = "is empty" if tree is None else "holds no keys at its top level"
        raise FairgenError(f"config: {path} {what}; start from fairgen's own config.yaml")
    if found := [f"config: {path}, line {line}" for line in (*empty(tree), *mistakes(tree))]:
        raise FairgenError("\n".join(found))


def add_option(parser: ArgumentParser) -> None:
    """The option `--configfile` of a subcommand."""
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        help="config files to merge over config.yaml; what comes after them begins with an option or --",
    )


def as_words(paths: list[Path]) -> list[str]:
    """The same option for snakemake."""
    return ["--configfile", *map(str, paths)] if paths else []


def check_given(paths: list[Path]) -> None:
    """Check the text of config files that a command line names.

    Raises:
        FairgenError: one is not there; otherwise as `check`.
    """
    for path in paths:
        if not path.is_file():
            raise FairgenError(f"{path}: no such config file; check the path")
        check(path)


def check_words(words: Iterable[str]) -> None:
    """Check the values of `--config` as they were typed, `KEY=VALUE` each, by the rules for files.

    Raises:
        FairgenError: a line for each mistake; what is no YAML is left to snakemake.
    """
    found = []
    for word in words:
        key, _, value = word.partition("=")
        try:
            tree = yaml.compose(value, LOADER)
        except yaml.YAMLError:
            continue
        if tree is not None:
            found += [f"config: --config {line.partition(': ')[2]}" for line in mistakes(tree, (key,))]
    if found:
        raise FairgenError("\n".join(found))


def as_yaml(value: Any) -> Any:
    """A value of `--config` with its numbers, truth values and nulls: inside of lists and blocks snakemake
    reads all as text.
    """
    if isinstance(value, dict):
        return {key: as_yaml(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_yaml(inner) for inner in value]
    if not isinstance(value, str):
        return value
    try:
        found = yaml.load(value, LOADER)
    except yaml.YAMLError:
        return value
    return found if isinstance(found, int | float | None) else value


def empty(tree: yaml.MappingNode) -> Iterator[str]:
    """Yield every empty block at the top level: what snakemake merges without a word changes nothing."""
    for key, inner in tree.value:
        if isinstance(inner, yaml.MappingNode) and not inner.value and key.value not in ENTRIES:
            yield (
                f"{key.start_mark.line + 1}: {key.value}: an empty block changes nothing; give a value or"
                " leave the key out"
            )


def misread(node: yaml.ScalarNode) -> str | None:
    """What YAML 1.1 makes of a word that means something else to most readers; None for others."""
    text = node.value
    if node.tag == BOOL and text.lower() not in ("true", "false"):
        return f'YAML reads {text} as a truth value; write true or false, or the word in quotes, as "{text}"'
    plain = text.lstrip("+-")
    if node.tag in NUMBERS and (":" in text or (node.tag == NUMBERS[0] and plain[0] == "0" and plain != "0")):
        return f'YAML reads {text} as {yaml.safe_load(text)}; write that, or the text in quotes, as "{text}"'
    return None


def mistakes(node: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield with its line every key that stands twice in one block, every key that is no text, and every
    misread word.
    """
    if not node.tag.startswith(PLAIN):
        where = f"{node.start_mark.line + 1}: {'.'.join(path)}"
        yield f"{where}: the YAML tag {node.tag} says nothing here; leave it out"
    if isinstance(node, yaml.ScalarNode) and (why := misread(node)):
        yield f"{node.start_mark.line + 1}: {'.'.join(path)}: {why}"
    if isinstance(node, yaml.SequenceNode):
        for i, inner in enumerate(node.value):
            yield from mistakes(inner, (*path, str(i)))
    seen: dict[str, int] = {}
    for key, inner in node.value if isinstance(node, yaml.MappingNode) else ():
        line, name = key.start_mark.line + 1, ".".join([*path, str(key.value)])
        if key.tag not in (TEXT, MERGE):
            yield f'{line}: {name}: YAML does not read this key as text; write it in quotes, as "{key.value}"'
        if str(key.value) in seen:
            yield f"{line}: {name} stands there twice, first in line {seen[str(key.value)]}; keep one of them"
        seen[str(key.value)] = line
        yield from mistakes(inner, (*path, str(key.value)))
