"""The file of a shared batch: read like the files of adapters that were trained one by one."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from adapting import forward
from bench import SETTINGS, Bench, build
from workflows import PLAIN_LORA, Workflow, planned

from fairgen.core import images
from fairgen.core.settings import read
from fairgen.core.workfolder import WorkFolder
from fairgen.generate import adapt, adapt_shared, sample
from fairgen.generate.recipe import Adapt
from fairgen.models import adapters, base_model, diffusion, lora


def trained(bench: Bench, stage: object, name: str, recipe: dict | None = None, **more: object) -> Path:
    """The output of a stage, run here, with changes in its recipe."""
    values = {key: value for key, value in SETTINGS["shared"].items() if key != "threads"}
    values["recipe"] = {**values["recipe"], **(recipe or {})}
    given = SimpleNamespace(
        group="g", clusters=bench.folder / "c.parquet", split=bench.folder / "s.parquet", **more
    )
    given.prior, path = [bench.folder / "drawn.parquet"], bench.folder / name
    given.work, given.adapter, given.adapters = WorkFolder(path, {}), path, path
    given.work.lock(print)
    stage.work(read(Adapt, values), given)
    given.work.close(done=True)
    return path


def test_a_shared_file_is_read_like_separate_ones(tmp_path: Path, base: base_model.Base) -> None:
    bench = build(tmp_path)
    separate = [trained(bench, adapt, f"{i}.safetensors", cluster=str(i)) for i in range(2)]
    together = trained(bench, adapt_shared, "g.safetensors")
    members, identity = adapters.members(together), diffusion.identity(base)
    assert [path.name for path in members] == ["g.safetensors#0", "g.safetensors#1"]
    for one, other in zip(separate, members, strict=True):
        facts = [adapters.read_facts(path) for path in (one, other)]
        losses = [found.pop("loss") for found in facts]
        assert facts[0] == facts[1]
        assert losses[1] == pytest.approx(losses[0], rel=1e-4)
        assert adapters.load(one).keys() == adapters.load(other).keys()
        answers = []
        for path in (one, other):
            unet = diffusion.load_denoiser(base)
            adapters.apply(path, unet, identity)
            answers.append(forward(unet))
        assert torch.allclose(*answers, atol=1e-3)
        assert (answers[1] - forward(diffusion.load_denoiser(base))).abs().max() > 1e-2


def test_a_short_training_reads_part_of_a_cluster_and_counts_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, load, read = build(tmp_path), images.load, []
    monkeypatch.setattr(
        images, "load", lambda root, paths, *more: (read.append(len(paths)), load(root, paths, *more))[1]
    )
    short = {"steps": 1, "batch": 2, "accumulate": 1}
    alone = trained(bench, adapt, "0.safetensors", short, cluster="0")
    together = trained(bench, adapt_shared, "g.safetensors", short)
    assert read == [2, 2, 2]
    assert [adapters.read_facts(path)["images"] for path in (alone, *adapters.members(together))] == [5, 5, 3]


def test_sample_draws_from_every_cluster_of_a_shared_file(tmp_path: Path) -> None:
    facts = {"rank": 1, "alpha": 1, "dora": False, "base": "b", "kind": "lora"}
    sizes = {2: 10, 10: 20, 0: 30}
    found = {
        str(c): ({"unet.x.lora_A.weight": torch.ones(1, 2)}, {**facts, "cluster": c, "images": n})
        for c, n in sizes.items()
    }
    adapters.write_group(tmp_path / "d.safetensors", found, "unet", lora.lora_config(1, 1, False))
    adapters.write_empty(tmp_path / "g.safetensors", {"group": "g", "reason": "borrows", "images": 0})
    chosen, borrowed = sample.sources([tmp_path / "g.safetensors"], [tmp_path / "d.safetensors"], 12, 0, "g")
    assert borrowed
    assert [(s.path.name, s.cluster, s.count) for s in chosen] == [
        ("d.safetensors#0", 0, 6),
        ("d.safetensors#2", 2, 2),
        ("d.safetensors#10", 10, 4),
    ]
    assert len({s.digest for s in chosen}) == 3


def test_a_method_with_shared_batches_has_one_job_per_group(workflow: Workflow) -> None:
    method = {"base": "clustered-lora", "adapt": {"shared": True}}
    workflow.edit({"methods": {"shared": method}, "datasets": {"birds": {"settings": PLAIN_LORA}}})
    plan = planned(workflow, target="results/birds/bias-0.99/shared/selection.parquet")
    assert (plan["adapt_shared"], plan["sample"]) == (4, 4)
    assert "adapt" not in plan
