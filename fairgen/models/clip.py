"""CLIP (Radford et al. 2021, arXiv 2103.00020) and MetaCLIP 2 (Chuang et al. 2025, arXiv 2507.22062)."""

from typing import Any

import torch

from fairgen.models import tokenizer_file
from fairgen.models.contrastive import Contrastive
from fairgen.models.families import FAMILIES
from fairgen.models.lazy_imports import lean
from fairgen.models.tokenizer_file import TokenizerFile
from fairgen.models.tokens import check_tokenizer, tokenize


class Clip(Contrastive):
    """CLIP: both towers end in a linear projection, and its tokenizer has words and merges."""

    @staticmethod
    def architecture() -> type:
        """transformers' class of the network."""
        with lean():
            from transformers.models.clip.modeling_clip import CLIPModel
        return CLIPModel

    @staticmethod
    def read_words(place: str, limit: int, model: str, key: str) -> Any:
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

    def projected(self, pooled: torch.Tensor, tower: str) -> torch.Tensor:
        """By the tower's own linear layer."""
        return getattr(self.network, f"{tower}_projection")(pooled)


class MetaClip2(Clip):
    """MetaCLIP 2: CLIP's towers behind a tokenizer of many languages; a text is taken at its end token."""

    @staticmethod
    def architecture() -> type:
        """transformers' class of the network."""
        with lean():
            from transformers.models.metaclip_2.modeling_metaclip_2 import MetaClip2Model
        return MetaClip2Model

    @staticmethod
    def read_words(place: str, limit: int, model: str, key: str) -> TokenizerFile:
        """A tokenizer of one file."""
        return tokenizer_file.load(place, limit, FAMILIES["metaclip_2"].lowercase)

    def tokens(self, prompts: list[str]) -> dict[str, torch.Tensor]:
        """Padded tokens; the text tower looks back only, so what comes after the end token is not seen."""
        return {"input_ids": torch.tensor(self.words.padded(prompts), device=self.network.device)}
