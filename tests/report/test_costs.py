"""What finished jobs took, from their benchmark files."""

from pathlib import Path

from fairgen.report import costs, page_parts

OWN = costs.Jobs(["lora", "vanilla"], ["lora"], ["lora"], ["any", "bias-0.95"], [0], ["a"])


def measured(folder: Path, name: str, seconds: float, processor: str = "1800", memory: str = "1024") -> None:
    """The benchmark file of one job, as snakemake writes it."""
    path = folder / f"{name}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:01\t{memory}\t{processor}\n")


def test_hours_are_added_up_by_stage_and_method(tmp_path: Path) -> None:
    measured(tmp_path, "index", 36)
    measured(tmp_path, "pixels/32", 36, "NA", "NA")  # over in a moment, so snakemake had no look
    for cluster in range(2):
        measured(tmp_path, f"bias-0.95/lora/adapters/a/{cluster}", 3600, memory=str(1024 * (cluster + 1)))
    measured(tmp_path, "bias-0.95/lora/seed-0/metrics", 7)
    measured(tmp_path, "bias-0.95/split", 7)
    measured(tmp_path, "any/vanilla/samples/a", 1800)
    measured(tmp_path, "bias-0.9/lora/score", 7)  # of another ratio
    measured(tmp_path, "bias-0.95/other/score", 7)  # of a method that is not compared
    (tmp_path / "worst_group.tsv").write_text("s\th:m:s\n")  # cut short
    found = costs.spent(tmp_path, OWN, ["adapt", "sample"], 2)
    assert [(one.stage, one.method, one.jobs) for one in found] == [
        ("adapt", "lora", 2),
        ("sample", "vanilla", 1),
        ("index", "", 1),
        ("decode", "", 1),
        ("metrics", "lora", 1),
        ("split", "", 1),
    ]
    adapt, sample, index, decode, *_ = found
    assert (adapt.hours, adapt.core_hours, adapt.gpu_hours, adapt.memory) == (2, 1, 4, 2)
    assert (sample.gpu_hours, index.gpu_hours) == (1, 0)
    assert (decode.hours, decode.core_hours, decode.memory) == (0.01, None, None)
    by = page_parts.costs_by(found, "method")
    assert [[value.text for value in row] for row in by] == [
        ["lora", "3", "2.00", "1.50", "4.00", "2.00"],
        ["vanilla", "1", "0.500", "0.500", "1.00", "1.00"],
        ["shared by all", "3", "0.022", "1.00", "0", "1.00"],
    ]
    assert [value.text for value in page_parts.amounts(found)][:2] == ["7", "2.52"]


def test_no_measurements_cost_nothing(tmp_path: Path) -> None:
    assert costs.spent(tmp_path / "none", OWN, [], 0) == []


def test_jobs_of_other_comparisons_are_not_counted(tmp_path: Path) -> None:
    cell = "bias-0.95/lora"
    own = ["index", "figures", "prior/a", f"{cell}/adapters/a/0", f"{cell}/adapters/a", f"{cell}/samples/a"]
    own += [f"{cell}/cluster", f"{cell}/pretrain/seed-0", f"{cell}/seed-0/finetune", "any/vanilla/score"]
    others = [
        "bias-0.95/vanilla/seed-0/finetune",
        "bias-0.95/vanilla/seed-0/metrics",
        "any/vanilla/pretrain/seed-0",
        "ablations/x",
        "ablations/x/replicates",
        "replicates",
        "prior/old",
        f"{cell}/adapters/old/7",
    ]
    others += [f"{cell}/adapters/old", f"{cell}/samples/old", f"{cell}/pretrain/seed-1"]
    others += [f"{cell}/seed-1/finetune", f"{cell}/seed-1/metrics", "bias-0.9/lora/score", "any/other/score"]
    for name in (*own, *others):
        measured(tmp_path, name, 3600)
    assert [name for name in (*own, *others) if OWN.holds(Path(f"{name}.tsv"))] == own
    assert sum(one.jobs for one in costs.spent(tmp_path, OWN, [], 0)) == len(own)
