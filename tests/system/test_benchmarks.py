"""The benchmarks run, and write the ratios that they print."""

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from workflows import PROJECT, Workflow, result

from fairgen.commands import measured
from fairgen.core import images, lineage, parquet
from fairgen.core.errors import FairgenError
from fairgen.evaluate import intervals
from fairgen.evaluate.replication import Replicates, write
from fairgen.models.base_model import Base

TINY = {
    "adapt": ["--steps", "2", "--images", "4"],
    "sample": ["--images", "4"],
    "bases": ["--bases", "sd15", "z-image"],
    "shared": ["--steps", "3", "--images", "2", "--batch", "2", "--adapters", "2"],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "adapt",
        "sample",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("bases", "shared")),
    ],
)
def test_a_benchmark_writes_its_ratios(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ratios.json"
    command = [sys.executable, f"benchmarks/{name}.py", "--repeats", "1", "--json", str(file), *TINY[name]]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ratios = json.loads(file.read_text())["ratios"]
    assert ratios
    # so few steps are within the noise
    assert all(value > 0 for name, value in ratios.items() if not name.endswith("steps"))
    assert all(math.isfinite(value) for value in ratios.values())
    assert "ratio" in done.stdout


@pytest.mark.exhaustive
def test_rates_are_what_the_estimate_reads(tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    words = ["--repeats", "1", "--steps", "3", "--images", "4", "--json", str(file)]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "benchmarks/rates.py", *words], cwd=PROJECT, env=env, check=True)
    assert measured.read(file).device == "cpu"


def test_a_rate_is_of_one_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the classifier, the least of the parts that `benchmarks/rates.py` measures."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import rates

    seconds, work = rates.learnt_image("birds", 4, 1)
    assert 1e-5 < seconds < 0.1 and work == pytest.approx(1.18e7, rel=0.01)


def test_no_gpu_is_held_when_the_start_of_a_job_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job would wait for it for ever."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import common
    import rates

    from fairgen.core import devices

    for name, value in (("asked", 0), ("held", []), ("visible", lambda: ["0"])):
        monkeypatch.setattr(devices, name, value)
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path / "locks")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")

    def drawn(folder: Path) -> None:
        devices.acquire()
        folder.mkdir()
        (folder / "model_index.json").touch()

    def apart(words: list[str], **options: object) -> None:
        drawn(Path(words[-1]))
        while devices.held:  # as the other process does at its end
            devices.held.pop().close()

    monkeypatch.setattr(common, "stable_diffusion", drawn)
    monkeypatch.setattr(rates.subprocess, "run", apart)
    made = rates.made("cuda", tmp_path / "base")
    assert (made.model, made.resolution) == (str(tmp_path / "base"), 512)
    assert devices.asked == 1 and not devices.held


def test_a_rate_of_training_is_of_replayed_steps(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes before them, the recording included, is in both of the runs that are compared."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import common
    import rates

    from fairgen.generate import cuda_graphs, training

    steps: list[int] = []
    monkeypatch.setattr(training, "train", lambda given, *rest: steps.append(given.recipe.steps))
    monkeypatch.setattr(rates.devices, "current", lambda: SimpleNamespace(type="cuda"))

    def timed(runs: dict, repeats: int) -> dict:
        for run in runs.values():
            run()
        return {name: common.Cost(10 + 0.5 * float(name), 0) for name in runs}

    monkeypatch.setattr(common, "interleaved", timed)
    rows = rates.training_benchmark.settings("lora", base, None).recipe
    found = rates.training_image("lora", base, 20, 1)
    assert steps == [cuda_graphs.WARM_UP + 1, cuda_graphs.WARM_UP + 21]
    assert found == pytest.approx(0.5 / (rows.batch + rows.prior_batch))


def test_a_part_that_hangs_ends_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is left would hold the GPU of the parts after it."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import card

    place = card.Place(tmp_path, "cpu", tmp_path, 3.0)
    pid = tmp_path / "pid"
    with pytest.raises(RuntimeError, match="took longer than 3 s: sh"):
        place.call("hangs", ["sh", "-c", f"sleep 600 & echo $! > {pid}; wait"])
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # until its end is known
            os.kill(int(pid.read_text()), 0)
            time.sleep(0.1)
    place.call("ends", ["true"])
    with pytest.raises(RuntimeError, match=r"exit status 1: \$ false"):
        place.call("fails", ["false"])


@pytest.mark.slow
def test_scale_counts_what_sharing_saves(workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import scale

    config = {"ratios": [0.9, 0.99], "seeds": [0], "compare": ["vanilla", "lora"]}
    _, jobs = scale.plan(workflow.folder, config)
    alone, common = scale.sharing(workflow.folder, config)
    assert [found["split"] for found in (jobs, common, alone)] == [3, 4, 6]  # lora has two
    assert [found["embed"] for found in (jobs, common, alone)] == [1, 2, 2]  # vanilla needs no clusters
    assert [found["sample"] for found in (jobs, common, alone)] == [4 + 2 + 2 * 2, 16, 16]
    assert [found["finetune"] for found in (jobs, common, alone)] == [4, 4, 4]


@pytest.mark.slow
def test_the_quality_of_few_steps(
    base: Base, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import sample

    settings = sample.solver(base)
    few = dataclasses.replace(settings, scheduler="unipc", steps=7, guidance_interval=(0.6, 1))
    assert (sample.rows_of(base, settings), sample.rows_of(base, few)) == (20, 11)
    monkeypatch.setattr(sample, "variants", lambda own: {"default": own, "few": few})
    monkeypatch.setattr(sample, "REAL", 8)
    found = sample.few_steps(base, 4, settings)
    assert found["default"] == 1
    assert {"few", sample.PNDM, "other held-out drawings"} < found.keys()
    assert capsys.readouterr().out.count("±") == 4


@pytest.mark.slow
def test_memory_compares_two_versions(tmp_path: Path) -> None:
    """Of the same code: about the same memory."""
    file = tmp_path / "ratios.json"
    words = [
        "--images",
        "200",
        "--size",
        "16",
        "--steps",
        "4",
        "--methods",
        "erm",
        "jtt",
        "--against",
        ".",
        "--json",
        str(file),
    ]
    env = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "benchmarks/memory.py", *words]
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ratios = json.loads(file.read_text())["ratios"]
    assert list(ratios) == ["erm memory", "erm processor time", "jtt memory", "jtt processor time"]
    assert all(0.8 < ratios[f"{name} memory"] < 1.25 for name in ("erm", "jtt"))
    assert "random batches" in done.stdout


def test_the_map_shows_the_best_method_and_those_level_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import map as drawn

    files = []
    for lead in (0.0, 0.2):
        tables = []
        for i, noise in enumerate((0.0, 0.01, 0.03)):
            tables.append(tmp_path / f"{lead}-{i}.json")
            accuracies = {"groupdro": [0.6 + noise] * 2, "lora": [0.6 + lead + noise**2] * 2}
            tables[-1].write_text(json.dumps(result(ratios=(0.9, 0.999), **accuracies)))
        files.append(tmp_path / f"{lead}.json")
        settings = Replicates("toy", ["toy", "toy-1", "toy-2"], None)
        write(settings, SimpleNamespace(tables=tables, replicates=files[-1]))
    capsys.readouterr()
    output = tmp_path / "map.png"
    words = [*map(str, files), "--names", "near", "far", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["map.py", *words])
    drawn.main()
    level, ahead = (drawn.cell(json.loads(file.read_text()), "0.9") for file in files)
    assert (level.method, level.level) == ("groupdro", ["lora"])
    assert (ahead.method, ahead.level) == ("lora", [])
    told = capsys.readouterr().out
    assert "| far | `lora` | 0.80" in told
    assert "toy and toy-1 have the same test rows" not in told
    document = json.loads(files[1].read_text())
    files[1].write_text(json.dumps(document | {"same_rows": [["toy", "toy-1"]]}))
    drawn.main()
    assert "far: toy and toy-1 have the same test rows" in capsys.readouterr().out
    for wrong, line in (
        ([*words[:2], "--names", "near", *words[5:]], "--names: 1 for 2 files"),
        ([*words[:-1], str(tmp_path / "none/map.png")], "choose another --output"),
    ):
        monkeypatch.setattr(sys, "argv", ["map.py", *wrong])
        with pytest.raises(SystemExit, match=line):
            drawn.main()
    with Image.open(output) as picture:
        assert min(picture.size) > 200


def test_the_maps_table_has_intervals_that_are_cut_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the width of a cut interval would be no half-width: 0.975 ± 0.069 is cut to 0.906 – 1."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import map as drawn

    figure = intervals.over_runs([0.98, 0.945, 1.0], "replicate")
    document = {"results": {"0.9": {"lora": {"worst_group_accuracy": figure}}}}
    comparison = {"0.9": {"leader": "lora", "leader_minus": {}}}
    assert "no other is ranked" in drawn.text(drawn.cell(document | {"comparisons": comparison}, "0.9"))
    assert drawn.table([document], ["near"]).endswith("| near | `lora` | 0.975 (0.906 – 1.000) |")


def test_a_studys_tables_pair_replicates_and_judge_the_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import study

    tables = []
    for i, worse in enumerate((0.0, 0.01, 0.03)):
        tables.append(tmp_path / f"{i}.json")
        names = ("vanilla", "lora", "dreambooth", "clustered", "groupdro")
        accuracies = {name: [0.5 + j / 10 - worse] * 2 for j, name in enumerate(names)}
        tables[-1].write_text(json.dumps(result(ceilings=("perfect",), perfect=[1.0, 1.0], **accuracies)))
    file = tmp_path / "replicates.json"
    write(Replicates("toy", ["toy", "toy-1", "toy-2"], None), SimpleNamespace(tables=tables, replicates=file))
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["study.py", str(file)])
    study.main()
    told = capsys.readouterr().out
    assert "bias ratio 0.99\n" in told
    assert "groupdro wins: its paired 95 % interval over replicates is above zero against every" in told
    assert "Ceilings, not ranked: perfect." in told
    assert "| method | worst group | minus `groupdro` | toy | toy-1 | toy-2 |" in told
    assert "-0.100 (-0.100 – -0.100) | 0.800 | 0.790 | 0.770 |" in told
    assert told.index("`groupdro` |") < told.index("| `clustered`") < told.index("| `vanilla`")
    assert "| 1. finetuned above vanilla | 0.99 | +0.200 (+0.200 – +0.200) | held |" in told
    assert "| 2. clustered comparable with groupdro | 0.99 | -0.100 (-0.100 – -0.100) | not held |" in told
    assert "one bias ratio: whether the lead grows" in told
    assert "finetuned: " not in told

    values = {"vanilla": [0.5, 0.6, 0.7], "lora": [0.8, 0.9, 0.9], "groupdro": [0.5, 0.5, 0.6]}
    for i, path in enumerate(tables):
        path.write_text(json.dumps(result(**{name: [own[i]] for name, own in values.items()})))
    write(Replicates("toy", ["toy", "toy-1", "toy-2"], None), SimpleNamespace(tables=tables, replicates=file))
    document = json.loads(file.read_text()) | {"same_rows": [["toy", "toy-1"]]}
    document["empty_groups"]["0.99"]["test"] = ["waterbird-land"]
    file.write_text(json.dumps(document))
    capsys.readouterr()
    study.main()
    told = capsys.readouterr().out
    assert "finetuned: lora\n" in told  # which judges the first claim alone
    assert "one bias ratio" not in told
    assert "not judged are the others: no clustered among the methods" in told
    assert "toy and toy-1 have the same test rows" in told
    assert "group waterbird-land: no test image" in told


def test_every_cluster_is_among_the_images_that_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples lie cluster by cluster: 30 of the first, 24 of the second; of the first 40 only ten."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import drawn_run

    pictures = [np.full((8, 8, 3), 200 * (i >= 30), np.uint8) for i in range(54)]
    file = tmp_path / "samples.parquet"
    parquet.write_images(file, ((images.encode_png(pixels), {}) for pixels in pictures), {}, {})
    seen = drawn_run.drawn(file, 40)
    assert len(seen) == 40
    assert int((seen[:, 0, 0, 0] > 0).sum()) == 18
    assert len(drawn_run.drawn(file, 99)) == 54


@pytest.mark.parametrize(
    ("dataset", "method", "told"),
    [
        ("nests", "vanilla", "nests is no drawn data set of this config"),
        ("utkface", "vanilla", "utkface is no drawn data set of this config"),
        ("birds", "erm", "erm is no method of this config that draws images"),
        ("birds", "vanilla", "landbird-land.parquet is not there; run the workflow"),
        ("birds", "lora", "landbird-land.parquet was made with other settings than the config has now"),
    ],
)
def test_what_another_config_has_made_is_not_judged(
    config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, method: str, told: str
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    monkeypatch.chdir(tmp_path)
    import drawn_run

    run = drawn_run.Run(config, Path(f"results/{dataset}/bias-0.95"))
    drawn = run.samples("lora", "landbird-land") if dataset == "birds" else None
    if drawn:
        settings = {"guidance": 1.3}
        monkeypatch.setattr(lineage, "current", lineage.Lineage("00", "11", "sample", settings))
        drawn.parent.mkdir(parents=True)
        parquet.write(drawn, {"id": ["a"]})
    with pytest.raises(FairgenError, match=re.escape(told)):
        run.check([method])


def test_a_generator_of_few_images_covers_few_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images again and again, of hundreds, are near few fresh ones, however real each of them is."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import learned
    import torch

    points = torch.nn.functional.normalize(
        torch.randn(700, 8, generator=torch.Generator().manual_seed(0)), dim=1
    )
    fresh, others = points[:300], points[300:]
    assert learned.coverage(fresh, others) > 0.9
    assert learned.coverage(fresh, others[:10].repeat(40, 1)) < 0.4


def test_trials_are_ranked_by_the_validation_figures_of_their_own_selection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import trials

    runs = {
        "erm-a/seed-0": {"validation_worst_group": 0.3, "validation_balanced": 0.7},
        "erm-a/seed-1": {"validation_worst_group": 0.5, "validation_balanced": 0.7},
        "erm-b/seed-0": {"validation_worst_group": 0.4, "validation_balanced": 0.8},
        "erm-b/seed-1": {"validation_worst_group": 0.4, "validation_balanced": 0.8},
        "jtt-a/seed-0": {"validation_average": 0.9, "worst_group": 0.1},
        "jtt-b/seed-0": {"validation_average": 0.8, "worst_group": 0.9},  # of test rows: no reason
    }
    for place, figures in runs.items():
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "metrics.json").write_text(json.dumps(figures))
    monkeypatch.setattr(sys, "argv", ["trials.py", str(tmp_path)])
    trials.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("best")] == ["erm-b", "jtt-a"]
    assert "2 runs   worst group 0.400, balanced 0.700" in lines[0]
    (tmp_path / "erm-b/seed-1/metrics.json").unlink()
    trials.main()  # of one run and of two none is the better one
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("best")] == ["jtt-a"]
    (tmp_path / "erm-b/seed-0/metrics.json").write_text('{"validation_average": 0.99}')
    trials.main()  # another figure than that of erm-a, so the two are not compared
    assert sum(line.endswith("best") for line in capsys.readouterr().out.splitlines()) == 3
    for text in ("{", "null", '{"validation_average": NaN}', '{"validation_worst_group": 0.3}'):
        (tmp_path / "erm-b/seed-0/metrics.json").write_text(text)
        with pytest.raises(SystemExit, match=r"trials: .*erm-b.*make it again"):
            trials.main()
    monkeypatch.setattr(sys, "argv", ["trials.py", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="none has no <method>/seed"):
        trials.main()


PUBLISHED = {"sd15": 0.8595, "sd21": 0.8659, "xl": 2.5675, "sd35": 2.24, "klein": 3.88, "z-image": 6.16}
READERS = {"sd15": 0.123, "sd21": 0.340, "xl": 0.817, "sd35": 5.58, "klein": 4.02, "z-image": 4.02}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_estimated_bases_have_the_published_sizes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of millions of weights, of the denoiser and of the text encoders."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import card_memory

    networks = [card_memory.denoiser(card_memory.SIZES[name])], card_memory.encoders(card_memory.SIZES[name])
    found = [sum(x.numel() for network in own for x in network.parameters()) / 1e9 for own in networks]
    assert found == [pytest.approx(PUBLISHED[name], rel=0.01), pytest.approx(READERS[name], rel=0.03)]


def test_what_is_alive_is_counted_until_it_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view takes nothing, and attention keeps its three inputs and its result."""
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    import card_memory
    import torch
    from torch.nn import functional

    with card_memory.counted() as alive:
        first = torch.empty(1024)
        second = first + 1
        del first
        third = second.view(32, 32)
        assert (alive.now, alive.peak) == (4096, 8192)
        del second, third
        assert alive.now == 0
        parts = [torch.empty(2, 8, 4, requires_grad=True) * 2 for _ in range(3)]
        found = functional.scaled_dot_product_attention(query=parts[0], key=parts[1], value=parts[2])
        inputs = alive.now
        del parts
        assert alive.now == inputs
        found.sum().backward()
    assert alive.peak > inputs
    # weights are counted apart, though products look at them
    layer = torch.nn.Linear(64, 64, bias=False, device="meta")
    with card_memory.counted(layer) as alive, torch.no_grad():
        layer(torch.empty(2, 64))
    assert card_memory.held(layer) == 64 * 64 * 4
    assert alive.peak == 2 * 2 * 64 * 4
