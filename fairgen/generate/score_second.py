"""Stage `score_second`: the same by a second model, which decides nothing.

A scorer has biases of its own; what another one says of the same images shows them. The audit of the
synthetic images reads it.
"""

from fairgen.core import job
from fairgen.generate.scoring import Files, Score, score


def work(settings: Score, files: Files) -> None:
    """Score the samples of all groups."""
    score(settings, files, "score.second")


if __name__ == "__main__":
    job.main(work, Score, Files)
