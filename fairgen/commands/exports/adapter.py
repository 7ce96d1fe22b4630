"""An adapter as other programs read it: a plain LoRA file or a pipeline folder in diffusers' layout, LoRA by
kohya's names, or a whole base in one file.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen.commands.exports import (
    applies,
    card,
    checkpoint,
    finite,
    generator_card,
    lora,
    public,
    record,
)
from fairgen.commands.exports.bases import adapted
from fairgen.core import parquet, places, records
from fairgen.core.errors import FairgenError
from fairgen.models import adapter_facts, adapters

LORA_FILE = "pytorch_lora_weights.safetensors"  # the name that diffusers looks for in a folder


def about(options: Namespace) -> dict[str, Any]:
    """The facts of an adapter that holds a generator.

    Raises:
        FairgenError: it is none, holds those of a whole group, or nothing.
    """
    path = options.source
    facts = adapters.read_facts(path)
    if "clusters" not in facts:
        adapter_facts.check(path, facts, whole=True)
    if "clusters" in facts:
        names = ", ".join(member.name for member in adapters.members(path))
        raise FairgenError(f"{path} holds the adapters of a group; name one of {names}")
    if not facts["images"]:
        raise FairgenError(f"{path} holds no generator: {facts['reason']}")
    applies.check_base(options, facts)
    check_tensors(path, facts)
    return facts


def check_tensors(path: Path, facts: dict[str, Any]) -> None:
    """What the file holds is finite, and what it and the samples drawn with it say of it.

    Raises:
        FairgenError: it is not.
    """
    tensors = adapters.load(path)
    finite.check(path, tensors)
    if facts["kind"] == "lora":
        try:
            configs = adapters.read_configs(path)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise FairgenError(
                f"{path}: its lora_adapter_metadata are missing or damaged; train it again"
            ) from error
        adapter_facts.check_scale(path, facts, configs, tensors)
    drawn = recorded(path)
    if drawn and adapters.digest(path) not in drawn:
        raise FairgenError(
            f"{path} is not the file that the samples beside it were drawn with: it was changed, or trained"
            " anew; call snakemake again"
        )


def recorded(path: Path) -> set[str]:
    """The digests of an adapter that the samples of its own method record; none where none are at hand."""
    file, cluster = adapters.place(path)
    group = file.stem if cluster else file.parent.name
    samples = file.parents[1 if cluster else 2] / "samples" / f"{group}.parquet"
    made, own = records.sources_of(records.read(samples)) if samples.is_file() else None, records.read(file)
    if not made or not own or own["hash"] not in made:
        return set()
    slot = int(cluster or file.stem) if (cluster or file.stem).isdecimal() else 0
    rows = parquet.rows(samples, ["cluster", "adapter_hash", "borrowed_from"])
    return {row["adapter_hash"] for row in rows if row["cluster"] == slot and not row["borrowed_from"]}


def write(options: Namespace, facts: dict[str, Any], place: Path) -> None:
    """The adapter in the layout that is asked for, as a file or as a folder with a card."""
    folder = options.output.suffix != ".safetensors"
    is_lora, plain = facts["kind"] == "lora", options.layout == "diffusers"
    if plain and not is_lora:
        if not folder:
            raise FairgenError(
                f"{options.output}: a full finetune becomes a folder in diffusers' layout; give a folder, or"
                " a --layout that has single files"
            )
        write_pipeline(options, facts, place)
    else:
        if folder:
            place.mkdir()
        name = LORA_FILE if plain else f"{facts['group']}-{facts['cluster']}.safetensors"
        file = place / name if folder else place
        if plain:
            lora.write_plain(options, facts, file)
        elif is_lora:
            lora.write(options, facts, file)
        else:
            checkpoint.write(options, facts, file)
    if folder:
        (place / card.CARD).write_text(generator_card.page(facts, options, place), "utf-8")
        record.write(place, "generator", options.source, "model", {"layout": options.layout})


def told(options: Namespace, facts: dict[str, Any]) -> str:
    """What was written, in a line."""
    return (
        f"{facts['kind']} of {facts['group']}, cluster {facts['cluster']}; its prompt is '{facts['prompt']}'"
    )


def write_pipeline(options: Namespace, facts: dict[str, Any], place: Path) -> None:
    """The base with the adapter's weights in the place of its own."""
    from fairgen.models import diffusion

    base, unet, _, encoders = adapted(options, facts)
    diffusion.pipeline(base, unet, encoders).save_pretrained(place)
    public.rename(place, places.model(base.model, facts["base"]))
