"""A trained classifier as other programs load it: a folder of timm's, or ONNX."""

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairgen.commands.exports import card, classifier_card, finite, public, record
from fairgen.core import records, schemas
from fairgen.core.errors import FairgenError
from fairgen.models.classifier import Classifier, Network, load, metadata

FACTS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "classifier": {"type": "object"},
        "classes": {"type": "array", "minItems": 2, "items": {"type": "string"}},
        "gradient_steps": {"type": "integer"},
        "group_labels": {"type": "array", "items": {"type": "string"}},
    },
}


@dataclass(frozen=True)
class Trained:
    """A classifier with its settings and classes, and what is known of it."""

    network: Network
    settings: Classifier
    classes: list[str]
    told: classifier_card.Told


def about(options: Namespace) -> Trained:
    """Load the classifier and what lies beside it.

    Raises:
        FairgenError: it is none that says what it holds, or the metrics beside it are of other weights.
    """
    path: Path = options.source
    check_facts(path)
    network, settings, classes = load(path)
    finite.check(path, network.state_dict())
    digest = record.sha256(path)
    found = measured(path, digest)
    made = records.read(path) or {}
    known = network.net.pretrained_cfg
    told = classifier_card.Told(
        *(
            path,
            settings,
            classes,
            public.facts(metadata(path)),
            public.facts(made),
            digest,
            found,
            config_hash(path, digest),
        ),
        preprocessing={name: [round(float(x), 6) for x in known[name]] for name in ("mean", "std")},
    )
    return Trained(network.cpu(), settings, classes, told)


def check_facts(path: Path) -> None:
    """What the file says of itself is of the right kinds.

    Raises:
        FairgenError: one line with the first that is not.
    """
    if found := schemas.problems(metadata(path), FACTS, str(path)):
        raise FairgenError(f"{found[0]}; the file is damaged, run finetune again")


def measured(path: Path, digest: str) -> dict[str, Any] | None:
    """The metrics beside the weights; None where there are none.

    Raises:
        FairgenError: they are damaged, or of other weights.
    """
    beside = path.with_name("metrics.json")
    try:
        found = json.loads(beside.read_text("utf-8"))
        own = found["weights_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FairgenError(f"{beside} is damaged ({type(error).__name__}); run the workflow again") from error
    if own != digest:
        raise FairgenError(
            f"{beside} is of other weights than {path}; run the workflow again, which makes both anew"
        )
    return found


def config_hash(path: Path, digest: str) -> str | None:
    """Hash of the config that a result file with these very weights states."""
    try:
        found = json.loads((path.absolute().parents[3] / "worst_group.json").read_text("utf-8"))
        own = [m["weights_sha256"] for methods in found["results"].values() for m in methods.values()]
        return found["config_sha256"] if any(digest in digests for digests in own) else None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def write(options: Namespace, found: Trained, place: Path) -> None:
    """The classifier in the layout that is asked for; ONNX as a file alone where the output is called so."""
    if options.layout == "onnx":
        from fairgen.commands.exports import onnx_file

        alone = options.output.suffix == ".onnx"
        if not alone:
            place.mkdir()
        checked = onnx_file.write(
            place if alone else place / "model.onnx", found, options.input, card.in_file(options)
        )
        if alone:
            return
    else:
        from fairgen.commands.exports import timm_folder

        place.mkdir()
        checked = timm_folder.write(place, found, options.license)
    (place / card.CARD).write_text(classifier_card.page(found.told, options, checked), "utf-8")
    record.write(place, "classifier", options.source, "model", {"layout": options.layout})


def told(options: Namespace, found: Trained) -> str:
    """What was written, in a line."""
    worst = ""
    if found.told.metrics and found.told.metrics["worst_group"]:
        worst = (
            f"; worst group {found.told.metrics['worst_group']}"
            f" {found.told.metrics['worst_group_accuracy']:.3f}"
        )
    return (
        f"{found.settings.model} for {', '.join(found.classes)} at {found.settings.resolution} pixels{worst}"
    )
