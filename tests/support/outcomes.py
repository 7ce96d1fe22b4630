"""Made-up predictions of classifiers, as metrics of one seed."""

import numpy as np

from fairgen.evaluate.metrics import Group, Metrics, Predictions, summarise

SETTINGS = Metrics(
    {
        "xa": Group("x", "a", "aligned"),
        "xb": Group("x", "b", "conflicting"),
        "yb": Group("y", "b", "aligned"),
    },
    ["x", "y"],
)
COUNTS = {"train": {"xa": 90, "xb": 10, "yb": 100}, "validation": {"xa": 9, "yb": 10}}
USED = {"group_labels": ["selection"], "validation_rows": 20, "training_rows": 200, "gradient_steps": 10}
USED |= {"weights_sha256": "ab" * 32, "shift": None}
CONFIG = {"dataset": {"format": "birds"}, "methods": {"erm": {}}}


def metrics(**right: float) -> dict:
    """Metrics of one seed: a share of right rows for some groups, ten rows each."""
    group = np.repeat(list(right), 10)
    hits = np.concatenate([np.arange(10) < share * 10 for share in right.values()])
    own = np.array([SETTINGS.groups[g].target for g in group])
    predicted = np.where(hits, own, np.where(own == "x", "y", "x"))
    x = np.where(predicted == "x", 0.8, 0.2)
    return summarise(Predictions(group, predicted, np.stack([x, 1 - x], axis=1)), SETTINGS, COUNTS) | USED


def run(a: float, b: float, c: float = 1.0) -> dict:
    """Metrics of one seed with rows in every group."""
    return metrics(xa=a, xb=b, yb=c)
