"""LoRA by the names of kohya's trainers, or by those of ComfyUI's networks; see
`fairgen.models.lora_layouts`.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

from fairgen.commands.exports import card, public
from fairgen.commands.exports.bases import UNETS, adapted, base_of, check_sizes, family
from fairgen.core import safetensors_file, safetensors_header
from fairgen.core.errors import FairgenError
from fairgen.generate.text_adapters import wrapped
from fairgen.models import adapters, lora_layouts
from fairgen.models.lora import lora_layers
from fairgen.models.pipelines import part_of

VERSIONS = {
    "sd1": "sd_v1",
    "sd2": "sd_v2",
    "xl": "sdxl_base_v1-0",
}  # sd-scripts' names; AUTOMATIC1111 lists by them


def write(options: Namespace, facts: dict[str, Any], file: Path) -> None:
    """LoRA by the names of kohya's trainers, or by those of ComfyUI's networks.

    Raises:
        FairgenError: a layer has no name there, the layout holds no DoRA, or the program does not know the
            base.
    """
    from fairgen.models import architectures, diffusion
    from fairgen.models.parts import DTYPES, config, index, layout

    base = base_of(facts, options)
    kind, own = (
        index(base)["_class_name"],
        config(architectures.of(base).denoiser(), base, layout(base).denoiser),
    )
    check_sizes(options.layout, kind, own)
    adapters.check_base(options.source, diffusion.identity(base))
    place = lora_layouts.places(kind, own, kohya=options.layout == "kohya")
    state = adapters.load(options.source)
    if facts["dora"]:
        tensors = lora_layouts.differences(placed(options, dora_differences(options, facts), place))
    else:
        tensors = lora_layouts.matrices(placed(options, lora_layouts.layers(state), place), facts["alpha"])
    whole = {name: x.to(DTYPES[options.dtype]) for name, x in tensors.items()}
    more = {**about(kind, own, facts), **card.in_file(options)}
    safetensors_file.save(file, safetensors_file.storable(whole), public.facts(facts), more)


def write_plain(options: Namespace, facts: dict[str, Any], file: Path) -> None:
    """LoRA as diffusers reads it, by the names that it was stored with."""
    from fairgen.models.parts import DTYPES

    tensors = {name: x.to(DTYPES[options.dtype]) for name, x in adapters.load(options.source).items()}
    stored = safetensors_header.metadata(adapters.place(options.source)[0])
    more = {"lora_adapter_metadata": stored["lora_adapter_metadata"], **card.in_file(options)}
    safetensors_file.save(file, safetensors_file.storable(tensors), public.facts(facts), more)


def placed(
    options: Namespace, found: dict[str, Any], place: lora_layouts.Places
) -> dict[lora_layouts.Place, Any]:
    """What layers have, by their places in the layout.

    Raises:
        FairgenError: one of them has no place there.
    """
    places = {name: place(name) for name in found}
    if lost := [name for name, own in places.items() if own is None]:
        raise FairgenError(
            f"{options.source}: the layer {lost[0]} has no name in --layout {options.layout}; use --layout"
            " diffusers"
        )
    return {own: found[name] for name, own in places.items() if own}


def dora_differences(options: Namespace, facts: dict[str, Any]) -> dict[str, Any]:
    """What DoRA adds to the weights of each layer. It is no product of two small matrices: the norms change,
    too.

    Raises:
        FairgenError: the layout has LoRA's matrices only.
    """
    if options.layout == "kohya":
        raise FairgenError(
            f"{options.source} is a DoRA, which sd-scripts does not read; use --layout diffusers, comfyui or"
            " a1111"
        )
    options = Namespace(**{**vars(options), "dtype": "float32"})
    _, unet, _, encoders = adapted(options, facts, whole=False)
    found = {f"{part_of(unet)}.{name}": x for name, x in merged(unet).items()}
    for part, (_, encoder) in encoders.items():
        found |= {f"{part}.{wrapped(name)}": x for name, x in merged(encoder).items()}
    return found


def merged(network: Any) -> dict[str, Any]:
    """By how much LoRA changes each layer's weights."""
    found = {}
    for name, layer in lora_layers(network).items():
        before = layer.get_base_layer().weight.detach().clone()
        layer.merge()
        found[name] = layer.get_base_layer().weight.detach() - before
    return found


def about(kind: str, config: dict[str, Any], facts: dict[str, Any]) -> dict[str, str]:
    """What sd-scripts writes into its files and others read there."""
    found = {
        "format": "pt",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(facts["rank"]),
        "ss_network_alpha": str(facts["alpha"]),
        "ss_output_name": f"{facts['group']}-{facts['cluster']}",
        "ss_training_comment": f"prompt: {facts['prompt']}",
    }
    if kind in UNETS:
        own = family(kind, config)
        found |= {"ss_base_model_version": VERSIONS[own], "ss_v2": str(own == "sd2")}
    return found
