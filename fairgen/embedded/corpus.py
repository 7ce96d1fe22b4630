"""What an embedded model is pretrained on: pictures with captions, and what is true of each picture."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairgen.core.workfolder import digest


@dataclass(frozen=True)
class Corpus:
    """Pictures of one world, of which a row is a picture with its caption."""

    pixels: np.ndarray  # (n, size, size, 3) uint8
    captions: list[str]  # words with spaces between them, each one of `words`
    said: np.ndarray  # (n, words) bool: what a caption may say of a picture
    silent: np.ndarray  # (n, words) bool: of what its labels say nothing, true or not
    words: tuple[str, ...]
    about: dict[str, Any]  # facts for the record of the weights
    told: np.ndarray = field(init=False)  # (n, words) bool: the words of each caption

    def __post_init__(self) -> None:
        object.__setattr__(self, "told", marks([text.split() for text in self.captions], self.words))

    def hashes(self) -> dict[str, str]:
        """Content hashes, by which an interrupted training knows its pictures and captions again."""
        text = "\n".join(self.captions).encode()
        return {"pictures": digest(np.ascontiguousarray(self.pixels)), "captions": digest(text)}


def marks(found: Sequence[Sequence[str] | frozenset[str] | set[str]], words: Sequence[str]) -> np.ndarray:
    """(n, words) bool: which of `words` each of the collections holds.

    Raises:
        KeyError: a collection holds another word.
    """
    place = {word: i for i, word in enumerate(words)}
    marked = np.zeros((len(found), len(words)), dtype=bool)
    for row, own in zip(marked, found, strict=True):
        row[[place[word] for word in own]] = True
    return marked


def truth(corpus: Corpus, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two (n, n) matrices of the pictures `rows`, bool: whether caption j is true of picture i, and whether
    the labels of picture i tell. A batch holds many true captions for one picture.

    A word that says nothing is true of every picture; a wrong caption still counts as true of its own.
    """
    told = corpus.told[rows].astype(np.float32).T
    true = fits(~corpus.said[rows], told)
    possible = fits(~(corpus.said[rows] | corpus.silent[rows]), told)
    np.fill_diagonal(true, True)
    return true, true | ~possible


def fits(barred: np.ndarray, told: np.ndarray) -> np.ndarray:
    """Whether caption j holds no word that is barred for picture i, for words barred (n, words) and told
    (words, n).
    """
    return barred.astype(np.float32) @ told == 0
