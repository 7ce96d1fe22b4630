"""What a finetune leaves behind: LoRA matrices (peft) or the weights of a full DreamBooth, in one safetensors file.

Facts about the adapter (kind, LoRA scale, base, cluster, images) stand in the file's metadata as JSON; a slot with
nothing to train is a file without tensors that states its reason.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from fairgen.errors import FairgenError

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")


def write_empty(path: Path, facts: dict[str, Any]) -> None:
    """Record a slot without an adapter; imports nothing heavy."""
    from safetensors.numpy import save_file

    save_file({}, path, metadata={"fairgen": json.dumps(facts, sort_keys=True)})


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of an adapter file."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["fairgen"])


def digest(path: Path) -> str:
    """Short content hash of an adapter file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def inject_lora(unet: Any, rank: int, alpha: float) -> None:
    """Put trainable LoRA layers (arXiv 2106.09685) on the attention projections; everything else stays frozen.

    Raises:
        FairgenError: no layer of the UNet has one of the target names.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(LORA_TARGETS), init_lora_weights="gaussian")
    try:
        inject_adapter_in_model(config, unet)
    except ValueError as error:
        raise FairgenError(f"adapt.lora: {error}") from error


def lora_state(unet: Any) -> dict[str, Any]:
    """The LoRA tensors of an injected UNet."""
    return {name: p for name, p in unet.state_dict().items() if "lora_" in name}


def write(path: Path, unet: Any, facts: dict[str, Any]) -> None:
    """Store the adapter: LoRA in float32, full weights in float16."""
    import torch
    from safetensors.torch import save_file

    lora = facts["kind"] == "lora"
    state = lora_state(unet) if lora else unet.state_dict()
    dtype = torch.float32 if lora else torch.float16
    tensors = {k: v.detach().to("cpu", dtype).contiguous() for k, v in state.items()}
    save_file(tensors, path, metadata={"fairgen": json.dumps(facts, sort_keys=True)})


def apply(path: Path, unet: Any, base: str) -> None:
    """Load an adapter into a UNet of the same base; LoRA layers are injected at the first call.

    Raises:
        FairgenError: the adapter was trained on another base.
    """
    from safetensors.torch import load_file

    facts = read_facts(path)
    if facts["base"] != base:
        raise FairgenError(f"{path}: the adapter was trained on base {facts['base']}, this is {base}; train it again")
    if facts["kind"] == "lora" and not lora_state(unet):
        inject_lora(unet, facts["rank"], facts["alpha"])
        unet.eval()
    tensors = {k: v.to(unet.dtype) for k, v in load_file(path).items()}
    outcome = unet.load_state_dict(tensors, strict=False)
    wanted = lora_state(unet) if facts["kind"] == "lora" else unet.state_dict()
    if outcome.unexpected_keys or len(tensors) != len(wanted):
        raise FairgenError(f"{path}: {len(tensors)} tensors do not fit the {len(wanted)} of the base; train it again")
