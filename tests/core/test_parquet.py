"""Tables: what is damaged behind a whole footer is named, with what to do."""

import os
from pathlib import Path

import pytest

from fairgen.core import parquet
from fairgen.core.errors import FairgenError


def test_a_damaged_page_is_named_with_its_file_and_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "index.parquet"
    parquet.write(file, {"hash": [os.urandom(32).hex() for _ in range(500)]})
    content = bytearray(file.read_bytes())
    content[200:600] = bytes(byte ^ 0xFF for byte in content[200:600])
    file.write_bytes(bytes(content))
    assert parquet.count(file) == 500, "the footer is whole"
    with pytest.raises(FairgenError, match=rf"^{file} is damaged \(.+\); delete it and call snakemake again"):
        parquet.read(file)


def test_a_missing_file_is_no_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        parquet.read(tmp_path / "no.parquet")
