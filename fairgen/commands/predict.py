"""`fairgen predict`: the classes of new images by a trained model, which brings its own preprocessing.

A `model.safetensors` of a finished run holds the classifier's settings, the picture size and the names of the
classes beside the weights. Images are scaled and cut as they were for training.
"""

import csv
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from fairgen.core import image_decoding, images, job
from fairgen.core.errors import FairgenError
from fairgen.data.formats import Reject, printable
from fairgen.data.formats.files import walk
from fairgen.models import classifier

Row = dict[str, Any]


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL.safetensors", help="model.safetensors of a finished run"
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="folder of images, searched with its subfolders"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("predictions.csv"), help="default: predictions.csv"
    )
    parser.add_argument(
        "--batch", type=int, default=64, help="images at once; lower it if memory is short (default: 64)"
    )
    parser.add_argument("--threads", type=int, default=1, help="compute threads (default: 1)")


def picture(path: Path, size: int) -> np.ndarray | str:
    """An image as the classifier sees it, (size, size, 3) uint8, or why it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"file cannot be read: {error.strerror}"
    if not content:
        return "file is empty: it has no bytes"
    return image_decoding.attempt(lambda: np.asarray(images.fit(image_decoding.decode(content), size)))


def label(network: classifier.Network, pictures: list[np.ndarray], classes: list[str]) -> list[Row]:
    """Predicted class and probabilities of some images."""
    shares = classifier.predict(network, classifier.to_pixels(np.stack(pictures))).softmax(1)
    if not torch.isfinite(shares).all():
        raise FairgenError("the model's outputs are not finite; its weights are damaged")
    named = [
        {f"probability_{c}": round(p, 6) for c, p in zip(classes, own, strict=True)}
        for own in shares.tolist()
    ]
    return [
        {"predicted": classes[best], **own}
        for best, own in zip(shares.argmax(1).tolist(), named, strict=True)
    ]


def rows(
    network: classifier.Network, size: int, classes: list[str], folder: Path, batch: int
) -> Iterator[Row]:
    """One row per file in order: its prediction, or the reason why it has none. Hidden and system files have
    no row.
    """
    files = [f for f in walk(folder) if not (isinstance(f, Reject) and not f.malformed)]
    for start in tqdm(range(0, len(files), batch), desc="predict", disable=None):
        part = files[start : start + batch]
        read = [f.reason if isinstance(f, Reject) else picture(folder / f, size) for f in part]
        good = [found for found in read if not isinstance(found, str)]
        labelled = iter(label(network, good, classes) if good else [])
        for file, found in zip(part, read, strict=True):
            path = file.file if isinstance(file, Reject) else file
            yield {"path": path, **({"reason": found} if isinstance(found, str) else next(labelled))}


def write(path: Path, found: list[Row], classes: list[str]) -> None:
    """The rows as CSV, moved into place when complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.DictWriter(
                file, ["path", "predicted", *(f"probability_{c}" for c in classes), "reason"]
            )
            writer.writeheader()
            writer.writerows(found)
        os.replace(temporary, path)
    except OSError as error:
        raise FairgenError(
            f"cannot write {path}: {error.strerror}; choose another file with --output"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def run(options: Namespace) -> None:
    """Label the folder's images.

    Raises:
        FairgenError: the folder or the model is missing, the folder is empty, no image could be labelled, or
            the output cannot be written.
    """
    if not options.folder.is_dir():
        raise FairgenError(f"{options.folder} is no folder; give the folder that holds the images")
    if not options.output.absolute().parent.is_dir():
        raise FairgenError(
            f"cannot write {options.output}: its folder does not exist; choose another file with --output"
        )
    if min(options.batch, options.threads) < 1:
        raise FairgenError("--batch and --threads must be at least 1")
    job.use_threads(options.threads)
    network, settings, classes = classifier.load(options.model)
    found = list(rows(network, settings.resolution, classes, options.folder, options.batch))
    if not found:
        raise FairgenError(f"{options.folder} holds no file")
    write(options.output, found, classes)
    left = [row for row in found if "reason" in row]
    for row in left:
        print(f"not labelled: {row['path']}: {row['reason']}", file=sys.stderr)
    if len(left) == len(found):
        raise FairgenError(
            f"no image of {options.folder} could be labelled; {printable(str(options.output))} says why"
        )
    print(f"{len(found) - len(left)} images labelled, {len(left)} not; {printable(str(options.output))}")
