"""The drawn data set."""

import numpy as np
import pytest

from fairgen.core import images
from fairgen.data import draw
from fairgen.embedded import birds
from fairgen.embedded.scenes import SCENES
from fairgen.embedded.species import LANDBIRDS, SPECIES, WATERBIRDS


def test_drawings_depend_on_seed_stream_and_index_alone() -> None:
    first = [birds.users(7, "train", "landbird", "water", i).pixels for i in range(3)]
    again = [birds.users(7, "train", "landbird", "water", i).pixels for i in (2, 1, 0)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], birds.users(8, "train", "landbird", "water", 0).pixels)


def test_streams_share_no_drawing() -> None:
    drawn = [
        birds.users(7, split, "landbird", "land", i).pixels.tobytes()
        for split in ("train", "validation", "test")
        for i in range(50)
    ]
    drawn += [birds.world(7, i).pixels.tobytes() for i in range(50)]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("species", SPECIES)
def test_every_species_covers_a_fair_part_of_the_picture(species: str) -> None:
    """The bird changes the scene: between 8 % and 60 % of the pixels."""
    differing = []
    for i in range(8):
        with_bird = birds.draw(birds.stream(1, "test", i), species, "reef", birds.USER_STYLE)
        rng = birds.stream(1, "test", i)
        empty = birds.recolour(birds.paint("reef", rng, 128).resize((32, 32)), birds.USER_STYLE, rng)
        differing.append((np.abs(with_bird.astype(int) - empty).max(-1) > 60).mean())
    assert 0.08 < np.mean(differing) < 0.6


def test_species_follow_a_long_tail_in_training_and_are_uniform_in_test() -> None:
    train = [birds.users(7, "train", "landbird", "land", i).species for i in range(300)]
    test = [birds.users(7, "test", "landbird", "land", i).species for i in range(300)]
    assert train.count(LANDBIRDS[0]) > 4 * train.count(LANDBIRDS[-1])
    assert max(map(test.count, LANDBIRDS)) < 2 * min(map(test.count, LANDBIRDS))


def test_the_world_is_drawn_as_the_base_model_has_seen_it() -> None:
    """Training rows are the first drawings of the world's stream, the others held-out ones that share no
    index.
    """
    settings = draw.Draw("world", 3, 32, 5, 2, 2)
    found = list(draw.drawings(settings))
    assert [row["split"] for _, row in found] == ["train"] * 20 + ["validation"] * 8 + ["test"] * 8
    assert len({content for content, _ in found}) == 36
    for i, (content, row) in enumerate(found[:20]):
        drawn = birds.world(3, i)
        assert content == images.encode_png(drawn.pixels)
        assert drawn.species in birds.KINDS[row["target"]] and drawn.scene in birds.PLACES[row["bias"]]


def test_classes_and_scenes_are_complete() -> None:
    assert set(LANDBIRDS) | set(WATERBIRDS) == set(SPECIES)
    assert len(SCENES) == 8


def test_captions_are_true() -> None:
    for i in range(100):
        drawing = birds.world(3, i)
        subject, place = drawing.caption.split()[1], drawing.caption.split()[3]
        kind = "landbird" if drawing.species in LANDBIRDS else "waterbird"
        assert subject in (drawing.species, kind)
        assert place == drawing.scene or drawing.scene in birds.PLACES[place]
