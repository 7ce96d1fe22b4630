"""`fairgen compare`: the difference of two runs, method by method, and whether their settings are the same."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fairgen import results

FACTS = ("dataset", "config_sha256", "seeds")


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


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """A table of mean worst-group accuracies for each ratio that one of the runs has."""
    lines = []
    for ratio in {**a["results"], **b["results"]}:
        left, right = (d["results"].get(ratio, {}) for d in (a, b))
        lines += [f"\nbias ratio {ratio}, worst-group accuracy", f"{'method':<18}{'A':>8}{'B':>8}{'B − A':>9}"]
        for method in {**left, **right}:
            means = [side[method]["worst_group_accuracy"]["mean"] if method in side else None for side in (left, right)]
            shown = [f"{'none' if mean is None else f'{mean:.3f}':>8}" for mean in means]
            change = "" if None in means else f"{means[1] - means[0]:>+9.3f}"
            lines.append(f"{method:<18}{''.join(shown)}{change}")
    return lines


def run(options: Namespace) -> None:
    """Print the comparison."""
    a, b = results.load(options.a), results.load(options.b)
    print("\n".join([*circumstances(a, b), *differences(a, b)]))
