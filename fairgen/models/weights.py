"""What every loader of weights asks: is each weight of the network read from the file, and is nothing left
over?

The libraries answer with a line in their log and go on with random weights. Here it is an error that names
the place (a file or a folder), the first weight, and what to do.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairgen.core.errors import FairgenError

if TYPE_CHECKING:
    import torch

# Buffers that hold 0, 1, 2, …, which the networks make themselves: transformers before 4.31 stored them.
COUNTERS = ("position_ids",)
# A second head in timm's file of inception v3 that was for its training only.
AUXILIARY = ("AuxLogits.",)
# The norm in front of a classifier is a part of the head that starts as the identity. timm's own weights from
# masked autoencoders (ConvNeXt V2 fcmae) and of Florence (DaViT) have none, nor has a vision transformer's
# file if it is pooled by the mean.
HEAD_NORMS = ("head.norm.", "fc_norm.")
REMEDY = "take the whole, unchanged files of this model, or fetch them again"


def complete(
    place: object,
    missing: Iterable[str],
    unexpected: Iterable[str] = (),
    mismatched: Iterable[str] = (),
    key: str = "",
    remedy: str = REMEDY,
) -> None:
    """Refuse weights that do not fit their network.

    Args:
        place: the file or folder that they are read from.
        missing: names of the network's weights that are not there.
        unexpected: names of weights that the network has no place for; those of `COUNTERS` do no harm.
        mismatched: descriptions of weights of another shape or type.
        key: the config key that names the place.
        remedy: what to do.

    Raises:
        FairgenError: there is such a weight.
    """
    surplus = [name for name in unexpected if not name.endswith(COUNTERS)]
    told = {
        "is missing": sorted(missing),
        "does not fit": sorted(mismatched),
        "is unknown to the network": sorted(surplus),
    }
    faults = [f"{names[0]} {what}{more(names)}" for what, names in told.items() if names]
    if faults:
        raise FairgenError(
            f"{key}{key and ': '}{place} does not hold the weights of this network: {', '.join(faults)};"
            f" {remedy}"
        )


def more(names: list[str]) -> str:
    """How many there are beside the first."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def repository(model: str) -> str:
    """The hub's repository of the pretrained weights of a timm model; "" where there is none or timm does not
    know it.
    """
    import timm

    known = ":" not in model and timm.is_model(model)
    about = timm.get_pretrained_cfg(model, allow_unregistered=True) if known else None
    return about.hf_hub_id or "" if about else ""


def integers(path: Path) -> list[str]:
    """The weights of a safetensors file that are integers: quantised ones, which the libraries take for plain
    values.
    """
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    counted = (*COUNTERS, "num_batches_tracked", "relative_position_index")
    return [
        f"{name} ({kind}, not floating point)"
        for name, kind in kinds.items()
        if "F" not in kind and not name.endswith(counted)
    ]


def fitting(
    place: object, found: "Mapping[str, torch.Tensor]", wanted: "Mapping[str, torch.Tensor]", remedy: str
) -> None:
    """Tensors by their names have the names, shapes and kinds of numbers of a network's.

    Raises:
        FairgenError: they have not.
    """
    pairs = [(name, found[name], own) for name, own in wanted.items() if name in found]
    wrong = [
        f"{name} ({shown(x)}, wanted {shown(own)})"
        for name, x, own in pairs
        if x.shape != own.shape or x.is_floating_point() != own.is_floating_point()
    ]
    complete(place, wanted.keys() - found.keys(), found.keys() - wanted.keys(), wrong, remedy=remedy)


def shown(x: "torch.Tensor") -> str:
    """Shape and type of a tensor."""
    return f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}"


def load(kind: Any, place: str, key: str, **options: Any) -> Any:
    """A network of diffusers or transformers (`kind`) from a hub id or folder, every weight of which is in
    its files.

    Raises:
        FairgenError: a weight is missing, left over, of another shape, or an integer.
        OSError, ValueError: the files are not there, or cannot be read.
    """
    folder = Path(place, options.get("subfolder", ""))
    # transformers names a weight of another shape in its report only; diffusers does in its error
    lax = {"ignore_mismatched_sizes": True} if kind.__module__.startswith("transformers") else {}
    network, report = kind.from_pretrained(place, output_loading_info=True, **lax, **options)
    wrong = [f"{name} ({tuple(x)}, wanted {tuple(own)})" for name, x, own in report["mismatched_keys"]]
    wrong += [fault for path in files(folder, options.get("variant")) for fault in integers(path)]
    complete(folder, report["missing_keys"], report["unexpected_keys"], wrong, key)
    return network


def files(folder: Path, variant: str | None) -> list[Path]:
    """The safetensors files of a local folder that a variant is read from."""
    found = {
        path: path.name.removesuffix(".safetensors").partition(".")[2]
        for path in folder.glob("*.safetensors")
    }
    return [path for path, mark in found.items() if mark.partition("-")[0] == (variant or "")]


@contextmanager
def watched() -> "Iterator[list[Any]]":
    """Collect what `load_state_dict` answers inside the block (missing and unexpected keys): timm drops
    it.
    """
    from torch.nn import Module

    answers: list[Any] = []
    load_state_dict = Module.load_state_dict

    def watching(self: Any, *args: Any, **options: Any) -> Any:
        answers.append(load_state_dict(self, *args, **options))
        return answers[-1]

    Module.load_state_dict = watching
    try:
        yield answers
    finally:
        Module.load_state_dict = load_state_dict


def check_timm(net: "torch.nn.Module", place: str, answers: list[Any], key: str) -> None:
    """timm has read all weights of a network but those of its classifier, which is trained for other classes.

    Args:
        net: the network.
        place: the file or timm's name.
        answers: what `watched` has collected while it was built.
        key: the config key that names the place.

    Raises:
        FairgenError: timm has left out others, or told of none.
    """
    heads = net.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{name}." for name in ((heads,) if isinstance(heads, str) else heads))
    if not answers:
        raise FairgenError(
            f"{key}: timm does not say which weights it has read from {place}; give a safetensors file of"
            " them"
        )
    lacks, surplus = answers[-1]
    whole = integers(Path(place)) if Path(place).is_file() else []
    complete(
        place,
        [name for name in lacks if not name.startswith((*heads, *HEAD_NORMS))],
        [name for name in surplus if not name.startswith((*heads, *AUXILIARY))],
        whole,
        key,
    )
