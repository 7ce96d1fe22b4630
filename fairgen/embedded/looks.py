"""The looks of the user's drawings: each with colours, texture and framing of its own, none of which the
world holds.

They are the sub-modes of every group, with a long tail: what k-means can find, and what a generator has to
learn.
"""

from dataclasses import dataclass, replace
from functools import cache

from fairgen.embedded.canvas import Style


@dataclass(frozen=True)
class Look:
    """How a kind of drawing is coloured, and how large and where its bird stands (shares of the side)."""

    style: Style
    scale: tuple[float, float]
    across: tuple[float, float]
    down: tuple[float, float]


PLAIN = Style(
    outline=None,
    outline_width=0.018,
    pastel=0.0,
    saturation=1.0,
    tint=(128, 128, 128),
    tint_strength=0.0,
    gain=1.0,
    texture="none",
    texture_strength=0.0,
    shading=0.0,
)
DISTANCE = 0.5


@cache
def looks(distance: float = DISTANCE) -> dict[str, Look]:
    """The looks at a distance from the world, 0 to 1: plates tinted violet, with bands; nights, dark, blue
    and grainy; pencil sketches, pale with thick outlines; fog.

    The default is set by a rule, with the renderer alone (docs/trials.md): of classifiers pretrained on the
    world's own drawings and on the user's, the first has 0.70 to 0.80 of the worst group of the second.
    """

    def between(near: float, far: float) -> float:
        return near + distance * (far - near)

    plate = replace(
        PLAIN,
        outline=(110, 60, 150),
        saturation=between(0.9, 0.85),
        tint=(120, 70, 170),
        tint_strength=between(0.2, 0.28),
        gain=1.05,
        texture="bands",
        texture_strength=between(0.04, 0.05),
        shading=0.4,
    )
    night = replace(
        PLAIN,
        saturation=0.6,
        tint=(20, 36, 110),
        tint_strength=0.25,
        gain=0.9,
        texture="grain",
        texture_strength=0.03,
    )
    sketch = replace(
        PLAIN,
        outline=(24, 24, 30),
        outline_width=0.026,
        saturation=between(0.35, 0.25),
        pastel=between(0.25, 0.3),
    )
    fog = replace(
        PLAIN,
        pastel=between(0.38, 0.45),
        saturation=0.7,
        tint=(206, 214, 222),
        tint_strength=0.18,
        shading=0.6,
    )
    return {
        "plate": Look(plate, (0.28, 0.34), (0.42, 0.58), (0.48, 0.6)),
        "night": Look(night, (0.28, 0.36), (0.36, 0.64), (0.52, 0.6)),
        "sketch": Look(sketch, (0.3, 0.38), (0.44, 0.56), (0.48, 0.56)),
        "fog": Look(fog, (0.26, 0.32), (0.36, 0.64), (0.5, 0.62)),
    }


LOOKS = looks()
LOOK_TAIL = (0.4, 0.3, 0.2, 0.1)  # their shares in every group
