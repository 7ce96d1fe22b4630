"""Stages as commands."""

import os
import subprocess
import sys

from fairgen.core.fingerprint import SEEN
from fairgen.core.settings import canonical
from fairgen.workflow import stages


def command(stage: str, settings: dict, seen: str = "", **options: object) -> subprocess.CompletedProcess:
    words = [sys.executable, "-m", stages.module(stage), "--settings", canonical(settings)]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **({SEEN: seen} if seen else {})}
    )
