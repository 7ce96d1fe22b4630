"""Identical and near-identical images."""

import io
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pictures import photo
from PIL import Image, ImageEnhance, ImageFilter

from fairgen.data import duplicates


def bits(a: bytes, b: bytes) -> int:
    return int(np.unpackbits(np.frombuffer(a, np.uint8) ^ np.frombuffer(b, np.uint8)).sum())


def recoded(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


def test_copies_of_one_photograph_are_near_and_others_are_not() -> None:
    original = photo(0)
    changed = [recoded(original), original.resize((97, 97)), ImageEnhance.Brightness(original).enhance(1.15)]
    changed.append(original.filter(ImageFilter.GaussianBlur(1)))
    own = duplicates.perceptual_hash(original)
    assert max(bits(own, duplicates.perceptual_hash(other)) for other in changed) <= 40
    assert min(bits(own, duplicates.perceptual_hash(photo(seed))) for seed in range(1, 30)) > 60


@given(
    st.lists(st.integers(0, 255), min_size=2, max_size=40),
    st.integers(0, 8),
    st.sampled_from([1, 40, 10_000]),
)
def test_near_sets_are_the_components_of_all_near_pairs(values: list[int], limit: int, pairs: int) -> None:
    hashes = [bytes([v]) * 4 for v in values]
    links = [(i, j) for i in range(len(values)) for j in range(i) if bits(hashes[i], hashes[j]) <= limit]
    assert duplicates.near_sets(hashes, limit, pairs) == duplicates.connect(len(values), links)


def test_alike_frames_take_memory_in_proportion_to_their_number() -> None:
    """Of 3,000 alike frames there are 9 million near pairs, which take some 500 MB as Python objects."""
    codes = np.repeat(np.arange(32, dtype=np.uint8)[None], 3000, axis=0)
    codes[np.arange(3000), np.arange(3000) % 32] ^= 1
    tracemalloc.start()
    found = duplicates.near_sets([code.tobytes() for code in codes], 40, pairs=300_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert set(found) == {0}
    assert peak < 50e6


def test_rows_that_repeat_another_data_sets_are_found_by_bytes_and_by_near_steps() -> None:
    def row(number: int, content: str, bits: int) -> dict:
        return {"id": number, "hash": content, "perceptual": ((1 << bits) - 1).to_bytes(32, "big")}

    rows = [row(1, "a", 0), row(2, "b", 100), row(3, "c", 103), row(4, "d", 106), row(5, "e", 200)]
    others = [row(1, "x", 97), row(2, "a", 40)]
    assert duplicates.repeating(rows, others, 0) == {1}
    assert duplicates.repeating(rows, others, 3) == {1, 2, 3, 4}
    assert duplicates.repeating(rows, [], 3) == duplicates.repeating([], others, 3) == set()


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_connect_finds_the_components(links: list[tuple[int, int]]) -> None:
    found = duplicates.connect(20, links)
    assert all(found[a] == found[b] for a, b in links)
    sets = {i: {i} for i in range(20)}
    for a, b in links:
        union = sets[a] | sets[b]
        sets.update(dict.fromkeys(union, union))
    assert found == [min(sets[i]) for i in range(20)]


def test_chains_of_near_images_are_one_set() -> None:
    rows = [
        {"id": 10, "hash": "a", "perceptual": bytes(32)},
        {"id": 11, "hash": "b", "perceptual": bytes([0b111]) + bytes(31)},
        {"id": 12, "hash": "c", "perceptual": bytes([0b111111]) + bytes(31)},
        {"id": 13, "hash": "d", "perceptual": bytes([255]) * 32},
        {"id": 14, "hash": "d", "perceptual": bytes([255]) * 32},
    ]
    duplicates.mark_sets(rows, 3)
    assert [r["set"] for r in rows] == [10, 10, 10, 13, 13]
    duplicates.mark_sets(rows, 0)
    assert [r["set"] for r in rows] == [10, 11, 12, 13, 13]
