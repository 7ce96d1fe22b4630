"""Snakemake as `fairgen run` starts it, by this file's path: Ctrl-C while it is still being imported or reads
the rules is one line and no trace.
"""

import sys


def main() -> None:
    """Be snakemake."""
    try:
        from snakemake.cli import main as snakemake

        snakemake()
    except KeyboardInterrupt:
        print("fairgen: stopped by the user before snakemake had begun", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
