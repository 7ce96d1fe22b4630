"""Stage `ablation_replicates`: an ablation over whole-chain replicates."""

from fairgen.core import job
from fairgen.evaluate import replication
from fairgen.evaluate.replication import Files, Replicates


def work(settings: Replicates, files: Files) -> None:
    """Gather the replicates' tables of one ablation."""
    replication.write(settings, files)


if __name__ == "__main__":
    job.main(work, Replicates, Files)
