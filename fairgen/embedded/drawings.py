"""The drawn world as a corpus: what the base of `birds` is pretrained on."""

import numpy as np
from tqdm import tqdm

from fairgen.embedded import tiny
from fairgen.embedded.birds import Drawing, kind_of, place_of
from fairgen.embedded.corpus import Corpus, marks
from fairgen.embedded.world import NEUTRAL, world

DRAWINGS = 40_000


def corpus(seed: int, name: str = "world") -> Corpus:
    """The first `DRAWINGS` drawings of a stream."""
    drawn = [world(seed, i, name) for i in tqdm(range(DRAWINGS), desc=f"draw {name}", mininterval=5)]
    words = tuple(dict.fromkeys((*tiny.COMMON, *NEUTRAL, *tiny.WORDS)))
    said = marks([words_of(one) for one in drawn], words)
    pixels = np.stack([one.pixels for one in drawn])
    captions = [one.caption for one in drawn]
    return Corpus(pixels, captions, said, np.zeros_like(said), words, {"world_drawings": DRAWINGS})


def words_of(drawing: Drawing) -> set[str]:
    """Every word that a caption may say of a drawing."""
    own = {drawing.species, drawing.scene, kind_of(drawing.species), place_of(drawing.scene), drawing.look}
    return own | {*tiny.COMMON, *NEUTRAL}
