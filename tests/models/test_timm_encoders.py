"""Encoders for clustering that timm brings: one of each family that the documentation names, as a miniature
with random weights in timm's layout.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
from safetensors.torch import save_file
from timm.models import PretrainedCfg

from fairgen.models import encoder

SMALL = {"embed_dim": 32, "depth": 2, "num_heads": 2}
# a model of each family, what makes it small, and its picture size in patches of its own
FAMILIES = {
    "DINOv2": ("vit_small_patch14_reg4_dinov2.lvd142m", {**SMALL, "img_size": 28}, 28),
    "DINOv3": ("vit_small_patch16_dinov3.lvd1689m", {**SMALL, "img_size": 32}, 32),
    "DINOv3, ConvNeXt": ("convnext_tiny.dinov3_lvd1689m", {"depths": [1] * 4, "dims": [8] * 4}, 64),
    "SigLIP 2": ("vit_base_patch16_siglip_224.v2_webli", {**SMALL, "img_size": 32}, 32),
    "Perception Encoder": ("vit_pe_core_tiny_patch16_384.fb", {**SMALL, "img_size": 32}, 32),
    "RADIO": ("naflexvit_base_patch16_radio_v3.c_radio", SMALL, 32),
}


def build(folder: Path, name: str, small: dict, side: int) -> Path:
    """Write a miniature of a model of timm's with the preprocessing of its own weights."""
    architecture = name.split(".")[0]
    network = timm.create_model(architecture, pretrained=False, num_classes=0, **small)
    known = timm.get_pretrained_cfg(name)
    assert isinstance(known, PretrainedCfg) and known.has_weights
    folder.mkdir()
    save_file({k: x.contiguous() for k, x in network.state_dict().items()}, folder / "model.safetensors")
    about = {"mean": known.mean, "std": known.std, "input_size": [3, side, side], "num_classes": 0}
    settings = {"architecture": architecture, "num_classes": 0, "model_args": small, "pretrained_cfg": about}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_gives_a_vector_for_an_image(tmp_path: Path, family: str) -> None:
    name, small, side = FAMILIES[family]
    features = encoder.load(encoder.Encoder("timm", str(build(tmp_path / "own", name, small, side))))
    assert features.size == side
    pixels = np.random.default_rng(0).integers(0, 255, (5, side, side, 3)).astype(np.uint8)
    found = features(pixels)
    assert found.shape[0] == 5 and found.ndim == 2 and found.dtype == np.float32
    assert found.std(0).max() > 0
    assert np.allclose(found[1:3], features(pixels[1:3]), atol=1e-4)
