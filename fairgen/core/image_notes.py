"""What is unusual about an image file, for the audit: its mode, its orientation, several frames, the wrong
extension.
"""

from pathlib import Path

from PIL import Image

from fairgen.core import depth

ORIENTATION = 0x0112  # an EXIF tag
SCALED = "grey values up to"
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "WEBP": {".webp"},
    "BMP": {".bmp"},
}


def notes(image: Image.Image, name: str, turned: bool) -> list[str]:
    """What is unusual about an image as it is stored, `turned` or not."""
    suffix, usual = Path(name).suffix.lower(), SUFFIXES.get(image.format or "", set())
    found = {
        f"mode {image.mode} converted to RGB": image.mode != "RGB",
        "EXIF orientation applied": turned,
        "first frame of several": getattr(image, "n_frames", 1) > 1,
        f"{image.format} with another extension": bool(suffix and usual) and suffix not in usual,
        "grey stored as RGB": image.mode == "RGB" and is_grey(image),
    }
    if depth.is_deep(image):
        white = depth.white(image, depth.values_of(image))
        found[f"{SCALED} {white:g} scaled to 8 bits"] = True
    return [note for note, holds in found.items() if holds]


def is_grey(image: Image.Image) -> bool:
    """Whether all three channels of an RGB image are the same."""
    red, green, blue = image.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()
