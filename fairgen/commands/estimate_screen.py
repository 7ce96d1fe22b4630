"""What `fairgen estimate` shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from fairgen.commands.amounts import Amount, plus, text, total
from fairgen.workflow.stages import STAGES


@dataclass(frozen=True)
class Cost:
    """What the jobs of one rule cost together, and how that is known; None for what is not."""

    rule: str
    jobs: int
    seconds: Amount
    megabytes: Amount
    source: str


def report(found: list[Cost], gpus: int, images: int, machine: str, unrated: Sequence[str] = ()) -> str:
    """The table with its sums: a screen.

    Args:
        found: of every rule.
        gpus: of each job.
        images: to draw.
        machine: what the reference rates stand for.
        unrated: bases that there are no rates of.
    """
    lines = [f"{'rule':<16}{'jobs':>6}{'hours':>18}{'MB':>22}   from"]
    for cost in sorted(found, key=lambda c: -(c.seconds or (0, 0))[1]):
        lines.append(
            f"{cost.rule:<16}{cost.jobs:>6}{text(cost.seconds, 3600):>18}{text(cost.megabytes):>22}  "
            f" {cost.source}"
        )
    hours, disk = total([c.seconds for c in found], 3600), total([c.megabytes for c in found])
    lines += [f"{'together':<16}{sum(c.jobs for c in found):>6}{hours:>18}{disk:>22}", ""]
    on_device = [c.seconds for c in found if STAGES[c.rule].computes]
    used = total(on_device, 3600 / gpus) if gpus else "none, jobs compute on the CPU (gpu: 0)"
    lines += [f"GPU hours: {used}", f"synthetic images to draw: {images}"]
    lines += [f"reference: {machine}; one job after the other"]
    if unknown := [c.rule for c in found if c.seconds is None]:
        lines.append(f"not counted, for neither a like job nor a reference tells: {', '.join(unknown)}")
        if unrated:
            lines.append(
                f"no rates of {', '.join(unrated)}, trained by flow matching; such jobs count once like ones"
                " have run"
            )
    return "\n".join(lines)


def together(found: list[Cost]) -> list[Cost]:
    """One entry for each rule, over data sets."""
    rules: dict[str, list[Cost]] = {}
    for cost in found:
        rules.setdefault(cost.rule, []).append(cost)
    return [
        Cost(
            rule,
            sum(c.jobs for c in own),
            plus(*(c.seconds for c in own)),
            plus(*(c.megabytes for c in own)),
            ", ".join(dict.fromkeys(c.source for c in own)),
        )
        for rule, own in rules.items()
    ]


def machine(gpus: int, card: str | None) -> str:
    """What the reference rates stand for."""
    if not gpus:
        return "rates of two shared CPU cores, at 0.4 to 2.5 times their time"
    return (
        f"an NVIDIA {card}" if card else "from an H100 or H200 (low) to an A100 (high); --card names another"
    )
