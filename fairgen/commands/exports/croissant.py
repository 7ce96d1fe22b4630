"""A synthetic set in Croissant's vocabulary (MLCommons, version 1.1), with what its extension for
responsible AI asks.

http://mlcommons.org/croissant/1.1 and http://mlcommons.org/croissant/RAI/1.0.
"""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen import __version__
from fairgen.commands.exports import card, record
from fairgen.evaluate import data_card

FILE = "croissant.json"
CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "float64": "cr:Float64",
}
RAI = {
    "rai:dataCollection": "Drawn by a diffusion model; the column `prompt` has the prompt of each image.",
    "rai:dataAnnotationProtocol": "A label is the group that the generator was asked for, not what was"
    " seen in the image.",
    "rai:dataBiases": "What the base model has learnt, its biases too, is in every image.",
    "rai:dataLimitations": data_card.LIMITS.replace("- ", "").replace("\n", " "),
    "rai:dataUseCases": "Training and studying classifiers on balanced groups; test them on real images.",
    "rai:personalSensitiveInformation": "Images of real persons may have been trained on; look at what the"
    " card says of near copies.",
}
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace"),
            *("samplingRate", "separator", "source", "subField", "transform"),
        )
    },
}


def licence(options: Namespace) -> str:
    """Where the licence stands if that was given, else its id, or that it is not stated."""
    return options.license_link or ("not stated" if options.license == card.UNKNOWN else options.license)


def file_object(folder: Path, path: Path) -> dict[str, Any]:
    """A shard."""
    name = path.relative_to(folder).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": path.name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": record.sha256(path),
    }


def field(split: str, source: str, name: str, own: dict[str, Any], about: str) -> dict[str, Any]:
    """A column of a split; images are the bytes inside their column, labels numbers with names of their
    own.
    """
    kinds = {"Image": "sc:ImageObject", "ClassLabel": "cr:Int64"}
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{split}/{name}",
        "name": name,
        "description": about,
        "dataType": kinds.get(own["_type"]) or TYPES[own["dtype"]],
        "source": {"fileObject": {"@id": source}, "extract": {"column": name}},
    }
    if own["_type"] == "Image":
        found["source"]["transform"] = {"jsonPath": "bytes"}
    if own["_type"] == "ClassLabel":
        found["references"] = {"field": {"@id": f"{name}_names/number"}}
    return found


def names(name: str, values: list[str]) -> dict[str, Any]:
    """What the numbers of a label column mean."""
    own = f"{name}_names"
    columns = {"number": "cr:Int64", "name": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": own,
        "name": own,
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{own}/number"},
        "field": [
            {"@type": "cr:Field", "@id": f"{own}/{column}", "name": f"{own}/{column}", "dataType": kind}
            for column, kind in columns.items()
        ],
        "data": [{f"{own}/number": i, f"{own}/name": value} for i, value in enumerate(values)],
    }


def source_of(folder: Path, split: str) -> tuple[str, list[dict[str, Any]]]:
    """The id of a split's files and their descriptions: of one shard itself, of several a set of them."""
    shards = [file_object(folder, path) for path in sorted((folder / "data").glob(f"{split}-*.parquet"))]
    if len(shards) == 1:
        return shards[0]["@id"], shards
    pattern = {
        "@type": "cr:FileSet",
        "@id": f"{split}-shards",
        "name": f"{split}-shards",
        "encodingFormat": "application/x-parquet",
        "includes": f"data/{split}-*.parquet",
    }
    return f"{split}-shards", [*shards, pattern]


def document(
    folder: Path,
    summary: str,
    options: Namespace,
    features: dict[str, Any],
    about: dict[str, str],
    splits: list[str],
) -> dict[str, Any]:
    """The description of an exported set; `about` says what each column is."""
    sources = {split: source_of(folder, split) for split in splits}
    labels = {name: own["names"] for name, own in features.items() if own["_type"] == "ClassLabel"}
    records = [
        {
            "@type": "cr:RecordSet",
            "@id": split,
            "name": split,
            "key": {"@id": f"{split}/id"},
            "field": [
                field(split, sources[split][0], name, own, about[name]) for name, own in features.items()
            ],
        }
        for split in splits
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": options.output.name,
        "description": summary,
        "license": licence(options),
        "version": "1.0.0",
        "keywords": ["synthetic", "fairness", "image classification"],
        "creator": {"@type": "sc:Organization", "name": f"not stated; made with fairgen {__version__}"},
        **RAI,
        "distribution": [entry for _, entries in sources.values() for entry in entries],
        "recordSet": [*records, *(names(name, values) for name, values in labels.items())],
    }


def write(folder: Path, found: dict[str, Any]) -> None:
    """Write a description beside the data."""
    (folder / FILE).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
