"""What a finetune leaves behind: LoRA matrices (peft) or the weights of a full DreamBooth, in one safetensors
file.

Facts about the adapter (kind, LoRA scale, base, cluster, images) stand in the file's metadata as JSON; a slot
with nothing to train is a file without tensors that states its reason. A shared batch leaves the LoRA
adapters of a group in one file, its keys prefixed by the cluster; the path `landbird-land.safetensors#2`
means cluster 2 in such a file.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairgen.core import safetensors_file as tensors
from fairgen.core.errors import FairgenError
from fairgen.models import weights
from fairgen.models.lora import (
    TEXT_TARGETS,
    inject_lora,
    lora_config,
    lora_state,
    lora_tensors,
    mixed_precision,
)
from fairgen.models.pipelines import part_of

BLOCK = 1 << 20  # bytes of a file that are read at once
WANTED = "give a file of an `adapters` folder of a finished run"


def write_empty(path: Path, facts: dict[str, Any]) -> None:
    """Record a slot without an adapter; imports nothing heavy."""
    tensors.save(path, {}, facts)


def place(path: Path) -> tuple[Path, str]:
    """The file of an adapter, and its cluster in the file of a whole group ("" in a file of its own)."""
    name, _, cluster = path.name.partition("#")
    return path.with_name(name), cluster


def members(path: Path) -> list[Path]:
    """Paths of the adapters in a file."""
    clusters = read_facts(path).get("clusters")
    return (
        [path]
        if clusters is None
        else [path.with_name(f"{path.name}#{c}") for c in sorted(clusters, key=int)]
    )


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of an adapter.

    Raises:
        FairgenError: the file is missing, damaged or no adapter, or it holds none of this cluster.
    """
    from safetensors import safe_open

    file, cluster = place(path)
    try:
        with safe_open(file, framework="numpy") as stored:
            facts = json.loads((stored.metadata() or {})["fairgen"])
        if not is_facts(facts):
            raise ValueError("its metadata are damaged")
    except Exception as error:  # whatever safetensors says about other files
        reason = "no metadata of fairgen" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise FairgenError(f"{file} is no adapter of fairgen ({reason}); {WANTED}") from error
    if not {"images", "kind", "clusters"} & facts.keys():
        what = (
            "a classifier, which `fairgen predict` takes"
            if "gradient_steps" in facts
            else f"only {', '.join(sorted(facts))}"
        )
        raise FairgenError(f"{file} is no adapter of fairgen (it holds {what}); {WANTED}")
    if cluster and cluster not in facts.get("clusters", {}):
        raise FairgenError(
            f"{path}: {file.name} holds no adapter of cluster {cluster}; it holds {holds(facts)}"
        )
    return facts["clusters"][cluster] if cluster else facts


def is_facts(facts: Any) -> bool:
    """Whether facts are a block of keys, and those of a group's clusters, too."""
    clusters = facts.get("clusters", {}) if isinstance(facts, dict) else None
    return isinstance(clusters, dict) and all(
        name.isdecimal() and isinstance(own, dict) for name, own in clusters.items()
    )


def holds(facts: dict[str, Any]) -> str:
    """Which clusters a file has adapters of."""
    return (
        ", ".join(sorted(facts.get("clusters", {}), key=int))
        or "a single adapter: leave out the # and its number"
    )


def read_configs(path: Path) -> dict[str, dict[str, Any]]:
    """The `lora_config` of every part of the pipeline that a LoRA file adapts."""
    from safetensors import safe_open

    found: dict[str, dict[str, Any]] = {}
    with safe_open(place(path)[0], framework="numpy") as file:
        for key, value in json.loads(file.metadata()["lora_adapter_metadata"]).items():
            part, name = key.split(".")
            found.setdefault(part, {})[name] = value
    return found


def digest(path: Path) -> str:
    """Short content hash of an adapter's file, with its cluster where it has one."""
    file, cluster = place(path)
    found = hashlib.sha256(cluster.encode())
    with file.open("rb") as content:  # a full finetune's file is as large as the base
        while part := content.read(BLOCK):
            found.update(part)
    return found.hexdigest()[:16]


def write(path: Path, unet: Any, facts: dict[str, Any], text: dict[str, Any] | None = None) -> None:
    """Store the adapter in float32, as it was trained; LoRA as `pipeline.load_lora_weights` of diffusers
    reads it.

    float16 would round a full finetune: by a quarter to two thirds of what a weight has moved at the usual
    learning rates.

    `text` has the tensors of trained text encoders, by the names of `text_adapters.state`.
    """
    import torch

    if facts["kind"] == "lora":
        scale = (facts["rank"], facts["alpha"], facts["dora"])
        configs = {part_of(unet): lora_config(*scale, unet.peft_config["default"].target_modules)}
        configs |= {name.split(".")[0]: lora_config(*scale, TEXT_TARGETS) for name in text or {}}
        write_lora(path, lora_state(unet) | (text or {}), facts, configs)
    else:
        state = unet.state_dict() | (text or {})
        tensors.save(
            path, {k: v.detach().to("cpu", torch.float32).contiguous() for k, v in state.items()}, facts
        )


def write_group(
    path: Path, adapters: dict[str, tuple[dict[str, Any], dict[str, Any]]], part: str, config: dict[str, Any]
) -> None:
    """Store the LoRA adapters of a group in one file: for each cluster its tensors and its facts, of one
    `lora_config` for one part of the pipeline.
    """
    state = {f"{cluster}.{name}": x for cluster, (own, _) in adapters.items() for name, x in own.items()}
    clusters = {cluster: facts for cluster, (_, facts) in adapters.items()}
    write_lora(path, state, {"clusters": clusters}, {part: config})


def write_lora(
    path: Path, state: dict[str, Any], facts: dict[str, Any], configs: dict[str, dict[str, Any]]
) -> None:
    """Store LoRA tensors in float32, with their facts and the `lora_config` of each part of the pipeline."""
    import torch

    named = {f"{part}.{k}": v for part, config in configs.items() for k, v in config.items()}
    whole = {k: v.detach().to("cpu", torch.float32).contiguous() for k, v in state.items()}
    tensors.save(path, whole, facts, {"lora_adapter_metadata": json.dumps(named, sort_keys=True)})


def load(path: Path) -> dict[str, Any]:
    """The tensors of an adapter."""
    from safetensors import safe_open

    file, cluster = place(path)
    prefix = f"{cluster}." if cluster else ""
    with safe_open(file, framework="pt") as stored:
        return {
            name.removeprefix(prefix): stored.get_tensor(name)
            for name in stored.keys()  # noqa: SIM118
            if name.startswith(prefix)
        }


def check_base(path: Path, base: str) -> None:
    """The adapter is of this base.

    Raises:
        FairgenError: it was trained on another one.
    """
    trained = read_facts(path)["base"]
    if trained != base:
        raise FairgenError(
            f"{path}: the adapter was trained on base {trained}, this is {base}; train it again"
        )


def apply(path: Path, unet: Any, base: str) -> None:
    """Load an adapter into a UNet of the same base; LoRA layers are injected at the first call.

    Raises:
        FairgenError: the adapter was trained on another base.
    """
    check_base(path, base)
    part, lora = part_of(unet), read_facts(path)["kind"] == "lora"
    own = {
        name.removeprefix(f"{part}."): x
        for name, x in load(path).items()
        if not name.startswith("text_encoder")
    }
    put(path, unet, own, read_configs(path)[part]["target_modules"] if lora else ())


def put(path: Path, module: Any, tensors: dict[str, Any], targets: Sequence[str]) -> None:
    """Load an adapter's tensors of one module into it; LoRA layers on `targets` are injected at the first
    call.

    Raises:
        FairgenError: the tensors are not those that the module wants; names the first that differs.
    """
    facts, lora = read_facts(path), read_facts(path)["kind"] == "lora"
    if lora and not hasattr(module, "peft_config"):
        inject_lora(module, facts["rank"], facts["alpha"], facts["dora"], targets)
        if facts["dora"]:
            mixed_precision(module)
        module.eval()
    weights.fitting(path, tensors, lora_tensors(module) if lora else module.state_dict(), "train it again")
    if lora:
        from peft import set_peft_model_state_dict

        exact = facts["dora"]
        set_peft_model_state_dict(
            module, tensors if exact else {name: x.to(module.dtype) for name, x in tensors.items()}
        )
    else:
        module.load_state_dict(tensors)


def sampling_dtype(facts: dict[str, Any]) -> Any:
    """The dtype that networks must be loaded in to draw with an adapter of these facts; None: the base's own.

    bfloat16 keeps eight bits of a weight. It would lose most of the small steps of a full finetune, also
    under autocast, which rounds the weights in front of each product. So the networks hold and compute in
    float32: twice the memory for weights and activations, and on a GPU more time, which TensorFloat-32 keeps
    in bounds (see `devices.fast_float32`). LoRA's matrices are the step itself, which rounds by less than one
    percent.
    """
    import torch

    return torch.float32 if facts["kind"] == "full" else None
