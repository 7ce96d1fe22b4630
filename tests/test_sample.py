"""Sampling: quotas, sources, and images that do not depend on their batch."""

from pathlib import Path

import numpy as np
import pytest

from fairgen import images, tables
from fairgen.errors import FairgenError
from fairgen.models import adapters, diffusion
from fairgen.prompts import instance_prompt, plain_prompt
from fairgen.sample import FIELDS, Sample, Source, rows, shares, sources
from fairgen.sampling import Solver, draw


def record(path: Path, count: int, cluster: int = 0) -> Path:
    adapters.write_empty(path, {"images": count, "cluster": cluster})
    return path


def test_shares_follow_sizes_and_add_up() -> None:
    assert shares([60, 30, 10], 100) == [60, 30, 10]
    assert shares([1, 1, 1], 100) == [34, 33, 33]


def test_a_group_without_adapters_uses_its_donors(tmp_path: Path) -> None:
    own = [record(tmp_path / "o.safetensors", 0)]
    donors = [record(tmp_path / "d0.safetensors", 30), record(tmp_path / "d1.safetensors", 10, 1)]
    chosen, borrowed = sources(own, donors, 40, "g")
    assert borrowed
    assert [(s.cluster, s.count) for s in chosen] == [(0, 30), (1, 10)]
    chosen, borrowed = sources(donors, own, 40, "g")
    assert not borrowed
    with pytest.raises(FairgenError, match="group g: neither it nor its donor"):
        sources(own, own, 40, "g")


def test_no_adapters_at_all_means_the_base_alone() -> None:
    chosen, borrowed = sources([], [], 7, "g")
    assert (chosen[0].path, chosen[0].count, borrowed) == (None, 7, False)


@pytest.mark.parametrize("scheduler", ["dpmsolver++", "unipc"])
def test_an_image_depends_on_its_seed_not_on_its_batch(base: diffusion.Base, scheduler: str) -> None:
    unet, vae, text = (
        diffusion.load_unet(base),
        diffusion.load_vae(base),
        diffusion.encode_prompts(base, ["a duck on lake", ""]),
    )
    together = list(draw(unet, vae, base, text, [1, 2, 3], Solver(scheduler, 4, 2.0, "", 3)))
    apart = list(draw(unet, vae, base, text, [3, 1], Solver(scheduler, 4, 2.0, "", 1)))
    for one, other in ((together[2], apart[0]), (together[0], apart[1])):
        assert np.abs(one.astype(int) - other).max() <= 2
    assert np.abs(together[0].astype(int) - together[1]).mean() > 5


def test_drawing_goes_on_at_any_image(base: diffusion.Base) -> None:
    """Batches of 3 over two sources of 4 images: image 5 is the second one of the second source."""
    settings = Sample(8, 0, Solver("dpmsolver++", 2, 2.0, "", 3), "V", vars(base), {"g": "a duck on lake"}, {"g": None})
    chosen = [Source(None, 0, 4), Source(None, 1, 4)]
    whole = list(rows(settings, "g", chosen, False, "base"))
    for skip in (3, 5, 8):
        assert list(rows(settings, "g", chosen, False, "base", skip)) == whole[skip:]


def test_prompts_with_and_without_the_token() -> None:
    assert instance_prompt("a photo of a [V] blond man", "V") == "a photo of a V blond man"
    assert plain_prompt("a photo of a [V] blond man") == "a photo of a blond man"


def test_samples_open_as_a_hugging_face_image_table(tmp_path: Path) -> None:
    row = {name: ("" if str(kind) == "string" else 0) for name, kind in FIELDS.items()}
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[1, 2] = (10, 20, 30)
    tables.write_images(tmp_path / "s.parquet", [(images.encode_png(pixels), row)], FIELDS, {})
    schema = tables.read(tmp_path / "s.parquet").schema
    assert b'"_type": "Image"' in schema.metadata[b"huggingface"]
    assert np.array_equal(images.load_column(tmp_path / "s.parquet", 4)[0], pixels)
