"""The curves of a comparison's trainings, from the files that lie beside adapters and classifiers: a chart
for each method and group, or method and stage, with a line for each cluster or seed; and the images that
adapters have drawn while they were trained.

They are no input of the page: a training that was not watched has none, and no curve changes a result. But
only trainings count that the page's inputs were made from, as the lineages of these say: a folder may hold
others.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.core import job, records
from fairgen.core.errors import FairgenError
from fairgen.monitor import curves
from fairgen.report.charts import Series

FIGURES = {  # of a run the first that it has, with what it is called
    "held_out_loss": "loss on held-out images, as a share of the base's",
    "loss": "training loss",
}
SHOWN = 4  # images of an adapter at a step
MOST = 3_000_000  # characters of all these images
PARTIAL = "partial"  # of a run: its training was watched to an interruption only
VALIDATION = "validation_"  # begins what classifiers' weights are selected by; it comes before the loss


Training = tuple[str, str, dict[str, Any]]  # a method, the place of an artifact in its folder, and a run


def trainings(
    results: Path, scopes: list[str], methods: list[str], seeds: list[int], made_from: Collection[str] | None
) -> list[Training]:
    """All runs whose curves are shown, in the order of methods, adapters first.

    Args:
        results: the data set's folder of results.
        scopes: folders of bias ratios in it.
        methods: whose trainings are shown.
        seeds: of the classifiers that are shown.
        made_from: lineages of all that the page is made from; None where nothing is recorded (a stage
            called by hand).
    """
    return [
        (method, place, run)
        for method in methods
        for scope in scopes
        for place, run in runs(results / scope / method, seeds, made_from)
    ]


def charts(shown: list[Training]) -> list[tuple[str, list[Series]]]:
    """A chart's name and its lines, in the order of the runs."""
    found: dict[str, list[Series]] = {}
    for method, place, run in shown:
        figure, steps, values = curve(run)
        if steps:
            name, line = called(method, place, run)
            found.setdefault(f"{name}: {figure}", []).append(Series(line, steps, values))
    return list(found.items())


@dataclass(frozen=True)
class Sketch:
    """What an adapter has drawn after some steps: images as addresses that hold them, and their near copies
    in words.
    """

    name: str
    images: list[str]
    words: str


def sketches(shown: list[Training]) -> tuple[list[Sketch], int]:
    """What adapters have drawn while they were trained, as much as a page can hold, and how many are left
    out.
    """
    found, size, left_out = [], 0, 0
    for method, place, run in shown:
        name, line = called(method, place, run)
        for sample in run.get("samples", ()):
            images = sample["images"][:SHOWN]
            size += sum(map(len, images))
            words = f"{name}, {line}: after {sample['step']} of {run.get('steps', '?')} steps"
            if size <= MOST:
                found.append(Sketch(words, images, near(sample)))
            left_out += size > MOST
    return found, left_out


def near(sample: dict[str, Any]) -> str:
    """How many of the images that were drawn are near copies, beside images that were held out; and how many
    of them are shown, if not all.
    """
    count = len(sample["images"])
    some = f"{SHOWN} of {count} shown; " if count > SHOWN else ""
    own = f"{some}{sample['near_copies']:.0%} of the {count} are near copies of training images"
    held_out = sample.get("near_copies_held_out")
    return own if held_out is None else f"{own} ({held_out:.0%} of held-out images are)"


def runs(
    folder: Path, seeds: list[int], made_from: Collection[str] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every run whose curves lie in a method's folder and belong to the artifact beside them, with the
    artifact's place there; see `trainings`.
    """
    patterns = ["adapters/**/*.safetensors"]
    patterns += [f"pretrain/seed-{seed}.safetensors" for seed in sorted(seeds)]
    patterns += [f"seed-{seed}/model.safetensors" for seed in sorted(seeds)]
    for pattern in patterns:
        for artifact in sorted(path for path in folder.glob(pattern) if curves.beside(path).is_file()):
            own = (records.read(artifact) or {}).get("hash", "")
            if made_from is None or own in made_from:
                place = str(artifact.relative_to(folder).with_suffix(""))
                yield from ((place, run) for run in whole_runs(artifact, own))


def whole_runs(artifact: Path, own: str) -> list[dict[str, Any]]:
    """The runs beside an artifact of a lineage, each with whether its training was watched to its end; none,
    with a warning, where the file is damaged.
    """
    try:
        found = curves.read(artifact, own) or {}
    except FairgenError as error:
        job.warn(f"left out: {error}")
        return []
    return [{**run, PARTIAL: bool(curves.partial(found))} for run in found.get("runs", [])]


def curve(run: dict[str, Any]) -> tuple[str, list[float], list[float]]:
    """What is shown of a run: the figure in words, steps and values; nothing if it has none yet."""
    looks, training = run["looks"], run["training"]
    names = [name for name in looks if name.startswith(VALIDATION)]
    for name in (*names, *FIGURES):
        of = looks if name in looks else training
        points = [p for p in zip(of.get("step", []), of.get(name, []), strict=False) if p[1] is not None]
        if points:
            words = f"{name.removeprefix(VALIDATION).replace('_', ' ')} on validation rows"
            return FIGURES.get(name, words), [float(step) for step, _ in points], [v for _, v in points]
    return "", [], []


def called(method: str, place: str, run: dict[str, Any]) -> tuple[str, str]:
    """The name of a run's chart, and of its line there: an adapter's group and cluster, or a classifier's
    phase and seed.
    """
    first, *rest = place.split("/")
    if run.get(PARTIAL):
        name, line = called(method, place, {**run, PARTIAL: False})
        return name, f"{line}, interrupted: the rest of {run.get('steps', 'its')} steps was not watched"
    if first == "adapters":
        group, _, cluster = run["name"].rpartition("/")
        kept = f", step {run['selected_step']} kept" if "selected_step" in run else ""
        return f"{method}, generators of {group}", f"cluster {cluster}{kept}"
    seed = (rest[0] if first == "pretrain" else first).replace("-", " ")
    phase = "stage 1" if first == "pretrain" else "classifier"
    return f"{method}, {phase}{'' if run['phase'] == 'train' else ', ' + run['phase']}", seed
