"""Modules that move."""

import re
from pathlib import Path


def moved(folder: Path, old: str, new: str) -> None:
    """Move a module of a copy, and let all that import it import it from there."""
    package, (parent, _, name), (home, _, other) = (
        folder / "fairgen",
        old.rpartition("."),
        new.rpartition("."),
    )
    (package / home).mkdir(exist_ok=True)
    (package / f"{old.replace('.', '/')}.py").rename(package / f"{new.replace('.', '/')}.py")
    here = f"fairgen.{parent}".rstrip(".")
    for path in package.rglob("*.py"):
        text = path.read_text().replace(f"from fairgen.{old} import", f"from fairgen.{new} import")
        for line in re.findall(rf"^ *from {here} import .*\b{name}\b.*$", text, re.M):
            rest = [word for word in line.partition(" import ")[2].split(", ") if word.split(" ")[0] != name]
            whole = f"from fairgen.{home} import {other}" + (f" as {name}" if other != name else "")
            indent = line[: len(line) - len(line.lstrip())]
            lines = ([f"{indent}from {here} import {', '.join(rest)}"] if rest else []) + [indent + whole]
            text = text.replace(line, "\n".join(lines))
        path.write_text(text)
