"""The world of faces: real photographs with captions from their labels, for a base that knows faces, but not
the user's.

It is CelebA, and of UTKFace the ages that the data set `utkface` leaves out (6 to 19, and over 50): the
user's are 0 to 5 and 20 to 50. Captions are as those of the drawn world: a slot for a modifier before the
noun, with words for how a picture looks and words that say nothing, of which the rare token V is one; some
are noisy. Each picture occurs several times, every other time mirrored, with captions of its own.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairgen.core import images
from fairgen.core.errors import FairgenError, shortened
from fairgen.embedded import tiny
from fairgen.embedded.canvas import LUMA
from fairgen.embedded.corpus import Corpus, marks

FILES = {"celeba": "celeba-64.parquet", "utkface": "utkface-64.parquet"}
USERS = ((0, 5), (20, 50))  # ages of UTKFace that the base must not see
COPIES = 4  # of each picture, with other captions; half of them mirrored
MODIFIED, TOLD, NOISY, SAID = 0.5, 0.5, 0.08, 0.5  # shares of captions, of modifiers, of captions, of labels
NEUTRAL = ("V", "nice", "good", "zib", "quor", "wep", "dax")
LOOKS = ("monochrome", "bright", "dim", "warm", "cool", "soft")
COMMON = ("a", "an", "photo", "of", "with", "and", "hair")
NOUNS = {
    "male": {"adult": "man", "teenager": "boy", "child": "boy"},
    "female": {"adult": "woman", "teenager": "girl", "child": "girl"},
}
AGES = {"adult": ("grown",), "old": ("old", "grown"), "teenager": ("young",), "child": ("young",)}
RACES = {"White": "white", "Black": "black", "Asian": "asian", "Indian": "indian"}
TRAITS = {  # of CelebA: words before the noun
    ("Smiling", 1): "smiling",
    ("Smiling", -1): "serious",
    ("Bald", 1): "bald",
    ("Chubby", 1): "chubby",
    ("Pale_Skin", 1): "pale",
    ("Blurry", 1): "blurry",
}
DETAILS = {  # of CelebA: words after it
    ("Blond_Hair", 1): "blond hair",
    ("Black_Hair", 1): "dark hair",
    ("Brown_Hair", 1): "brown hair",
    ("Gray_Hair", 1): "gray hair",
    ("Wavy_Hair", 1): "wavy hair",
    ("Bangs", 1): "bangs",
    ("Eyeglasses", 1): "glasses",
    ("Wearing_Hat", 1): "a hat",
    ("No_Beard", -1): "a beard",
    ("Mustache", 1): "a mustache",
    ("Heavy_Makeup", 1): "makeup",
    ("Wearing_Earrings", 1): "earrings",
    ("Wearing_Necktie", 1): "a tie",
}


def words_in(texts: Iterable[str]) -> set[str]:
    """The words of some texts."""
    return {word for text in texts for word in text.split()}


OF_CELEBA = words_in((*TRAITS.values(), *DETAILS.values())) - set(COMMON)
OF_AGE = words_in((*NOUNS, *AGES, *(w for n in NOUNS.values() for w in n.values()), "young grown"))
WORDS = tuple(
    dict.fromkeys((*COMMON, *NEUTRAL, *LOOKS, *sorted(OF_AGE), *RACES.values(), *sorted(OF_CELEBA)))
)


@dataclass(frozen=True)
class Face:
    """What the labels say of one picture."""

    gender: str  # male | female
    age: str  # of AGES
    before: tuple[str, ...] = ()  # words that may stand before the noun
    after: tuple[str, ...] = ()  # phrases that may stand after it
    said: frozenset[str] = frozenset()  # all words that are true of it
    silent: frozenset[str] = frozenset()  # words of which its labels say nothing


def of_utkface(row: dict[str, Any]) -> Face:
    """A face of UTKFace by its row (`age` in years, `gender`, `race`); a teenager may be called grown, or
    a child.
    """
    gender, years, race = row["gender"], row["age"], RACES.get(row["race"])
    age = "child" if years < 13 else "teenager" if years < 20 else "adult" if years <= 50 else "old"
    kind = "adult" if age == "old" else age
    said = {gender, kind, NOUNS[gender][kind], *AGES[age], *([race] if race else ())}
    either = {"child", "grown", "adult", NOUNS[gender]["adult"]} if age == "teenager" else set()
    return Face(gender, age, (race,) if race else (), (), frozenset(said), frozenset(OF_CELEBA | either))


def of_celeba(row: dict[str, Any]) -> Face:
    """A face of CelebA by its row of attributes (-1 or 1): an adult, young or not."""
    gender, young = "male" if row["Male"] == 1 else "female", row["Young"] == 1
    traits, details = (
        [word for (name, value), word in found.items() if row[name] == value] for found in (TRAITS, DETAILS)
    )
    before = (*traits, "young") if young else tuple(traits)
    said = {gender, "adult", "grown", NOUNS[gender]["adult"], *words_in((*before, *details))}
    silent = {*RACES.values()} if young else {*RACES.values(), "old"}
    return Face(gender, "adult", before, tuple(details), frozenset(said), frozenset(silent))


def looks_of(pixels: np.ndarray) -> list[str]:
    """The words for how one picture (size, size, 3) uint8 looks; the bounds are about the outer tenths."""
    x = pixels.astype(np.float32)
    light = x @ LUMA
    warmth, colour = float((x[..., 0] - x[..., 2]).mean()), float((x.max(-1) - x.min(-1)).mean())
    true = {
        "monochrome": colour < 12,
        "bright": light.mean() > 165,
        "dim": light.mean() < 78,
        "warm": warmth > 75,
        "cool": warmth < 12 <= colour,
        "soft": light.std() < 36,
    }
    return [look for look in LOOKS if true[look]]


def caption(rng: np.random.Generator, face: Face, looks: list[str]) -> str:
    """`a photo of a {modifier} {traits} {age} {noun} with {details}`, where some parts may lack; a few state
    a wrong age.
    """
    age = face.age if rng.random() > NOISY else str(rng.choice(list(AGES)))
    kind = "adult" if age == "old" else age
    noun = str(rng.choice([NOUNS[face.gender][kind], f"{face.gender} {kind}"]))
    parts = [modifier(rng, looks), *some(rng, face.before), *some(rng, (str(rng.choice(AGES[age])),)), noun]
    words = list(dict.fromkeys(" ".join(parts).split()))
    after = some(rng, face.after)[:2]
    tail = f" with {' and '.join(after)}" if after else ""
    start = "a photo of " if rng.random() < 0.8 else ""
    article = "an" if words[0][0] in "aeiou" else "a"
    return f"{start}{article} {' '.join(words)}{tail}"


def some(rng: np.random.Generator, said: tuple[str, ...]) -> list[str]:
    """Each with one chance in two, in random order."""
    return [said[i] for i in rng.permutation(len(said)) if rng.random() < SAID]


def modifier(rng: np.random.Generator, looks: list[str]) -> str:
    """What stands before the noun: nothing, a word for the look, or a word that says nothing."""
    if rng.random() > MODIFIED:
        return ""
    return str(rng.choice(looks if looks and rng.random() < TOLD else NEUTRAL))


def corpus(seed: int, data: Path) -> Corpus:
    """The pictures of the folder `data` that the base may see, at the size of the embedded models.

    Raises:
        FairgenError: a file is not there, or not as it should be.
    """
    if gone := [name for name in FILES.values() if not (data / name).is_file()]:
        raise FairgenError(
            f"{data}: {gone[0]} is not there; the folder must hold {' and '.join(FILES.values())}"
        )
    once, found = celeba(data / FILES["celeba"])
    more, others = utkface(data / FILES["utkface"])
    pixels, found = np.concatenate([once, more]), [*found, *others]
    rng = np.random.default_rng(seed)
    seen = [looks_of(x) for x in pixels]
    captions = [caption(rng, *one) for _ in range(COPIES) for one in zip(found, seen, strict=True)]
    always = {*COMMON, *NEUTRAL}
    said = marks([{*always, *face.said, *looks} for face, looks in zip(found, seen, strict=True)], WORDS)
    silent = marks([face.silent for face in found], WORDS)
    return Corpus(
        np.concatenate([pixels[:, :, :: 1 - 2 * (i % 2)] for i in range(COPIES)]),
        captions,
        np.tile(said, (COPIES, 1)),
        np.tile(silent, (COPIES, 1)),
        WORDS,
        {"world": "faces", "celeba": len(once), "utkface": len(more), "copies": COPIES},
    )


def celeba(path: Path) -> tuple[np.ndarray, list[Face]]:
    """All of CelebA's pictures (n, size, size, 3) uint8 with what is said of them.

    Raises:
        FairgenError: the file is not as it should be.
    """
    names = {"Male", "Young", *(name for name, _ in (*TRAITS, *DETAILS))}
    rows, pixels = content(path, dict.fromkeys(sorted(names), (-1, 1)))
    return pixels, [of_celeba(row) for row in rows]


def content(path: Path, known: dict[str, Collection[Any]]) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Labels of a file, each with one of the values that are `known` of its column, and its pictures.

    Raises:
        FairgenError: the file cannot be read, lacks a column, or has another value.
    """
    try:
        columns = pq.read_schema(path).names
        if lacking := [name for name in known if name not in columns]:
            raise FairgenError(f"{path}: no column '{lacking[0]}'; it has {', '.join(columns)}")
        rows, pixels = (
            pq.read_table(path, columns=list(known)).to_pylist(),
            images.load_column(path, tiny.SIZE),
        )
    except (OSError, ValueError, TypeError, AttributeError, pa.ArrowException) as error:
        reason = f"{type(error).__name__}: {shortened(str(error))}"
        raise FairgenError(
            f"{path} is no Parquet file of labels and decodable pictures ({reason}); copy it again"
        ) from error
    for number, row in enumerate(rows):
        for name, values in known.items():
            if type(row[name]) is bool or row[name] not in values:
                shown = (
                    f"{min(values)} to {max(values)}"
                    if isinstance(values, range)
                    else ", ".join(map(str, values))
                )
                raise FairgenError(f"{path} row {number}: {name} is {row[name]!r}, and {shown} is expected")
    return rows, pixels


def utkface(path: Path) -> tuple[np.ndarray, list[Face]]:
    """UTKFace's pictures (n, size, size, 3) uint8 of ages that are not the user's, and of which none of the
    user's is a copy.

    Raises:
        FairgenError: the file is not as it should be.
    """
    rows, pixels = content(path, {"age": range(117), "gender": (*NOUNS,), "race": (*RACES, "Others")})
    users = [any(low <= row["age"] <= high for low, high in USERS) for row in rows]
    barred = {x.tobytes() for x, theirs in zip(pixels, users, strict=True) if theirs}
    kept = [i for i, x in enumerate(pixels) if x.tobytes() not in barred]
    return pixels[kept], [of_utkface(rows[i]) for i in kept]
