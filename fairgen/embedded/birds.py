"""The drawn data set `birds`: Waterbirds in small.

Every drawing depends on (seed, stream, index) alone. Streams are disjoint: what the base model saw
(`fairgen.embedded.world`), the user's training, validation and test rows never share a drawing.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from fairgen.embedded.canvas import SUPERSAMPLE, Pen, Point, compose, jitter, recolour
from fairgen.embedded.looks import DISTANCE, LOOK_TAIL, LOOKS, Look, looks
from fairgen.embedded.scenes import LAND, WATER, paint
from fairgen.embedded.species import LANDBIRDS, SPECIES, WATERBIRDS

STREAMS = {"world": 0, "train": 1, "validation": 2, "test": 3, "held-out": 4, "shift": 6}
LONG_TAIL = (0.35, 0.25, 0.15, 0.12, 0.08, 0.05)  # of a class's species in the user's drawings
KINDS = {"landbird": LANDBIRDS, "waterbird": WATERBIRDS}
PLACES = {"land": LAND, "water": WATER}
PREPOSITION = {
    scene: "in" if scene in ("forest", "meadow", "bamboo", "autumn") else "on" for scene in LAND + WATER
}


@dataclass(frozen=True)
class Drawing:
    """One drawing and what it shows."""

    pixels: np.ndarray  # (size, size, 3) uint8
    species: str
    scene: str
    look: str  # of LOOKS, or the world's style
    caption: str


def kind_of(species: str) -> str:
    """The class of a species."""
    return next(kind for kind, own in KINDS.items() if species in own)


def place_of(scene: str) -> str:
    """Land or water."""
    return next(place for place, own in PLACES.items() if scene in own)


def stream(seed: int, name: str, index: int) -> np.random.Generator:
    """The random stream of one drawing."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, STREAMS[name], index))))


def draw(
    rng: np.random.Generator, species: str, scene: str, look: Look, size: int = 32, beside: str | None = None
) -> np.ndarray:
    """Draw one bird before one scene, in some pictures of the world a smaller one beside it; returns
    (size, size, 3) uint8.
    """
    side = size * SUPERSAMPLE
    background = paint(scene, rng, side)
    bird = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    centre = side * rng.uniform(*look.across), side * rng.uniform(*look.down)
    scale = side * rng.uniform(*look.scale)
    if beside:
        shift = side * rng.uniform(0.24, 0.3) * rng.choice((-1, 1))
        place(bird, rng, beside, (centre[0] + shift, centre[1] + 0.06 * side), 0.6 * scale)
    place(bird, rng, species, centre, scale)
    found = compose(background, bird, look.style).resize((size, size), Image.Resampling.BOX)
    return recolour(found, look.style, rng)


def place(bird: Image.Image, rng: np.random.Generator, species: str, centre: Point, scale: float) -> None:
    """Draw a bird onto a transparent picture."""
    shape, colours = SPECIES[species]
    pen = Pen(bird, centre, scale, mirror=bool(rng.integers(2)), tilt=rng.normal(0, 0.06))
    shape(pen, rng, jitter(rng, colours[rng.integers(len(colours))]))


def users(
    seed: int, split: str, kind: str, place: str, index: int, size: int = 32, distance: float = DISTANCE
) -> Drawing:
    """Drawing `index` of one group of the user's data: species and looks with long tails, the same in every
    split; uniform in `shift`, a test under another law. `distance` is that of the looks from the world.
    """
    group = 2 * list(KINDS).index(kind) + list(PLACES).index(place)
    rng = stream(seed, split, 4 * index + group)
    species = str(rng.choice(KINDS[kind], p=None if split == "shift" else LONG_TAIL))
    look = str(rng.choice(list(LOOKS), p=None if split == "shift" else LOOK_TAIL))
    scene = str(rng.choice(PLACES[place]))
    pixels = draw(rng, species, scene, looks(distance)[look], size)
    return Drawing(pixels, species, scene, look, f"a {kind} on {place}")
