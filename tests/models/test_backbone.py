"""Any timm model as a classifier: features, a linear head, training, and its file; mistakes in one line."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from fairgen.classify.examples import Examples
from fairgen.classify.methods import erm, head
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Recipe
from fairgen.core.errors import FairgenError
from fairgen.models import backbone, classifier

# a small model of each family of timm 1.0.31, with the smallest picture of 32, 64, 96, … pixels that it takes
FAMILIES = {
    "beit": ("beit_base_patch16_224", 32),
    "byoanet": ("halonet_h1", 256),
    "byobnet": ("test_byobnet", 32),
    "cait": ("cait_xxs24_224", 32),
    "coat": ("coat_tiny", 32),
    "convit": ("convit_tiny", 32),
    "convmixer": ("convmixer_768_32", 32),
    "convnext": ("test_convnext", 32),
    "cpubone": ("cpubone_nano", 32),
    "crossvit": ("crossvit_tiny_240", 240),
    "csatv2": ("csatv2", 64),
    "cspnet": ("cs3darknet_focus_s", 32),
    "cspnext": ("cspnext_tiny", 32),
    "davit": ("davit_tiny", 32),
    "deepseek_vit": ("deepseek_vit_412m", 224),
    "deit": ("deit_tiny_patch16_224", 32),
    "densenet": ("densenet121", 32),
    "dla": ("dla46x_c", 32),
    "dpn": ("dpn48b", 32),
    "edgenext": ("edgenext_xx_small", 32),
    "efficientformer": ("efficientformer_l1", 224),
    "efficientformer_v2": ("efficientformerv2_s0", 32),
    "efficientnet": ("test_efficientnet", 32),
    "efficientvim": ("efficientvim_m1", 32),
    "efficientvit_mit": ("efficientvit_b0", 32),
    "efficientvit_msra": ("efficientvit_m0", 32),
    "eva": ("vit_tiny_patch16_dinov3_qkvb", 32),
    "fasternet": ("fasternet_t0", 32),
    "fastvit": ("fastvit_t8", 32),
    "focalnet": ("focalnet_tiny_srf", 32),
    "gcvit": ("gcvit_xxtiny", 32),
    "gemma4_vit": ("gemma4_vit_167m", 32),
    "ghostnet": ("ghostnet_050", 32),
    "hardcorenas": ("hardcorenas_b", 32),
    "hgnet": ("hgnetv2_b0", 32),
    "hiera": ("hiera_tiny_224", 32),
    "hieradet_sam2": ("sam2_hiera_tiny", 32),
    "hrnet": ("hrnet_w18_small", 32),
    "iformer": ("iformer_t", 32),
    "inception_next": ("inception_next_atto", 32),
    "inception_resnet_v2": ("inception_resnet_v2", 96),
    "inception_v3": ("inception_v3", 96),
    "inception_v4": ("inception_v4", 96),
    "lcnetv2": ("lcnetv2_small", 32),
    "levit": ("levit_128s", 32),
    "lowformer": ("lowformer_b0", 32),
    "mambaout": ("test_mambaout", 32),
    "maxxvit": ("test_coatnet", 32),
    "metaformer": ("poolformerv2_s12", 32),
    "mlp_mixer": ("gmlp_ti16_224", 32),
    "mobilenetv3": ("lcnet_035", 32),
    "mobilenetv5": ("mobilenetv5_base", 32),
    "mobilevit": ("mobilevit_xxs", 32),
    "mvitv2": ("mvitv2_tiny", 32),
    "naflexvit": ("naflexvit_base_patch16_parfac_gap", 32),
    "nasnet": ("nasnetalarge", 32),
    "nest": ("nest_tiny", 32),
    "nextvit": ("nextvit_small", 32),
    "nfnet": ("test_nfnet", 32),
    "pit": ("pit_ti_224", 32),
    "pnasnet": ("pnasnet5large", 32),
    "pvt_v2": ("pvt_v2_b0", 32),
    "qwen3_vit": ("qwen3_vit_88m", 32),
    "rdnet": ("rdnet_tiny", 32),
    "regnet": ("regnetx_002", 32),
    "repghost": ("repghostnet_050", 32),
    "repvit": ("repvit_m1", 32),
    "res2net": ("res2next50", 32),
    "resnest": ("resnest14d", 32),
    "resnet": ("test_resnet", 32),
    "resnetv2": ("resnetv2_18", 32),
    "rexnet": ("rexnet_100", 32),
    "selecsls": ("selecsls42", 32),
    "senet": ("legacy_seresnet18", 32),
    "sequencer": ("sequencer2d_s", 32),
    "shvit": ("shvit_s1", 32),
    "sknet": ("skresnet18", 32),
    "starnet": ("starnet_s050", 32),
    "swiftformer": ("swiftformer_xs", 32),
    "swin_transformer": ("swin_tiny_patch4_window7_224", 32),
    "swin_transformer_v2": ("swinv2_tiny_window8_256", 32),
    "swin_transformer_v2_cr": ("swinv2_cr_tiny_224", 32),
    "tiny_vit": ("tiny_vit_5m_224", 32),
    "tnt": ("tnt_s_legacy_patch16_224", 32),
    "tresnet": ("tresnet_m", 32),
    "twins": ("twins_svt_small", 32),
    "vgg": ("vgg11", 32),
    "visformer": ("visformer_tiny", 32),
    "vision_transformer": ("test_vit", 32),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", 32),
    "vision_transformer_relpos": ("test_vit_relpos", 32),
    "vision_transformer_sam": ("samvit_base_patch16_224", 32),
    "vitamin": ("vitamin_small_224", 32),
    "volo": ("volo_d1_224", 32),
    "vovnet": ("ese_vovnet19b_slim_dw", 32),
    "xception": ("legacy_xception", 32),
    "xception_aligned": ("xception41p", 32),
    "xcit": ("xcit_nano_12_p8_224", 32),
}
# one each: plain, a convolution for a head, two heads, several, a classifier in a wrapper, channels last, one
# picture size, fixed
QUICK = (
    "resnet",
    "dla",
    "levit",
    "efficientvim",
    "repvit",
    "swin_transformer",
    "crossvit",
    "vision_transformer",
    "dpn",
    "cpubone",
)


# their smallest have 86 to 412 million weights, so fewer layers
SHALLOW = ("beit", "deepseek_vit", "gemma4_vit", "qwen3_vit")


def settings_of(family: str) -> classifier.Classifier:
    model, resolution = FAMILIES[family]
    return classifier.Classifier(model, {"depth": 2} if family in SHALLOW else {}, False, resolution)


def rows(count: int, resolution: int) -> Examples:
    pixels = torch.randint(
        0, 256, (count, 3, resolution, resolution), generator=torch.Generator().manual_seed(0)
    )
    target = torch.arange(count) % 3
    return Examples(pixels.to(torch.uint8), target, target.clone())


def check_family(family: str, folder: Path) -> None:
    """Probed, trained whole and by its head alone, saved and loaded: the head is linear and decides the
    logits.
    """
    settings = settings_of(family)
    classifier.probe(settings, 3)
    network, data = classifier.build(settings, 3, 0), rows(4, settings.resolution)
    assert isinstance(network.head, torch.nn.Linear)
    features = classifier.embed(network, data.pixels)
    assert features.shape == (4, network.head.in_features)
    problem, recipe = (
        Problem(data, data, ["a", "b", "c"], 0),
        Recipe(1, 4, 1e-3, 0.0, "adamw", 1, "average", 0),
    )
    before = network.head.weight.detach().clone()
    erm.train(network, problem, recipe)
    assert not torch.equal(network.head.weight, before)
    head.train(network, problem, recipe)
    classifier.save(folder / "m.safetensors", network, classifier.identity(settings, ["a", "b", "c"]))
    again, _, _ = classifier.load(folder / "m.safetensors")
    assert torch.allclose(
        classifier.predict(again, data.pixels), classifier.predict(network, data.pixels), atol=1e-5
    )


@pytest.mark.parametrize("family", QUICK)
def test_a_family(family: str, tmp_path: Path) -> None:
    check_family(family, tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in QUICK])
def test_every_family(family: str, tmp_path: Path) -> None:
    check_family(family, tmp_path)


def test_all_families_are_listed() -> None:
    """Of each family a model is tried; the modules that only build other things have none."""
    assert FAMILIES.keys() == {module for module in timm.list_modules() if timm.list_models(module=module)}
    assert all(model in timm.list_models(module=family) for family, (model, _) in FAMILIES.items())


def test_a_linear_head_of_timms_stays_in_its_place() -> None:
    """Files of models that had one keep their names; the head of a convolution is replaced, and nothing of it
    is stored.
    """
    assert {"fc.weight", "fc.bias"} <= classifier.build(settings_of("resnet"), 3, 0).net.state_dict().keys()
    plain = timm.create_model("test_resnet", num_classes=3).state_dict()
    assert classifier.build(settings_of("resnet"), 3, 0).net.state_dict().keys() == plain.keys()
    own = classifier.build(settings_of("dla"), 3, 0).net.state_dict()
    assert {f"{backbone.HEAD}.weight", f"{backbone.HEAD}.bias"} <= own.keys()
    assert not any(name.startswith("fc.") for name in own)


def test_a_model_for_one_size_is_built_for_the_configs() -> None:
    network = classifier.build(settings_of("vision_transformer"), 3, 0)
    assert network.net.patch_embed.img_size == (32, 32)
    asked = replace(settings_of("vision_transformer"), args={"img_size": 64}, resolution=64)
    assert classifier.build(asked, 3, 0).net.patch_embed.img_size == (64, 64)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "resnet999"}, "classifier.model: 'resnet999' "),
        (
            {"model": "qwen3_vit_88m_enc"},
            "classifier.model: timm's qwen3_vit_88m_enc is an encoder without a classifier",
        ),
        (
            {"args": {"wings": 2}},
            "classifier.model: timm cannot build test_vit (.*wings.*); check classifier.args",
        ),
        (
            {"args": {"wings": 2}, "resolution": 96},
            "classifier.model: timm cannot build test_vit (.*wings.*); check classifier.args",
        ),
        ({"args": {"in_chans": 1}}, "classifier.args.in_chans: 1, and images have 3 channels"),
        ({"args": {"checkpoint_path": "w"}}, "classifier.args.checkpoint_path: .*give the file there"),
        ({"args": {"pretrained_cfg_overlay": {"file": "w"}}}, "classifier.args.pretrained_cfg_overlay: "),
        (
            {"resolution": 100},
            "classifier.resolution: classifier.model test_vit does not take pictures of 100 pixels (.*160",
        ),
        (
            {"model": "crossvit_tiny_240", "resolution": 64},
            "classifier.resolution: .*it is made for 240: set resolution: 240",
        ),
        (
            {"model": "test_vit_relpos", "pretrained": "no.safetensors"},
            "classifier.pretrained: no file no.safetensors",
        ),
        (
            {"model": "resnet10t", "args": {"global_pool": ""}},
            "classifier.model: resnet10t gives (images, features, logits) of (2, 512, 5, 5, 3)",
        ),
        (
            {"model": "coatnet_0_224", "pretrained": True},
            "classifier.pretrained: timm has no weights of coatnet_0_224",
        ),
    ],
)
def test_what_no_run_could_use_is_named_before_the_first_job(changes: dict, said: str) -> None:
    settings = replace(settings_of("vision_transformer"), **{"resolution": 160, **changes})
    with pytest.raises(FairgenError, match=re.escape(said).replace(r"\.\*", ".*")) as error:
        classifier.probe(settings, 3)
    assert "\n" not in str(error.value)
