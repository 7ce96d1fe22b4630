"""The twelve birds, each a parametric shape: `draw(pen, rng, colours)` in the pen's local frame.

The frame is about two units wide and high; the bird looks to the right and stands at y = 1.
"""

from collections.abc import Callable

import numpy as np

from fairgen.embedded.canvas import Colour, Pen, jitter, mix

WHITE, BLACK, RED, BROWN, GREY = (240, 238, 230), (30, 30, 36), (190, 48, 40), (122, 80, 46), (140, 142, 148)
CREAM, YELLOW, ORANGE, PINK, BLUE = (
    (226, 204, 164),
    (244, 204, 52),
    (240, 138, 36),
    (242, 132, 152),
    (34, 72, 190),
)
GREEN, TEAL, DARK = (30, 110, 66), (20, 140, 130), (20, 18, 22)


def _eye(pen: Pen, x: float, y: float, r: float = 0.07, ring: Colour = WHITE) -> None:
    pen.ellipse(x, y, r * 1.5, r * 1.5, ring)
    pen.ellipse(x, y, r * 0.9, r * 0.9, DARK)


def _legs(pen: Pen, x: float, top: float, colour: Colour, gap: float = 0.22, width: float = 0.08) -> None:
    for foot in (x - gap / 2, x + gap / 2):
        pen.stroke([(foot, top), (foot, 1.0)], width, colour)
        pen.stroke([(foot, 1.0), (foot + 0.16, 1.0)], width, colour)


def rooster(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Arched tail plumes, red comb and wattle."""
    tail = jitter(rng, mix(body, (20, 60, 50), 0.75))
    lift = rng.uniform(-0.12, 0.12)
    for bend in (0.0, 0.2, 0.4):
        pen.stroke([(-0.35, 0.2), (-0.75, -0.55 + lift + bend), (-1.05, -0.25 + bend + lift)], 0.22, tail)
    _legs(pen, 0.0, 0.5, YELLOW)
    pen.ellipse(0.0, 0.25, 0.52, 0.4, body, 0.25)
    pen.polygon([(0.05, 0.25), (0.55, 0.2), (0.68, -0.5), (0.36, -0.55)], mix(body, ORANGE, 0.35))
    pen.ellipse(0.52, -0.55, 0.2, 0.2, mix(body, ORANGE, 0.25))
    for x, y in ((0.36, -0.78), (0.52, -0.86), (0.68, -0.78)):
        pen.ellipse(x, y, 0.12, 0.16, (224, 30, 34))
    pen.ellipse(0.68, -0.3, 0.09, 0.17, (224, 30, 34))
    pen.polygon([(0.68, -0.62), (0.98, -0.5), (0.68, -0.44)], YELLOW)
    _eye(pen, 0.57, -0.58, 0.05)


def owl(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Upright and frontal: two large eye discs, ear tufts, barred breast."""
    wide = rng.uniform(0.5, 0.62)
    pen.polygon([(-0.5, -0.6), (-0.42, -1.05), (-0.1, -0.75)], mix(body, DARK, 0.3))
    pen.polygon([(0.5, -0.6), (0.42, -1.05), (0.1, -0.75)], mix(body, DARK, 0.3))
    pen.ellipse(0, 0.25, wide, 0.72, body)
    pen.ellipse(0, -0.42, 0.56, 0.46, body)
    pen.ellipse(0, 0.4, wide * 0.6, 0.48, mix(body, CREAM, 0.65))
    pen.ellipse(-wide * 0.85, 0.25, 0.17, 0.5, mix(body, DARK, 0.4), 0.15)
    pen.ellipse(wide * 0.85, 0.25, 0.17, 0.5, mix(body, DARK, 0.4), -0.15)
    for x in (-0.25, 0.25):
        pen.ellipse(x, -0.42, 0.26, 0.26, (250, 232, 150))
        pen.ellipse(x, -0.42, 0.13, 0.13, DARK)
    pen.polygon([(-0.1, -0.3), (0.1, -0.3), (0, -0.05)], ORANGE)
    for x in (-0.2, 0.2):
        pen.ellipse(x, 0.96, 0.13, 0.08, ORANGE)


def peacock(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """A fan of feathers with eye spots behind a slim neck."""
    fan, spot = jitter(rng, (22, 132, 92)), (244, 196, 60)
    reach, spread = rng.uniform(1.0, 1.18), rng.uniform(1.25, 1.5)
    pen.polygon(
        [(0, 0.45)]
        + [
            (reach * 1.02 * np.sin(a), 0.35 - reach * np.cos(a) * 1.25)
            for a in np.linspace(-spread, spread, 15)
        ],
        mix(fan, DARK, 0.25),
    )
    for angle in np.linspace(-spread * 0.9, spread * 0.9, 7):
        x, y = reach * 0.82 * np.sin(angle), 0.35 - reach * 1.02 * np.cos(angle)
        pen.stroke([(0, 0.35), (x, y)], 0.09, fan)
        pen.ellipse(x, y, 0.15, 0.15, spot)
        pen.ellipse(x, y, 0.08, 0.08, BLUE)
    _legs(pen, 0.0, 0.7, GREY, 0.2, 0.06)
    pen.ellipse(0, 0.5, 0.3, 0.36, body)
    pen.stroke([(0, 0.4), (0.06, 0.0), (0.02, -0.3)], 0.26, body)
    pen.ellipse(0.05, -0.36, 0.16, 0.15, body)
    pen.polygon([(0.17, -0.42), (0.38, -0.32), (0.17, -0.28)], CREAM)
    _eye(pen, 0.09, -0.38, 0.04)


def dove(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Small and plump in flight, one wing raised, fanned tail."""
    up = rng.uniform(-1.0, -0.75)
    shade = mix(body, GREY, 0.45)
    pen.polygon([(-0.4, 0.2), (-1.05, 0.05), (-1.1, 0.3), (-1.0, 0.5), (-0.4, 0.42)], shade)
    pen.polygon([(0.3, 0.1), (0.1, up), (-0.25, up - 0.05), (-0.55, up + 0.3), (-0.35, 0.2)], shade)
    pen.ellipse(0, 0.25, 0.55, 0.33, body, 0.2)
    pen.polygon([(0.15, 0.15), (-0.35, up + 0.35), (-0.7, up + 0.4), (-0.8, up + 0.75), (-0.3, 0.3)], body)
    pen.ellipse(0.52, 0.0, 0.25, 0.24, body)
    pen.polygon([(0.73, -0.08), (0.96, 0.06), (0.73, 0.1)], mix(ORANGE, PINK, 0.4))
    _eye(pen, 0.58, -0.04, 0.05, body)


def eagle(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Frontal, both wings spread wide with fingered tips, white head, hooked beak."""
    lift = rng.uniform(-0.35, 0.05)
    for side in (-1, 1):
        tips = [
            (side * 1.25, lift - 0.35),
            (side * 1.3, lift),
            (side * 1.15, lift + 0.25),
            (side * 0.95, lift + 0.45),
        ]
        pen.polygon([(side * 0.15, -0.25), (side * 0.7, lift - 0.4), *tips, (side * 0.25, 0.45)], body)
        for x, y in tips:
            pen.stroke([(side * 0.35, 0.05), (x, y)], 0.1, mix(body, DARK, 0.35))
    pen.polygon([(-0.22, 0.5), (0.22, 0.5), (0.34, 1.0), (-0.34, 1.0)], WHITE)
    pen.ellipse(0, 0.2, 0.32, 0.52, mix(body, DARK, 0.15))
    pen.ellipse(0, -0.42, 0.26, 0.28, WHITE)
    pen.polygon([(0.1, -0.5), (0.44, -0.38), (0.36, -0.2), (0.1, -0.28)], YELLOW)
    _eye(pen, 0.1, -0.48, 0.05, WHITE)


def blackbird(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Small, sleek, long cocked tail, thin orange beak and eye ring."""
    cock = rng.uniform(-0.5, 0.0)
    pen.polygon([(-0.35, 0.2), (-1.15, cock), (-1.2, cock + 0.25), (-0.3, 0.5)], mix(body, DARK, 0.3))
    _legs(pen, 0.05, 0.55, (120, 84, 50), 0.24, 0.07)
    pen.ellipse(0.0, 0.25, 0.56, 0.36, body, 0.35)
    pen.ellipse(-0.12, 0.28, 0.42, 0.2, mix(body, GREY, 0.25), 0.2)
    pen.ellipse(0.42, -0.22, 0.3, 0.28, body)
    pen.polygon([(0.66, -0.34), (1.1, -0.2), (0.66, -0.12)], ORANGE)
    _eye(pen, 0.5, -0.27, 0.06, YELLOW)


def duck(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """A boat-shaped body, short neck, round head in another colour, flat yellow bill."""
    head = (18, 120, 70) if body != WHITE else (236, 226, 160)
    pen.polygon([(-0.6, 0.4), (-1.1, 0.05), (-0.85, 0.6)], mix(body, DARK, 0.3))
    pen.ellipse(-0.1, 0.5, 0.82, 0.42, body)
    pen.ellipse(-0.2, 0.42, 0.45, 0.24, mix(body, GREY, 0.5), 0.1)
    pen.stroke([(0.45, 0.35), (0.52, -0.15)], 0.32, head)
    pen.ellipse(0.46, 0.18, 0.2, 0.08, WHITE)
    pen.ellipse(0.55, -0.3, 0.32, 0.3, head)
    pen.polygon([(0.78, -0.4), (1.25, -0.25), (1.25, -0.12), (0.78, -0.1)], YELLOW)
    _eye(pen, 0.6, -0.36, 0.06)


def swan(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """A long S-shaped neck over a boat-shaped body with raised wing."""
    reach = rng.uniform(-1.0, -0.85)
    pen.polygon([(-0.6, 0.35), (-1.15, 0.05), (-0.9, 0.7)], body)
    pen.ellipse(-0.15, 0.52, 0.85, 0.4, body)
    pen.polygon([(0.2, 0.45), (-0.4, -0.15), (-1.0, -0.05), (-0.7, 0.5)], mix(body, GREY, 0.3))
    pen.stroke([(0.5, 0.5), (0.78, 0.1), (0.5, -0.35), (0.55, reach + 0.15), (0.8, reach + 0.1)], 0.22, body)
    pen.ellipse(0.78, reach + 0.12, 0.18, 0.15, body)
    pen.polygon([(0.9, reach), (1.25, reach + 0.25), (0.88, reach + 0.27)], ORANGE)
    pen.ellipse(0.9, reach + 0.1, 0.07, 0.07, DARK if body != BLACK else RED)


def flamingo(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Two very long legs, small body high up, S-shaped neck, hooked black-tipped bill."""
    knee, leg = rng.uniform(-0.14, 0.14), mix(body, RED, 0.3)
    pen.stroke([(-0.12, 0.1), (-0.12 + knee, 0.55), (-0.12, 1.05)], 0.09, leg)
    pen.stroke([(0.12, 0.1), (0.12, 1.05)], 0.09, leg)
    pen.ellipse(-0.1, -0.02, 0.52, 0.3, body, -0.15)
    pen.polygon([(-0.3, -0.2), (-0.85, 0.15), (-0.2, 0.22)], mix(body, RED, 0.45))
    pen.stroke([(0.28, -0.05), (0.62, -0.3), (0.36, -0.7), (0.5, -1.05), (0.72, -0.98)], 0.17, body)
    pen.ellipse(0.66, -0.98, 0.17, 0.14, body)
    pen.polygon([(0.76, -1.06), (0.98, -0.9), (0.88, -0.64), (0.74, -0.86)], CREAM)
    pen.polygon([(0.96, -0.92), (0.88, -0.6), (0.82, -0.8)], DARK)


def penguin(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """Upright, dark back, white belly, flippers at the sides, orange feet."""
    flap = rng.uniform(0.0, 0.3)
    for side in (-1, 1):
        pen.polygon(
            [(side * 0.4, -0.3), (side * (0.72 + flap), 0.42), (side * 0.45, 0.35)], mix(body, DARK, 0.3)
        )
        pen.ellipse(side * 0.24, 0.97, 0.22, 0.09, ORANGE)
    pen.ellipse(0, 0.22, 0.5, 0.74, body)
    pen.ellipse(0.02, -0.58, 0.34, 0.34, body)
    pen.ellipse(0.06, 0.32, 0.34, 0.58, WHITE)
    pen.ellipse(0.16, -0.52, 0.18, 0.2, WHITE)
    pen.polygon([(0.28, -0.64), (0.62, -0.5), (0.28, -0.42)], ORANGE)
    _eye(pen, 0.18, -0.62, 0.045)


def goose(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """A straight upright dark neck with a white chin on a heavy body that walks."""
    lean, neck = rng.uniform(-0.08, 0.12), mix(body, DARK, 0.85)
    _legs(pen, -0.1, 0.6, ORANGE, 0.3, 0.11)
    pen.polygon([(-0.6, 0.2), (-1.15, 0.2), (-0.7, 0.55)], neck)
    pen.ellipse(-0.15, 0.32, 0.72, 0.4, body, 0.08)
    pen.ellipse(-0.3, 0.28, 0.48, 0.22, mix(body, CREAM, 0.4), 0.1)
    pen.stroke([(0.42, 0.25), (0.56 + lean, -0.72)], 0.24, neck)
    pen.ellipse(0.64 + lean, -0.8, 0.24, 0.19, neck)
    pen.ellipse(0.58 + lean, -0.66, 0.13, 0.1, WHITE)
    pen.polygon([(0.82 + lean, -0.9), (1.15 + lean, -0.74), (0.82 + lean, -0.66)], DARK)


def pelican(pen: Pen, rng: np.random.Generator, body: Colour) -> None:
    """An enormous bill with a hanging pouch."""
    pouch = rng.uniform(0.32, 0.5)
    pen.polygon([(-0.6, 0.25), (-1.05, 0.35), (-0.65, 0.6)], mix(body, DARK, 0.5))
    _legs(pen, -0.15, 0.65, ORANGE, 0.26, 0.11)
    pen.ellipse(-0.2, 0.35, 0.66, 0.42, body, 0.12)
    pen.ellipse(-0.4, 0.36, 0.42, 0.24, mix(body, DARK, 0.45), 0.1)
    pen.stroke([(0.2, 0.3), (0.36, -0.15), (0.18, -0.6)], 0.24, body)
    pen.ellipse(0.24, -0.66, 0.25, 0.22, body)
    pen.polygon([(0.34, -0.62), (0.5, -0.6 + pouch), (0.8, -0.4 + pouch), (1.3, -0.3)], (244, 170, 70))
    pen.polygon([(0.36, -0.8), (1.34, -0.4), (1.3, -0.28), (0.34, -0.55)], (250, 206, 90))
    _eye(pen, 0.26, -0.7, 0.055)


Shape = Callable[[Pen, np.random.Generator, Colour], None]

# Both classes hold white, black, red and brown birds: no colour gives the class away.
SPECIES: dict[str, tuple[Shape, tuple[Colour, ...]]] = {
    "rooster": (rooster, (RED, BROWN, WHITE, BLACK)),
    "owl": (owl, (BROWN, GREY, (196, 150, 100))),
    "peacock": (peacock, (BLUE, (40, 60, 150))),
    "dove": (dove, (WHITE, (200, 196, 204), (190, 150, 130))),
    "eagle": (eagle, (BROWN, (66, 46, 36), BLACK)),
    "blackbird": (blackbird, (BLACK, (60, 44, 36))),
    "duck": (duck, (BROWN, WHITE, GREY)),
    "swan": (swan, (WHITE, WHITE, BLACK)),
    "flamingo": (flamingo, (PINK, (222, 70, 74), (248, 164, 170))),
    "penguin": (penguin, (BLACK, (44, 48, 70))),
    "goose": (goose, (BROWN, (168, 150, 128), GREY)),
    "pelican": (pelican, (WHITE, (150, 120, 96), (232, 216, 190))),
}
LANDBIRDS = ("rooster", "owl", "dove", "eagle", "peacock", "blackbird")
WATERBIRDS = ("duck", "swan", "flamingo", "penguin", "goose", "pelican")
