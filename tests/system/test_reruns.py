"""The rerun matrix: edits, and exactly which jobs each one makes snakemake run again, as the table in
docs/reruns.md says.

It is tried on a finished run whose artifacts are stand-ins: `snakemake --touch` has recorded for each of them
what it records after a job (settings, code, inputs with their checksums). test_workflow.py tries some edits
after real jobs.
"""

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from moves import moved
from workflows import PLAIN_LORA, PROJECT, Workflow, copy_workflow

from fairgen.workflow.method_chain import merged

STUDY = {
    "ratios": [0.9, 0.99],
    "seeds": [0, 1],
    "compare": ["erm", "vanilla", "lora", "clustered"],
    "ablations": {"generators": ["vanilla", "lora"]},
    "datasets": {
        "birds": {
            "caption": "kind",
            "settings": merged(PLAIN_LORA, {"adapt": {"full": {"text_lr": 0}}}),
        }
    },
}
REPLICATES = {
    "datasets": {
        f"birds-r{i}": {"like": "birds", "root": f"results/birds-r{i}", "options": {"seed": i}}
        for i in (1, 2)
    },
    "replicates": {"birds": ["birds", "birds-r1", "birds-r2"]},
}
TARGETS = (
    "worst_group.json",
    "figures/worst_group.png",
    "pages/result.html",
    "report.html",
    "audit_synthetic.json",
    "ablations/generators.json",
)
# `tables` in docs/reruns.md
TABLES = {"ablation": 1, "worst_group": 1, "figures": 1, "pages": 1, "browse": 1, "audit_synthetic": 1}
STAND_INS = """
import json, os, sys
from pathlib import Path
import stand_in
from fairgen.commands.verify import lineages
from fairgen.core import lineage
paths = [*map(Path, sys.argv[1:])]
known = lineages([])
for path in paths:
    made = known.of(str(path))
    lineage.begin({"hash": made.hash, "code": made.code}, made.rule, json.loads(made.settings))
    path.parent.mkdir(parents=True, exist_ok=True)
    # from a megabyte on snakemake compares files by time, not by content
    stand_in.write(path, os.urandom(1_000_000).hex() if path.name == "drawings.parquet" else str(path))
"""


@dataclass(frozen=True)
class Move:
    """A module that moves."""

    what: str  # as the table says it
    old: str
    new: str

    def apply(self, folder: Path) -> Callable[[], None]:
        """Move it; returns what takes it back."""
        moved(folder, self.old, self.new)
        return lambda: moved(folder, self.new, self.old)


@dataclass(frozen=True)
class Edit:
    """One edit of a file."""

    what: str  # as the table says it
    file: str
    change: Callable[[bytes], bytes | None]  # of the file's content; None deletes the file

    def apply(self, folder: Path) -> Callable[[], None]:
        """Make the edit; returns what takes it back."""
        path = folder / self.file
        before, times = path.read_bytes(), path.stat()
        after = self.change(before)
        path.unlink() if after is None else path.write_bytes(after)

        def undo() -> None:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

        return undo


def texts(change: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """A change of a text."""
    return lambda content: change(content.decode()).encode()


def other_rows(content: bytes) -> bytes:
    """A Parquet file with other content and the same record of its lineage."""
    table, file = pq.read_table(io.BytesIO(content)), io.BytesIO()
    pq.write_table(
        pa.table({"content": ["changed by hand"]}).replace_schema_metadata(table.schema.metadata), file
    )
    return file.getvalue()


def config(what: str, change: dict[str, Any] | Callable[[dict], object]) -> Edit:
    """An edit of config.yaml: a dictionary to merge over it, or a function that changes it in place."""

    def edited(text: str) -> str:
        value = yaml.safe_load(text)
        if isinstance(change, dict):
            value = merged(value, change)
        else:
            change(value)
        return yaml.safe_dump(value, sort_keys=False)

    return Edit(what, "config.yaml", texts(edited))


def own(what: str, settings: dict[str, Any]) -> Edit:
    """An edit of the data set's own settings."""
    return config(what, {"datasets": {"birds": {"settings": settings}}})


def source(what: str, file: str, old: str, new: str) -> Edit:
    """A replacement in a source file."""

    def replaced(text: str) -> str:
        assert old in text, f"{file} no longer has: {old}"
        return text.replace(old, new, 1)

    return Edit(what, file, texts(replaced))


def touch(what: str, file: str) -> Edit:
    """A file written again as it is."""
    return Edit(what, file, lambda content: content)


def reordered(value: Any) -> Any:
    """The stage blocks' keys, last to first."""
    return {k: reordered(value[k]) for k in reversed(value)} if isinstance(value, dict) else value


def floats(value: Any) -> Any:
    """Every integer written as a float."""
    if isinstance(value, dict):
        return {k: floats(v) for k, v in value.items()}
    return float(value) if type(value) is int else value


def on_blocks(change: Callable[[Any], Any], *names: str) -> Callable[[dict], object]:
    """Apply a change to whole blocks of the config."""
    return lambda whole: whole.update({name: change(whole[name]) for name in names})


def swap(block: dict, one: str, other: str) -> None:
    """Exchange two settings."""
    block[one], block[other] = block[other], block[one]


def of_birds(whole: dict) -> dict:
    """The data set's entry."""
    return whole["datasets"]["birds"]


BLOCKS = (
    "index",
    "split",
    "embed",
    "cluster",
    "diffusion",
    "prior",
    "adapt",
    "sample",
    "score",
    "filter",
    "pretrain",
    "finetune",
)
EDITS = [
    Edit(
        "a comment, the text's layout",
        "config.yaml",
        texts(lambda text: "# a comment\n" + text.replace("\n", "\n\n")),
    ),
    config("the order of keys in a block", on_blocks(reordered, *BLOCKS)),
    config("`1` written as `1.0`", on_blocks(floats, *BLOCKS)),
    config("`datasets.birds.gpu`", {"datasets": {"birds": {"gpu": 1}}}),
    config("another data set's entry, `replicates`", REPLICATES),
    config("a method that is not compared", {"methods": {"ffr": {"pretrain": {"supcon": 0}}}}),
    config("`ratios`: one more", {"ratios": [0.9, 0.95, 0.99]}),
    config("`ratios`: one less", {"ratios": [0.9]}),
    config("`seeds`: one more", {"seeds": [0, 1, 2]}),
    config("`seeds`: one less", {"seeds": [0]}),
    config("`compare`: one more (`groupdro`)", {"compare": [*STUDY["compare"], "groupdro"]}),
    config("`compare`: one less (`erm`)", {"compare": STUDY["compare"][1:]}),
    config(
        "`ablations.generators`: one more (`clustered`)",
        {"ablations": {"generators": ["vanilla", "lora", "clustered"]}},
    ),
    own("`methods.clustered.cluster.k` of the data set", {"methods": {"clustered": {"cluster": {"k": 3}}}}),
    config("`methods.lora.filter.threshold`, new", {"methods": {"lora": {"filter": {"threshold": 0.4}}}}),
    config(
        "`methods.lora.filter.balance`, new",
        {"methods": {"lora": {"filter": {"balance": "data", "quota": 200}}}},
    ),
    config("`methods.lora.pretrain.weights`, new", {"methods": {"lora": {"pretrain": {"weights": "score"}}}}),
    config("`threads`", {"threads": 2}),
    config("`index.max_rejected`", {"index": {"max_rejected": 0.1}}),
    config("`split.seed`, `split.validation_floor`", {"split": {"seed": 1, "validation_floor": 60}}),
    own("`embed.batch`", {"embed": {"batch": 128}}),
    config("`cluster.iterations`", {"cluster": {"iterations": 30}}),
    own("`diffusion.dtype`", {"diffusion": {"dtype": "bfloat16"}}),
    config("`diffusion.memory`", {"diffusion": {"memory": "low"}}),
    config("`prior.seed`", {"prior": {"seed": 1}}),
    config("`adapt.min_snr`", {"adapt": {"min_snr": 0}}),
    config("`adapt.crop`", {"adapt": {"crop": "top"}}),
    config("`adapt.captions`", {"adapt": {"captions": 0.9}}),
    own("`adapt.companions`", {"adapt": {"companions": False}}),
    config("`adapt.select`", {"adapt": {"select": "held_out"}}),
    config("`adapt.process`", {"adapt": {"process": "group"}}),
    config("`monitor`: curves, sample images, a tracker", {"monitor": {"curves": False}}),
    config("`datasets.birds.caption`, another attribute", {"datasets": {"birds": {"caption": "place"}}}),
    own("`adapt.lora.lr`", {"adapt": {"lora": {"lr": 2.0e-3}}}),
    own("`adapt.full.lr`", {"adapt": {"full": {"lr": 2.0e-4}}}),
    own("`adapt.lora.compile`", {"adapt": {"lora": {"compile": True}}}),
    config("`methods.lora.adapt.shared`, new", {"methods": {"lora": {"adapt": {"shared": True}}}}),
    config("`sample.seed`", {"sample": {"seed": 1}}),
    own("`sample.borrowed_guidance`", {"sample": {"borrowed_guidance": 2}}),
    config("`sample.solver.guidance_interval`", {"sample": {"solver": {"guidance_interval": [0.2, 0.85]}}}),
    own("`score.batch`", {"score": {"batch": 128}}),
    own("`score.second`", {"score": {"second": "fairgen:embedded/weights/clip"}}),
    own("`filter.quota`", {"filter": {"quota": 100}}),
    config("`audit.shown`", {"audit": {"shown": 4}}),
    config("`browse.images`", {"browse": {"images": 8}}),
    own(
        "`classifier.args`",
        {"classifier": {"args": {"channels": [32, 64, 128, 256], "stem_width": 16, "drop_rate": 0.1}}},
    ),
    own("`classifier.resolution`", {"classifier": {"resolution": 48}}),
    config("`classifier.precision`", {"classifier": {"precision": "bfloat16"}}),
    config(
        "`pretrain.lr` and `pretrain.weight_decay` swapped",
        lambda c: swap(of_birds(c)["settings"]["pretrain"], "lr", "weight_decay"),
    ),
    own("`finetune.erm.steps`", {"finetune": {"erm": {"steps": 300}}}),
    own("`finetune.erm.patience`", {"finetune": {"erm": {"patience": 5}}}),
    own("`finetune.head.lr`", {"finetune": {"head": {"lr": 2.0e-3}}}),
    own("`finetune.dfr.refits`, of no compared method", {"finetune": {"dfr": {"refits": 5}}}),
    config("`datasets.birds.options.seed`", {"datasets": {"birds": {"options": {"seed": 8}}}}),
    config(
        "a group's `prompt`",
        lambda c: of_birds(c)["groups"]["landbird-land"].update(prompt="a landbird in a forest [V]"),
    ),
    config("a group's `donor`", lambda c: of_birds(c)["groups"]["landbird-water"].update(donor=None)),
    config("a group's `role`", lambda c: of_birds(c)["groups"]["landbird-water"].update(role="aligned")),
    config("one group less", lambda c: of_birds(c)["groups"].pop("waterbird-land")),
    config(
        "one group more",
        lambda c: of_birds(c)["groups"].update(
            another={
                **of_birds(c)["groups"]["landbird-water"],
                "bias": "air",
                "prompt": "a landbird in a forest [V]",
            }
        ),
    ),
    source(
        "a comment in `fairgen/generate/sample.py`",
        "fairgen/generate/sample.py",
        "FIELDS = {",
        "# a comment\nFIELDS = {",
    ),
    source(
        "a docstring in `fairgen/generate/solver.py`, which it imports",
        "fairgen/generate/solver.py",
        '"""',
        '"""Another. ',
    ),
    touch("a source file touched (`fairgen/generate/sample.py`)", "fairgen/generate/sample.py"),
    Move("a module moved (`fairgen/core/seeds.py`)", "core.seeds", "core.random_seeds"),
    source(
        "the text of an error or a log line (`fairgen/data/split.py`)",
        "fairgen/data/split.py",
        "is left",
        "was left",
    ),
    source(
        "a statement in `fairgen/generate/sample.py`",
        "fairgen/generate/sample.py",
        "FIELDS = {",
        "FIELDS = {} or {",
    ),
    source(
        "a statement in `fairgen/generate/solver.py`, imported by `prior` and `sample`",
        "fairgen/generate/solver.py",
        "\n\n\n",
        "\n\nNEW = 1\n\n\n",
    ),
    source(
        "a statement in `fairgen/classify/methods/erm.py`",
        "fairgen/classify/methods/erm.py",
        "\n\n\n",
        "\n\nNEW = 1\n\n\n",
    ),
    source(
        "a statement in `fairgen/core/job.py`, imported by every stage",
        "fairgen/core/job.py",
        "\n\n\n",
        "\n\nNEW = 1\n\n\n",
    ),
    source(
        "the shell line of rule `filter`",
        "rules/generate.smk",
        "fairgen.generate.filter --settings",
        "fairgen.generate.filter  --settings",
    ),
    source(
        "a statement in `fairgen/monitor/watcher.py`",
        "fairgen/monitor/watcher.py",
        "WRITES = 5.0",
        "WRITES = 9.0",
    ),
    source("a rule's `threads`, a comment there", "rules/data.smk", "threads: 8", "threads: 4  # a comment"),
    source(
        "`envs/generate.yaml` (without `--sdm conda`)",
        "envs/generate.yaml",
        "dependencies:",
        "# newer\ndependencies:",
    ),
    touch("a result of up to 1 MB touched", "results/birds/index.parquet"),
    touch("a larger result touched (`drawings.parquet`)", "results/birds/drawings.parquet"),
    Edit("a result changed by hand (`embeddings.parquet`)", "results/birds/embeddings.parquet", other_rows),
    Edit(
        "a result cut short (`embeddings.parquet`)",
        "results/birds/embeddings.parquet",
        lambda content: content[:-9],
    ),
    Edit(
        "a result deleted that others were made from (`scores.parquet`)",
        "results/birds/any/vanilla/scores.parquet",
        lambda content: None,
    ),
    Edit("the target deleted (`worst_group.json`)", "results/birds/worst_group.json", lambda content: None),
]


def expected() -> dict[str, dict[str, int]]:
    """The table of docs/reruns.md: jobs by rule of each edit."""
    text = (PROJECT / "docs/reruns.md").read_text().split("<!-- reruns -->")[1].split("<!-- /reruns -->")[0]
    found = {}
    for what, jobs in re.findall(r"^\| (.+) \| (.+) \|$", text, re.M)[1:]:
        found[what] = {rule: int(count) for rule, count in re.findall(r"(\w+) (\d+)", jobs)}
        found[what] |= TABLES if jobs.endswith("tables") else {}
    return found


def plan(workflow: Workflow) -> dict[str, int]:
    """Jobs by rule that snakemake would run."""
    done = workflow.run("--dry-run", *(f"results/birds/{name}" for name in TARGETS))
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {
        rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    }
    counts.pop("total", None)
    return counts


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A workflow with stand-ins for all its artifacts, recorded by snakemake as made by the present config
    and code.
    """
    workflow = copy_workflow(tmp_path_factory.mktemp("finished"))
    workflow.edit(STUDY)
    words = [f"results/birds/{name}" for name in TARGETS]
    listed = workflow.run("--summary", *words)
    assert listed.returncode == 0, listed.stderr
    paths = [line.split("\t")[0] for line in listed.stdout.splitlines()[1:]]
    command, env = [sys.executable, "-c", STAND_INS, *paths], workflow.environment()
    env["PYTHONPATH"] += f"{os.pathsep}{PROJECT / 'tests/support'}"
    subprocess.run(command, cwd=workflow.folder, env=env, check=True)
    done = workflow.run("--touch", "--forceall", *words)
    assert done.returncode == 0, done.stderr
    return workflow


def test_the_table_has_every_edit() -> None:
    assert list(expected()) == [edit.what for edit in EDITS]


def test_every_block_of_the_config_is_edited(config: dict) -> None:
    named = {name for edit in EDITS for name in re.findall(r"`(\w+)[`.]", edit.what)}
    assert config.keys() <= named


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: re.sub(r"\W+", "-", edit.what).strip("-"))
def test_an_edit_reruns_exactly_what_uses_it(finished: Workflow, edit: Edit | Move) -> None:
    undo = edit.apply(finished.folder)
    try:
        assert plan(finished) == expected()[edit.what]
    finally:
        undo()
