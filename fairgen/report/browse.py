"""Stage `browse`: the page `report.html`, one file to look at a comparison in, without a network: the result,
real beside generated images with the training image closest to each, training curves, claims and map, and
costs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from fairgen import __version__
from fairgen.core import job, lineage, parquet, places
from fairgen.core.html import fragment
from fairgen.evaluate import results
from fairgen.report import cover, gallery, gallery_facts, page_parts, replicated, shots, training_curves
from fairgen.report.charts import curves_section
from fairgen.report.costs import Jobs, spent
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
    what they are made of, the methods whose classifiers and whose stage 1 it needs, the stages that use GPUs,
    and how much is shown.
    """

    dataset: str
    ratios: list[float | str]
    compare: list[str]
    seeds: list[int]
    groups: list[str]
    sets: list[gallery.Set]
    owners: list[str]
    trained: list[str]
    pretrained: list[str]
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
    trained: job.Value  # folder of results, where curves lie beside artifacts
    benchmarks: job.Value  # folder of what jobs took; both are told as they are now, and not tracked
    gpus: job.Value
    page: job.Output


def read_blocks(settings: Browse, files: Files) -> tuple[list[gallery.Block], list[dict[str, Any]]]:
    """The gallery with as many images as the settings ask for, and the training rows at the first ratio."""
    rows = [row for row in parquet.rows(files.split) if row["split"] == "train"]
    trained = {group: [row for row in rows if row["group"] == group] for group in settings.groups}
    names = [one.name for one in settings.sets]
    pairs = zip(files.selections, files.nearest, strict=True)
    paths = {row["path"] for row in rows}
    drawn = {name: shots.shots(*pair, paths) for name, pair in zip(names, pairs, strict=True)}
    several = [one.name for one in settings.sets if one.clusters > 1]
    clusters = dict(zip(several, files.clusters, strict=True))
    shares = {
        name: parquet.facts(path)["among_real"] for name, path in zip(names, files.nearest, strict=True)
    }
    found = gallery.blocks(settings.groups, trained, drawn, clusters, settings.images)
    return gallery.beside_real(found, shares), rows


def result_part(document: dict[str, Any]) -> dict[str, Any]:
    """What the template is given of the comparison; its sentences are Markdown of ours, without HTML."""
    told = {"compared": cover.compared, "sentences": cover.sentences, "data": cover.data}
    return {
        **{name: Markup(fragment(words(document))) for name, words in told.items()},
        "document": document,
        "comparisons": page_parts.comparisons(document),
        "over_ratios": page_parts.over_ratios(document),
    }


def images_part(settings: Browse, files: Files) -> dict[str, Any]:
    """What it is given of images: as many as fit."""
    blocks, rows = read_blocks(settings, files)
    hashes = {row["path"]: row["hash"] for row in rows}
    hashes |= {shot.real: shot.real_hash for shot in every_shot(blocks)}
    images = read_images(blocks, Path(parquet.facts(files.split)["root"]), hashes)
    most = round(settings.megabytes * 1e6)
    blocks, count = gallery.fitting(blocks, settings.images, images.size, most)
    job.log.info("%d of %d images of a place, %.1f MB", count, settings.images, images.size(blocks) / 1e6)
    measure: dict[str, Any] = (
        parquet.facts(files.nearest[0]) if files.nearest else {"similarity": None, "encoder": ""}
    )
    return {
        **{"blocks": blocks, "images": images, "count": count, **measure},
        "encoder": places.scorer(measure["encoder"]),
        "closest": min(count, shots.close(count)),
        "facts": gallery_facts.facts(blocks, settings.sets, images, measure["similarity"]),
        "rules": gallery_facts.rules(settings.sets),
        "clusters": gallery_facts.clusters(blocks),
    }


def costs_part(settings: Browse, files: Files) -> dict[str, Any]:
    """What it is given of costs, as they are now."""
    scopes = ["any", *(f"bias-{ratio}" for ratio in settings.ratios)]
    jobs = Jobs(
        settings.owners,
        settings.trained,
        settings.pretrained,
        scopes,
        settings.seeds,
        settings.groups,
    )
    taken = spent(Path(files.benchmarks), jobs, settings.computing, int(files.gpus))
    costs = {what: page_parts.costs_by(taken, what) for what in ("stage", "method")}
    return {"costs": costs, "total": page_parts.amounts(taken)}


def whole(template: Template, given: dict[str, Any], most: float) -> str:
    """The page; one of more than so many MB says so, as the images alone are chosen by that."""
    page = template.render(given, large=None)
    size = len(page.encode()) / 1e6
    if size <= most:
        return page
    job.log.warning(
        "the page takes %.1f MB, more than browse.megabytes (%g): that bounds its images, of which it shows"
        " one of each place at least; lower browse.images, or compare fewer methods, for a smaller one",
        size,
        most,
    )
    return template.render(given, large=size)


def work(settings: Browse, files: Files) -> None:
    """Write the page."""
    pages = page_parts.templates(files.assets[0].parent)
    scopes = ["any", f"bias-{settings.ratios[0]}"]
    made_from = lineage.current.sources.split() if lineage.current.hash else None
    trained = training_curves.trainings(
        Path(files.trained), scopes, settings.owners, settings.seeds, made_from
    )
    curves = curves_section(training_curves.charts(trained), pages)
    sketches, left_out = training_curves.sketches(trained)
    given = {
        "settings": settings,
        "version": __version__,
        "sections": [one for one in SECTIONS if one[0] != "curves" or curves],
        **result_part(results.load(files.table)),
        **images_part(settings, files),
        **{"curves": curves, "sketches": sketches, "sketches_left_out": left_out},
        **replicated.read(files.replicates, settings.dataset),
        **costs_part(settings, files),
        **page_parts.inside(files.assets),
    }
    lineage.write_text(files.page, whole(pages.get_template("report.html"), given, settings.megabytes))


if __name__ == "__main__":
    job.main(work, Browse, Files)
