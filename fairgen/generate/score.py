"""Stage `score`: raw cosines of every synthetic image to every group's prompt.

Cosines are stored raw, with the model's own inverse temperature; `filter` turns them into decisions.
"""

from fairgen.core import job
from fairgen.generate.scoring import Files, Score, score


def work(settings: Score, files: Files) -> None:
    """Score the samples of all groups."""
    score(settings, files, "score.model")


if __name__ == "__main__":
    job.main(work, Score, Files)
