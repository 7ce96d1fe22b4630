"""Pens and styles that the bird and scene drawings share.

A drawing is made on a supersampled canvas in a local frame (origin at the bird's centre, x to the right, y
down, the bird about two units long), scaled down, and recoloured by a `Style`.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

SUPERSAMPLE = 4
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 22)), np.sin(np.linspace(0, 2 * np.pi, 22))], axis=1)


@dataclass(frozen=True)
class Style:
    """How a drawing is coloured; every number is a strength in [0, 1] unless stated."""

    outline: Colour | None  # silhouette colour
    outline_width: float  # share of the picture's width
    pastel: float  # mix with white
    saturation: float  # 1 leaves the colours as they are
    tint: Colour
    tint_strength: float
    gain: float  # brightness factor
    texture: str  # none | grain | stripes | bands
    texture_strength: float
    shading: float  # light from above on the bird


class Pen:
    """Draws filled shapes in a rotated, mirrored and scaled local frame."""

    def __init__(
        self, image: Image.Image, centre: Point, scale: float, mirror: bool = False, tilt: float = 0.0
    ):
        self._draw = ImageDraw.Draw(image)
        self._centre = np.array(centre)
        cos, sin = np.cos(tilt), np.sin(tilt)
        self._frame = scale * np.array([[cos, sin], [-sin, cos]])
        if mirror:
            self._frame[:, 0] *= -1
        self._scale = scale

    def _place(self, points: np.ndarray) -> list[float]:
        return (points @ self._frame + self._centre).ravel().tolist()

    def polygon(self, points: list[Point], fill: Colour) -> None:
        """Fill the polygon through `points`."""
        self._draw.polygon(self._place(np.array(points)), fill=fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour, angle: float = 0.0) -> None:
        """Fill an ellipse whose long axis is turned by `angle` radians (positive: front up)."""
        cos, sin = np.cos(angle), np.sin(angle)
        turned = (_CIRCLE * (rx, ry)) @ np.array([[cos, -sin], [sin, cos]])
        self._draw.polygon(self._place(turned + np.array([x, y])), fill=fill)

    def stroke(self, points: list[Point], width: float, fill: Colour) -> None:
        """Draw a smooth curve of the given width through `points`, with round ends."""
        path = _smooth(np.array(points, dtype=float)) if len(points) > 2 else np.array(points, dtype=float)
        flat = self._place(path)
        pixels = max(1, round(width * self._scale))
        self._draw.line(flat, fill=fill, width=pixels, joint="curve")
        if pixels > 3:
            for x, y in (flat[:2], flat[-2:]):
                r = pixels / 2 - 0.5
                self._draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _smooth(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """Catmull-Rom curve through `points` (n, 2), `steps` samples a segment."""
    ends = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    a, b, c, d = ends[:-3, None], ends[1:-2, None], ends[2:-1, None], ends[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def jitter(rng: np.random.Generator, colour: Colour, amount: int = 18) -> Colour:
    """The colour with uniform noise of up to `amount` levels in each channel, the same sign more often than
    not.
    """
    shift = rng.uniform(-amount, amount) + rng.uniform(-amount / 2, amount / 2, 3)
    red, green, blue = (int(v) for v in np.clip(np.array(colour) + shift, 0, 255))
    return red, green, blue


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Blend two colours; `share` is that of `b`."""
    red, green, blue = (int(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


def compose(background: Image.Image, bird: Image.Image, style: Style) -> Image.Image:
    """Lay the bird (RGBA) over the background (RGB), with the style's outline and shading."""
    alpha = bird.getchannel("A")
    if style.outline is not None:
        pixels = max(1, round(style.outline_width * bird.width))
        wide = alpha.filter(ImageFilter.MaxFilter(2 * pixels + 1))
        background.paste(style.outline, mask=wide)
    if style.shading:
        top, bottom = (alpha.getbbox() or (0, 0, 0, bird.height))[1::2]
        ramp = (
            np.clip((np.arange(bird.height) - top) / max(1, bottom - top) - 0.45, 0, 1) * 180 * style.shading
        )
        shade = Image.fromarray(np.broadcast_to(ramp[:, None].astype(np.uint8), bird.size[::-1]).copy())
        bird.paste((20, 20, 40, 255), mask=shade)
        bird.putalpha(alpha)
    background.paste(bird, mask=alpha)
    return background


def recolour(image: Image.Image, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Apply the style's colours and texture; returns (size, size, 3) uint8."""
    x = np.asarray(image, dtype=np.float32) / 255
    grey = (x @ LUMA)[..., None]
    x = grey + (x - grey) * style.saturation
    x = x + (1 - x) * style.pastel
    x = x + (np.array(style.tint, dtype=np.float32) / 255 - x) * style.tint_strength
    x = x * style.gain + _texture(x.shape[0], style, rng)
    return (np.clip(x, 0, 1) * 255 + 0.5).astype(np.uint8)


def _texture(size: int, style: Style, rng: np.random.Generator) -> np.ndarray | float:
    if style.texture == "none":
        return 0.0
    if style.texture == "grain":
        cells = rng.standard_normal((size // 2, size // 2)).astype(np.float32)
        return style.texture_strength * np.kron(cells, np.ones((2, 2), np.float32))[..., None]
    rows, columns = np.mgrid[0:size, 0:size] / size
    along = rows if style.texture == "stripes" else rows + columns
    wave = np.sin(2 * np.pi * (4 * along + rng.uniform()))
    return (style.texture_strength * wave.astype(np.float32))[..., None]
