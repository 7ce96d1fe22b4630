"""LoRA layers in a network (peft): where they go, how they compute, what of them is stored."""

from collections.abc import Collection, Sequence
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models.pipelines import part_of

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")  # attention projections of the text encoders


def inject_lora(
    unet: Any, rank: int, alpha: float, dora: bool = False, targets: Sequence[str] = LORA_TARGETS
) -> None:
    """Put trainable LoRA layers (arXiv 2106.09685) on all layers with the names `targets`; everything else
    stays frozen.

    `dora` trains the norms of the columns apart from their directions (DoRA, arXiv 2402.09353).

    Raises:
        FairgenError: no layer of the UNet has one of the names, which peft would pass over.
    """
    from peft import LoraConfig, inject_adapter_in_model

    for target in absent(targets, [name for name, _ in unet.named_modules()]):
        raise FairgenError(
            f"adapt.lora.targets: no layer of the base is named {target}; usual are {', '.join(LORA_TARGETS)}"
        )
    config = LoraConfig(**lora_config(rank, alpha, dora, targets), init_lora_weights="gaussian")
    try:
        inject_adapter_in_model(config, unet)
    except ValueError as error:
        raise FairgenError(f"adapt.lora: {error}") from error
    for layer in lora_layers(unet).values() if dora else ():
        norms, weight = layer.lora_magnitude_vector["default"], layer.get_base_layer().weight.float()
        # peft rounds them to the base's dtype
        norms.weight.data = norms.get_weight_norm(weight, 0, layer.scaling["default"])


def absent(targets: Sequence[str], names: Sequence[str]) -> list[str]:
    """The targets that none of a network's modules, by their full names, is called or ends with."""
    return [
        target
        for target in targets
        if not any(name == target or name.endswith(f".{target}") for name in names)
    ]


def lora_layers(module: Any) -> dict[str, Any]:
    """peft's LoRA layers in a module, by their names."""
    from peft.tuners.lora import LoraLayer

    return {name: layer for name, layer in module.named_modules() if isinstance(layer, LoraLayer)}


def mixed_precision(module: Any) -> None:
    """Give LoRA layers float32 matrices that compute in the dtype of the layers that they adapt.

    Autocast around the whole module would do that too, but compute its norms in float32: a seventh to a
    quarter more time for a step on an H200.
    """
    import torch

    for layer in lora_layers(module).values():
        for name, p in layer.named_parameters():
            if not name.startswith("base_layer."):
                p.data = p.data.float()
        weight = layer.get_base_layer().weight
        if weight.dtype != torch.float32:
            # it takes its norms in the input's dtype
            layer.cast_input_dtype_enabled = layer.use_dora["default"]
            layer.forward = torch.autocast(weight.device.type, weight.dtype)(layer.forward)


def lora_config(
    rank: int, alpha: float, dora: bool, targets: Collection[str] = LORA_TARGETS
) -> dict[str, Any]:
    """What a loader needs beside the tensors; without it, one that finds alpha ≠ rank scales them wrongly,
    silently.
    """
    # peft has a set
    listed = [*(name for name in LORA_TARGETS if name in targets), *sorted(set(targets) - set(LORA_TARGETS))]
    return {"r": rank, "lora_alpha": alpha, "use_dora": dora, "target_modules": listed}


def lora_tensors(module: Any) -> dict[str, Any]:
    """The LoRA tensors of an injected module."""
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(module, save_embedding_layers=False)


def lora_state(denoiser: Any) -> dict[str, Any]:
    """The LoRA tensors of an injected denoiser, with the names of a pipeline's LoRA file."""
    return {f"{part_of(denoiser)}.{name}": p for name, p in lora_tensors(denoiser).items()}
