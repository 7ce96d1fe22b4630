"""CLIP (Radford et al. 2021, arXiv 2103.00020) and MetaCLIP 2 (Chuang et al. 2025, arXiv 2507.22062)."""

from typing import Any

import torch

from fairgen.models.contrastive import Contrastive
from fairgen.models.lazy_imports import lean
from fairgen.models.tokens import check_tokenizer, tokenize


class MetaClip2(Contrastive):
    """MetaCLIP 2: CLIP's towers, which end in a linear projection, behind a tokenizer of many languages.

    The text tower looks back only and a text is taken at its end token, so what comes after that is not seen.
    """

    family = "metaclip_2"
    network_class = "MetaClip2Model"

    def projected(self, pooled: torch.Tensor, tower: str) -> torch.Tensor:
        """By the tower's own linear layer."""
        return getattr(self.network, f"{tower}_projection")(pooled)


class Clip(MetaClip2):
    """CLIP: the same towers behind a tokenizer of words and merges."""

    family = "clip"
    network_class = "CLIPModel"

    @classmethod
    def read_words(cls, place: str, limit: int, model: str, key: str) -> Any:
        """CLIP's byte-pair tokenizer, which states its own limit."""
        with lean():
            from transformers.models.clip.tokenization_clip import CLIPTokenizer

        words = CLIPTokenizer.from_pretrained(place)
        check_tokenizer(words, model, key)
        return words

    def tokens(self, prompts: list[str]) -> dict[str, torch.Tensor]:
        """Padded tokens with their mask."""
        found = tokenize(self.words, prompts).to(self.network.device)
        return {"input_ids": found.input_ids, "attention_mask": found.attention_mask}
