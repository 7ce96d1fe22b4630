"""Before the first job: the data set's folder is there and holds something, and its splits leave no part
without images.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from fairgen.data import formats
from fairgen.workflow.preflight.findings import NOTE, WRONG, Case, Finding

SPLIT = ("birds", "celeba", "fairface", "waterbirds")  # formats that bring an official split


def folder(case: Case) -> Iterator[Finding]:
    """The root is a folder that can be read and is not empty; fairgen's own drawings have none before they
    are drawn.
    """
    data, root = case.data, Path(case.data["root"])
    if data["format"] == "birds":
        return
    layout = formats.reader(data["format"]).LAYOUT
    remedy = f"put the files there, or point elsewhere with datasets.{case.dataset}.root in config.yaml"
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        yield Finding(f"data set {case.dataset}: the folder {root} {what}; expected {layout}; {remedy}")
    elif not os.access(root, os.R_OK | os.X_OK):
        yield Finding(
            f"data set {case.dataset}: the folder {root} cannot be read; give yourself the right to read it"
        )
    elif not any(root.iterdir()):
        yield Finding(f"data set {case.dataset}: the folder {root} is empty; expected {layout}; {remedy}")
    elif data["format"] == "table" and not (root / data["options"]["file"]).is_file():
        where, file = f"config: datasets.{case.dataset}.options.file", root / data["options"]["file"]
        yield Finding(f"{where}: there is no {file}; name the table of labels below the root")


def fractions(case: Case) -> Iterator[Finding]:
    """Where fairgen makes the split, training, validation and test each get a part."""
    names = [
        name
        for name, part in zip(
            ("training", "validation", "test"), case.block("index")["fractions"], strict=True
        )
        if not part and case.data["format"] not in SPLIT
    ]
    if names:  # of these formats only utkface never has a split of its own
        kind = WRONG if case.data["format"] == "utkface" else NOTE
        yield Finding(
            f"config: index.fractions: no {' and no '.join(names)} images, unless {case.dataset} has an"
            " official split; give each of the three a share over 0",
            kind,
        )
