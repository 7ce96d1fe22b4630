"""`fairgen export`: an adapter as other programs read it, a plain LoRA file or a pipeline folder in
diffusers' layout.

`pipeline.load_lora_weights(FOLDER)` reads the former, `DiffusionPipeline.from_pretrained(FOLDER)` the latter.
"""

import os
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models import adapters

LORA_FILE = "pytorch_lora_weights.safetensors"  # the name that diffusers looks for in a folder


def arguments(parser: ArgumentParser) -> None:
    """The subcommand's command line."""
    parser.add_argument("adapter", type=Path, metavar="ADAPTER.safetensors", help="adapter of a finished run")
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="new folder, or for LoRA also a new .safetensors file"
    )
    base = parser.add_argument_group("base of a full finetune, as under `diffusion` in the config")
    base.add_argument(
        "--model", help="hub id, folder or single file (default: the hub id that the adapter was trained on)"
    )
    base.add_argument("--config", help="folder that describes a single file")
    base.add_argument("--revision", help="commit of the hub repository (default: that of the adapter)")
    base.add_argument("--variant", help="for example fp16")
    parser.add_argument(
        "--dtype", default="float32", choices=["float32", "bfloat16", "float16"], help="default: float32"
    )


def base_of(facts: dict[str, Any], options: Namespace) -> dict[str, Any]:
    """Settings of the base: what the command line says, else the hub id and commit that the adapter was
    trained on.

    Raises:
        FairgenError: the adapter was trained on a folder or file, and the command line names none.
    """
    model, _, revision = facts["base"].rpartition("@")
    if not (options.model or model):
        raise FairgenError(
            f"{options.adapter} was trained on a local base ({facts['base']}); name it with --model"
        )
    named = (
        {"model": options.model, "revision": options.revision}
        if options.model
        else {"model": model, "revision": revision}
    )
    return {
        **named,
        "config": options.config,
        "variant": options.variant,
        "dtype": options.dtype,
        "resolution": 0,
    }


def write_pipeline(options: Namespace, facts: dict[str, Any], place: Path) -> None:
    """The base with the adapter's weights in the place of its own."""
    from fairgen.generate import text_adapters
    from fairgen.models import base_model, diffusion, text_encoders

    base = base_model.Base(**base_of(facts, options))
    # a damaged part is named as such, before the base as a whole is found to be another
    unet, encoders, _ = diffusion.load_denoiser(base), text_encoders.load_text(base), diffusion.load_vae(base)
    identity = diffusion.identity(base)
    adapters.apply(options.adapter, unet, identity)
    if text_adapters.there(options.adapter):
        encoders = text_adapters.adapted(options.adapter, base, identity)
    diffusion.pipeline(base, unet, encoders).save_pretrained(place)


def write_lora(options: Namespace, facts: dict[str, Any], place: Path) -> None:
    """The adapter as a plain LoRA file, under the name that a loader expects."""
    if options.output.suffix != ".safetensors":
        place.mkdir()
        place /= LORA_FILE
    adapters.write_lora(place, adapters.load(options.adapter), facts, adapters.read_configs(options.adapter))


def as_usual(place: Path) -> None:
    """Give what was written the permissions that the umask asks for: safetensors writes files that only their
    owner reads.
    """
    mask = os.umask(0)
    os.umask(mask)
    for path in [place, *place.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def run(options: Namespace) -> None:
    """Write the adapter; what is written is moved into place when complete.

    Raises:
        FairgenError: the adapter is none or holds nothing, the output exists, or the base is another.
    """
    facts = adapters.read_facts(options.adapter)
    if "clusters" in facts:
        names = ", ".join(path.name for path in adapters.members(options.adapter))
        raise FairgenError(f"{options.adapter} holds the adapters of a group; name one of {names}")
    if not facts["images"]:
        raise FairgenError(f"{options.adapter} holds no generator: {facts['reason']}")
    if options.output.exists():
        raise FairgenError(f"{options.output} exists; choose another output")
    write = write_lora if facts["kind"] == "lora" else write_pipeline
    options.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    temporary = options.output.with_name(f".{options.output.name}.{os.getpid()}.tmp")
    try:
        write(options, facts, temporary)
        as_usual(temporary)
        os.replace(temporary, options.output)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
    print(
        f"{options.output}: {facts['kind']} of {facts['group']}, cluster {facts['cluster']}; its prompt is"
        f" '{facts['prompt']}'"
    )
