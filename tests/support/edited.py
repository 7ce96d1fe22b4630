"""Edits a finished run, kills or fails jobs of the rerun, calls again, and compares with an undisturbed run
of the new config.

Used by `interrupt.py`. An edit is a change of config.yaml or a forced rerun; every other round goes back to
the first config, so that each config needs one undisturbed run only.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interrupt import COMMAND, artifacts, jobs_in
from workflows import PROJECT, TINY, Workflow, copy_workflow

from fairgen.workflow.method_chain import merged
from fairgen.workflow.stages import STAGES, module

# `sitecustomize` of the copies: a process of the stage in FAIL ends before it has begun, as on a broken node;
# with STAND_IN, the folder of `stand_in.py`, that runs in every stage's place
FAILING = """
import os, sys

words = sys.orig_argv
if os.environ.get("FAIL") in words:
    os._exit(1)
if os.environ.get("STAND_IN") and "--lineage" in words:
    sys.path.insert(0, os.environ["STAND_IN"])
    import stand_in, traceback

    try:
        stand_in.main(words[2].removeprefix("fairgen."), words[3:])
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
"""
CALL = COMMAND[1:]
LATEST = 12  # seconds until a process is killed


def of_birds(**blocks: Any) -> dict[str, Any]:
    """A change of the data set's own settings."""
    return {"datasets": {"birds": {"settings": blocks}}}


# what is merged over the tiny run's config; an edit without a change forces a rule
EDITS: dict[str, dict[str, Any]] = {
    "finetune.head.steps": of_birds(finetune={"head": {"steps": 6}}),
    "pretrain.lr": of_birds(pretrain={"lr": 1.0e-3}),
    "filter.quota": of_birds(filter={"quota": 5}),
    "score.batch": of_birds(score={"batch": 7}),
    "sample.seed": {"sample": {"seed": 1}},
    "adapt.lora.lr": of_birds(adapt={"lora": {"lr": 2.0e-3}}),
    "cluster.iterations": {"cluster": {"iterations": 30}},
    "split.seed": {"split": {"seed": 1}},
    "index.max_rejected": {"index": {"max_rejected": 0.1}},
    "options.seed": {"datasets": {"birds": {"options": {"seed": 8}}}},
    "audit.shown": {"audit": {"shown": 4}},
    **{
        f"--forcerun {rule}": {}
        for rule in ("draw", "index", "decode", "split", "cluster", "score", "filter", "metrics")
    },
}


@dataclass
class Edited:
    """A finished run that is edited and disturbed again and again, and a folder for undisturbed runs."""

    workflow: Workflow
    references: Path
    random: random.Random
    latest: float = LATEST
    config: dict[str, Any] = field(default_factory=lambda: TINY)
    undisturbed: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def reference(self, edit: str) -> dict[str, bytes]:
        """Artifacts of a run of this config from scratch that nothing disturbs; a forced rerun ends where it
        began.
        """
        name = edit if EDITS.get(edit) else ""
        if name not in self.undisturbed:
            folder = self.references / (name or "unedited")
            folder.mkdir(parents=True)
            workflow = copied(folder)
            workflow.edit(merged(self.config, EDITS.get(name, {})))
            done = workflow.run(*CALL)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
            self.undisturbed[name] = artifacts(folder)
            shutil.rmtree(folder)
        return self.undisturbed[name]

    def configure(self, edit: str) -> None:
        """Write the run's config with an edit."""
        shutil.copy(PROJECT / "config.yaml", self.workflow.folder / "config.yaml")
        self.workflow.edit(merged(self.config, EDITS.get(edit, {})))

    def disturb(self, edit: str) -> str:
        """One call that fails or is killed on the way; says what happened. It may also end before that."""
        words, env = [*CALL], self.workflow.environment() | {"FAIRGEN_CHECKPOINT_SECONDS": "0"}
        if edit.startswith("--forcerun"):
            words = [*edit.split(), "--", *CALL]
        kind = self.random.choice(["fail", "kill", "kill snakemake"])
        if kind == "fail":
            env["FAIL"] = module(self.random.choice([*STAGES]))
        begun, moment, happened = time.monotonic(), self.random.uniform(2, self.latest), "nothing"
        with self.workflow.start(
            ["--cores=2", *words], self.workflow.folder / "terminal.txt", env
        ) as process:
            while process.poll() is None:
                if kind != "fail" and happened == "nothing" and time.monotonic() - begun > moment:
                    victims = (
                        [(process.pid, "snakemake")]
                        if kind == "kill snakemake"
                        else jobs_in(self.workflow.folder)
                    )
                    if victims:
                        number, happened = self.random.choice(victims)
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(number, signal.SIGKILL)
                time.sleep(0.01)
        if kind == "kill snakemake":
            assert self.workflow.run("--unlock", *CALL).returncode == 0
        return f"{env['FAIL']} failed" if kind == "fail" and process.returncode else f"killed {happened}"

    def rounds(self, count: int, edit: str = "") -> Iterator[str]:
        """So many edits, each disturbed once or twice, called again and compared; yields what was done.

        `edit` is made before them, and undisturbed.
        """
        self.configure(edit)
        assert self.workflow.run(*CALL, cores=2).returncode == 0
        for number in range(1, count + 1):
            edit = "" if EDITS.get(edit) else self.random.choice(list(EDITS))
            self.configure(edit)
            said = [self.disturb(edit) for _ in range(self.random.choice([1, 1, 2]))]
            done = self.workflow.run(*CALL, cores=2)
            assert done.returncode == 0, f"{edit}: {said}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            self.compare(edit, said)
            yield (
                f"round {number}: {edit or 'back to the first config'}; {', then '.join(said)}; as"
                " undisturbed"
            )

    def compare(self, edit: str, said: list[str]) -> None:
        """Every artifact has the bytes of the undisturbed run, and snakemake has nothing left to do."""
        found, expected = artifacts(self.workflow.folder), self.reference(edit)
        other = sorted(
            name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
        )
        assert not other, f"{edit}: {said}: other than in an undisturbed run: {other}"
        assert "Nothing to be done" in self.workflow.run("--dry-run", *CALL).stdout


def failing(workflow: Workflow) -> Workflow:
    """The workflow, whose jobs can be made to fail."""
    (workflow.folder / "sitecustomize.py").write_text(FAILING)
    return workflow


def copied(folder: Path) -> Workflow:
    """A copy of the workflow whose jobs can be made to fail."""
    return failing(copy_workflow(folder))


def edited(place: Path, seed: int, stand_ins: bool = False) -> Edited:
    """The tiny run in one folder, undisturbed runs in another; with `stand_ins` no job computes."""
    if stand_ins:
        os.environ["STAND_IN"] = str(Path(__file__).parent)
    else:
        os.environ.pop("STAND_IN", None)
    (place / "edited").mkdir()
    return Edited(
        copied(place / "edited"), place / "undisturbed", random.Random(seed), 4 if stand_ins else LATEST
    )
