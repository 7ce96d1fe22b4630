"""A classifier as ONNX: from images as they are, or normalised, to logits and probabilities, in batches of
any size.

onnxruntime has to answer as torch does before the file counts as written.
"""

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fairgen.core.errors import FairgenError
from fairgen.models import backbone

if TYPE_CHECKING:
    from fairgen.commands.exports.classifier import Trained

CLOSE = 1e-4  # probabilities may differ by so much
BATCHES = (1, 3)
EXTRA = (
    "--layout onnx needs onnx, onnxscript and onnxruntime; install them with `pip install 'fairgen[onnx]'`"
)


class Graph(torch.nn.Module):
    """The network with its preprocessing in front and probabilities behind."""

    def __init__(self, network: torch.nn.Module, raw: bool):
        super().__init__()
        self.net, self.raw, self.head = network.net, raw, network.head
        self.register_buffer("mean", network.mean.clone())
        self.register_buffer("std", network.std.clone())

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (n, h, w, 3) uint8, or normalised (n, 3, h, w) float32, to logits and probabilities."""
        x = (images.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std if self.raw else images
        logits = self.head(backbone.features(self.net, x))
        return logits, logits.softmax(1)


def write(path: Path, found: "Trained", given: str, more: dict[str, str]) -> str:
    """Write the file, run it, and compare; returns what was found.

    Args:
        path: of the file.
        found: the classifier.
        given: uint8 or float.
        more: for its metadata.

    Raises:
        FairgenError: the packages are missing, torch cannot write the model, or onnxruntime answers
            otherwise.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 (torch's exporter asks for it)
    except ImportError as error:
        raise FairgenError(f"{EXTRA} ({error.name} is missing)") from error
    graph, size = Graph(found.network, given == "uint8").eval(), found.settings.resolution
    examples = [images(graph, count, size) for count in BATCHES]
    try:
        with quiet():
            torch.onnx.export(
                graph,
                (examples[-1],),
                path,
                input_names=["images"],
                output_names=["logits", "probabilities"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                dynamo=True,
                external_data=False,
            )
    except Exception as error:  # whatever torch says about a model
        raise FairgenError(
            f"{found.told.path}: torch cannot write {found.settings.model} as ONNX"
            f" ({backbone.reason_of(error)})"
        ) from error
    model = onnx.load(path)
    forget(model)
    onnx.helper.set_model_props(model, facts(found, given) | more)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    difference = max(compared(path, graph, example) for example in examples)
    if not difference <= CLOSE:
        raise FairgenError(
            f"{found.told.path}: onnxruntime answers otherwise than torch (probabilities differ by"
            f" {difference:.2g}), so no file is written"
        )
    return (
        f"Run by onnxruntime {onnxruntime.__version__} when it was exported, in batches of {BATCHES[0]} and"
        f" {BATCHES[1]} random images: its probabilities differed from fairgen's by at most {difference:.1e}."
    )


def forget(model: Any) -> None:
    """Take out where the exporter found each step: lines of code, by their places on this machine."""
    graphs = [model.graph, *model.functions]
    for part in (*graphs, *(node for graph in graphs for node in graph.node), *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""


def images(graph: Graph, count: int, size: int) -> torch.Tensor:
    """Random images as the graph takes them."""
    pixels = torch.randint(0, 256, (count, size, size, 3), generator=torch.Generator().manual_seed(count))
    if graph.raw:
        return pixels.to(torch.uint8)
    return ((pixels.permute(0, 3, 1, 2).float() / 255 - graph.mean) / graph.std).contiguous()


@torch.inference_mode()
def compared(path: Path, graph: Graph, example: torch.Tensor) -> float:
    """Largest difference of the probabilities by onnxruntime and by torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (_, theirs), (_, ours) = session.run(None, {"images": example.numpy()}), graph(example)
    return float(np.abs(theirs - ours.numpy()).max())


def facts(found: "Trained", given: str) -> dict[str, str]:
    """What the file says of itself."""
    known, size = found.network.net.pretrained_cfg, found.settings.resolution
    shape = (
        f"(n, {size}, {size}, 3) uint8, RGB"
        if given == "uint8"
        else f"(n, 3, {size}, {size}) float32, normalised"
    )
    return {
        "classes": json.dumps(found.classes, ensure_ascii=False),
        "input": shape,
        "resize": f"shorter side to {size} pixels (bicubic), centre square",
        "mean": json.dumps(list(known["mean"])),
        "std": json.dumps(list(known["std"])),
        "fairgen": json.dumps({**found.told.history, "lineage": found.told.made.get("hash")}, sort_keys=True),
        "weights_sha256": found.told.digest,
    }


@contextlib.contextmanager
def quiet() -> Any:
    """Keep the exporter off the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
