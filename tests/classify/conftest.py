"""What tests of classifiers share."""

import pytest
from problems import coloured

from fairgen.classify.problem import Problem


@pytest.fixture
def problem() -> Problem:
    return Problem(coloured(64, 0), coloured(32, 1), ["dark", "bright"], 0)
