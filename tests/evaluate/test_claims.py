"""The benchmark that judges the paper's claims, on planted results."""

import runpy
from typing import Any

from workflows import PROJECT

CLAIMS = runpy.run_path(str(PROJECT / "benchmarks/claims.py"))


def document(low: dict[str, list[float]], high: dict[str, list[float]]) -> dict[str, Any]:
    def entry(values: list[float]) -> dict[str, Any]:
        return {"worst_group_accuracy": {"per_seed": values, "mean": sum(values) / len(values)}}

    tables = {"0.999": high, "0.9": low}
    return {"results": {r: {m: entry(v) for m, v in methods.items()} for r, methods in tables.items()}}


SAME = [0.70, 0.71, 0.69]
LOW = {"vanilla": SAME, "lora": [0.80, 0.81, 0.79], "clustered": SAME, "groupdro": [0.74, 0.75, 0.73]}
HIGH = {"vanilla": SAME, "lora": [0.80, 0.81, 0.79], "clustered": SAME, "groupdro": [0.60, 0.61, 0.59]}


def verdicts(documents: list[dict[str, Any]], margin: float) -> dict[str, bool]:
    rows = CLAIMS["judge"](CLAIMS["runs"](documents), ["lora", "clustered"], "clustered", margin)
    return {row["claim"]: row["held"] for row in rows}


def test_planted_claims_are_judged_by_their_intervals() -> None:
    found = verdicts([document(LOW, HIGH)], 0.05)
    assert all(found.values())
    assert verdicts([document(LOW, HIGH)], 0.03)["2. clustered comparable with groupdro, ratio 0.9"] is False
    swapped = verdicts([document(HIGH, LOW)], 0.05)
    assert swapped["3. clustered above groupdro at ratio 0.999"] is False
    assert swapped["3. that lead larger at 0.999 than at 0.9"] is False


def test_several_files_are_runs_of_the_whole_chain() -> None:
    worse = {**HIGH, "clustered": [0.50, 0.51, 0.49]}
    found = verdicts([document(LOW, HIGH), document(LOW, HIGH), document(LOW, worse)], 0.05)
    assert found["3. clustered above groupdro at ratio 0.999"] is False
