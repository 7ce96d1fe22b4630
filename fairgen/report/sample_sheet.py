"""The sample sheet: some real training images of every group above those that each generator drew for it."""

import textwrap
from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fairgen.core import image_decoding, images, parquet
from fairgen.evaluate.plots import DPI, save
from fairgen.generate import selection

# pixels of an image on the sheet: small ones are enlarged, photographs scaled down
SMALLEST, LARGEST = 96, 160
WIDTH = 800  # pixels of a row of images
# pixels: a row's label on its left, a group's name above its rows, white between images
LABEL, HEAD, GAP = 150, 40, 4
FONT = 8


def tile_size(side: int) -> int:
    """Pixels at which images of this side are shown: a whole multiple for small ones, so that each pixel
    stays a square.
    """
    return LARGEST if side >= LARGEST else side * -(-SMALLEST // side)


def load_size(side: int, tile: int) -> int:
    """Pixels at which images of this side are read, before they are enlarged to `tile` by a whole number."""
    return side if tile % side == 0 else tile


def enlarged(pixels: np.ndarray, tile: int) -> np.ndarray:
    """Images (n, size, size, 3) at `tile`, a multiple of their size, by repeating pixels."""
    times = tile // pixels.shape[1]
    return pixels.repeat(times, axis=1).repeat(times, axis=2)


def real(root: Path, files: list[str], hashes: dict[str, str]) -> tuple[np.ndarray, int]:
    """Some real images, and the size at which the sheet shows all: that of half of them or more; `hashes` as
    for `images.pictures`.
    """
    origins = np.empty((len(files), 4), dtype=np.int64)
    pixels = images.load(root, files, LARGEST, hashes, origins)
    side = int(np.median(origins[:, :2].min(axis=1)))
    tile = tile_size(side)
    if side < LARGEST:
        pixels = enlarged(images.load(root, files, load_size(side, tile), hashes), tile)
    return pixels, tile


def spread(clusters: list[int], columns: int) -> list[int]:
    """Numbers of some images, of every cluster about as many, one cluster after the other."""
    members = defaultdict(list)
    for number, cluster in enumerate(clusters):
        members[cluster].append(number)
    turns = chain.from_iterable(zip_longest(*(members[cluster] for cluster in sorted(members))))
    chosen = [number for number in turns if number is not None][:columns]
    return sorted(chosen, key=lambda number: (clusters[number], number))


def generated(kept: selection.Selected, columns: int, tile: int) -> tuple[np.ndarray, str]:
    """Some of a group's kept images, and whose generators drew them."""
    rows = [kept.rows[number] for number in spread(kept.column("cluster"), columns)]
    donor = parquet.facts(kept.file)["borrowed_from"]
    if not rows:
        return np.empty((0, tile, tile, 3), dtype=np.uint8), donor
    side = min(
        next(
            image_decoding.decode(content or b"").size
            for _, content in parquet.image_bytes(kept.file, rows[:1])
        )
    )
    return enlarged(images.load_column(kept.file, load_size(side, tile), rows), tile), donor


def plot_samples(split: Path, selections: list[Path], groups: list[str], path: Path) -> None:
    """For each group a row of real training images, then one of each generator's kept images."""
    rows, root = [r for r in parquet.rows(split) if r["split"] == "train"], Path(parquet.facts(split)["root"])
    own = {group: [r["path"] for r in rows if r["group"] == group] for group in groups}
    most = WIDTH // SMALLEST
    shown = {group: files[:most] for group, files in own.items()}
    hashes = {r["path"]: r["hash"] for r in rows}
    pixels, tile = real(root, list(chain.from_iterable(shown.values())), hashes)
    columns, drawn, first = WIDTH // tile, {file: selection.read(file) for file in selections}, 0
    blocks = []
    for group, files in shown.items():
        lines = [("real", pixels[first : first + len(files)])] if files else []
        first += len(files)
        for file, kept in drawn.items():
            made, donor = generated(kept[group], columns, tile)
            lines.append((file.parent.name + (f"\ngenerators of {donor}" if donor else ""), made))
        blocks.append(
            (f"{group}: {len(own[group]) or 'no'} training image{'s' * (len(own[group]) > 1)}", lines)
        )
    plot_blocks(blocks, tile + GAP, columns, path)


def plot_blocks(
    blocks: list[tuple[str, list[tuple[str, np.ndarray]]]], step: int, columns: int, path: Path
) -> None:
    """A sheet of groups, each with its rows of a label and images (n, size, size, 3), drawn pixel by pixel,
    `step` apart.
    """
    width, height = LABEL + columns * step, sum(HEAD + step * len(lines) for _, lines in blocks)
    figure, top = plt.figure(figsize=(width / DPI, height / DPI)), float(height)
    for title, lines in blocks:
        figure.text(0, (top - HEAD * 0.75) / height, title, fontsize=FONT + 2, weight="bold", va="center")
        top -= HEAD
        for label, pixels in lines:
            words = "\n".join(textwrap.fill(part, 20) for part in label.split("\n"))
            figure.text(0, (top - step / 2) / height, words, fontsize=FONT, va="center")
            ax = figure.add_axes(
                (LABEL / width, (top - step) / height, columns * step / width, step / height)
            )
            framed = np.pad(pixels, ((0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
            ax.imshow(images.strip(framed, columns), interpolation="nearest")
            ax.set_axis_off()
            top -= step
    save(figure, path)
