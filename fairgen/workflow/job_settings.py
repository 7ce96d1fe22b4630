"""What a job's settings are taken from: the config, and the wildcards that its artifacts have."""

from dataclasses import dataclass
from typing import Any, cast

from fairgen.workflow.method_chain import Config, OfDataset, block


@dataclass(frozen=True)
class Job(OfDataset):
    """What a job's settings are taken from: the config, and the wildcards that its artifacts have."""

    method: str | None = None
    group: str | None = None
    ablation: str | None = None
    scope: str | None = None

    def block(self, name: str) -> Any:
        """A block of the config, as the job's data set and method have it."""
        return block(self.config, self.dataset, self.method, name)

    @property
    def own(self) -> Config:
        """The job's group alone; all of them for a job of all groups."""
        return {self.group: self.groups[self.group]} if self.group else self.groups

    @property
    def trained(self) -> str:
        """The method of a stage that trains a classifier, which always has one."""
        return cast("str", self.method)

    @property
    def classes(self) -> list[str]:
        """The data set's classes, in the order of its groups."""
        return list(dict.fromkeys(each(self.groups, "target").values()))


def each(groups: Config, field: str) -> Config:
    """One field of every group."""
    return {name: group[field] for name, group in groups.items()}


def fields(groups: Config, *names: str) -> Config:
    """Some fields of every group."""
    return {name: {field: group[field] for field in names} for name, group in groups.items()}


def attributes(given: Any) -> list[Config]:
    """An attribute of the data or a list of them, its words as text."""
    listed = given if isinstance(given, list) else [given]
    words = [{n: [str(w) for w in v] for n, v in one.get("values", {}).items()} for one in listed]
    return [{**one, "values": v} if v else one for one, v in zip(listed, words, strict=True)]


def network(classifier: Config) -> Config:
    """The `classifier` block as what the network is, which its weights carry with them, and how it is
    trained.
    """
    rest = {k: v for k, v in classifier.items() if k != "precision"}
    return {"classifier": rest, "precision": classifier["precision"]}
