"""A `worst_group.json` as dataclasses and pandas tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from fairgen.core.errors import FairgenError
from fairgen.core.schemas import nearest
from fairgen.evaluate import intervals
from fairgen.evaluate.results import METRICS, trial

WORST = "worst_group_accuracy"
COUNTS = ("n", "train_n", "validation_n")
LEADER, MINUS = "leader_minus", "minus_"  # of a ratio's comparisons


@dataclass(frozen=True)
class Figure:
    """A figure over classifier seeds; None for what the test rows do not define (`per_seed` is empty
    then), or fewer than three seeds do not.
    """

    mean: float | None
    sd: float | None
    ci95: tuple[float, float] | None
    per_seed: tuple[float | None, ...]


@dataclass(frozen=True)
class Group:
    """A group's accuracy on the test rows, and how many images it has."""

    name: str
    accuracy: Figure
    n: int  # test images
    train_n: int
    validation_n: int
    wilson95: tuple[tuple[float, float] | None, ...]  # over test rows, for each seed; none without any


def named(entry: dict[str, Any]) -> list[str]:
    """The figures that the file has of a method; one that the test rows do not define is null there."""
    return [name for name in METRICS if name in entry]


def figure(found: dict[str, Any] | None) -> Figure:
    """A figure as the file has it."""
    if found is None:
        return Figure(None, None, None, ())
    interval = found["ci95"]
    return Figure(found["mean"], found["sd"], tuple(interval) if interval else None, tuple(found["per_seed"]))


def columns(found: dict[str, Any] | None) -> dict[str, float | None]:
    """A figure as columns of a table."""
    known = figure(found)
    low, high = known.ci95 or (None, None)
    return {"mean": known.mean, "sd": known.sd, "low": low, "high": high}


@dataclass(frozen=True)
class Result:
    """The comparison of a data set's methods.

    Attributes:
        document: the file itself; `fairgen/evaluate/worst_group.schema.json` describes it.
    """

    document: dict[str, Any]

    @property
    def ratios(self) -> tuple[str, ...]:
        """The bias ratios, as text."""
        return tuple(self.document["results"])

    @property
    def methods(self) -> tuple[str, ...]:
        """The compared methods, in the config's order."""
        return tuple(next(iter(self.document["results"].values())))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups' names, in the config's order."""
        return tuple(self.document["config"]["dataset"]["groups"])

    @property
    def seeds(self) -> tuple[int, ...]:
        """The classifier seeds."""
        return tuple(self.document["seeds"])

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that it was made with."""
        return dict(self.document["versions"])

    def ratio(self, wanted: str | float | None = None) -> str:
        """A bias ratio as the file names it; none is needed where there is one.

        Raises:
            FairgenError: it is not among them, or there are several to choose from.
        """
        if wanted is None and len(self.ratios) == 1:
            return self.ratios[0]
        if str(wanted) not in self.ratios:
            asked = "say which bias ratio" if wanted is None else f"unknown bias ratio {wanted}"
            raise FairgenError(f"{asked}; there are {', '.join(self.ratios)}")
        return str(wanted)

    def method(self, wanted: str) -> str:
        """A method's name.

        Raises:
            FairgenError: it is not among them.
        """
        if wanted not in self.methods:
            raise FairgenError(
                f"unknown method '{wanted}'; {nearest(wanted, self.methods)}; the result has"
                f" {', '.join(self.methods)}"
            )
        return wanted

    def seed(self, wanted: int) -> int:
        """A classifier seed.

        Raises:
            FairgenError: it is not among them.
        """
        if isinstance(wanted, bool) or wanted not in self.seeds:
            raise FairgenError(f"unknown seed {wanted}; the result has {', '.join(map(str, self.seeds))}")
        return wanted

    def entry(self, method: str, ratio: str | float | None = None) -> dict[str, Any]:
        """All that the file says of a method at a ratio."""
        found: dict[str, Any] = self.document["results"][self.ratio(ratio)][self.method(method)]
        return found

    def figure(self, method: str, ratio: str | float | None = None, name: str = WORST) -> Figure:
        """One figure of a method at a ratio; see the table in `docs/outputs.md` for their names.

        Raises:
            FairgenError: there is no such ratio, method or figure.
        """
        found = self.entry(method, ratio)
        if name not in (known := named(found)):
            raise FairgenError(f"unknown figure '{name}'; {nearest(name, known)}")
        return figure(found[name])

    def group(self, method: str, name: str, ratio: str | float | None = None) -> Group:
        """One group of a method at a ratio.

        Raises:
            FairgenError: there is no such ratio, method or group.
        """
        groups = self.entry(method, ratio)["groups"]
        if name not in groups:
            raise FairgenError(f"unknown group '{name}'; {nearest(name, groups)}")
        found = groups[name]
        wilson = tuple(tuple(pair) if pair else None for pair in found["wilson95"] or [])
        n, train_n, validation_n = (found[key] for key in COUNTS)
        return Group(name, figure(found["accuracy"]), n, train_n, validation_n, wilson)

    def winner(self, ratio: str | float | None = None) -> str | None:
        """The method whose paired interval over seeds is above every other's, so that it is ahead on this
        chain (whether it wins, replicates say); None where none is, and of a trial.
        """
        found: str | None = self.document["comparisons"][self.ratio(ratio)]["winner"]
        return None if trial(self.document) else found

    def verdict(self, ratio: str | float | None = None) -> str:
        """The same in a sentence, with who is too close to the leader."""
        found = self.document["comparisons"][self.ratio(ratio)]
        return intervals.verdict(found, trial=bool(trial(self.document)))

    def worst_group(self, method: str, ratio: str | float | None = None) -> str:
        """The group whose mean accuracy is the smallest."""
        found: str = self.entry(method, ratio)["worst_group"]["by_mean"]
        return found

    @property
    def _nothing(self) -> tuple[None, ...]:
        """A figure that is not defined, seed by seed."""
        return (None,) * len(self.seeds)

    def _entries(self) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
        for ratio, methods in self.document["results"].items():
            for method, found in methods.items():
                yield {"ratio": ratio, "method": method}, found

    @property
    def figures(self) -> pd.DataFrame:
        """A row for each ratio, method and figure: mean, sd and the ends of its interval over seeds."""
        return pd.DataFrame(
            {**of, "figure": name, **columns(found[name])}
            for of, found in self._entries()
            for name in named(found)
        )

    @property
    def per_seed(self) -> pd.DataFrame:
        """A row for each ratio, method, figure and seed."""
        return pd.DataFrame(
            {**of, "figure": name, "seed": seed, "value": value}
            for of, found in self._entries()
            for name in named(found)
            for seed, value in zip(self.seeds, figure(found[name]).per_seed or self._nothing, strict=True)
        )

    @property
    def group_figures(self) -> pd.DataFrame:
        """A row for each ratio, method and group: its accuracy and its images."""
        return pd.DataFrame(
            {
                **of,
                "group": name,
                **columns(group["accuracy"]),
                **{key: group[key] for key in COUNTS},
            }
            for of, found in self._entries()
            for name, group in found["groups"].items()
        )

    @property
    def comparisons(self) -> pd.DataFrame:
        """A row for each paired difference in worst-group accuracy over seeds: `method` minus `minus`."""
        rows = []
        for ratio, found in self.document["comparisons"].items():
            pairs = {(found["leader"], other): one for other, one in (found[LEADER] or {}).items()}
            for key in (key for key in found if key.startswith(MINUS)):
                other = key.removeprefix(MINUS)
                pairs |= {(method, other): one for method, one in (found[key] or {}).items()}
            rows += [
                {"ratio": ratio, "method": a, "minus": b, **columns(one)} for (a, b), one in pairs.items()
            ]
        return pd.DataFrame(rows, columns=["ratio", "method", "minus", "mean", "sd", "low", "high"])
