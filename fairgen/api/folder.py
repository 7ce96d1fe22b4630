"""A data set's folder of results, opened without Snakemake.

Where an artifact lies and to which method it belongs is told by the workflow's own functions, from the config
that the result records. What is handed out is what the result was made from: its lineage says so.
"""

import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from fairgen.api import adapter
from fairgen.api.adapter import Adapter
from fairgen.api.documents import check_record, contents
from fairgen.api.result import Result
from fairgen.api.selection import Selection
from fairgen.core import parquet, records
from fairgen.core.belonging import Belonging
from fairgen.core.errors import FairgenError
from fairgen.evaluate import claims, results
from fairgen.workflow import method_chain
from fairgen.workflow.artifacts import Paths

TABLE = "worst_group.json"
REPLICATES = "replicates.json"
TAKEN = "; fairgen.open(…, strict=False) takes it as it is"


class Names(dict[str, str]):
    """Wildcards as the workflow's functions read them."""

    __getattr__ = dict.__getitem__


def config_of(document: dict[str, Any]) -> method_chain.Config:
    """The config that a result records, as the workflow's functions read one."""
    found = dict(document["config"])
    datasets = {document["dataset"]: found.pop("dataset"), **found.pop("extra", {})}
    return {**found, "datasets": datasets}


@dataclass(frozen=True)
class Results:
    """A data set's results.

    Attributes:
        path: its folder.
        result: the comparison.
        strict: refuse what the result was not made from, rather than warn.
    """

    path: Path
    result: Result
    strict: bool = True

    @property
    def dataset(self) -> str:
        """The data set's name in the config."""
        found: str = self.result.document["dataset"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        """All of the config that can change the result."""
        found: dict[str, Any] = self.result.document["config"]
        return found

    @property
    def methods(self) -> tuple[str, ...]:
        """The compared methods."""
        return self.result.methods

    @property
    def ratios(self) -> tuple[str, ...]:
        """The bias ratios, as text."""
        return self.result.ratios

    @property
    def seeds(self) -> tuple[int, ...]:
        """The classifier seeds."""
        return self.result.seeds

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups."""
        return self.result.groups

    @property
    def drawing(self) -> tuple[str, ...]:
        """The methods that use generated images."""
        return tuple(m for m in self.methods if method_chain.synthetic(self._paths.config, m))

    @cached_property
    def _paths(self) -> Paths:
        return Paths(config_of(self.result.document))

    def _wildcards(self, method: str, ratio: str | float | None, **more: str) -> Names:
        names = {"dataset": self.dataset, "method": self.result.method(method)}
        return Names(**names, scope=f"bias-{self.result.ratio(ratio)}", **more)

    def _place(self, name: str) -> Path:
        """Where a path of the workflow (`results/<dataset>/…`) lies now."""
        _, dataset, *rest = name.split("/")
        return Path(self.path if dataset == self.dataset else self.path.parent / dataset, *rest)

    def _at(self, stage: str, name: str, w: Names) -> Path:
        return self._known(self._place(self._paths.place(w, stage, name)))

    @cached_property
    def _belonging(self) -> Belonging:
        record = self.result.document.get(records.KEY, {})
        return Belonging(self.path / TABLE, record, self.strict, TAKEN)

    def _known(self, path: Path) -> Path:
        return self._belonging.known(path)

    @property
    def index(self) -> pd.DataFrame:
        """A row for each image of the data set: path, target, bias, group, split, size."""
        return parquet.read(self._known(self.path / "index.parquet")).to_pandas()

    def split(self, ratio: str | float | None = None) -> pd.DataFrame:
        """The images of a bias ratio, with their split."""
        file = self.path / f"bias-{self.result.ratio(ratio)}" / "split.parquet"
        return parquet.read(self._known(file)).to_pandas()

    def selection(self, method: str, ratio: str | float | None = None) -> Selection:
        """A method's synthetic set.

        Raises:
            FairgenError: the method draws no images, or its files are not there or not of this result.
        """
        return Selection(self._selection(method, ratio), lambda name: self._known(self._place(name)))

    def _selection(self, method: str, ratio: str | float | None) -> Path:
        w = self._wildcards(method, ratio)
        if method not in self.drawing:
            raise FairgenError(
                f"{method} draws no images; those that do: {', '.join(self.drawing) or 'none'}"
            )
        return self._at("filter", "selection.parquet", w)

    def adapters(self, method: str, ratio: str | float | None = None) -> list[Adapter]:
        """A method's adapters, group by group; none where it finetunes no generator."""
        found: list[Adapter] = []
        w = self._wildcards(method, ratio)
        for group in self.groups if method in self.drawing else ():
            for name in self._paths.adapters(w, group):
                found += adapter.read(self._known(self._place(name)), group)
        return found

    def predictions(
        self, method: str, ratio: str | float | None = None, seed: int | None = None
    ) -> pd.DataFrame:
        """A row for each validation, test and shift image, as its column `split` says: what a classifier
        says of it; of one seed, or of all of them, in a column `seed`.
        """
        return pd.concat(
            [
                parquet.read(self._known(cell / "predictions.parquet")).to_pandas().assign(seed=number)
                for number, cell in self._cells(method, ratio, seed)
            ],
            ignore_index=True,
        )

    def metrics(
        self, method: str, ratio: str | float | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """All figures of one classifier, by default of the first seed."""
        cell = self._cells(method, ratio, seed)[0][1]
        return contents(self._known(cell / "metrics.json"))

    def curves(
        self, method: str, ratio: str | float | None = None, seed: int | None = None
    ) -> pd.DataFrame | None:
        """The curves of a classifier's training, by default of the first seed; None where none were kept. An
        adapter has its own.
        """
        cell = self._cells(method, ratio, seed)[0][1]
        return adapter.curves(self._known(cell / "model.safetensors"))

    def _cells(self, method: str, ratio: str | float | None, seed: int | None) -> list[tuple[int, Path]]:
        folder = self.path / f"bias-{self.result.ratio(ratio)}" / self.result.method(method)
        seeds = self.seeds if seed is None else (self.result.seed(seed),)
        return [(number, folder / f"seed-{number}") for number in seeds]

    def audit(self, method: str | None = None, ratio: str | float | None = None) -> dict[str, Any]:
        """The audit of the data, or of a method's synthetic set (where `audit_synthetic.json` was made)."""
        if method is None:
            file = self._known(self.path / "audit.json")
        else:
            selection = self._selection(method, ratio)
            file = self._belonging.about(selection.with_name("audit.json"), selection)
        return contents(file)

    @property
    def replicates(self) -> pd.DataFrame | None:
        """A row for each ratio, method and replicate of the whole chain: its worst-group accuracy; None where
        `replicates.json` was not made.
        """
        if (document := self._replicates()) is None:
            return None
        return pd.DataFrame(
            {"ratio": ratio, "method": method, "replicate": name, "worst_group_accuracy": value}
            for ratio, methods in document["results"].items()
            for method, found in methods.items()
            for name, value in zip(
                document["replicates"], found["worst_group_accuracy"]["per_replicate"], strict=True
            )
        )

    def claims(
        self,
        finetuned: tuple[str, ...] = claims.FINETUNED,
        ours: str = claims.OURS,
        margin: float = claims.MARGIN,
    ) -> list[claims.Judgement] | None:
        """The paper's claims, as `fairgen claims` judges them; None where `replicates.json` was not made.
        Replicates with the same test rows, and groups without rows, are warned of.

        Raises:
            FairgenError: a method is not among those that the replicates compare, or they are of a trial.
        """
        if (document := self._replicates()) is None:
            return None
        methods = dict.fromkeys([*finetuned, ours, "vanilla", "groupdro"])
        runs = claims.runs_of(document, methods, self.path / REPLICATES)
        found = claims.judge(runs, list(finetuned), ours, margin, document.get("resplit", 0.0))
        for line in claims.beside(document, runs, found):
            warnings.warn(f"{self.path / REPLICATES}: {line}", stacklevel=2)
        return found

    def _replicates(self) -> dict[str, Any] | None:
        file = self.path / REPLICATES
        if not file.exists():
            return None
        found = results.load(file, "replicates")
        for name in found["replicates"]:  # the data set itself need not be among them
            table = self._place(f"results/{name}/{TABLE}")
            if name == self.dataset or table.exists():
                self._belonging.about(file, None if name == self.dataset else table)
        return found


def open_results(path: str | os.PathLike[str], strict: bool = True) -> Results:
    """Open a data set's folder of results, or its `worst_group.json`.

    Raises:
        FairgenError: there is no result, or one of another version.
    """
    folder = Path(path).parent if Path(path).name == TABLE else Path(path)
    if not (folder / TABLE).is_file():
        near = folder if folder.is_dir() else folder.parent
        there = sorted(found.parent.name for found in near.glob(f"*/{TABLE}"))
        known = f"; there are results in {', '.join(str(near / name) for name in there)}" if there else ""
        raise FairgenError(f"{folder} holds no {TABLE}{known or f'; make it: fairgen run {folder.name}'}")
    document = results.load(folder / TABLE)
    check_record(folder / TABLE, document)
    found = Results(folder, Result(document), strict)
    if found._belonging.sources is None:
        warnings.warn(
            f"{folder / TABLE} is of an older fairgen and does not say what it was made from: what lies"
            " beside it is handed out unchecked",
            stacklevel=3,
        )
    return found
