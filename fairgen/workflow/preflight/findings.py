"""What the checks before the first job look at, and what they find."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fairgen.workflow.method_chain import OfDataset, block, finetunes, second_scorer, synthetic

WRONG = "wrong"  # no run can succeed: it stops
MACHINE = "machine"  # no run on this machine can: it stops only what computes here
NOTE = "note"  # may be meant so: it is told, and never stops
ABSENT = "absent"  # a file that a download may bring; `settled` makes one of the others of it


@dataclass(frozen=True)
class Finding:
    """One line about one mistake: what is wrong where, and what to do."""

    text: str
    kind: str = WRONG


@dataclass(frozen=True)
class Case(OfDataset):
    """A data set with the methods that the targets need of it."""

    methods: tuple[str, ...] = ()

    @property
    def drawing(self) -> list[str]:
        """The methods that draw images."""
        return [method for method in self.methods if synthetic(self.config, method)]

    @property
    def adapting(self) -> list[str]:
        """The methods that finetune a generator."""
        return [method for method in self.drawing if finetunes(self.config, self.dataset, method)]

    def encoders(self) -> dict[str, dict[str, str]]:
        """The encoders that will look at images, by their keys: what is clustered, and what is audited."""
        embed, audit = self.block("embed")["encoder"], self.block("audit")["encoder"]
        return {
            **({"embed.encoder": embed} if self.adapting else {}),
            **({"audit.encoder": audit} if self.drawing and audit else {}),
        }

    def scorers(self) -> dict[str, str]:
        """The models that score samples, each with the key that names it."""
        second = [second_scorer(self.config, self.dataset, method) for method in self.drawing]
        first = [self.block("score", method)["model"] for method in self.drawing]
        return {
            **{model: "score.second" for model in second if model},
            **dict.fromkeys(first, "score.model"),
        }

    def block(self, name: str, method: str | None = None) -> Any:
        """A block of settings as a method on this data set sees it."""
        return block(self.config, self.dataset, method, name)

    def sharing(self, methods: list[str], *names: str) -> list[tuple[str, list[Any]]]:
        """What some methods see under these keys, blocks (`filter`) or values in them (`sample.floor`): each
        combination once, with the methods that see it in words.
        """
        found: list[tuple[list[str], list[Any]]] = []
        for method in methods:
            seen = [self.value(name, method) for name in names]
            same = next((listed for listed, known in found if known == seen), None)
            if same is None:
                found.append(([method], seen))
            else:
                same.append(method)
        return [(", ".join(listed), seen) for listed, seen in found]

    def value(self, key: str, method: str) -> Any:
        """A block as a method sees it, or a value in one."""
        name, *inner = key.split(".")
        found = self.block(name, method)
        for part in inner:
            found = found[part]
        return found


def settled(found: Iterable[Finding], fetchable: str) -> Iterator[Finding]:
    """Findings of a model, those of absent files as mistakes; as one note where the hub would bring them
    (`fetchable`).
    """
    absent = False
    for finding in found:
        if finding.kind != ABSENT:
            yield finding
        elif not fetchable:
            yield replace(finding, kind=WRONG)
        absent = absent or finding.kind == ABSENT
    if absent and fetchable:
        yield Finding(fetchable, NOTE)
