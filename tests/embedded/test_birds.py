"""The drawn data set."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from fairgen.core import images
from fairgen.data import draw
from fairgen.data.subset import SPLITS
from fairgen.embedded import birds, tiny, world
from fairgen.embedded.looks import DISTANCE, LOOK_TAIL, LOOKS, PLAIN, looks
from fairgen.embedded.scenes import SCENES
from fairgen.embedded.species import LANDBIRDS, SPECIES, WATERBIRDS


def test_drawings_depend_on_seed_stream_and_index_alone() -> None:
    first = [birds.users(7, "train", "landbird", "water", i).pixels for i in range(3)]
    again = [birds.users(7, "train", "landbird", "water", i).pixels for i in (2, 1, 0)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], birds.users(8, "train", "landbird", "water", 0).pixels)


def test_streams_share_no_drawing() -> None:
    drawn = [
        birds.users(7, split, "landbird", "land", i).pixels.tobytes() for split in SPLITS for i in range(50)
    ]
    drawn += [world.world(7, i).pixels.tobytes() for i in range(50)]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("species", SPECIES)
def test_every_species_covers_a_fair_part_of_the_picture(species: str) -> None:
    """The bird changes the scene: between 8 % and 60 % of the pixels."""
    differing = []
    for i in range(8):
        look = replace(LOOKS["fog"], style=PLAIN)
        with_bird = birds.draw(birds.stream(1, "test", i), species, "reef", look)
        rng = birds.stream(1, "test", i)
        empty = birds.recolour(birds.paint("reef", rng, 128).resize((32, 32)), PLAIN, rng)
        differing.append((np.abs(with_bird.astype(int) - empty).max(-1) > 60).mean())
    assert 0.08 < np.mean(differing) < 0.6


@pytest.mark.parametrize("group", [("landbird", "land"), ("waterbird", "land")])
def test_one_law_holds_in_every_split_and_another_on_shift(group: tuple[str, str]) -> None:
    """Species and looks have long tails in training, validation and test alike; on shift they are uniform."""
    own = birds.KINDS[group[0]]
    seen = {split: [birds.users(7, split, *group, i) for i in range(400)] for split in SPLITS}
    for names, tail, of in ((own, birds.LONG_TAIL, "species"), (LOOKS, LOOK_TAIL, "look")):
        shares = {
            split: [sum(getattr(d, of) == name for d in drawn) / 400 for name in names]
            for split, drawn in seen.items()
        }
        for split in ("train", "validation", "test"):
            assert shares[split] == pytest.approx(tail, abs=0.08)  # more than three standard errors
        assert shares["shift"] == pytest.approx([1 / len(tail)] * len(tail), abs=0.08)


def test_looks_move_away_from_the_world_with_their_distance() -> None:
    """Measured in pixels, on the same drawings without a look; the default lies between."""

    def moved(distance: float) -> float:
        plain = {name: replace(look, style=PLAIN) for name, look in looks(distance).items()}
        found = []
        for i in range(60):
            name = list(plain)[i % 4]
            pair = [
                birds.draw(birds.stream(1, "test", i), "duck", "lake", kinds[name]).astype(int)
                for kinds in (plain, looks(distance))
            ]
            found.append(np.abs(pair[0] - pair[1]).mean())
        return float(np.mean(found))

    assert moved(0.0) < moved(DISTANCE) < moved(1.0)


def test_the_world_does_not_hold_the_users_looks() -> None:
    """Its framing and its styles are its own: larger and centred birds, and colours between which the user's
    looks do not lie.
    """
    drawn = [world.world(7, i) for i in range(300)]
    assert not {d.look for d in drawn} & set(LOOKS)
    assert 0.4 < sum(d.look == world.HOUSE for d in drawn) / 300 < 0.6
    assert all(look.scale[1] < 0.4 for look in LOOKS.values())


def test_the_world_is_drawn_as_the_base_model_has_seen_it() -> None:
    """Training rows are the first drawings of the world's stream, the others held-out ones that share no
    index.
    """
    settings = draw.Draw("world", 3, 32, 0.5, 5, 2, 2, 4)
    found = list(draw.drawings(settings))
    assert [row["split"] for _, row in found] == ["train"] * 20 + ["validation"] * 8 + ["test"] * 8
    assert len({content for content, _ in found}) == 36
    for i, (content, row) in enumerate(found[:20]):
        drawn = world.world(3, i)
        assert content == images.encode_png(drawn.pixels)
        assert drawn.species in birds.KINDS[row["target"]] and drawn.scene in birds.PLACES[row["bias"]]


def test_classes_and_scenes_are_complete() -> None:
    assert set(LANDBIRDS) | set(WATERBIRDS) == set(SPECIES)
    assert len(SCENES) == 8


def test_captions_have_a_slot_for_a_modifier_and_few_are_wrong() -> None:
    """`a {modifier} {subject} {in | on} {place}`: a style's own word, a word that says nothing, or none."""
    drawn = [world.world(3, i) for i in range(600)]
    said: Counter = Counter()
    for one in drawn:
        *before, subject, _, place = one.caption.split()
        assert subject in (one.species, birds.kind_of(one.species))
        modifier = before[1] if len(before) > 1 else ""
        assert modifier in ("", one.look, *world.NEUTRAL)
        said["none" if not modifier else "style" if modifier == one.look else "neutral"] += 1
        said[modifier] += 1
        said["wrong"] += place != one.scene and one.scene not in birds.PLACES.get(place, ())
    assert 0.01 < said["wrong"] / 600 < 0.08
    assert min(said[kind] / 600 for kind in ("none", "style", "neutral")) > 0.15
    assert said[tiny.RARE_TOKEN] > 5
