"""`fairgen compare`: the difference of two runs, method by method, with their intervals and what changed
between them.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fairgen.evaluate import intervals, results

FACTS = ("dataset", "config_sha256", "seeds")
MOST = 30  # settings that are listed


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("a", type=Path, metavar="A.json", help="worst_group.json of the first run")
    parser.add_argument("b", type=Path, metavar="B.json", help="worst_group.json of the second run")


def circumstances(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """One line for each fact and version: `same`, or both values."""

    def line(name: str, left: Any, right: Any) -> str:
        return f"{name:<16}{'same' if left == right else f'{left} → {right}'}"

    versions = {**a["versions"], **b["versions"]}
    changed = [name for name in versions if a["versions"].get(name) != b["versions"].get(name)]
    changes = [line(name, *(d["versions"].get(name, "none") for d in (a, b))) for name in changed]
    return [line(name, a[name], b[name]) for name in FACTS] + (changes or [line("versions", 0, 0)])


def leaves(value: Any, name: str = "") -> dict[str, Any]:
    """The values of a nested config by their dotted keys; lists are values."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {
        k: v for key, below in value.items() for k, v in leaves(below, f"{name}.{key}".lstrip(".")).items()
    }


def settings(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """One line for each setting that differs, with both values."""
    left, right = leaves(a["config"]), leaves(b["config"])
    names = sorted(left.keys() | right.keys())
    changed = [n for n in names if (n in left, left.get(n)) != (n in right, right.get(n))]
    lines = [f"  {n}: {left.get(n, 'not there')} → {right.get(n, 'not there')}" for n in changed[:MOST]]
    more = [f"  … and {len(changed) - MOST} more"] if len(changed) > MOST else []
    return [f"{'settings':<16}{len(changed)} differ:", *lines, *more] if changed else []


def trials(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Which of the two is a trial, if one is."""
    return [
        f"{name}: {note}." for name, document in (("A", a), ("B", b)) if (note := results.trial(document))
    ]


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """A table of mean worst-group accuracies with their intervals over seeds, for each ratio that one of the
    runs has.
    """
    lines = []
    for ratio in {**a["results"], **b["results"]}:
        sides = {name: d["results"].get(ratio, {}) for name, d in (("A", a), ("B", b))}
        lines += [f"\nbias ratio {ratio}, worst-group accuracy"]
        lines += [f"{'method':<18}{'A':>8}{'95 %':>16}{'B':>8}{'95 %':>16}{'B − A':>9}"]
        for method in {name: None for side in sides.values() for name in side}:
            found: list[Any] = [
                side[method]["worst_group_accuracy"] if method in side else None for side in sides.values()
            ]
            shown = [
                f"{f['mean']:>8.3f}{intervals.shown(f):>16}" if f else f"{'none':>8}{'':>16}" for f in found
            ]
            change = "" if None in found else f"{found[1]['mean'] - found[0]['mean']:>+9.3f}"
            lines.append(f"{method:<18}{''.join(shown)}{change}".rstrip())
        empty = {name: results.missing(results.empty_groups(side)) for name, side in sides.items() if side}
        lines += [f"{name}: {line}" for name, said in empty.items() for line in said]
    return lines


def run(options: Namespace) -> None:
    """Print the comparison."""
    a, b = results.load(options.a), results.load(options.b)
    few = (
        [f"no interval (n/a) of fewer than {intervals.FEWEST} seeds"]
        if min(len(d["seeds"]) for d in (a, b)) < intervals.FEWEST
        else []
    )
    print("\n".join([*trials(a, b), *circumstances(a, b), *settings(a, b), *differences(a, b), *few]))
