"""The paper's claims as numbers: means of gains, their intervals, and what may be asked."""

import numpy as np
import pytest

from fairgen.core.errors import FairgenError
from fairgen.evaluate import claims
from fairgen.evaluate.intervals import DIFFERENCE, student

# by ratio and method, a value for each of three replicates; gains are 0.15 and 0.1, leads −0.5 and 0.8
RUNS = {
    "0.9": {"lora": [0.7, 0.72, 0.68], "clustered": [0.4, 0.3, 0.5], "groupdro": [0.9] * 3},
    "0.99": {"lora": [0.6, 0.61, 0.59], "clustered": [0.9, 0.95, 0.85], "groupdro": [0.1] * 3},
}
SAME = {"vanilla": [0.5] * 3, "dreambooth": [0.6] * 3}
VALUES = {
    ratio: {name: np.array(values) for name, values in (own | SAME).items()} for ratio, own in RUNS.items()
}


def judged(resplit: float = 0.0) -> dict[tuple[str, str], claims.Judgement]:
    """By the claim's number and the ratio."""
    found = claims.judge(VALUES, ["lora", "dreambooth"], "clustered", 0.05, resplit)
    return {(row.claim[0], row.ratio): row for row in found}


def test_the_first_claim_is_about_the_mean_of_finetuned_generators() -> None:
    assert judged()["1", "0.9"].mean == pytest.approx(0.15)
    assert judged()["1", "mean"].mean == pytest.approx((0.15 + 0.1) / 2)


def test_shared_rows_widen_the_intervals_of_claims() -> None:
    own = judged(0.125)["1", "0.9"]
    assert [own.low, own.high] == pytest.approx(student([0.15, 0.16, 0.14], DIFFERENCE, 0.125))


def test_growth_may_be_over_one() -> None:
    assert judged()["3", "0.99 − 0.9"].high > 1


def test_a_margin_below_nothing_is_refused() -> None:
    with pytest.raises(FairgenError, match=r"margin -0\.1"):
        claims.judge(VALUES, ["lora"], "clustered", -0.1)
