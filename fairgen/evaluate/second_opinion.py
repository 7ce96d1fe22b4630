"""What a second scorer says of the samples: the share that the filter would accept by it, group by group."""

from pathlib import Path

import numpy as np

from fairgen.core import parquet
from fairgen.generate.judgement import own_scores


def acceptance(
    scores: Path, selection: Path, by: str, threshold: float
) -> dict[str, dict[str, float | None]]:
    """Shares of each group's images whose score by the second model reaches the filter's threshold: of all
    that were drawn, and of those that the filter has kept.

    The latter is null where the filter has kept none; the former where the score is a rank, of which any
    model gives as many.

    Args:
        scores: cosines by the second model.
        selection: which images the filter has kept by the first one.
        by: kind of score, as in the filter; one that does not depend on the scale of a model's cosines.
        threshold: the filter's.
    """
    table, facts = parquet.read(scores), parquet.facts(scores)
    names, groups = table["group"].to_pylist(), facts["groups"]
    own = np.array([groups.index(name) for name in names])
    accepted = own_scores(parquet.matrix(table, "cosines"), own, facts["scale"], by) >= threshold
    kept_ids = {row["id"] for row in parquet.rows(selection, ["id", "kept"]) if row["kept"]}
    kept = np.array([name in kept_ids for name in table["id"].to_pylist()])
    found: dict[str, dict[str, float | None]] = {}
    for number, name in enumerate(groups):
        drawn = own == number
        found[name] = {
            "accepted_second": None if by == "quantile" else float(accepted[drawn].mean()),
            "kept_accepted_second": float(accepted[drawn & kept].mean()) if (drawn & kept).any() else None,
        }
    return found
