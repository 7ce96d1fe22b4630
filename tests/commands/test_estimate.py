"""The estimate of a target: jobs of the dry run, times of like jobs only, references for the rest, and what
is not known.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image
from workflows import Workflow

from fairgen import cli
from fairgen.commands import amounts, estimate, estimate_screen, measured, rates, reckoning
from fairgen.commands import finished as of_before
from fairgen.commands.estimate_screen import Cost
from fairgen.commands.reckoning import Job
from fairgen.core import lineage, parquet
from fairgen.generate.solver import Solver, guided_steps
from fairgen.models import adapters, diffusion
from fairgen.models.base_model import Base
from fairgen.report.costs import rule_of
from fairgen.workflow import stage_settings as table


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("bias-0.9/lora/adapters/a/0.tsv", "adapt"),
        ("bias-0.9/lora/adapters/a.tsv", "adapt_shared"),
        ("any/vanilla/samples/a.tsv", "sample"),
        ("any/vanilla/pretrain/seed-0.tsv", "pretrain"),
        ("bias-0.9/erm/seed-0/finetune.tsv", "finetune"),
        ("pixels/224.tsv", "decode"),
        ("index.tsv", "index"),
    ],
)
def test_the_rule_behind_a_benchmark_file(path: str, rule: str) -> None:
    assert rule_of(Path(path)) == rule


@pytest.fixture
def finished(tmp_path: Path, config: dict, monkeypatch: pytest.MonkeyPatch) -> "Finished":
    """A folder in which jobs of birds have run."""
    monkeypatch.chdir(tmp_path)
    return Finished(tmp_path, config)


class Finished:
    """Writes artifacts with their lineage, and benchmark files beside them."""

    def __init__(self, folder: Path, config: dict):
        self.results, self.benchmarks, self.config = (
            folder / "results/birds",
            folder / "results/benchmarks/birds",
            config,
        )

    def settings(self, stage: str, method: str | None = None, config: dict | None = None) -> dict:
        """What a job gets."""
        return json.loads(table.settings(config or self.config, "birds", stage, method, None))

    def job(
        self,
        name: str,
        stage: str,
        settings: dict,
        seconds: float,
        benchmark: str,
        facts: dict | None = None,
    ) -> None:
        """One finished job; `facts` are those of what it wrote."""
        (self.results / name).parent.mkdir(parents=True, exist_ok=True)
        lineage.current = lineage.Lineage("0123", "45", stage, settings)
        try:
            if name.endswith(".safetensors"):
                adapters.write_empty(self.results / name, facts or {})
            else:
                parquet.write(self.results / name, {"id": [1]}, facts or {})
        finally:
            lineage.current = lineage.Lineage()
        path = self.benchmarks / benchmark
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\n{seconds}\t0:00:30\n")

    def costs(self, *jobs: Job) -> dict[str, Cost]:
        """The estimate of some planned jobs, by rule."""
        before, same = (
            of_before.past(self.benchmarks, self.results),
            reckoning.same_data(self.config, "birds", self.results),
        )
        reference = rates.Reference(None, 0, None)
        return {c.rule: c for c in reckoning.costs(list(jobs), before, same, reference, self.config)}

    def of_group(self, rule: str, scope: str, group: str = "landbird-water") -> Job:
        """A job of `lora` on a group."""
        found = json.loads(table.settings(self.config, "birds", rule, "lora", group))
        return Job(rule, {"dataset": "birds", "method": "lora", "scope": scope, "group": group}, found)

    def planned(self, rule: str, method: str | None = None) -> Job:
        """A job of the present config."""
        return Job(
            rule, {"dataset": "birds", **({"method": method} if method else {})}, self.settings(rule, method)
        )


def test_only_times_of_like_settings_are_taken(finished: Finished) -> None:
    """The seed costs nothing; a tiny run's steps say nothing about the default's."""
    planned = finished.of_group("sample", "any", "landbird-land")  # it never borrows
    own = planned.settings
    tiny = {**own, "per_group": 12, "solver": {**own["solver"], "steps": 3}}
    finished.job(
        "bias-0.9/lora/samples/a.parquet", "sample", {**own, "seed": 5}, 40, "bias-0.9/lora/samples/a.tsv"
    )
    finished.job(
        "bias-0.9/lora/samples/b.parquet", "sample", {**own, "prompts": {}}, 60, "bias-0.9/lora/samples/b.tsv"
    )
    finished.job("bias-0.9/lora/samples/c.parquet", "sample", tiny, 1, "bias-0.9/lora/samples/c.tsv")
    cost = finished.costs(*[planned] * 4)["sample"]
    assert (cost.jobs, cost.seconds, cost.source) == (4, (160, 240), "like jobs")
    vanilla = finished.costs(finished.planned("sample", "vanilla"))["sample"]  # another guidance
    assert vanilla.source == "reference"
    assert 4 < vanilla.seconds[0] < vanilla.seconds[1] < 200


@pytest.mark.parametrize(
    ("rule", "file", "facts"),
    [
        ("adapt", "lora/adapters/landbird-water/0", ({"images": 0}, {"images": 9})),
        (
            "sample",
            "lora/samples/landbird-water",
            ({"borrowed_from": "landbird-land"}, {"borrowed_from": ""}),
        ),
    ],
)
def test_times_of_a_group_that_borrowed_say_little_of_another_ratio(
    finished: Finished, rule: str, file: str, facts: tuple[dict, dict]
) -> None:
    """There it may have images of its own: as long as a training, or without the base beside it. Only how
    many companions there are costs time, not which.
    """
    suffix = "safetensors" if rule == "adapt" else "parquet"

    def ran(scope: str, seconds: float, said: dict) -> None:
        own = finished.of_group(rule, scope).settings
        own |= {"companions": [*reversed(own["companions"])]} if rule == "adapt" else {}
        finished.job(f"{scope}/{file}.{suffix}", rule, own, seconds, f"{scope}/{file}.tsv", said)
        (finished.results / f"{scope}/{file}.curves.json").write_text("{}")  # lies beside an adapter

    def cost(scope: str) -> Cost:
        return finished.costs(finished.of_group(rule, scope))[rule]

    reference = cost("bias-0.95").seconds
    ran("bias-0.999", 2, facts[0])
    assert (cost("bias-0.999").seconds, cost("bias-0.999").source) == ((2, 2), "like jobs")
    assert cost("bias-0.95").seconds == (min(2, reference[0]), reference[1])
    assert cost("bias-0.95").source == "reference"
    ran("bias-0.9", 70, facts[1])
    assert (cost("bias-0.95").seconds, cost("bias-0.95").source) == ((2, 70), "like jobs")


def test_an_artifact_without_lineage_tells_no_time(finished: Finished) -> None:
    finished.job("embeddings.parquet", "embed", {}, 40, "embed.tsv")
    parquet.write(finished.results / "embeddings.parquet", {"id": [1]})
    assert of_before.past(finished.benchmarks, finished.results) == {}


def test_times_that_depend_on_the_data_are_of_the_same_data(finished: Finished, config: dict) -> None:
    from fairgen.workflow.method_chain import merged

    finished.job("embeddings.parquet", "embed", finished.settings("embed"), 40, "embed.tsv")
    finished.job("index.parquet", "index", finished.settings("index"), 9, "index.tsv")
    finished.job("drawings.parquet", "draw", finished.settings("draw"), 7, "draw.tsv")
    assert finished.costs(finished.planned("embed"))["embed"].seconds == (40, 40)
    tiny = merged(config, {"datasets": {"birds": {"options": {"train": 60}}}})
    finished.job("drawings.parquet", "draw", finished.settings("draw", config=tiny), 1, "draw.tsv")
    assert finished.costs(finished.planned("embed"))["embed"].seconds != (40, 40)


def test_what_is_not_known_makes_the_sum_a_lower_bound() -> None:
    found = [
        Cost("adapt", 2, None, (10, 20), "not known"),
        Cost("sample", 1, (3600, 7200), None, "like jobs"),
    ]
    text = estimate_screen.report(found, 2, 880, "a card")
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    assert "not known" in rows["adapt"]
    assert "1 – 2" in rows["sample"]
    assert "at least 1  " in rows["together"] and "at least 10" in rows["together"]
    assert "GPU hours: at least 2\n" in text
    assert text.endswith("not counted, for neither a like job nor a reference tells: adapt")
    nothing = estimate_screen.report([Cost("adapt", 2, None, None, "not known")], 1, 0, "a card")
    assert "GPU hours: not known" in nothing


def test_numbers_are_short_and_plain() -> None:
    assert [amounts.short(x) for x in (0, 0.004, 0.123, 1.26, 99.4, 34_321, 1_234_567)] == [
        *("0", "<0.01", "0.12", "1.3", "99", "34,000", "1,200,000"),
    ]
    assert amounts.text((3, 3)) == "3"


def test_references_follow_the_settings(config: dict) -> None:
    """The H200 of docs/machines.md: a LoRA step of four images 45 ms, a full one of two and two 70 ms."""
    card = rates.Reference("H200", 1, 1000)
    lora, full = (
        json.loads(table.settings(config, "utkface", "adapt", name, "male-young"))
        for name in ("lora", "dreambooth")
    )
    assert card.seconds("adapt", lora)[0] == pytest.approx(0.8 * (25 + 500 * 0.045))
    assert card.seconds("adapt", full)[0] == pytest.approx(0.8 * (25 + 800 * 0.070))
    for others, rows in ((1, 2), (3, 3)):  # beside a cluster's two and two of the class: one at least of each
        along = card.seconds("adapt", {**full, "companions": ["a"] * others})
        assert along[0] == pytest.approx(0.8 * (25 + 800 * 0.070 * (4 + rows) / 4)), others
    more = {**full, "recipe": {**full["recipe"], "steps": 1600}}
    assert card.seconds("adapt", more)[1] - card.seconds("adapt", full)[1] == pytest.approx(2.0 * 800 * 0.070)
    slow = rates.Reference("A100", 1, 1000).seconds("adapt", full)
    assert slow[0] > card.seconds("adapt", full)[0] and slow[1] > 2 * card.seconds("adapt", full)[1]
    borrowing = json.loads(table.settings(config, "utkface", "adapt", "lora", "male-old"))
    assert card.seconds("adapt", borrowing)[0] == rates.LIGHT[0]
    xl = {
        **full,
        "base": {**full["base"], "model": "stabilityai/stable-diffusion-xl-base-1.0", "resolution": 1024},
    }
    assert card.seconds("adapt", xl)[0] > 6 * 0.8 * 800 * 0.070
    for unknown in ({**full["base"], "model": "someone/something"}, None):
        # Stable Diffusion on a CPU
        own = rates.Reference("H200", 1, 9) if unknown else rates.Reference(None, 0, 9)
        assert own.seconds("adapt", {**full, "base": unknown or full["base"]}) is None


@pytest.mark.parametrize("interval", [(0, 1), (0.6, 1), (0.2, 0.85), (0.4, 0.8)])
def test_rows_are_those_that_a_solver_draws_with(base: Base, interval: tuple[float, float]) -> None:
    """Two for a step with guidance; levels of noise lie closer than even at some steps."""
    for kind, steps in (("dpmsolver++", 25), ("unipc", 8), ("euler", 10)):
        own = Solver(kind, steps, 2.0, "", 1, guidance_interval=interval)
        run, _ = diffusion.process(base).sampler(kind).begin(steps, torch.zeros(1, 4, 4, 4))
        assert rates.guided(asdict(own)) == sum(guided_steps(run, own))
        assert rates.guided(asdict(own) | {"guidance": 1.0}) == 0


MEASURED = {
    "machine": "a card",
    "device": "gpu",
    "seconds": {"lora": 0.002, "full": 0.004, "row": 0.001, "decode": 0.01, "clip": 0.003, "start": 10.0},
    "step": 0.0005,
}


def test_measured_rates_stand_as_they_are(config: dict, tmp_path: Path) -> None:
    """No range is left but of what is read: one number for the jobs of a GPU."""
    (tmp_path / "rates.json").write_text(json.dumps(MEASURED))
    card = rates.Reference("H200", 1, 1000, measured.read(tmp_path / "rates.json"))

    def of(stage: str, method: str) -> dict:
        return json.loads(table.settings(config, "utkface", stage, method, "male-young"))

    assert card.seconds("adapt", of("adapt", "lora")) == pytest.approx((10 + 500 * 4 * 0.002,) * 2)
    drawn = of("sample", "lora")
    rows = drawn["solver"]["steps"] * 2
    wanted = 10 + drawn["per_group"] * (rows * 0.001 + 0.01)
    assert card.seconds("sample", drawn) == pytest.approx((wanted, wanted))
    slower = {**MEASURED, "step": 0.001}
    (tmp_path / "slower.json").write_text(json.dumps(slower))
    other = rates.Reference("H200", 1, 1000, measured.read(tmp_path / "slower.json"))
    erm = json.loads(table.settings(config, "utkface", "finetune", "erm", None))
    low, high = (found.seconds("finetune", erm)[0] - 10 for found in (card, other))
    assert high == pytest.approx(2 * low)


def test_rates_that_do_not_fit_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Before anything is planned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimate, "planned", lambda *words: pytest.fail("planned"))
    Path("gpu.json").write_text(json.dumps(MEASURED))
    Path("odd.json").write_text(json.dumps({**MEASURED, "step": 0, "seconds": {"lora": 1}}))
    for words, told in (
        (["--rates", "none.json"], "No such file"),
        (["--rates", "odd.json"], "odd.json: step"),
        (["--rates", "gpu.json"], "gpu.json: measured on the GPU, and jobs of birds compute on the CPU"),
        (["--rates", "gpu.json", "--card", "H200"], "give --card or --rates"),
    ):
        assert cli.main(["estimate", "results/birds/worst_group.json", *words]) == 1
        assert told in capsys.readouterr().err


def test_rates_fit_every_data_set_of_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, config: dict
) -> None:
    """Replicates may compute elsewhere than the data set that is named."""
    monkeypatch.chdir(tmp_path)
    Path("gpu.json").write_text(json.dumps(MEASURED))
    jobs = [
        Job("decode", {"dataset": name}, {"resolution": 32, "threads": 1}) for name in ("utkface", "birds")
    ]
    monkeypatch.setattr(estimate, "planned", lambda *words: jobs)
    monkeypatch.setattr(estimate.project, "config", lambda files: config)
    assert cli.main(["estimate", "results/utkface/replicates.json", "--rates", "gpu.json"]) == 1
    assert "gpu.json: measured on the GPU, and jobs of birds compute on the CPU" in capsys.readouterr().err


def test_a_base_without_rates_is_named(config: dict, tmp_path: Path) -> None:
    """No number of another architecture stands for one of flow matching, and a line says so."""
    own = json.loads(table.settings(config, "utkface", "adapt", "lora", "male-young"))
    (tmp_path / "stable-diffusion-xl" / "transformer").mkdir(parents=True)
    named = "stabilityai/stable-diffusion-3.5-medium", str(tmp_path / "stable-diffusion-xl")
    for model in (*named, "black-forest-labs/FLUX.2-klein-base-4B", "Tongyi-MAI/Z-Image"):
        assert rates.unrated(model)
        given = {**own, "base": {**own["base"], "model": model}}
        for card in (rates.Reference("H200", 1, 9), rates.Reference(None, 0, 9)):
            assert card.seconds("adapt", given) is None
            assert card.megabytes("adapt", given) is None
    assert not rates.unrated("stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert not rates.unrated("fairgen:embedded/weights/diffusion")
    unknown = [Cost("adapt", 2, None, None, "not known")]
    text = estimate_screen.report(unknown, 1, 0, "a card", ["org/klein"])
    assert text.splitlines()[-1].startswith("no rates of org/klein, ")
    known = [Cost("adapt", 2, (1, 2), None, "like jobs")]
    assert "no rates" not in estimate_screen.report(known, 1, 0, "a card", ["org/klein"])


def test_disk_is_that_of_the_models(config: dict) -> None:
    """A full finetune is the UNet in float32, here that of Stable Diffusion 1.5 and the embedded one; LoRA by
    its layers.
    """
    card = rates.Reference("H200", 1, 9)
    of = lambda dataset, method: json.loads(table.settings(config, dataset, "adapt", method, None))  # noqa: E731
    full = {**of("utkface", "dreambooth"), "donors": {}}
    assert card.megabytes("adapt", full)[0] == pytest.approx(3438, rel=1e-3)
    assert card.megabytes("adapt", of("utkface", "dreambooth"))[0] == 0  # may borrow
    size = os.path.getsize(
        Path(rates.locate("fairgen:embedded/weights/diffusion"), "unet/diffusion_pytorch_model.safetensors")
    )
    stored = rates.weights("fairgen:embedded/weights/diffusion")
    assert size / stored == pytest.approx(2, abs=0.1) or size / stored == pytest.approx(4, abs=0.1)
    lora = of("utkface", "lora")
    # diffusers' own count
    assert rates.lora_weights(lora["base"]["model"], {**lora["recipe"], "rank": 4}) == 797_184
    assert card.megabytes("sample", {"per_group": 100, "base": {"resolution": 512}}) == pytest.approx(
        (26.2, 65.5), rel=1e-2
    )


def test_cards_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "NVIDIA H100 80GB HBM3": "H100",
        "NVIDIA L40S": "L40S",
        "NVIDIA A10": "A10",
        "NVIDIA GeForce RTX 4090": "RTX 4090",
    }
    for said, card in {**names, "Something else": None}.items():
        monkeypatch.setattr(estimate, "smi", lambda query, said=said: [said])
        assert estimate.this_card() == card


def call(workflow: Workflow, target: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "fairgen", "estimate", target]
    return subprocess.run(
        command, cwd=workflow.folder, env=workflow.environment(), capture_output=True, text=True
    )


def test_utkface_has_a_range_before_any_run(workflow: Workflow) -> None:
    """With the default config: rates of the table of cards, a screen of text."""
    (workflow.folder / "data/utkface").mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (8, 8)).save(
            workflow.folder / f"data/utkface/2{i}_0_0_2017011018172857{i}.jpg.chip.jpg"
        )
    done = call(workflow, "results/utkface/worst_group.json")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 30
    used = next(line for line in lines if line.startswith("GPU hours: ")).removeprefix("GPU hours: ")
    low, high = (float(end) for end in used.split(" – "))
    assert 1 < low < 4 and 2 * low < high < 50
    assert "not known" not in done.stdout and "at least" not in done.stdout
    assert "synthetic images to draw: 6400" in done.stdout
    rows = {line.split()[0]: line.split() for line in lines if line}
    assert rows["adapt"][1] == "24"


def test_a_target_that_cannot_be_planned_says_why_itself(workflow: Workflow) -> None:
    done = call(workflow, "results/birdz/worst_group.json")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "fairgen estimate: results/birdz/worst_group.json cannot be planned: unknown data set 'birdz'"
    )
    assert done.stderr.count("\n") == 1
    done = call(workflow, "results/birds/nothing.json")
    assert done.returncode == 1
    assert "nothing.json cannot be planned: " in done.stderr and "stands above" not in done.stderr
    assert "MissingRuleException" in done.stderr
    (workflow.folder / "config.yaml").write_text("datasets: [\n")
    done = call(workflow, "results/birds/worst_group.json")
    assert done.returncode == 1
    assert done.stderr.startswith("fairgen estimate: config: config.yaml, line 2: no YAML")
