"""Rates of one machine, measured there by `benchmarks/rates.py`, for `fairgen estimate --rates FILE`."""

import json
from dataclasses import dataclass
from pathlib import Path

from fairgen.core import schemas
from fairgen.core.errors import FairgenError

TIMED = ("lora", "full", "row", "decode", "clip", "start")
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SCHEMA = {
    "type": "object",
    "properties": {
        "machine": {"type": "string", "minLength": 1},
        "device": {"enum": ["gpu", "cpu"]},
        "seconds": {
            "type": "object",
            "properties": dict.fromkeys(TIMED, POSITIVE),
            "required": list(TIMED),
            "additionalProperties": False,
        },
        "step": POSITIVE,
    },
    "required": ["machine", "device", "seconds", "step"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Measured:
    """What things take on one machine, in seconds: on a GPU of Stable Diffusion 1.5 at 512 pixels in
    bfloat16, CLIP ViT-B/32 and ResNet-50 at 224 pixels, on the CPU of the embedded models.
    """

    machine: str
    device: str  # gpu | cpu
    # an image of a training step by LoRA and in full, a row of one call of the denoiser, an image decoded,
    # one through CLIP, and the start of a job
    seconds: dict[str, float]
    step: float  # an image of a training step of the classifier


def read(path: Path) -> Measured:
    """The rates in a file.

    Raises:
        FairgenError: there is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FairgenError(f"--rates {path}: {error}; write it with benchmarks/rates.py") from error
    schemas.check(found, SCHEMA, str(path))
    return Measured(**found)
