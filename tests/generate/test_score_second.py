"""Scores by a second model: those of its own family, and what the filter would accept by them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import scorers
from pictures import photo

from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.evaluate import second_opinion
from fairgen.generate.sample import FIELDS
from fairgen.generate.score_second import Score, work

PROMPTS = {"land": "a landbird on land [V]", "water": "a waterbird on water [V]"}


def samples(folder: Path) -> list[Path]:
    """Three pictures of each of two groups, larger than the scorer's."""
    files = []
    for start, group in enumerate(PROMPTS):
        about = {"group": group, "cluster": 0, "prompt": "", "negative_prompt": "", "steps": 1}
        about |= {"guidance": 1.0, "base": "", "adapter": "", "adapter_hash": "", "borrowed_from": ""}
        rows = (
            (
                images.encode_png(np.asarray(photo(10 * start + i, 48))),
                {"id": f"{group}/{i}", "seed": i, **about},
            )
            for i in range(3)
        )
        files.append(folder / f"{group}.parquet")
        parquet.write_images(files[-1], rows, FIELDS, {"borrowed_from": ""})
    return files


@pytest.mark.parametrize("family", ["siglip", "siglip2"])
def test_scores_are_cosines_of_the_second_model_with_its_scale(tmp_path: Path, family: str) -> None:
    place, out = scorers.build(tmp_path, family), tmp_path / "scores_second.parquet"
    work(Score(str(place), 4, PROMPTS), SimpleNamespace(samples=samples(tmp_path), scores=out))
    found, facts = parquet.read(out), parquet.facts(out)
    assert facts["model"] == str(place)
    assert facts["scale"] == pytest.approx(np.exp(3.0), rel=1e-5)
    assert found["id"].to_pylist() == [f"{group}/{i}" for group in PROMPTS for i in range(3)]
    cosines = parquet.matrix(found, "cosines")
    assert cosines.shape == (6, 2) and (abs(cosines) <= 1).all() and cosines.std() > 0


def test_a_model_that_is_none_is_told_by_its_own_key(tmp_path: Path) -> None:
    files = SimpleNamespace(samples=samples(tmp_path), scores=tmp_path / "scores_second.parquet")
    with pytest.raises(FairgenError, match=r"^score\.second: cannot load a model from the folder \./nowhere"):
        work(Score("./nowhere", 4, PROMPTS), files)


def write(folder: Path) -> tuple[Path, Path]:
    """Cosines by a second model of five images, of which the filter has kept three."""
    cosines = np.array([[0.30, 0.10], [0.20, 0.19], [0.10, 0.30], [0.25, 0.10], [0.10, 0.28]], np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(cosines.ravel(), pa.float32()), 2)
    table = pa.table({"id": list("vwxyz"), "group": ["a"] * 4 + ["b"], "cosines": column})
    parquet.write(folder / "second.parquet", table, {"groups": ["a", "b"], "scale": 20.0, "model": "m"})
    chosen = {"id": list("zyxwv"), "kept": [False, True, True, False, False]}
    parquet.write(folder / "selection.parquet", chosen)
    return folder / "second.parquet", folder / "selection.parquet"


def test_acceptance_by_the_second_scorer(tmp_path: Path) -> None:
    """Of group a v, w and y reach one half, of its kept images x and y the latter only; b keeps none."""
    found = second_opinion.acceptance(*write(tmp_path), "probability", 0.5)
    assert found == {
        "a": {"accepted_second": 0.75, "kept_accepted_second": 0.5},
        "b": {"accepted_second": 1.0, "kept_accepted_second": None},
    }
    found = second_opinion.acceptance(*write(tmp_path), "quantile", 0.5)
    assert found["a"] == {"accepted_second": None, "kept_accepted_second": 0.5}
