"""A trained adapter of a generator: what it was trained on, and how."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fairgen.core import records
from fairgen.models import adapter_facts, adapters
from fairgen.monitor import curves as of_training


@dataclass(frozen=True)
class Adapter:
    """The adapter of a group's cluster; a slot without one says why in `reason`."""

    group: str
    cluster: int
    kind: str  # lora or full
    steps: int
    images: int  # of its cluster; with `adapt.companions` it was trained on other groups' too
    losses: tuple[float, ...]  # means over equal parts of the training
    prompt: str
    reason: str  # why there is none: too few images, so the group borrows its donor's
    path: Path  # in the file of a group's shared batch with `#` and the cluster, as `fairgen export` takes it
    facts: dict[str, Any]  # all that the file says

    @property
    def curves(self) -> pd.DataFrame | None:
        """Its training's curves (run, phase, step, figure, value), of a shared batch its own alone; None
        where none were kept.
        """
        file, cluster = adapters.place(self.path)
        found = curves(file)
        if found is None or not cluster:
            return found
        own = found[found["run"] == f"{self.group}/{cluster}"].reset_index(drop=True)
        return None if own.empty else own


def curves(artifact: Path) -> pd.DataFrame | None:
    """The curves beside an adapter or a classifier as a table; None if there are none, or they are of another
    training. Those of a training that was interrupted, and was not watched when it went on, are told with a
    warning, and by `attrs["partial"]` of the table ("" for whole ones).

    Raises:
        FairgenError: they are damaged.
    """
    record = records.read(artifact)
    found = of_training.read(artifact, record["hash"]) if record else None
    if found is None:
        return None
    rows = [
        {"run": run["name"], "phase": run["phase"], "step": step, "figure": name, "value": value}
        for run in found["runs"]
        for of in (run["training"], run["looks"])
        for name, values in of.items()
        if name != "step"
        for step, value in zip(of["step"], values, strict=True)
        if isinstance(value, int | float)
    ]
    table = pd.DataFrame(rows, columns=["run", "phase", "step", "figure", "value"])
    table.attrs["partial"] = of_training.partial(found)
    if table.attrs["partial"]:
        last = max(table["step"], default=0)
        warnings.warn(f"{artifact}: curves to step {last}: {table.attrs['partial']}", stacklevel=3)
    return table


def read(path: Path, group: str) -> list[Adapter]:
    """The adapters in a file: one, or those of a group's clusters that were trained as one batch.

    Raises:
        FairgenError: the file is damaged or no adapter.
    """
    found = []
    for place in adapters.members(path):
        facts = adapters.read_facts(place)
        adapter_facts.check(place, facts)
        recipe = facts.get("settings", {}).get("recipe", {})
        found.append(
            Adapter(
                group=group,
                cluster=int(facts.get("cluster", 0)),
                kind=facts.get("kind", ""),
                steps=int(recipe.get("steps", 0)) if facts["images"] else 0,
                images=int(facts["images"]),
                losses=tuple(facts.get("loss", ())),
                prompt=facts.get("prompt", ""),
                reason=facts.get("reason", ""),
                path=place,
                facts=facts,
            )
        )
    return found
