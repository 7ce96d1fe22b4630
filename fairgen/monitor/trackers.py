"""Trackers of experiments (trackio, TensorBoard, Weights & Biases, MLflow) by accelerate's interface.

They work offline unless the tracker's own environment variables say otherwise, below `results/tracking`; a
run has the name of the artifact that it makes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

NONE = "none"
FOLDER = Path("results/tracking")
PROJECT = "fairgen"
# by which accelerate knows of other processes
SEVERAL = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
IMAGES = {"wandb": {}, "tensorboard": {"dataformats": "NHWC"}}  # trackers that take them, and how
# of the trackers' own: only what is not set yet
OFFLINE = {
    "trackio": {"TRACKIO_DIR": str(FOLDER.absolute() / "trackio")},
    "wandb": {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(FOLDER.absolute())},
    "mlflow": {"MLFLOW_TRACKING_URI": f"sqlite:///{FOLDER.absolute() / 'mlflow.db'}"},
}


def run_name(artifact: Path) -> str:
    """The artifact's path below the results, without its ending."""
    path = artifact.with_suffix("")
    return "/".join(path.parts[1:] if path.parts[0] == "results" else path.parts)


def flat(values: dict[str, Any], before: str = "") -> dict[str, str | int | float | bool]:
    """Settings with dotted names, as trackers take them."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            found |= flat(value, f"{name}.")
        else:
            found[name] = value if isinstance(value, str | int | float | bool) else str(value)
    return found


class Tracker:
    """One job's run at a tracker; with the name `none` nothing happens."""

    def __init__(self, name: str, artifact: Path, settings: dict[str, Any]):
        self.name, self.run, self.settings = name, run_name(artifact), settings
        self.tracker: Any = None

    def begin(self) -> None:
        """Begin the run, when a training does; the environment's own settings go first."""
        if self.name == NONE or self.tracker is not None:
            return
        for key, value in OFFLINE.get(self.name, {}).items():
            os.environ.setdefault(key, value)
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.tracker = started(self.name, self.run)
        store(self.tracker, flat(self.settings))

    def log(self, run: dict[str, Any], values: dict[str, float | None], step: int) -> None:
        """Pass on some figures of a run; those of several phases or adapters have their names in front."""
        if self.tracker is not None:
            known = {f"{prefix(run)}{key}": value for key, value in values.items() if value is not None}
            self.tracker.log(known, step=step)

    def draw(self, run: dict[str, Any], pixels: np.ndarray, sample: dict[str, Any], step: int) -> None:
        """Pass on sample images (n, h, w, 3), where the tracker takes images, and their near copies."""
        self.log(run, {key: value for key, value in sample.items() if isinstance(value, float)}, step)
        if self.tracker is not None and self.name in IMAGES:
            self.tracker.log_images({f"{prefix(run)}samples": pixels}, step=step, **IMAGES[self.name])

    def close(self) -> None:
        """End the run."""
        if self.tracker is not None:
            self.tracker.finish()


def prefix(run: dict[str, Any]) -> str:
    """What stands in front of a figure's name."""
    return f"{run['phase']}/{run['name']}/" if run["name"] else f"{run['phase']}/"


def started(name: str, run: str) -> Any:
    """A tracker of accelerate's, on this process alone."""
    from accelerate.state import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    options: dict[str, dict[str, Any]] = {
        "trackio": {"run_name": PROJECT, "name": run, "resume": "allow"},
        "tensorboard": {"run_name": run, "logging_dir": str(FOLDER / "tensorboard")},
        "wandb": {"run_name": PROJECT, "name": run, "id": run.replace("/", "--"), "resume": "allow"},
        "mlflow": {
            "experiment_name": PROJECT,
            "run_name": run,
            "logging_dir": str(FOLDER.absolute() / "mlruns"),
        },
    }
    with one_process():
        PartialState(cpu=True)  # trackers ask it whether this is the main process
        tracker = LOGGER_TYPE_TO_CLASS[name](**options[name])
        tracker.start()
    return tracker


def store(tracker: Any, values: dict[str, str | int | float | bool]) -> None:
    """Pass on a run's settings. TensorBoard's go into the run's own file: accelerate would write them as a
    second run below it, which shows every run twice.
    """
    if tracker.name != "tensorboard" or not type(tracker.writer).__module__.startswith("torch."):
        tracker.store_init_configuration(values)
        return
    from torch.utils.tensorboard.summary import hparams

    for part in hparams(values, {}):
        tracker.writer.file_writer.add_summary(part)
    tracker.writer.flush()


@contextmanager
def one_process() -> Iterator[None]:
    """Keep accelerate from joining the processes of an allocation (mpirun, srun), and torch's threads as they
    are.
    """
    import torch

    threads = torch.get_num_threads()
    hidden = {name: os.environ.pop(name) for name in SEVERAL if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
        torch.set_num_threads(threads)
