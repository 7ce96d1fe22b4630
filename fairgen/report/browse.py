"""Stage `browse`: the page `report.html`, one file to look at a comparison in, without a network: the result,
real beside generated images with the training image closest to each, training curves, claims and map, and
costs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fairgen import __version__
from fairgen.core import job, lineage, parquet
from fairgen.core.html import fragment
from fairgen.evaluate import results
from fairgen.report import cover, gallery, gallery_facts, page_parts, replicated
from fairgen.report.charts import curves_section
from fairgen.report.costs import spent
from fairgen.report.gallery_images import every_shot, read_images

SECTIONS = (
    ("result", "Result"),
    ("images", "Images"),
    ("curves", "Training curves"),
    ("claims", "Claims and map"),
    ("costs", "Costs"),
)


@dataclass(frozen=True)
class Browse:
    """What is compared, the groups in the config's order, the synthetic sets with those whose folders hold
    what they are made of, the stages that use GPUs, and how much is shown.
    """

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    groups: list[str]
    sets: list[gallery.Set]
    owners: list[str]
    computing: list[str]
    images: int
    megabytes: float


@dataclass(frozen=True)
class Files(job.Files):
    """What a job reads and writes."""

    table: job.Input
    split: job.Input
    selections: job.Inputs
    nearest: job.Inputs
    clusters: job.Inputs
    replicates: job.Inputs
    assets: job.Inputs
    benchmarks: job.Value  # folder of what jobs took; it is told as it is now, and not tracked
    gpus: job.Value
    page: job.Output


def read_blocks(settings: Browse, files: Files) -> tuple[list[gallery.Block], list[dict[str, Any]]]:
    """The gallery with as many images as the settings ask for, and the training rows at the first ratio."""
    rows = [row for row in parquet.rows(files.split) if row["split"] == "train"]
    trained = {group: [row for row in rows if row["group"] == group] for group in settings.groups}
    names = [one.name for one in settings.sets]
    pairs = zip(files.selections, files.nearest, strict=True)
    drawn = {name: gallery.shots(*pair) for name, pair in zip(names, pairs, strict=True)}
    several = [one.name for one in settings.sets if one.clusters > 1]
    clusters = dict(zip(several, files.clusters, strict=True))
    return gallery.blocks(settings.groups, trained, drawn, clusters, settings.images), rows


def work(settings: Browse, files: Files) -> None:
    """Write the page."""
    document = results.load(files.table)
    # the gallery: as many images as fit
    blocks, rows = read_blocks(settings, files)
    hashes = {row["path"]: row["hash"] for row in rows}
    hashes |= {shot.real: shot.real_hash for shot in every_shot(blocks)}
    images = read_images(blocks, Path(parquet.facts(files.split)["root"]), hashes)
    most = round(settings.megabytes * 1e6)
    blocks, count = gallery.fitting(blocks, settings.images, images.size, most)
    if count < settings.images:
        job.log.info("%d of %d images of a place fit into %s MB", count, settings.images, settings.megabytes)
    by = parquet.facts(files.nearest[0]) if files.nearest else {}
    limit = by.get("similarity")
    # what is told beside it
    claims, where = replicated.read(files.replicates, settings.dataset)
    scopes = ["any", *(f"bias-{ratio}" for ratio in settings.ratios)]
    taken = spent(Path(files.benchmarks), settings.owners, scopes, settings.computing, int(files.gpus))
    pages = page_parts.templates(files.assets[0].parent)
    curves = curves_section([], pages)
    inside = {path: path.read_text("utf-8") for path in files.assets if path.suffix in (".css", ".js")}
    html = pages.get_template("report.html").render(
        settings=settings,
        version=__version__,
        document=document,
        compared=Markup(fragment(cover.compared(document))),
        sentences=Markup(fragment(cover.sentences(document))),
        data=Markup(fragment(cover.data(document))),
        comparisons=page_parts.comparisons(document),
        over_ratios=page_parts.over_ratios(document),
        blocks=blocks,
        images=images,
        count=count,
        facts=gallery_facts.facts(blocks, settings.sets, images, limit),
        rules=gallery_facts.rules(settings.sets),
        clusters=gallery_facts.clusters(blocks),
        similarity=limit,
        encoder=by.get("encoder", ""),
        curves=curves,
        claims=claims,
        map=where,
        costs={what: page_parts.costs_by(taken, what) for what in ("stage", "method")},
        total=page_parts.amounts(taken),
        files={path.name: Markup(text) for path, text in inside.items()},
        hashes={path.name: Markup(page_parts.allowed(text)) for path, text in inside.items()},
        sections=[one for one in SECTIONS if one[0] != "curves" or curves],
    )
    lineage.write_text(files.page, html)
    job.log.info("%d images, %.1f MB", len(list(every_shot(blocks))), len(html.encode()) / 1e6)


if __name__ == "__main__":
    job.main(work, Browse, Files)
