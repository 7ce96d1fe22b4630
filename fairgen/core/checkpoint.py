"""A training loop's whole state as one safetensors file: N steps equal N/2 steps, a kill and N/2 steps, bit
for bit.
"""

from dataclasses import dataclass, field
from typing import Any

import torch

from fairgen.core.batches import Batches
from fairgen.core.safetensors_file import storable
from fairgen.core.workfolder import Resume, WorkFolder


@dataclass
class TrainingState:
    """Everything that changes while a model is trained."""

    tensors: dict[str, list[torch.Tensor]]  # weights, buffers, running means: restored in place
    optimizer: torch.optim.Optimizer
    schedule: Any  # of the learning rate
    generator: torch.Generator
    streams: list[Batches]
    step: int = 0
    losses: list[Any] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)  # what is kept of it for looking at (JSON)

    def save(self, work: WorkFolder) -> None:
        """Write a checkpoint if one is due; the one before it goes when it is complete."""
        from safetensors.torch import save_file

        if work.due():
            progress = {
                "step": self.step,
                "rates": [group["lr"] for group in self.optimizer.param_groups],
                "schedule": {k: v for k, v in self.schedule.state_dict().items() if k != "lr_lambdas"},
                "notes": self.notes,
            }
            stored = storable(self._state())
            work.save(f"step-{self.step:08}.safetensors", lambda path: save_file(stored, path), progress)

    def resume(self, resume: Resume) -> None:
        """Go on from the checkpoint of an interrupted job with the same settings and inputs, if there is
        one.
        """
        from safetensors.torch import load_file

        resume.begin()
        work = resume.work
        if work.files:
            stored = load_file(work.paths()[0])
            self.step, self.losses = work.progress["step"], stored["losses"].tolist()
            self._restore(stored)
            self.notes.update(work.progress.get("notes", {}))
            for group, rate in zip(self.optimizer.param_groups, work.progress["rates"], strict=True):
                group["lr"] = rate
            self.schedule.load_state_dict({**self.schedule.state_dict(), **work.progress["schedule"]})

    def _weights(self) -> list[torch.Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _state(self) -> dict[str, torch.Tensor]:
        found = {f"{name}.{i}": x for name, listed in self.tensors.items() for i, x in enumerate(listed)}
        found |= {f"waiting.{i}": stream.waiting.clone() for i, stream in enumerate(self.streams)}
        for i, p in enumerate(self._weights()):
            found |= {f"optimizer.{i}.{key}": portable(p, x) for key, x in self.optimizer.state[p].items()}
        found |= {"generator": self.generator.get_state(), "default_generator": torch.get_rng_state()}
        if torch.cuda.is_initialized():  # dropout on the GPU draws from its generator
            found["cuda_generator"] = torch.cuda.get_rng_state()
        return found | {"losses": torch.tensor(self.losses, dtype=torch.float64)}

    @torch.no_grad()
    def _restore(self, stored: dict[str, torch.Tensor]) -> None:
        for name, listed in self.tensors.items():
            for i, x in enumerate(listed):
                x.copy_(stored[f"{name}.{i}"])
        for i, stream in enumerate(self.streams):
            stream.waiting = stored[f"waiting.{i}"]
        fused = any(group.get("fused") for group in self.optimizer.param_groups)
        for i, p in enumerate(self._weights()):
            own = {
                name.split(".", 2)[2]: x for name, x in stored.items() if name.startswith(f"optimizer.{i}.")
            }
            self.optimizer.state[p] = {key: placed(p, x, fused) for key, x in own.items()}
        self.generator.set_state(stored["generator"])
        torch.set_rng_state(stored["default_generator"])
        if "cuda_generator" in stored:
            torch.cuda.set_rng_state(stored["cuda_generator"])


def portable(weight: torch.Tensor, value: torch.Tensor | int) -> torch.Tensor:
    """One entry of a weight's optimizer state as a tensor of its own: 8-bit Adam counts in integers and
    shares its maps.
    """
    found = torch.as_tensor(value)
    return found if found.shape == weight.shape else found.clone()


def placed(weight: torch.Tensor, stored: torch.Tensor, fused: bool = False) -> torch.Tensor | int:
    """What `portable` was given: moments in the weight's memory layout, other tensors beside it.

    A `fused` optimizer counts its steps beside the weight too, others on the CPU.
    """
    if stored.shape == weight.shape:
        return torch.empty_like(weight, dtype=stored.dtype).copy_(stored)
    if stored.dim() or fused:
        return stored.to(weight.device)
    return stored if stored.is_floating_point() else int(stored)
