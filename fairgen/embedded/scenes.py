"""The eight scenes: `draw(draw, rng, size)` paints a background of size × size pixels.

All coordinates are shares of the picture's side.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from fairgen.embedded.canvas import Colour, jitter, mix


class Paper:
    """A square canvas addressed in shares of its side."""

    def __init__(self, size: int, fill: Colour):
        self.image = Image.new("RGB", (size, size), fill)
        self._draw, self._size = ImageDraw.Draw(self.image), size

    def gradient(self, top: float, bottom: float, a: Colour, b: Colour, steps: int = 6) -> None:
        """Horizontal bands from colour `a` at `top` to `b` at `bottom`."""
        edges = np.linspace(top, bottom, steps + 1)
        for i in range(steps):
            self.box(0, edges[i], 1, edges[i + 1], mix(a, b, (i + 0.5) / steps))

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Fill a rectangle."""
        self._draw.rectangle([v * self._size for v in (left, top, right, bottom)], fill=fill)

    def disc(self, x: float, y: float, rx: float, fill: Colour, ry: float | None = None) -> None:
        """Fill an ellipse around (x, y)."""
        ry = rx if ry is None else ry
        self._draw.ellipse([v * self._size for v in (x - rx, y - ry, x + rx, y + ry)], fill=fill)

    def polygon(self, points: list[tuple[float, float]], fill: Colour) -> None:
        """Fill the polygon through `points`."""
        self._draw.polygon([(x * self._size, y * self._size) for x, y in points], fill=fill)

    def line(self, points: list[tuple[float, float]], width: float, fill: Colour) -> None:
        """Draw a polyline."""
        flat = [(x * self._size, y * self._size) for x, y in points]
        self._draw.line(flat, fill=fill, width=max(1, round(width * self._size)), joint="curve")


def forest(paper: Paper, rng: np.random.Generator) -> None:
    """Dark trunks before deep green, needles above."""
    paper.gradient(0, 0.75, jitter(rng, (24, 70, 44)), jitter(rng, (60, 110, 70)))
    trunk = jitter(rng, (66, 44, 28), 10)
    for x in (np.arange(5) + rng.uniform(0, 1)) / 5:
        paper.box(x - 0.035, 0.0, x + 0.035, 0.8, trunk)
    for x in (np.arange(4) + rng.uniform(0, 1)) / 4:
        paper.polygon([(x - 0.18, 0.34), (x, -0.08), (x + 0.18, 0.34)], jitter(rng, (16, 60, 34), 10))
    paper.gradient(0.75, 1, jitter(rng, (70, 84, 40)), (52, 58, 30), 3)


def meadow(paper: Paper, rng: np.random.Generator) -> None:
    """Bright grass with flowers under a pale sky."""
    horizon = rng.uniform(0.3, 0.42)
    paper.gradient(0, horizon, jitter(rng, (160, 208, 244)), (214, 236, 250), 3)
    paper.gradient(horizon, 1, jitter(rng, (136, 206, 74)), jitter(rng, (84, 160, 48)))
    flower = ((250, 240, 90), (250, 250, 250), (240, 120, 170))[rng.integers(3)]
    for x, y in rng.uniform(0, 1, (12, 2)):
        paper.disc(x, horizon + 0.06 + y * (0.94 - horizon), 0.025, flower)


def bamboo(paper: Paper, rng: np.random.Generator) -> None:
    """Light green stalks with joints."""
    paper.gradient(0, 1, jitter(rng, (206, 226, 150)), jitter(rng, (150, 180, 96)))
    for x in (np.arange(6) + rng.uniform(0, 1)) / 6:
        stalk = jitter(rng, (104, 160, 60))
        paper.box(x - 0.04, 0, x + 0.04, 1, stalk)
        for y in (np.arange(4) + rng.uniform(0, 1)) / 4:
            paper.box(x - 0.05, y, x + 0.05, y + 0.025, mix(stalk, (40, 70, 20), 0.5))
    paper.box(0, 0.9, 1, 1, jitter(rng, (120, 120, 60)))


def autumn(paper: Paper, rng: np.random.Generator) -> None:
    """Round orange and red crowns over fallen leaves."""
    paper.gradient(0, 0.7, jitter(rng, (250, 226, 180)), (240, 200, 140), 3)
    for x in (np.arange(4) + rng.uniform(0, 1)) / 4:
        paper.box(x - 0.025, 0.3, x + 0.025, 0.75, (90, 60, 40))
        paper.disc(
            x,
            rng.uniform(0.18, 0.36),
            0.19,
            jitter(rng, ((232, 130, 30), (206, 70, 30), (240, 176, 40))[rng.integers(3)]),
        )
    paper.gradient(0.72, 1, jitter(rng, (196, 120, 50)), jitter(rng, (150, 84, 40)), 3)


def ocean(paper: Paper, rng: np.random.Generator) -> None:
    """Deep blue water with white crests under a light sky."""
    horizon = rng.uniform(0.22, 0.36)
    paper.gradient(0, horizon, jitter(rng, (176, 214, 240)), (226, 240, 246), 3)
    paper.gradient(horizon, 1, jitter(rng, (32, 104, 184)), jitter(rng, (16, 60, 130)))
    for y in np.arange(horizon + 0.1, 1, 0.14):
        phase, xs = rng.uniform(0, 6.3), np.linspace(0, 1, 14)
        wave = y + 0.02 * np.sin(xs * 19 + phase)
        paper.line(list(zip(xs, wave, strict=True)), 0.02, jitter(rng, (190, 222, 244)))


def lake(paper: Paper, rng: np.random.Generator) -> None:
    """Grey mountains with snow behind still turquoise water."""
    shore = rng.uniform(0.42, 0.52)
    paper.gradient(0, shore, jitter(rng, (196, 222, 244)), (232, 240, 248), 3)
    for x in (np.arange(3) + rng.uniform(0, 1)) / 3:
        peak, wide = shore - rng.uniform(0.24, 0.38), rng.uniform(0.24, 0.32)
        paper.polygon([(x - wide, shore), (x, peak), (x + wide, shore)], jitter(rng, (112, 120, 142)))
        paper.polygon(
            [(x - wide * 0.3, peak + 0.1), (x, peak), (x + wide * 0.3, peak + 0.1)], (246, 248, 252)
        )
    paper.gradient(shore, 1, jitter(rng, (120, 196, 214)), jitter(rng, (72, 150, 178)))
    for x, y in rng.uniform(0, 1, (5, 2)):
        paper.box(x - 0.1, shore + 0.05 + y * 0.42, x + 0.1, shore + 0.065 + y * 0.42, (196, 232, 238))


def dusk(paper: Paper, rng: np.random.Generator) -> None:
    """A low sun in an orange sky over dark violet water, with its reflection."""
    horizon, x = rng.uniform(0.42, 0.54), rng.uniform(0.15, 0.85)
    paper.gradient(0, horizon, jitter(rng, (110, 60, 130)), jitter(rng, (250, 150, 70)))
    paper.disc(x, horizon - 0.04, 0.14, (255, 226, 120))
    paper.gradient(horizon, 1, jitter(rng, (120, 62, 120)), jitter(rng, (44, 28, 80)))
    for y in np.arange(horizon + 0.04, 0.98, 0.1):
        half = rng.uniform(0.06, 0.16)
        paper.box(x - half, y, x + half, y + 0.03, (250, 180, 100))


def reef(paper: Paper, rng: np.random.Generator) -> None:
    """Bright turquoise shallows with pink and orange corals below."""
    paper.gradient(0, 1, jitter(rng, (70, 220, 214)), jitter(rng, (20, 140, 170)))
    for x, y in rng.uniform(0, 1, (6, 2)):
        paper.disc(x, y * 0.6, 0.025, (214, 250, 250))
    for x in (np.arange(5) + rng.uniform(0, 1)) / 5:
        coral, tall = (
            jitter(rng, ((250, 110, 130), (250, 160, 60), (190, 90, 200))[rng.integers(3)]),
            rng.uniform(0.14, 0.26),
        )
        for lean in (-0.07, 0.0, 0.07):
            paper.line([(x, 1), (x + lean, 1 - tall)], 0.045, coral)
    paper.box(0, 0.95, 1, 1, jitter(rng, (236, 214, 160)))


SCENES: dict[str, Callable[[Paper, np.random.Generator], None]] = {
    "forest": forest,
    "meadow": meadow,
    "bamboo": bamboo,
    "autumn": autumn,
    "ocean": ocean,
    "lake": lake,
    "dusk": dusk,
    "reef": reef,
}
LAND = ("forest", "meadow", "bamboo", "autumn")
WATER = ("ocean", "lake", "dusk", "reef")


def paint(name: str, rng: np.random.Generator, size: int) -> Image.Image:
    """Draw one scene; returns an RGB image of size × size."""
    paper = Paper(size, (128, 128, 128))
    SCENES[name](paper, rng)
    return paper.image
