"""Fixtures of the audits."""

import json
from pathlib import Path

import pytest
from audited import audited


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audited set."""
    return audited(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="package")
def audit_document(folder: Path) -> dict:
    """Its audit."""
    return json.loads((folder / "audit.json").read_text())
