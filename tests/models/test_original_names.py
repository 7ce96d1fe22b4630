"""Names of the original code: of the true architectures, without weights, against diffusers' conversion."""

from typing import Any

import pytest
import torch

from fairgen.models import original_names

CONFIGS: dict[str, dict[str, Any]] = {
    "1.5": {"cross_attention_dim": 768, "attention_head_dim": 8},
    "2.1": {
        "cross_attention_dim": 1024,
        "attention_head_dim": (5, 10, 20, 20),
        "use_linear_projection": True,
    },
    "xl": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
    },
}
# of the files that were published with these architectures
KNOWN = {
    "1.5": {
        "down_blocks.3.resnets.1.conv1.weight": "input_blocks.11.0.in_layers.2.weight",
        "up_blocks.0.upsamplers.0.conv.weight": "output_blocks.2.1.conv.weight",
        "up_blocks.1.upsamplers.0.conv.weight": "output_blocks.5.2.conv.weight",
    },
    "2.1": {"mid_block.attentions.0.proj_in.weight": "middle_block.1.proj_in.weight"},
    "xl": {
        "down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k.weight": (
            "input_blocks.8.1.transformer_blocks.9.attn2.to_k.weight"
        ),
        "add_embedding.linear_1.weight": "label_emb.0.0.weight",
        "down_blocks.0.downsamplers.0.conv.bias": "input_blocks.3.0.op.bias",
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_unets_names_are_read_back_by_diffusers(name: str) -> None:
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    with init_empty_weights():
        unet = UNet2DConditionModel(**CONFIGS[name])
    blocks = original_names.unet_blocks(unet.config)
    named = {own: original_names.unet(own, blocks) for own in unet.state_dict()}
    assert None not in named.values()
    assert KNOWN[name].items() <= named.items()
    marks = {f"model.diffusion_model.{other}": torch.tensor(i) for i, other in enumerate(named.values())}
    assert len(marks) == len(named)
    read = convert_ldm_unet_checkpoint(dict(marks), dict(unet.config))
    assert {own: int(x) for own, x in read.items()} == {own: i for i, own in enumerate(named)}


def test_a_layer_that_the_original_code_does_not_have_has_no_name() -> None:
    blocks = original_names.unet_blocks(
        {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"], "layers_per_block": 1}
    )
    assert original_names.unet("mid_block.motion_modules.0.weight", blocks) is None
    assert original_names.unet("down_blocks.0.resnets.7.conv1.weight", blocks) is None
    assert original_names.unet("class_embedding.weight", blocks) is None
