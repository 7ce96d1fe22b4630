"""Random-weight miniatures of each family of image-text models, in transformers' folder layout."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from fairgen.embedded import tiny

FAMILIES = ("clip", "metaclip_2", "siglip", "siglip2")
TOWER = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
LETTERS = [chr(c) for c in range(33, 127)]
LENGTH = {"metaclip_2": 40, "siglip": 48, "siglip2": 48}  # tokens that the text towers read
SIDE, PATCH = 32, 8


def words(family: str) -> Any:
    """A tokenizer of single characters, with the special tokens and the rules of the family's own one."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    if family == "siglip2":  # Gemma's
        pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *LETTERS, *(f"<0x{i:02X}>" for i in range(256))]
        vocabulary = {piece: i for i, piece in enumerate(pieces)}
        found = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>", byte_fallback=True))
        found.normalizer = normalizers.Replace(" ", "▁")
        template, special = "$A <eos>", [("<eos>", 1)]
    else:  # sentencepiece's: SigLIP's English one, and XLM-R's
        first = ["<s>", "<pad>", "</s>", "<unk>"] if family == "metaclip_2" else ["<unk>", "</s>"]
        scores = [(piece, -float(i)) for i, piece in enumerate([*first, "▁", *LETTERS])]
        found = Tokenizer(models.Unigram(scores, unk_id=first.index("<unk>"), byte_fallback=False))
        if family == "siglip":
            found.normalizer = normalizers.Lowercase()
        found.pre_tokenizer = pre_tokenizers.Metaspace()
        template = "<s> $A </s>" if family == "metaclip_2" else "$A </s>"
        special = [(word, first.index(word)) for word in ("<s>", "</s>") if word in first]
    found.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)
    return found


def config(family: str, size: int) -> Any:
    """The configuration of a miniature for so many tokens."""
    if family == "metaclip_2":
        from transformers import MetaClip2Config

        text = {**TOWER, "vocab_size": size, "max_position_embeddings": LENGTH[family], "projection_dim": 12}
        text |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
        vision = {**TOWER, "image_size": SIDE, "patch_size": PATCH, "projection_dim": 12}
        return MetaClip2Config(text_config=text, vision_config=vision, projection_dim=12)
    from transformers import Siglip2Config, SiglipConfig

    text = {**TOWER, "vocab_size": size, "max_position_embeddings": LENGTH[family]}
    if family == "siglip":
        return SiglipConfig(
            text_config=text, vision_config={**TOWER, "image_size": SIDE, "patch_size": PATCH}
        )
    patches = (SIDE // PATCH) ** 2
    return Siglip2Config(
        text_config=text, vision_config={**TOWER, "num_patches": patches, "patch_size": PATCH}
    )


def network(family: str, size: int) -> torch.nn.Module:
    """A random network whose scale and bias are those of a trained one in kind."""
    from transformers import MetaClip2Model, Siglip2Model, SiglipModel

    torch.manual_seed(0)
    kinds = {"metaclip_2": MetaClip2Model, "siglip": SiglipModel, "siglip2": Siglip2Model}
    found = kinds[family](config(family, size)).eval()
    with torch.no_grad():
        found.logit_scale.fill_(3.0)
        if family != "metaclip_2":
            found.logit_bias.fill_(-10.0)
    return found


def build(folder: Path, family: str) -> Path:
    """Write a miniature of one of `FAMILIES`; returns its folder."""
    if family == "clip":
        return shutil.copytree(tiny.CLIP, folder / family)
    place, tokenizer = folder / family, words(family)
    network(family, tokenizer.get_vocab_size()).save_pretrained(place)
    tokenizer.enable_padding(direction="left", length=7)  # as the files of some checkpoints say
    tokenizer.enable_truncation(9)
    tokenizer.save(str(place / "tokenizer.json"))
    end, pad = (
        ("<eos>", "<pad>") if family == "siglip2" else ("</s>", "</s>" if family == "siglip" else "<pad>")
    )
    about = {"eos_token": {"content": end}, "pad_token": pad, "model_max_length": 1e30}
    (place / "tokenizer_config.json").write_text(json.dumps(about))
    steps = {"image_mean": [0.5, 0.4, 0.6], "image_std": [0.5, 0.3, 0.2]}
    (place / "preprocessor_config.json").write_text(json.dumps(steps))
    return place
