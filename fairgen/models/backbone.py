"""Any timm model as a backbone: built for a picture size, its weights checked, its features pooled, its head
one linear layer.
"""

from pathlib import Path
from typing import Any

import torch

from fairgen.core.errors import FairgenError
from fairgen.models import weights
from fairgen.models.checkpoints import locate, missing

# arguments of timm's by which it would read weights that no lineage knows
WEIGHTS = ("checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict")
HEAD = "fairgen_head"  # our linear layer in a model whose classifier is another thing


def create(
    model: str, classes: int, pretrained: bool | str, resolution: int, args: dict[str, Any]
) -> torch.nn.Module:
    """A timm model with a linear classifier; all weights but the classifier's are the file's or the hub's,
    where asked for.

    Raises:
        FairgenError: the model or its weights are not to be had, or it takes no such arguments or pictures.
    """
    import timm

    args = {k: tuple(v) if isinstance(v, list) else v for k, v in args.items()}
    if args.get("in_chans", 3) != 3:
        raise FairgenError(
            f"classifier.args.in_chans: {args['in_chans']}, and images have 3 channels; leave it out"
        )
    if own := [name for name in WEIGHTS if name in args]:
        raise FairgenError(
            f"classifier.args.{own[0]}: where weights come from stands in classifier.pretrained, so that"
            " other weights rerun what they change; give the file there"
        )
    start, size = pretrained_arguments(model, pretrained), picture_size(model, resolution, args)
    try:
        with weights.watched() as answers:
            net = timm.create_model(model, num_classes=classes, **start, **size, **args)
    except Exception as error:  # whatever timm's models say about arguments and files of others
        raise refused(model, pretrained, size, error) from error
    if pretrained:
        place = model if pretrained is True else locate(pretrained)
        weights.check_timm(net, place, answers, "classifier.pretrained")
    return with_linear_head(net, model, classes)


def usual_size(model: str) -> int | None:
    """The picture size that a model was made for, as far as timm knows it."""
    import timm

    about = timm.get_pretrained_cfg(model, allow_unregistered=True) if timm.is_model(model) else None
    return about.input_size[-1] if about else None


def picture_size(model: str, resolution: int, args: dict[str, Any]) -> dict[str, int]:
    """`img_size` for a model that is built for one picture size, where `args` do not say how it takes
    others.
    """
    import timm

    if usual_size(model) in (None, resolution) or {"img_size", "dynamic_img_size"} & args.keys():
        return {}
    fixed = timm.get_pretrained_cfg(model, allow_unregistered=True).fixed_input_size
    return {"img_size": resolution} if fixed else {}


def refused(model: str, pretrained: bool | str, size: dict[str, int], error: Exception) -> FairgenError:
    """The one line for a model that cannot be built; `size` is what `picture_size` has said."""
    import timm

    reason = reason_of(error)
    if not timm.is_model(model) or isinstance(error, OSError):
        return missing(model, "classifier.model", error, weights.repository(model))
    if size and (isinstance(error, AssertionError) or "img_size" in reason):
        return wrong_size(model, size["img_size"], reason)
    if isinstance(pretrained, str):
        return FairgenError(
            f"classifier.pretrained: {pretrained} does not hold the weights of {model} ({reason});"
            f" {weights.REMEDY}"
        )
    return FairgenError(
        f"classifier.model: timm cannot build {model} ({reason}); check classifier.args, or take another"
        " model"
    )


def reason_of(error: Exception) -> str:
    """What an error of timm's says, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def wrong_size(model: str, resolution: int, reason: str) -> FairgenError:
    """The one line for a model that does not take pictures of this size."""
    usual = usual_size(model)
    remedy = (
        f"it is made for {usual}: set resolution: {usual}"
        if usual not in (None, resolution)
        else "take another model"
    )
    return FairgenError(
        f"classifier.resolution: classifier.model {model} does not take pictures of {resolution} pixels"
        f" ({reason}); {remedy}"
    )


def pretrained_arguments(model: str, pretrained: bool | str) -> dict[str, Any]:
    """What `timm.create_model` is told of the weights to start from.

    Raises:
        FairgenError: there is no such file, or timm has no weights of the model.
    """
    import timm

    if pretrained is True and timm.is_model(model) and not timm.is_model_pretrained(model):
        raise FairgenError(
            f"classifier.pretrained: timm has no weights of {model}; set false, or give a safetensors file"
        )
    if not isinstance(pretrained, str):
        return {"pretrained": pretrained}
    if not Path(locate(pretrained)).is_file():
        raise FairgenError(
            f"classifier.pretrained: no file {pretrained}; give a safetensors file of timm weights, or true"
        )
    return {"pretrained": True, "pretrained_cfg_overlay": {"file": locate(pretrained), "custom_load": False}}


def with_linear_head(net: torch.nn.Module, model: str, classes: int) -> torch.nn.Module:
    """Put a linear layer of ours on the features of a model whose classifier is no linear layer (a
    convolution, two, several).

    Raises:
        FairgenError: the model is none for classification.
    """
    if not (hasattr(net, "get_classifier") and hasattr(net, "forward_head")):
        raise FairgenError(
            f"classifier.model: timm's {model} is an encoder without a classifier; take another model"
        )
    if not isinstance(net.get_classifier(), torch.nn.Linear):
        net.reset_classifier(0)
        setattr(net, HEAD, torch.nn.Linear(getattr(net, "head_hidden_size", net.num_features), classes))
    return net


def head(net: torch.nn.Module) -> torch.nn.Linear:
    """The linear layer on the features."""
    return getattr(net, HEAD, None) or net.get_classifier()


def features(net: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Normalised images (n, 3, h, w) to what the head reads, (n, d)."""
    return net.forward_head(net.forward_features(x), pre_logits=True)


def probe(net: torch.nn.Module, model: str, classes: int, resolution: int) -> None:
    """Try random images: two as in training (the least that batch norms take), then one as in evaluation.

    Raises:
        FairgenError: the model does not take them, or gives features or logits of another shape than its head
            says.
    """
    layer = head(net)
    for count in (2, 1):
        try:
            with torch.no_grad():
                found = features(net.train(count == 2), torch.randn(count, 3, resolution, resolution))
        except Exception as error:  # whatever a model says about pictures of a size
            raise wrong_size(model, resolution, reason_of(error)) from error
        shape, wanted = (*found.shape, layer.out_features), (count, layer.in_features, classes)
        if shape != wanted:
            raise FairgenError(
                f"classifier.model: {model} gives (images, features, logits) of {shape}, and fairgen needs"
                f" {wanted}; take another model, or other classifier.args"
            )
