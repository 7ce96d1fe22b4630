"""`fairgen export`: what a run has made as other programs read it: a generator for diffusers, kohya's
trainers, ComfyUI or AUTOMATIC1111, a synthetic set for Hugging Face `datasets`, a classifier for timm or as
ONNX.

What a layout cannot hold is refused in one line; what is written is whole, and says where it came from.
"""

import json
import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module
from pathlib import Path

from fairgen.commands.exports import applies, card, whole
from fairgen.core import safetensors_header
from fairgen.core.errors import FairgenError

LAYOUTS = {
    "adapter": ("diffusers", "kohya", "comfyui", "a1111"),
    "classifier": ("timm", "onnx"),
    "dataset": ("datasets",),
}
EVERY = [layout for layouts in LAYOUTS.values() for layout in layouts]


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="of a finished run: an adapter, a model.safetensors, or a selection.parquet",
    )
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="new folder; for what is one file also its name"
    )
    parser.add_argument(
        "--layout",
        choices=EVERY,
        help="of an adapter: diffusers (default), kohya, comfyui, a1111; of a classifier: timm"
        " (default), onnx",
    )
    base = parser.add_argument_group("base of an adapter, as under `diffusion` in the config")
    base.add_argument(
        "--model", help="hub id, folder or single file (default: the hub id that the adapter was trained on)"
    )
    base.add_argument("--config", help="folder that describes a single file")
    base.add_argument("--revision", help="commit of the hub repository (default: that of the adapter)")
    base.add_argument("--variant", help="for example fp16")
    base.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="default: float32")
    others = parser.add_argument_group("synthetic sets and classifiers")
    others.add_argument(
        "--rejected", action="store_true", help="a second split with the images that the filter has left out"
    )
    others.add_argument(
        "--input",
        choices=["uint8", "float"],
        help="of ONNX: images as they are (default), or normalised before",
    )
    card.arguments(parser)


def kind_of(source: Path) -> str:
    """What is to be exported, by its file.

    Raises:
        FairgenError: it is of no kind that can be.
    """
    if source.suffix == ".parquet":
        return "dataset"
    file = source.parent / source.name.partition("#")[0]  # of a group's file an adapter is named so
    if file.suffix != ".safetensors":
        raise FairgenError(
            f"{source}: give an adapter (adapters/<group>/<cluster>.safetensors), a classifier"
            " (seed-<n>/model.safetensors) or a synthetic set (selection.parquet) of a finished run"
        )
    try:
        facts = json.loads(safetensors_header.metadata(file)["fairgen"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "adapter"  # which says what is wrong with it
    known = facts if isinstance(facts, dict) else {}
    return "classifier" if "gradient_steps" in known or "classifier" in known else "adapter"


def run(options: Namespace) -> None:
    """Write the export.

    Raises:
        FairgenError: the source is none of the three or holds nothing, the layout is of another kind or
            cannot hold it, an option does not apply, or the output exists.
    """
    kind = kind_of(options.source)
    options.layout = options.layout or LAYOUTS[kind][0]
    if options.layout not in LAYOUTS[kind]:
        raise FairgenError(
            f"--layout {options.layout}: {options.source} is"
            f" {'an adapter' if kind == 'adapter' else f'a {kind}'}; give one of {', '.join(LAYOUTS[kind])}"
        )
    card.check(options)
    applies.check(options, kind)
    module = import_module(f"fairgen.commands.exports.{kind}")
    about = module.about(options)
    with whole.written(options.output) as place:
        module.write(options, about, place)
    print(f"{options.output}: {module.told(options, about)}")
    if options.output.is_dir() and options.license == card.UNKNOWN:
        print(
            "warning: the card states no licence; give --license, or write it into"
            f" {options.output / card.CARD}",
            file=sys.stderr,
        )
