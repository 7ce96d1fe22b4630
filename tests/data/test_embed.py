"""Features of training images: one vector each, and never a broken one."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from audited import CLIP, write_real

from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.data.embed import HELD_OUT, Embed, check_finite, held_out, work
from fairgen.models.encoder import Encoder


def test_training_images_have_a_vector_each_whatever_the_batch(tmp_path: Path) -> None:
    write_real(tmp_path)  # embeds eight at a time
    first = parquet.read(tmp_path / "embeddings.parquet")
    paths = SimpleNamespace(index=tmp_path / "index.parquet", embeddings=tmp_path / "again.parquet")
    work(Embed(Encoder("clip", CLIP), 5), paths)
    again = parquet.read(paths.embeddings)
    rows = parquet.rows(paths.index)
    assert (
        first["id"].to_pylist() == again["id"].to_pylist() == [r["id"] for r in rows if r["split"] == "train"]
    )
    vectors = parquet.matrix(first, "vector")
    assert len(vectors) == len(rows) - 1  # the test row has none
    assert np.allclose(vectors, parquet.matrix(again, "vector"), atol=1e-5)
    assert np.unique(vectors.round(4), axis=0).shape == vectors.shape


def test_features_that_are_not_finite_name_their_images() -> None:
    vectors = np.zeros((5, 3), dtype=np.float32)
    check_finite(vectors, list("abcde"))
    vectors[1:, 2] = np.nan
    with pytest.raises(FairgenError, match=r"4 images have features that are not finite \(b, c, d, …\)"):
        check_finite(vectors, list("abcde"))


def test_some_validation_images_of_each_group_are_held_out() -> None:
    rows = [{"id": i, "group": "g", "split": "validation"} for i in range(300)]
    rows += [{"id": 300, "group": "h", "split": "validation"}, {"id": 301, "group": "h", "split": "test"}]
    kept = [row["id"] for row in held_out(rows)]
    assert len(kept) == HELD_OUT + 1 and kept[-1] == 300 and kept == sorted(kept) == sorted(set(kept))
    assert kept[:HELD_OUT] != list(range(HELD_OUT)) and held_out(rows[:300]) == held_out(rows)[:-1]
