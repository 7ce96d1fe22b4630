"""Families of image-text models in transformers' layout, told apart by the `model_type` of their config.

Without torch: the checks before the first job read the same table as the loaders.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairgen.core.errors import FairgenError
from fairgen.models import tokenizer_file


@dataclass(frozen=True)
class Family:
    """What is known of a family without its weights."""

    name: str  # as its authors call it
    sign: str  # a weight that each of its checkpoints has
    length: int  # tokens that its text tower reads where config.json does not say
    vocabulary: tuple[str, ...] = tokenizer_file.FILES  # files of the tokenizer
    lowercase: bool = False  # it was trained on lower-case texts

    def limit(self, about: Mapping[str, Any]) -> int:
        """Tokens that the text tower reads, start and end included; `about` is what config.json holds."""
        found = (about.get("text_config") or {}).get("max_position_embeddings")
        return found if isinstance(found, int) else self.length


PROJECTION, BIAS = "visual_projection.weight", "logit_bias"
FAMILIES = {
    "clip": Family("CLIP", PROJECTION, 77, ("vocab.json", "merges.txt")),
    "metaclip_2": Family("MetaCLIP 2", PROJECTION, 77),
    "siglip": Family("SigLIP", BIAS, 64, lowercase=True),  # and SigLIP 2 of one picture size
    "siglip2": Family("SigLIP 2", BIAS, 64, lowercase=True),  # of any number of patches (NaFlex)
}


def family(about: Mapping[str, Any], model: object, key: str) -> str:
    """The `model_type` of a checkpoint, one of `FAMILIES`; `about` is what its config.json holds.

    Raises:
        FairgenError: it is another model, which transformers would load with random weights.
    """
    kind = about.get("model_type")
    if kind in FAMILIES:
        return str(kind)
    names = [known.name for known in FAMILIES.values()]
    raise FairgenError(
        f"{key}: {model} is of no family that fairgen reads (config.json says model_type: {kind}); give a"
        f" {', '.join(names[:-1])} or {names[-1]} in transformers' layout, for example"
        " google/siglip2-base-patch16-224"
    )
