"""The rerun matrix: edits, and exactly which jobs each one makes snakemake run again. The README's table comes from here.

    python tests/reruns.py     # writes the table into README.md

The matrix is tried on a finished run: the files are stand-ins, and `snakemake --touch` has recorded for each of them what
it records after a job (settings, code, inputs with their checksums). A slow test tries some edits on a run with real jobs.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from conftest import PROJECT, Workflow

from fairgen.blocks import merged

STUDY = {
    "ratios": [0.9, 0.99],
    "seeds": [0, 1],
    "compare": ["erm", "vanilla", "lora", "clustered"],
    "methods": {"clustered": {"cluster": {"k": 2}}},
    "ablations": {"generators": ["vanilla", "lora"]},
}
TARGETS = (
    "worst_group.json",
    "figures/worst_group.png",
    "pages/result.html",
    "audit_synthetic.json",
    "ablations/generators.json",
)
WORDS = tuple(f"results/birds/{name}" for name in TARGETS)
LARGE = 1_000_001  # bytes from which snakemake compares files by time, not by content


@dataclass(frozen=True)
class Edit:
    """One edit of a file, and the jobs by rule that run again after it."""

    what: str  # as the README says it
    file: str
    change: Callable[[str], str | None]  # of the file's text; None deletes the file
    jobs: dict[str, int]

    def apply(self, folder: Path) -> Callable[[], None]:
        """Make the edit; returns what takes it back."""
        path = folder / self.file
        before, times = path.read_text(), path.stat()
        after = self.change(before)
        path.unlink() if after is None else path.write_text(after)

        def undo() -> None:
            path.write_text(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

        return undo


def config(what: str, change: dict[str, Any] | Callable[[dict], object], **jobs: int) -> Edit:
    """An edit of config.yaml: a dictionary to merge over it, or a function that changes it in place."""

    def edited(text: str) -> str:
        value = yaml.safe_load(text)
        if isinstance(change, dict):
            value = merged(value, change)
        else:
            change(value)
        return yaml.safe_dump(value, sort_keys=False)

    return Edit(what, "config.yaml", edited, jobs)


def own(what: str, settings: dict[str, Any], **jobs: int) -> Edit:
    """An edit of the data set's own settings."""
    return config(what, {"datasets": {"birds": {"settings": settings}}}, **jobs)


def source(what: str, file: str, old: str, new: str, **jobs: int) -> Edit:
    """A replacement in a source file."""

    def replaced(text: str) -> str:
        assert old in text, f"{file} no longer has: {old}"
        return text.replace(old, new, 1)

    return Edit(what, file, replaced, jobs)


def touch(what: str, file: str, **jobs: int) -> Edit:
    """A file written again as it is."""
    return Edit(what, file, lambda text: text, jobs)


def reordered(value: Any) -> Any:
    """The stage blocks' keys, last to first."""
    return {k: reordered(value[k]) for k in reversed(value)} if isinstance(value, dict) else value


def floats(value: Any) -> Any:
    """Every integer written as a float."""
    if isinstance(value, dict):
        return {k: floats(v) for k, v in value.items()}
    return float(value) if type(value) is int else value


def on_blocks(change: Callable[[Any], Any], *names: str) -> Callable[[dict], object]:
    """Apply a change to whole blocks of the config."""
    return lambda whole: whole.update({name: change(whole[name]) for name in names})


def swap(block: dict, one: str, other: str) -> None:
    """Exchange two settings."""
    block[one], block[other] = block[other], block[one]


END = {"ablation": 1, "worst_group": 1, "figures": 1, "pages": 1}
EDITS: list[Edit] = []


def table() -> str:
    """The matrix in Markdown, as it stands in the README."""
    rows = [f"| {edit.what} | {', '.join(f'{rule} {n}' for rule, n in edit.jobs.items()) or 'nothing'} |" for edit in EDITS]
    return "\n".join(["| edit | jobs that run again |", "|---|---|", *rows])


def with_table(readme: str) -> str:
    """The README's text with the table in its place."""
    head, rest = readme.split("<!-- reruns -->\n", 1)
    return f"{head}<!-- reruns -->\n{table()}\n<!-- /reruns -->{rest.split('<!-- /reruns -->', 1)[1]}"


def finish(workflow: Workflow) -> None:
    """Give the workflow stand-ins for all its artifacts, recorded by snakemake as made by the present config and code."""
    workflow.edit(STUDY)
    listed = workflow.run("--summary", *TARGETS)
    assert listed.returncode == 0, listed.stderr
    for line in listed.stdout.splitlines()[1:]:
        path = workflow.folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.name}\n" * (LARGE // len(path.name) if path.name == "drawings.parquet" else 1))
    done = workflow.run("--touch", "--forceall", *TARGETS)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    readme = PROJECT / "README.md"
    readme.write_text(with_table(readme.read_text()))
    sys.exit()
