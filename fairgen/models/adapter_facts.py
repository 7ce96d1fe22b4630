"""What the file of an adapter says of itself, checked where it is handed out: files come from other machines,
and a value of another kind would be a wrong scale or a trace.
"""

from pathlib import Path
from typing import Any

from fairgen.core import schemas
from fairgen.core.errors import FairgenError

OBJECT = {"type": "object"}
TYPES: dict[str, Any] = {
    "group": {
        "type": "string",
        "pattern": r"^(?!\.)[^/\\\x00-\x1f]+$",
        "description": "a name without places",
    },
    "cluster": {"type": "integer", "minimum": 0},
    "kind": {"enum": ["lora", "full"]},
    "images": {"type": "integer", "minimum": 0},
    "reason": {"type": "string"},
    "prompt": {"type": "string"},
    "base": {"type": "string", "minLength": 1},
    "loss": {"type": "array", "items": {"type": "number"}},
    "settings": {"type": "object", "properties": {"recipe": OBJECT, "base": OBJECT}},
}
SCALE: dict[str, Any] = {  # of LoRA; a full finetune has none
    "rank": {"type": "integer", "minimum": 1},
    "alpha": {"type": "number", "exclusiveMinimum": 0},
    "dora": {"type": "boolean"},
}
TRAINED = ("group", "cluster", "kind", "images", "base", "prompt")  # of a slot that holds a generator


def check(path: Path, facts: Any, whole: bool = False) -> None:
    """The facts are of the right kinds; with `whole` all are there that another program needs.

    Raises:
        FairgenError: one line with the first that is not.
    """
    known = facts if isinstance(facts, dict) else {}
    trained, scale = known.get("images") != 0, SCALE if known.get("kind") == "lora" else {}
    needed = ["images"]
    if whole:
        needed = [*TRAINED, *scale] if trained else ["images", "reason"]
    schema = {"type": "object", "properties": {**TYPES, **scale}, "required": needed}
    if found := schemas.problems(facts, schema, str(path)):
        raise FairgenError(f"{found[0].removesuffix('; give that')}: the file is damaged; train it again")


def check_scale(path: Path, facts: dict[str, Any], configs: dict[str, dict[str, Any]], tensors: Any) -> None:
    """What a LoRA says of its scale is what its tensors have, and what diffusers would read.

    Args:
        path: of the adapter.
        facts: that were checked.
        configs: the `lora_config` of each part (`adapters.read_configs`).
        tensors: by their names.

    Raises:
        FairgenError: names the first that contradicts.
    """
    rank, dora = facts["rank"], facts["dora"]
    for part, config in configs.items():
        for name, wanted in (("r", rank), ("lora_alpha", facts["alpha"]), ("use_dora", dora)):
            if config.get(name, wanted) != wanted:
                raise FairgenError(
                    f"{path}: it says {name} {config[name]} for {part} in one place and {wanted} in another:"
                    " the file is damaged; train it again"
                )
    for name, x in tensors.items():
        if name.endswith("lora_A.weight") and x.shape[0] != rank:
            raise FairgenError(
                f"{path}: it says rank {rank}, and {name} has rank {x.shape[0]}: the file is damaged;"
                " train it again"
            )
    if dora != any("lora_magnitude_vector" in name for name in tensors):
        raise FairgenError(
            f"{path}: it says {'that it is a DoRA' if dora else 'that it is no DoRA'}, and its tensors say"
            " the contrary: the file is damaged; train it again"
        )
