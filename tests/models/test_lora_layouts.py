"""LoRA under other names: joined layers leave the sum as it is, with parts that are not adapted."""

import torch

from fairgen.models import lora_layouts
from fairgen.models.lora_layouts import Place


def test_joined_layers_leave_the_sum_as_it_is() -> None:
    """Of queries and values alone; the scale α / rank stays."""
    chance = torch.Generator().manual_seed(0)
    parts = {
        Place("qkv", part, 3): (torch.randn(2, 5, generator=chance), torch.randn(4, 2, generator=chance))
        for part in (2, 0)
    }
    made = lora_layouts.matrices(parts, 6)
    down, up, alpha = (made[f"qkv.{name}"] for name in ("lora_down.weight", "lora_up.weight", "alpha"))
    assert (down.shape, up.shape, alpha / len(down)) == ((4, 5), (12, 4), 6 / 2)
    query, key, value = (up @ down).chunk(3)
    for found, place in ((query, Place("qkv", 0, 3)), (value, Place("qkv", 2, 3))):
        own_down, own_up = parts[place]
        assert torch.allclose(found, own_up @ own_down, atol=1e-6)
    assert not key.any()


def test_differences_are_joined_too() -> None:
    made = lora_layouts.differences(
        {Place("qkv", 1, 3): torch.ones(2, 3), Place("proj"): torch.full((1, 1), 5.0)}
    )
    assert made["qkv.diff"].tolist() == [[0] * 3] * 2 + [[1] * 3] * 2 + [[0] * 3] * 2
    assert made["proj.diff"].tolist() == [[5]]


def test_names_of_each_program() -> None:
    """Z-Image is called otherwise by musubi-tuner than by ComfyUI; what is in no table has no place."""
    name = "transformer.layers.3.attention.to_k"
    assert lora_layouts.places("ZImagePipeline", {}, kohya=True)(name) == Place(
        "lora_unet_layers_3_attention_to_k"
    )
    assert lora_layouts.places("ZImagePipeline", {}, kohya=False)(name) == Place(
        "lora_unet_layers_3_attention_qkv", 1, 3
    )
    klein = lora_layouts.places("Flux2KleinPipeline", {}, kohya=False)
    assert klein("transformer.single_transformer_blocks.0.attn.to_out") == Place(
        "lora_unet_single_blocks_0_linear2"
    )
    assert klein("transformer.transformer_blocks.0.attn.to_out.0") == Place(
        "lora_unet_double_blocks_0_img_attn_proj"
    )
    assert klein("transformer.proj_out") is None
