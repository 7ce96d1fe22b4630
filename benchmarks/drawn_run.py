"""A finished run of the workflow on drawings, for benchmarks: its artifacts, those of the config alone,
and further drawings of its groups.
"""

import json
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import common
import numpy as np

from fairgen.commands.finished import settings_of
from fairgen.core import image_decoding, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.evenly import evenly
from fairgen.core.settings import read
from fairgen.embedded import birds
from fairgen.generate import sample
from fairgen.generate.prompts import plain_prompt
from fairgen.models import diffusion
from fairgen.workflow.artifacts import Paths
from fairgen.workflow.method_chain import Config, synthetic
from fairgen.workflow.stage_settings import settings


def drawn(file: Path, count: int) -> np.ndarray:
    """Up to `count` images (n, h, w, 3) of a file of samples, at equal steps: they lie cluster by cluster, so
    that the first ones would hardly show the last cluster.
    """
    chosen = evenly(range(parquet.count(file)), count)
    content = (content for _, content in parquet.image_bytes(file, chosen))
    return np.stack([np.asarray(image_decoding.decode(one or b"")) for one in content])


class Wildcards(SimpleNamespace):
    """Wildcards as snakemake hands them to input functions."""

    def items(self) -> Any:
        """Names and values."""
        return vars(self).items()


@dataclass(frozen=True)
class Run:
    """A finished run: its config, data set, scope and folder."""

    config: Config
    folder: Path

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return self.folder.parent.name

    def fresh(self, seed: int, group: str, first: int, count: int) -> np.ndarray:
        """Drawings (n, h, w, 3) of a group that no run has seen, under the law of its training images."""
        data = self.config["datasets"][self.dataset]
        own, options = data["groups"][group], data["options"]
        law = seed, "train", own["target"], own["bias"]
        size, distance = options["size"], options["distance"]
        every = range(first, first + count)
        return np.stack([birds.users(*law, i, size, distance).pixels for i in every])

    def wildcards(self, method: str, group: str) -> "Wildcards":
        """Those of a method's group."""
        return Wildcards(dataset=self.dataset, scope=self.folder.name, method=method, group=group)

    def place(self, stage: str, name: str, method: str, group: str) -> Path:
        """An artifact of a method's group."""
        return Path(Paths(self.config).place(self.wildcards(method, group), stage, name))

    def samples(self, method: str, group: str) -> Path:
        """The file of the images of a group that the run has drawn."""
        return self.place("sample", "samples/{group}.parquet", method, group)

    def selection(self, method: str, group: str) -> Path:
        """The file that says which images of a method are kept."""
        return self.place("filter", "selection.parquet", method, group)

    def adapters(self, method: str, group: str) -> tuple[list[Path], list[Path]]:
        """The adapters of a group and of its donor."""
        paths, where = Paths(self.config), self.wildcards(method, group)
        own, donors = (
            [Path(file) for file in files(where)] for files in (paths.own_adapters, paths.donor_adapters)
        )
        return own, donors

    def check(self, methods: list[str]) -> None:
        """All that is looked at was made with the present config.

        Raises:
            FairgenError: names the first file that is not there, or was made with other settings.
        """
        data = self.config["datasets"].get(self.dataset)
        if not data or data["format"] != "birds":
            raise FairgenError(f"{self.dataset} is no drawn data set of this config; give its --configfile")
        for method in methods:
            if method not in self.config["methods"] or not synthetic(self.config, method):
                raise FairgenError(f"{method} is no method of this config that draws images")
        for method, group in product(methods, data["groups"]):
            self.made(self.samples(method, group), "sample", method, group)
            self.made(self.selection(method, group), "filter", method, None)
            for adapter in self.adapters(method, group)[0]:
                self.made(adapter, "adapt", method, group)

    def made(self, file: Path, stage: str, method: str, group: str | None) -> None:
        """A file is there and was made with the settings that the config has now."""
        if not file.is_file():
            raise FairgenError(f"{file} is not there; run the workflow with this config first")
        if settings_of(file) != json.loads(settings(self.config, self.dataset, stage, method, group)):
            raise FairgenError(
                f"{file} was made with other settings than the config has now; run the workflow again, or"
                " give the --configfile that it was run with"
            )

    def without_token(self, method: str, group: str, count: int) -> tuple[np.ndarray, bool]:
        """Images of the same generators and seeds without the token, and whether they are borrowed."""
        wanted = read(
            sample.Sample, common.given(settings(self.config, self.dataset, "sample", method, group))
        )
        plain = {name: plain_prompt(prompt) for name, prompt in wanted.prompts.items()}
        wanted = replace(wanted, per_group=count, prompts=plain)
        own, donors = self.adapters(method, group)
        chosen, borrowed = sample.sources(own, donors, count, 1, group)
        rows = sample.rows(wanted, group, chosen, borrowed, diffusion.identity(wanted.base))
        return np.stack([np.asarray(image_decoding.decode(content)) for content, _ in rows]), borrowed
