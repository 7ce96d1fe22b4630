"""The images of the page's gallery, read and encoded, and how much room they take."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairgen.report import gallery, web_images
from fairgen.report.shots import Shot

MOST = 512  # pixels of a real image's shorter side where no generated one says how large they are


@dataclass
class Images:
    """The gallery's images as the page holds them: generated ones by file and row, real ones by path."""

    generated: dict[tuple[Path, int], str]
    real: dict[str, str]
    side: int  # of generated images, in pixels; 0 without any

    @property
    def small(self) -> bool:
        """Whether images are shown enlarged, pixel by pixel."""
        return 0 < self.side <= web_images.SMALL

    def size(self, blocks: list[gallery.Block]) -> int:
        """Characters that the images of some blocks take; an image that stands in two places counts twice,
        but the one that is closest to several images once.
        """
        shots = list(every_shot(blocks))
        drawn = sum(len(self.generated[s.file, s.row]) for s in shots)
        places = sum(len(self.real[path]) for block in blocks for path in block.real)
        return drawn + places + sum(len(self.real[path]) for path in only_closest(blocks))


def every_shot(blocks: list[gallery.Block]) -> Iterator[Shot]:
    """Yield all generated images, in the page's order."""
    for block in blocks:
        for strip in block.strips:
            yield from (*strip.chosen, *strip.others)


def only_closest(blocks: list[gallery.Block]) -> list[str]:
    """Paths of the closest training images that stand in no row of real ones."""
    shown = {path for block in blocks for path in block.real}
    return [path for path in dict.fromkeys(s.real for s in every_shot(blocks)) if path not in shown]


def read_images(blocks: list[gallery.Block], root: Path, hashes: dict[str, str]) -> Images:
    """Read every image of some blocks; real ones no larger than generated ones, if there are any."""
    rows: dict[Path, list[int]] = {}
    for shot in every_shot(blocks):
        rows.setdefault(shot.file, []).append(shot.row)
    drawn, side = {}, 0
    for file, numbers in rows.items():
        for row, picture in web_images.generated(file, numbers):
            side = max(side, min(picture.size))
            drawn[file, row] = web_images.embedded(picture)
    paths = list(dict.fromkeys([*(p for b in blocks for p in b.real), *only_closest(blocks)]))
    real = web_images.real(root, paths, hashes)
    return Images(drawn, {path: web_images.embedded(picture, side or MOST) for path, picture in real}, side)
