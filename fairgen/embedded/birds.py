"""The drawn data set `birds`: Waterbirds in small, and the wider world its base model was pretrained on.

Every drawing depends on (seed, stream, index) alone. Streams are disjoint: what the base model saw (`world`),
the user's training, validation and test rows never share a drawing.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from fairgen.embedded.canvas import SUPERSAMPLE, Pen, Style, compose, jitter, recolour
from fairgen.embedded.scenes import LAND, WATER, paint
from fairgen.embedded.species import LANDBIRDS, SPECIES, WATERBIRDS

STREAMS = {"world": 0, "train": 1, "validation": 2, "test": 3, "held-out": 4, "held-out-style": 5}
LONG_TAIL = (0.35, 0.25, 0.15, 0.12, 0.08, 0.05)
KINDS = {"landbird": LANDBIRDS, "waterbird": WATERBIRDS}
PLACES = {"land": LAND, "water": WATER}
PREPOSITION = {
    scene: "in" if scene in ("forest", "meadow", "bamboo", "autumn") else "on" for scene in LAND + WATER
}

# The user's own style, which the world does not hold: violet outline and tint, diagonal bands.
USER_STYLE = Style(
    outline=(110, 60, 150),
    outline_width=0.018,
    pastel=0.0,
    saturation=0.85,
    tint=(120, 70, 170),
    tint_strength=0.24,
    gain=1.05,
    texture="bands",
    texture_strength=0.03,
    shading=0.4,
)


@dataclass(frozen=True)
class Drawing:
    """One drawing and what it shows."""

    pixels: np.ndarray  # (size, size, 3) uint8
    species: str
    scene: str
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


def draw(rng: np.random.Generator, species: str, scene: str, style: Style, size: int = 32) -> np.ndarray:
    """Draw one bird before one scene; returns (size, size, 3) uint8."""
    side = size * SUPERSAMPLE
    background = paint(scene, rng, side)
    shape, colours = SPECIES[species]
    bird = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    scale = side * rng.uniform(0.3, 0.38)
    centre = side * rng.uniform(0.44, 0.56), side * rng.uniform(0.48, 0.58)
    pen = Pen(bird, centre, scale, mirror=bool(rng.integers(2)), tilt=rng.normal(0, 0.06))
    shape(pen, rng, jitter(rng, colours[rng.integers(len(colours))]))
    return recolour(compose(background, bird, style).resize((size, size), Image.Resampling.BOX), style, rng)


def world_style(rng: np.random.Generator) -> Style:
    """One of the world's many styles: outlined, flat, pastel, textured, tinted; shifted in colour and
    brightness.
    """
    dark = (int(rng.integers(0, 60)), int(rng.integers(0, 50)), int(rng.integers(0, 60)))
    tints = ((250, 220, 140), (230, 90, 60), (60, 160, 90), (120, 190, 230), (128, 128, 128))
    texture = ("none", "none", "grain", "stripes")[rng.integers(4)]
    return Style(
        outline=dark if rng.random() < 0.5 else None,
        outline_width=rng.uniform(0.006, 0.02),
        pastel=max(0.0, rng.uniform(-0.3, 0.4)),
        saturation=rng.uniform(0.55, 1.35),
        tint=tints[rng.integers(len(tints))],
        tint_strength=max(0.0, rng.uniform(-0.2, 0.3)),
        gain=rng.uniform(0.78, 1.15),
        texture=texture,
        texture_strength=rng.uniform(0.015, 0.05),
        shading=max(0.0, rng.uniform(-0.5, 0.8)),
    )


def world(seed: int, index: int, name: str = "world", style: Style | None = None, size: int = 32) -> Drawing:
    """Drawing `index` of the unbiased, many-styled world, with a caption that is generic half of the time."""
    rng = stream(seed, name, index)
    kind, place = ("landbird", "waterbird")[rng.integers(2)], ("land", "water")[rng.integers(2)]
    species, scene = KINDS[kind][rng.integers(6)], PLACES[place][rng.integers(4)]
    subject = species if rng.random() < 0.5 else kind
    caption = f"a {subject} {PREPOSITION[scene]} {scene}" if rng.random() < 0.5 else f"a {subject} on {place}"
    pixels = draw(rng, species, scene, style or world_style(rng), size)
    return Drawing(pixels, species, scene, caption)


def users(seed: int, split: str, kind: str, place: str, index: int, size: int = 32) -> Drawing:
    """Drawing `index` of one group of the user's data: long-tailed species, but uniform ones in the test
    split.
    """
    group = 2 * list(KINDS).index(kind) + list(PLACES).index(place)
    rng = stream(seed, split, 4 * index + group)
    weights = None if split == "test" else LONG_TAIL
    species = str(rng.choice(KINDS[kind], p=weights))
    scene = str(rng.choice(PLACES[place]))
    return Drawing(draw(rng, species, scene, USER_STYLE, size), species, scene, f"a {kind} on {place}")
