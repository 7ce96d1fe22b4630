"""What others may read: facts without places on this machine, and files that still name some."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairgen.core import safetensors_header
from fairgen.core.places import HOME, PLACE, model, scorer, text

WORDS = ("vocab", "merges")  # of a tokenizer: pieces of text that may look like places
CONFIG_OF = ("_name_or_path", "name_or_path")  # where diffusers and transformers write what they have loaded


def facts(found: Any, identity: str = "") -> Any:
    """Facts of a run, however deep: a base's model by its identity, its folder of configs and files of
    pretrained weights by their last parts, and whatever else is a place.
    """
    if isinstance(found, str):
        return text(found)
    if isinstance(found, list | tuple):
        return [facts(value, identity) for value in found]
    if not isinstance(found, dict):
        return found
    identity = found["base"] if isinstance(found.get("base"), str) else identity
    made = {name: facts(value, identity) for name, value in found.items()}
    for name in ("pretrained", "config"):
        if isinstance(found.get(name), str):
            made[name] = model(found[name], "")
    for name in ("scorer", "second", "space", "encoder"):
        if isinstance(own := found.get(name), str):
            made[name] = scorer(own)
        elif isinstance(own, dict) and isinstance(own.get("model"), str):
            made[name]["model"] = scorer(own["model"])
    if isinstance(found.get("base"), dict) and isinstance(found["base"].get("model"), str):
        made["base"]["model"] = model(found["base"]["model"], identity)
    return made


def rename(folder: Path, name: str) -> None:
    """Write a model's name into every config of a folder that says what it was loaded from."""
    for path in folder.rglob("*.json"):
        document = json.loads(path.read_text("utf-8"))
        if (made := renamed(document, name)) != document:
            path.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", "utf-8")


def renamed(found: Any, name: str) -> Any:
    """A config, and those inside it, with another name of what it was loaded from."""
    if not isinstance(found, dict):
        return found
    return {
        key: name if key in CONFIG_OF and value and isinstance(value, str) else renamed(value, name)
        for key, value in found.items()
    }


def strings(value: Any) -> Iterator[str]:
    """All texts in a document, those of documents inside texts too; without a tokenizer's words."""
    if isinstance(value, dict):
        for name, own in value.items():
            if name not in WORDS:
                yield from strings(own)
    elif isinstance(value, list):
        for own in value:
            yield from strings(own)
    elif isinstance(value, str):
        try:
            inside = json.loads(value) if value[:1] in ("{", "[") else None
        except ValueError:
            inside = None
        if inside is None:
            yield value
        else:
            yield from strings(inside)


def faults(folder: Path, paths: list[Path]) -> list[str]:
    """Places of a machine in JSON files and in the headers of safetensors files, one for each file."""
    told = []
    for path in paths:
        try:
            if path.suffix == ".safetensors":
                found: Any = safetensors_header.metadata(path)
            elif path.suffix == ".json":
                found = json.loads(path.read_text("utf-8"))
            else:
                continue
        except (OSError, ValueError, KeyError, TypeError):
            continue  # damaged, or something else of that name: its hash says whether it is ours
        for value in strings(found):
            if place := PLACE.fullmatch(value) or HOME.search(value):
                told.append(
                    f"{path.relative_to(folder)} names a place on a machine ({place[0][:80]}); export again,"
                    " or take it out"
                )
                break
    return told
