"""Stage `audit`: what a method's selected synthetic images are like, group by group, beside the real training
images.

The real side is always the training rows of the index, before the bias ratio's cut, so that figures of all
methods and ratios have one reference. Distances and diversity are of features of `audit.encoder`, which
should see what the generators are to learn (style as well as content); near-copies are looked for with the
encoder that clusters, among the training rows of every group.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss  # noqa: F401 (used by duplicates; both bring an OpenMP runtime, and faiss has to be loaded before torch)
import numpy as np
import torch

from fairgen.core import images, job, lineage, parquet
from fairgen.core.ahead import ahead
from fairgen.core.errors import FairgenError
from fairgen.core.html import Picture, render
from fairgen.core.seeds import seed_of
from fairgen.data import duplicates
from fairgen.data.subset import cut
from fairgen.evaluate import audit_features, closest_pairs, fidelity, second_opinion, transfer
from fairgen.evaluate import data_card as card
from fairgen.evaluate.group_fidelity import Measures, copies, fidelity_figures
from fairgen.generate import selection
from fairgen.models import encoder

FLAT, BLACK = 8, 16  # grey levels of 256: widest range of a constant image, brightest pixel of a black one
REAL = "training rows of the index, before the bias ratio's cut"


@dataclass(frozen=True)
class Audit:
    """How the figures are taken, the two models, and what the data card says of the set."""

    measures: Measures
    real_images: int
    near: int
    shown: int
    scorer: str
    space: encoder.Encoder  # of distances and diversity
    encoder: encoder.Encoder  # that clusters
    batch: int
    groups: list[str]
    classes: dict[str, str]  # of each group
    card: card.Recipe


@dataclass(frozen=True)
class Real:
    """The training rows of the index with the encoder's unit features (n, d)."""

    root: Path
    rows: list[dict[str, Any]]
    features: torch.Tensor


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    index: job.Input
    embeddings: job.Input
    selection: job.Input
    second: job.Inputs  # scores by a second scorer, if there is one
    samples: job.Inputs
    scope: job.Value
    method: job.Value
    audit: job.Output
    card: job.Output
    pairs: job.Output
    page: job.Output
    nearest: job.Output


def flaws(picture: Any, near: int) -> dict[str, Any]:
    """Whether an image is constant or black, and what its copies share."""
    pixels = np.asarray(picture)
    flat = bool((pixels.max((0, 1)).astype(int) - pixels.min((0, 1)) <= FLAT).all())
    return {
        "constant": flat,
        "black": flat and int(pixels.max()) <= BLACK,
        "hash": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "perceptual": duplicates.perceptual_hash(picture) if near else b"",
    }


def examine(
    models: audit_features.Models, file: Path, numbers: list[int], near: int, width: int
) -> tuple[torch.Tensor, torch.Tensor, list[dict[str, Any]]]:
    """Features of some generated images by both models, and their flaws; of none no features (0, d)."""
    parts = []
    found: list[dict[str, Any]] = []
    for pictures in audit_features.chunks(
        (content or b"" for _, content in parquet.image_bytes(file, numbers)), models.batch
    ):
        parts.append(models.features(pictures))
        found += [{"id": len(found) + i, **flaws(p, near)} for i, p in enumerate(pictures)]
    if not parts:
        return torch.empty(0, width), torch.empty(0, width), []
    seen, encoded = (torch.cat(part) for part in zip(*parts, strict=True))
    return seen, encoded, found


def real_features(models: audit_features.Models, real: Real, rows: list[dict[str, Any]]) -> torch.Tensor:
    """Features (n, d) of some real rows in the space of the figures."""
    if models.encoder is models.space or not rows:
        return real.features[[r["place"] for r in rows]]
    paths = [r["path"] for r in rows]
    steps = [paths[i : i + models.batch] for i in range(0, len(paths), models.batch)]
    hashes = {r["path"]: r["hash"] for r in rows}
    loaded = ahead(lambda step: images.load(real.root, step, models.space.size, hashes), steps)
    return torch.cat([audit_features.unit(models.space(pixels)) for pixels in loaded])


def audit_group(
    group: str, settings: Audit, own: selection.Selected, models: audit_features.Models, real: Real
) -> tuple[dict[str, Any], list[closest_pairs.Pair], tuple[torch.Tensor, torch.Tensor], list[int]]:
    """A group's figures, its kept images with the training rows closest to them, the most similar first, the
    features that the figures are of (real, generated), and the real ones' sets of (near-)copies.
    """
    seen, encoded, found = examine(models, own.file, own.rows, settings.near, real.features.shape[1])
    duplicates.mark_sets(found, settings.near)
    chosen = cut([r for r in real.rows if r["group"] == group], {group: settings.real_images}, 0)
    place = torch.tensor([r["place"] for r in chosen], dtype=torch.long)
    cosine, neighbour = fidelity.nearest(encoded, real.features)
    among, _ = fidelity.nearest(real.features[place], real.features, place)
    compared = real_features(models, real, chosen), seen
    order = cosine.argsort(descending=True, stable=True).tolist()
    found_pairs = pairs(group, own, cosine, neighbour, real)
    closest = [found_pairs[i] for i in order]
    figures = {
        "borrowed_from": parquet.facts(own.file)["borrowed_from"],
        "real_images": len(chosen),
        **fidelity_figures(*compared, settings.measures, seed_of("audit", group)),
        "near_copies": copies(cosine, among, settings.measures),
        "constant": sum(f["constant"] for f in found),
        "black": sum(f["black"] for f in found),
        "duplicates": len(found) - len({f["set"] for f in found}),
    }
    return figures, closest, compared, [r["set"] for r in chosen]


def pairs(
    group: str, own: selection.Selected, cosine: torch.Tensor, neighbour: torch.Tensor, real: Real
) -> list[closest_pairs.Pair]:
    """Some of a group's images, each with its closest training row and their cosine."""
    return [
        closest_pairs.Pair(group, name, row, own.file, real.rows[int(place)], float(value))
        for name, row, place, value in zip(own.column("id"), own.rows, neighbour, cosine, strict=True)
    ]


def left_out(
    group: str, others: selection.Selected, models: audit_features.Models, real: Real
) -> list[closest_pairs.Pair]:
    """Images that the filter left out, each with its closest training row; no figure is of them."""
    contents = (content or b"" for _, content in parquet.image_bytes(others.file, others.rows))
    parts = [
        audit_features.features_of(models.encoder, pictures)
        for pictures in audit_features.chunks(contents, models.batch)
    ]
    if not parts:
        return []
    return pairs(group, others, *fidelity.nearest(torch.cat(parts), real.features), real)


def read_real(index: Path, embeddings: Path) -> Real:
    """The training rows of the index.

    Raises:
        FairgenError: they have other features than the index has rows.
    """
    embedded = parquet.read(embeddings)
    place = {i: n for n, i in enumerate(embedded["id"].to_pylist())}
    rows = [
        r
        for r in parquet.rows(index, ["id", "path", "hash", "group", "split", "set"])
        if r["split"] == "train"
    ]
    if not {r["id"] for r in rows} <= place.keys():
        raise FairgenError(f"{embeddings}: made from another index; delete the file and run embed again")
    rows = sorted(rows, key=lambda r: place[r["id"]])
    vectors = audit_features.unit(parquet.matrix(embedded, "vector")[[place[r["id"]] for r in rows]])
    rows = [{**r, "place": number} for number, r in enumerate(rows)]
    return Real(Path(parquet.facts(index)["root"]), rows, vectors)


def work(settings: Audit, files: Files) -> None:
    """Write the figures, what is closest to each image, the closest pairs, and the data card."""
    models = audit_features.load(settings.space, settings.encoder, settings.batch)
    real = read_real(files.index, files.embeddings)
    job.ready()
    kept, filtered = selection.read(files.selection), parquet.facts(files.selection)["groups"]
    out = closest_pairs.rejected(files.selection)
    groups, shown, others, compared, sets = {}, [], [], {}, {}
    for group in settings.groups:
        figures, closest, compared[group], sets[group] = audit_group(
            group, settings, kept[group], models, real
        )
        groups[group] = {**filtered[group], **figures}
        shown += closest[: settings.shown]
        aside = selection.Selected(kept[group].file, out[group])
        others += [*closest[settings.shown :], *left_out(group, aside, models, real)]
        job.log.info("group %s: %s", group, groups[group])
    # what holds of all groups together
    measures = settings.measures
    side, other = ({group: both[i] for group, both in compared.items()} for i in (0, 1))
    told = transfer.two_way(side, other, settings.classes, measures.min_images, measures.penalty, sets)
    groups = {group: {**own, "transfer": told[group]} for group, own in groups.items()}
    rule = settings.card.filter
    second = {"second": parquet.facts(files.second[0])["model"]} if files.second else {}
    for scores in files.second:
        asked = second_opinion.acceptance(scores, files.selection, rule["by"], rule["threshold"])
        groups = {group: {**own, **asked[group]} for group, own in groups.items()}
    document = {
        **{
            "scope": files.scope,
            "method": files.method,
            "scorer": settings.scorer,
            **second,
            "space": settings.space.model,
            "encoder": settings.encoder.model,
        },
        **{"real": REAL, "similarity": measures.similarity, "min_images": measures.min_images},
        "groups": groups,
        "closest_pairs": [pair.facts() for pair in shown],
    }
    lineage.write_json(files.audit, document)
    lineage.write_text(files.card, card.page(settings.card, document, files.samples))
    among_real = {group: own["near_copies"]["share_among_real"] for group, own in groups.items()}
    by = {
        "similarity": measures.similarity,
        "encoder": settings.encoder.model,
        "among_real": among_real,
    }
    closest_pairs.write([*shown, *others], files.nearest, by)
    closest_pairs.plot(settings.groups, shown, real.root, measures.similarity, files.pairs)
    title = f"Closest pairs of {files.method}"
    lineage.write_text(files.page, render([Picture(Path(files.pairs).read_bytes(), title)], title))


if __name__ == "__main__":
    job.main(work, Audit, Files)
