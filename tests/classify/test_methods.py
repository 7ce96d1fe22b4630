"""Losses and methods on problems whose answer is known."""

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from guarded import guarded
from problems import GROUPS, TINY, Plain, coloured, planted, recipe

from fairgen.classify import finetune, pretrain
from fairgen.classify.examples import ClassIndex, Examples, synthetic
from fairgen.classify.losses import cross_entropy, supcon
from fairgen.classify.methods import (
    NAMES,
    dfr,
    erm,
    ffr,
    george,
    groupdro,
    head,
    jtt,
    method,
    none,
    resample,
    reweight,
)
from fairgen.classify.methods import augment as mixing
from fairgen.classify.model_selection import Best, selection_score
from fairgen.classify.problem import Problem
from fairgen.classify.recipe import Optimisation, Recipe
from fairgen.classify.training import group_weights, optimizer_and_schedule, weighted_batches
from fairgen.core import images, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.workfolder import WorkFolder
from fairgen.data import pixels
from fairgen.generate import selection
from fairgen.models.classifier import augment, build, identity, load, predict, restore, save


def test_supcon_by_hand() -> None:
    """Three unit vectors, two of one class: each of the two sees one positive and one negative (eq. 2)."""
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 0, 1])
    first = -math.log(math.exp(0) / (math.exp(0) + math.exp(-1 / 0.5)))
    second = -math.log(math.exp(0) / (math.exp(0) + math.exp(0)))
    assert supcon(z, labels, 0.5).item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert supcon(5 * z, labels, 0.5).item() == pytest.approx(supcon(z, labels, 0.5).item())


def test_supcon_without_positives_is_zero_with_a_live_graph() -> None:
    z = torch.randn(3, 4, requires_grad=True)
    loss = supcon(z, torch.tensor([0, 1, 2]), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.abs().sum() == 0


def test_supcon_gradient() -> None:
    z = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: supcon(x, torch.tensor([0, 0, 1, 1, 1, 2]), 0.5), (z,))


def test_weights_by_hand() -> None:
    """Rows of weight 0 take no part, and equal weights change nothing."""
    generator = torch.Generator().manual_seed(0)
    z, labels = torch.randn(6, 4, generator=generator), torch.tensor([0, 0, 1, 1, 1, 2])
    weights = torch.tensor([1.0, 0, 3, 0, 0, 5])
    values = -z.log_softmax(1)[[0, 2, 5], [0, 1, 2]]
    assert cross_entropy(z, labels, weights).item() == pytest.approx(
        (values @ torch.tensor([1.0, 3, 5]) / 9).item()
    )
    assert cross_entropy(z, labels, torch.full((6,), 0.3)).item() == pytest.approx(
        cross_entropy(z, labels).item()
    )
    assert supcon(z, labels, 0.5, torch.full((6,), 0.3)).item() == pytest.approx(
        supcon(z, labels, 0.5).item()
    )
    first = supcon(z, torch.tensor([0, 0, 1, 2, 3, 4]), 0.5, torch.tensor([1.0, 0, 9, 9, 9, 9]))
    own = z / z.norm(dim=1, keepdim=True) @ (z / z.norm(dim=1, keepdim=True))[0] / 0.5
    assert first.item() == pytest.approx((own[1:].logsumexp(0) - own[1]).item(), rel=1e-5)


def test_group_dro_weights_move_to_the_worst_group() -> None:
    objective = groupdro.GroupDro(torch.tensor([10, 10, 10]), 0.5)
    losses, groups = torch.tensor([0.1, 2.0, 2.0, 0.5]), torch.tensor([0, 1, 1, 2])
    for _ in range(20):
        value = objective(losses, groups)
    assert objective.q.argmax() == 1
    assert objective.q[1] > 0.99
    assert value.item() == pytest.approx(2.0, abs=0.02)


def test_group_dro_adjustments_favour_small_groups() -> None:
    objective = groupdro.GroupDro(torch.tensor([400, 4]), 0.1, 1.0)
    for _ in range(10):
        objective(torch.tensor([0.5, 0.5]), torch.tensor([0, 1]))
    assert objective.q[1] > objective.q[0]


def test_group_dro_refuses_an_empty_group(problem: Problem) -> None:
    wrong = Problem(problem.train, problem.validation, ["dark", "bright", "grey"], 0)
    with pytest.raises(FairgenError, match="group grey has no training image"):
        groupdro.train(build(TINY, 2, 0), wrong, recipe(groupdro))


@pytest.mark.parametrize(
    "module", [erm, reweight, resample, groupdro, jtt, george, mixing, ffr], ids=lambda m: m.__name__
)
def test_methods_learn_an_easy_problem(module: object, problem: Problem) -> None:
    network = build(TINY, 2, 0)
    best = module.train(network, replace(problem, synthetic=coloured(32, 2)), recipe(module))
    assert best.score[0] > 0.9
    logits = predict(network, problem.validation.pixels)
    assert (logits.argmax(1) == problem.validation.target).float().mean() > 0.9


def test_head_changes_the_head_only_and_may_keep_it(problem: Problem) -> None:
    network = build(TINY, 2, 0)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    best = head.train(network, problem, recipe(steps=50, lr=1e-1))
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert all(name.startswith("net.fc") for name in changed)
    assert best.step > 0
    assert head.train(build(TINY, 2, 0), problem, recipe(steps=1, lr=1e-12)).step == 0


def test_none_leaves_the_weights_and_uses_no_group(problem: Problem) -> None:
    network = build(TINY, 2, 0)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    best = none.train(network, problem, none.Recipe())
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    right = (
        (predict(network, problem.validation.pixels).argmax(1) == problem.validation.target).float().mean()
    )
    assert best.facts() == {"selected_step": 0, "validation_average": right.item()}
    stage_one = {"gradient_steps": 7, "group_labels": ["generation"]}
    assert finetune.history(stage_one, none, none.Recipe(), best) == stage_one


def test_ffr_changes_all_weights_and_may_keep_the_pretrained_ones(problem: Problem) -> None:
    network = build(TINY, 2, 0)
    before = {k: v.clone() for k, v in network.named_parameters()}
    trained = replace(problem, trained=True)
    assert ffr.train(network, trained, recipe(ffr)).step > 0
    assert all(not torch.equal(v, before[k]) for k, v in network.named_parameters())
    kept = {k: v.clone() for k, v in network.state_dict().items()}
    assert ffr.train(network, trained, recipe(ffr, steps=1, lr=1e-12)).step == 0
    assert all(torch.equal(v, kept[k]) for k, v in network.state_dict().items())


def test_reweighted_loss_by_hand() -> None:
    """Six rows of group 0, two of group 1, none of group 2: weights 8 / (2 · 6) and 8 / (2 · 2)."""
    weights = group_weights(torch.tensor([0] * 6 + [1] * 2), 3)
    assert weights.tolist() == pytest.approx([8 / 12, 8 / 4, 0])
    value = reweight.Reweighted(weights)(torch.tensor([3.0, 0.5, 1.0]), torch.tensor([0, 1, 0]))
    assert value.item() == pytest.approx((3 * 2 / 3 + 0.5 * 2 + 1 * 2 / 3) / 3)


def test_resampling_draws_groups_equally() -> None:
    groups = torch.tensor([0] * 90 + [1] * 9 + [2])
    weights = group_weights(groups, 4)[groups]
    rows = torch.cat(list(islice(weighted_batches(weights, 16, torch.Generator().manual_seed(0)), 300)))
    shares = torch.bincount(groups[rows], minlength=4) / len(rows)
    assert shares.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0], abs=0.03)


def test_group_dro_draws_groups_of_149_and_100_equally(monkeypatch: pytest.MonkeyPatch) -> None:
    """25,600 draws: the standard deviation of a share is 0.003; rounded repetition drew 0.60 and 0.40."""
    seen = []

    class Watched(groupdro.GroupDro):
        def __call__(self, losses: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
            seen.append(torch.bincount(groups, minlength=2))
            return super().__call__(losses, groups)

    group = torch.tensor([0] * 149 + [1] * 100)
    rows = Examples(torch.zeros(249, 3, 8, 8, dtype=torch.uint8), group, group)
    monkeypatch.setattr(groupdro, "GroupDro", Watched)
    groupdro.train(
        Mean(),
        Problem(rows, rows.take(torch.tensor([0, 248])), ["a", "b"], 0),
        recipe(groupdro, 400, batch=64),
    )
    drawn = torch.stack(seen).sum(0)
    assert drawn.sum() == 400 * 64
    assert (drawn / drawn.sum()).tolist() == pytest.approx([0.5, 0.5], abs=0.015)


def test_rows_of_a_group_are_drawn_alike() -> None:
    """Each of the 149 rows of one group with probability 1/298, each of the 100 of the other with 1/200."""
    group = torch.tensor([0] * 149 + [1] * 100)
    weights = group_weights(group, 2)[group]
    drawn = torch.cat(list(islice(weighted_batches(weights, 1000, torch.Generator().manual_seed(1)), 1000)))
    wanted = 1e6 * torch.where(group == 0, 1 / 298, 1 / 200)
    assert ((torch.bincount(drawn, minlength=249) - wanted) / wanted.sqrt()).abs().max() < 4.5


def test_weighted_batches_take_more_rows_than_multinomial() -> None:
    """Among 2²⁴ + 9 rows those of weight 0 are never drawn, the others as they should."""
    weights = torch.zeros(2**24 + 9)
    weights[5], weights[-1] = 1, 3
    drawn = next(weighted_batches(weights, 4000, torch.Generator().manual_seed(0)))
    assert set(drawn.tolist()) == {5, 2**24 + 8}
    assert (drawn == 5).float().mean().item() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_no_method_reads_or_copies_all_pixels(name: str) -> None:
    """Six hundred training images, of which no more than a batch is ever asked for."""
    train, validation, drawn = coloured(600, 0), coloured(300, 1), coloured(700, 2)
    train = Examples(train.pixels, train.target, train.target.where(torch.arange(600) > 9, 0))
    problem = Problem(guarded(train), guarded(validation), ["dark", "bright"], 0, synthetic=guarded(drawn))
    module = method(name)
    own = {"dfr": dfr.Recipe(2, [1]), "none": none.Recipe()}
    module.train(build(TINY, 2, 0), problem, own[name] if name in own else recipe(module, steps=3, batch=32))


def test_resample_trains_on_weighted_batches(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven dark pictures for each bright one, and the weights that go in make up for it."""
    few = problem.train.take(torch.tensor([*range(0, 64, 2), *range(1, 9, 2)]))
    seen = {}
    monkeypatch.setattr(resample, "fit_all", lambda *given, weights: seen.update(weights=weights))
    resample.train(None, replace(problem, train=few), recipe())
    total = torch.zeros(2).index_add(0, few.group, seen["weights"])
    assert total[0].item() == pytest.approx(total[1].item())


def test_jtt_upweights_exactly_the_planted_errors(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bright pictures are labelled dark: the first network misjudges those, and the second sees them
    five times.
    """
    planted = torch.zeros(64, dtype=torch.bool)
    planted[[5, 21, 33, 47]] = True
    wrong = Examples(problem.train.pixels, torch.where(planted, 0, problem.train.target), problem.train.group)
    network = build(TINY, 2, 0)
    fresh = {k: v.clone() for k, v in network.state_dict().items()}
    seen = {}

    def second(network: object, problem: Problem, recipe: Recipe) -> Best:
        seen.update(train=problem.train, weights={k: v.clone() for k, v in network.state_dict().items()})
        return Best(recipe.select, (1.0,))

    monkeypatch.setattr(jtt, "fit_all", second)
    best = jtt.train(network, replace(problem, train=wrong), recipe(jtt, identify_steps=30, select="average"))
    assert best.notes == {"error_set": 4}
    assert len(seen["train"]) == 60 + 4 * 5
    repeated = seen["train"].pixels[:].flatten(1).unique(dim=0, return_counts=True)[1]
    assert sorted(repeated.tolist()) == [1] * 60 + [5] * 4
    assert torch.equal(
        seen["train"].take(seen["train"].group != seen["train"].target).target,
        torch.zeros(20, dtype=torch.long),
    )
    assert all(torch.equal(v, fresh[k]) for k, v in seen["weights"].items())
    assert recipe(jtt, identify_steps=30).gradient_steps == 60


def test_jtt_without_an_error_says_so(
    problem: Problem, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be ERM under another name."""
    monkeypatch.setattr(jtt, "error_set", lambda *given: torch.zeros(64, dtype=torch.bool))
    monkeypatch.setattr(jtt, "fit_all", lambda *given: Best("average", (1.0,)))
    jtt.train(build(TINY, 2, 0), problem, recipe(jtt, identify_steps=30, select="average"))
    assert "makes no error on the training rows" in caplog.text


def blobs(sizes: list[list[int]], seed: int) -> Examples:
    """Two classes of 8-dimensional points, the groups of each around points of their own, with group numbers
    in order.
    """
    generator = torch.Generator().manual_seed(seed)
    group = torch.cat([torch.full((n,), i) for i, n in enumerate(n for own in sizes for n in own)])
    target = torch.cat([torch.full((sum(own),), i) for i, own in enumerate(sizes)])
    return Examples(
        10 + 6 * torch.eye(8)[group] + 0.3 * torch.randn(len(group), 8, generator=generator), target, group
    )


def test_george_finds_the_planted_groups_and_selects_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three groups of one class and two of the other, as clusters; Group-DRO then gets them, also on
    validation rows.
    """
    train, validation = blobs([[80, 30, 12], [60, 20]], 0), blobs([[9, 8, 7], [6, 5]], 1)
    problem = Problem(train, validation, list("abcde"), 0)
    monkeypatch.setattr(george, "first_network", lambda *given: None)
    seen = {}
    monkeypatch.setattr(
        groupdro,
        "fit_all",
        lambda network, problem, *rest, **more: seen.update(p=problem) or Best("clusters"),
    )
    best = george.train(Plain(), problem, recipe(george, max_clusters=4, select="clusters"))
    for found, true in ((seen["p"].train, train), (seen["p"].validation, validation)):
        pairs = {(int(a), int(b)) for a, b in zip(found.group, true.group, strict=True)}
        assert len(pairs) == len({a for a, _ in pairs}) == 5
    assert best.notes == {
        "inferred_groups": [80, 30, 12, 60, 20],
        "inferred_groups_nmi": pytest.approx([1.0, 1.0]),
    }
    assert finetune.history({}, george, recipe(george), best) == {"gradient_steps": 40, "group_labels": []}
    george.train(Plain(), problem, recipe(george, max_clusters=4))
    assert seen["p"].validation is validation


def test_george_takes_a_small_class_as_one_cluster() -> None:
    few = george.split_class(torch.randn(9, 8).numpy(), recipe(george, min_images=5), 0)
    assert len(few.centres) == 1


@pytest.mark.parametrize("few", [50, 20])
def test_george_finds_a_small_group_that_lies_apart(few: int) -> None:
    """As small as conflicting groups are at 0.95 and 0.98, of which the noise of the others is no part."""
    generator = np.random.default_rng(0)
    points = generator.normal(0, 0.5, (1000, 8)) + 5
    points[:few, 0] += 6
    found = george.split_class(points.astype(np.float32), recipe(george, max_clusters=3, min_images=10), 0)
    label = found(points.astype(np.float32))
    assert set(label[:few]) == {1} and set(label[few:]) == {0}


def test_george_makes_no_cluster_of_fewer_images_than_asked() -> None:
    points = np.random.default_rng(0).normal(0, 0.1, (200, 8)).astype(np.float32)
    points[:3] += 9
    assert len(george.split_class(points, recipe(george, max_clusters=2, min_images=10), 0).centres) == 1


def test_augment_lifts_every_group_to_the_largest() -> None:
    """Real 6, 1, 0, 4; synthetic 3 of each but the last: 6, 4, 3 and 4 + 2."""
    rows, drawn = (
        Examples(torch.zeros(len(g), 3, 2, 2, dtype=torch.uint8), torch.zeros(len(g)), torch.tensor(g))
        for g in ([0] * 6 + [1] + [3] * 4, [0] * 3 + [1] * 3 + [2] * 3 + [3] * 5)
    )
    added = mixing.lift(rows, drawn, 4, torch.Generator().manual_seed(0))
    assert torch.bincount(rows.join(added).group).tolist() == [6, 4, 3, 6]


class Mean(torch.nn.Module):
    """A network whose only feature is the images' mean."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(1, 2)
        self.register_buffer("mean", torch.zeros(1))

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.float().mean((1, 2, 3))[:, None] / 255

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(pixels))


def test_dfr_recovers_the_planted_direction() -> None:
    """Feature 0 goes with the class nine times in ten; on balanced rows only feature 3 tells."""
    network, rows = Plain(), planted(600, 1)
    best = dfr.train(network, Problem(planted(400, 0), rows, GROUPS, 0), dfr.Recipe(20, [1, 0.1]))
    direction = network.head.weight[1] - network.head.weight[0]
    assert direction.abs().argmax() == 3
    assert direction[3] > 0 and direction[0].abs() * 8 < 0.3 * direction[3] * 2
    assert best.score[0] > 0.9
    assert best.notes["selection_rows"] == sum(int(n) // 2 for n in torch.bincount(rows.group))
    accuracy = selection_score(network.head(planted(2000, 2).pixels), planted(2000, 2), "groups")
    assert accuracy[0] > 0.9


def test_dfr_takes_more_than_two_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(90) % 3
    x = 0.3 * torch.randn(90, 8, generator=generator) + 4 * torch.eye(8)[target]
    network, rows = Plain(3), Examples(x, target, target)
    assert dfr.train(network, Problem(rows, rows, ["a", "b", "c"], 0), dfr.Recipe(3, [1])).score == (1.0, 1.0)
    assert (network.head(x).argmax(1) == target).all()


def test_dfr_halves_hold_every_group_and_share_no_row() -> None:
    group = torch.tensor([0] * 20 + [1] * 5 + [2] * 2)
    fit, select = dfr.halves(group, ["a", "b", "c"], torch.Generator().manual_seed(0))
    assert torch.bincount(group[fit]).tolist() == [10, 3, 1]
    assert sorted([*fit.tolist(), *select.tolist()]) == list(range(27))
    assert torch.bincount(group[fit][dfr.balanced(group[fit], torch.Generator())]).tolist() == [1, 1, 1]


def test_dfr_names_a_missing_group() -> None:
    rows = planted(100, 0)
    with pytest.raises(
        FairgenError, match=r"group b-0 has 0 validation image.*split\.validation_floor"
    ) as error:
        dfr.train(Plain(), Problem(rows, rows.take(rows.group != 2), GROUPS, 0), dfr.Recipe(2, [1]))
    assert "\n" not in str(error.value)


def test_the_l2_norm_of_sgd_is_in_the_gradient(problem: Problem) -> None:
    """With decoupled decay (AdamW) the weights lose lr · decay of themselves; SGD adds decay · weights to the
    gradient, so that a second step without other gradient goes on by its momentum.
    """
    for optimizer, wanted in (("adamw", 0.98 * 0.98), ("sgd", 0.98 - 0.02 * 0.98 - 0.9 * 0.02)):
        weight = torch.nn.Parameter(torch.ones(3))
        recipe = Optimisation(10**6, 1, 0.1, 0.2, optimizer)
        moved, _ = optimizer_and_schedule([weight], recipe)
        for _ in range(2):
            weight.grad = torch.zeros(3)
            moved.step()
        assert weight.detach() == pytest.approx(torch.full((3,), wanted))


def test_average_selection_sees_no_group() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    logits, rows = torch.tensor([[1.0, 0.0]] * 4), Examples(None, labels, labels)
    assert selection_score(logits, rows, "groups") == (0.0, 0.5)
    assert selection_score(logits, replace(rows, group=None), "average") == (0.75,)
    best = Best("average")
    best.offer((0.75,), 3, torch.nn.Linear(1, 1))
    assert best.facts() == {"selected_step": 3, "validation_average": 0.75}


def test_rounding_decides_no_tie() -> None:
    """As many rows are right in both: 96, 36, 42 and 94 of 100, 50, 50 and 100, or one of them elsewhere."""
    sizes = (100, 50, 50, 100)
    group = torch.repeat_interleave(torch.arange(4), torch.tensor(sizes))
    rows = Examples(None, torch.zeros(300, dtype=torch.long), group)
    scores = set()
    for right in ((96, 36, 42, 94), (97, 36, 42, 93)):
        hit = torch.cat([torch.arange(n) < k for n, k in zip(sizes, right, strict=True)]).float()
        scores.add(selection_score(torch.stack([hit, 1 - hit], 1), rows, "groups"))
    assert scores == {(0.72, 0.865)}


def test_selected_images_come_with_their_groups_labels(tmp_path: Path) -> None:
    """Two files with images of grey 0, 1, 2 and 10, 11, 12; the kept ones get number and class of their
    group.
    """
    from fairgen.core.images import encode_png

    for name, grey in (("x", 0), ("y", 10)):
        pictures = ((encode_png(np.full((4, 4, 3), grey + i, np.uint8)), {}) for i in range(3))
        parquet.write_images(tmp_path / name, pictures, {}, {})
    files = [str(tmp_path / name) for name in "xxxyyy"]
    columns = {"group": ["g"] * 3 + ["h"] * 3, "file": files, "kept": [True, False, True, False, True, False]}
    columns["score"] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    parquet.write(tmp_path / "selection", columns)
    rows = synthetic(tmp_path / "selection", 4, ClassIndex(["p", "q"], {"g": "q", "h": "p"}, ["h", "g"]))
    assert rows.pixels[:, 0, 0, 0].tolist() == [0, 2, 11]
    assert selection.scores(tmp_path / "selection") == [0.1, 0.3, 0.5]
    assert (rows.group.tolist(), rows.target.tolist()) == ([1, 1, 0], [1, 1, 0])


def test_stage_one_takes_the_training_rows_of_another_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from fairgen.data import draw

    drawn = draw.drawings(draw.Draw("world", 3, 32, 0.5, 2, 1, 1, 0))
    parquet.write_images(tmp_path / "drawn.parquet", drawn, draw.FIELDS, {})
    rows = parquet.rows(tmp_path / "drawn.parquet", ["target", "bias", "split"])
    pixels.write(
        tmp_path / "32", len(rows), 32, enumerate(images.load_column(tmp_path / "drawn.parquet", 32))
    )
    index = {
        "id": range(len(rows)),
        "split": [r["split"] for r in rows],
        "group": [f"{r['target']}-{r['bias']}" for r in rows],
    }
    index |= {"hash": [f"other {i}" for i in range(len(rows))], "perceptual": [bytes(32)] * len(rows)}
    parquet.write(tmp_path / "index", index, {"root": str(tmp_path)})
    own = {
        "id": [1, 2, 3],
        "split": ["train", "validation", "test"],
        "group": ["g"] * 3,
        "perceptual": [bytes(32)] * 3,
    }
    targets = {name: name.split("-")[0] for name in dict.fromkeys(index["group"])}
    classes = ["waterbird", "landbird"]
    settings = pretrain.Pretrain(TINY, "float32", recipe(), 1.0, 0.1, 8, "none", "other", 0, classes, targets)

    def seen(hashes: list[str], near: int = 0) -> list[str]:
        parquet.write(tmp_path / "own", {**own, "hash": hashes})
        paths = SimpleNamespace(extra=[tmp_path / "index", tmp_path / "32", tmp_path / "own"], selection=[])
        found, weights = pretrain.images_of(replace(settings, near=near), paths)
        assert weights is None
        return [classes[t] for t in found.target]

    assert seen(["a", "b", "c"]) == [r["target"] for r in rows[:8]]
    assert capsys.readouterr().err == ""
    assert seen(["other 0", "other 1", "other 4"]) == [rows[i]["target"] for i in (2, 3, 5, 6, 7)]
    told = "warning: pretrain.extra: 3 of 8 training images of other are (near) copies"
    assert told in capsys.readouterr().err
    with pytest.raises(
        FairgenError, match=r"pretrain\.extra: 8 of 8 training images of other .* none is left"
    ):
        seen(["a", "b", "c"], near=1)


def test_weights_carry_what_is_behind_them(tmp_path: Path) -> None:
    """Group labels and steps of the start add to the method's own."""
    save(tmp_path / "w", build(TINY, 2, 0), {"gradient_steps": 7, "group_labels": ["generation"]})
    before = restore(tmp_path / "w", build(TINY, 2, 1))
    found = finetune.history(before, dfr, dfr.Recipe(2, [1]), Best())
    assert found == {"gradient_steps": 7, "group_labels": ["generation", "selection", "training"]}
    assert finetune.history({}, jtt, recipe(jtt), Best("average")) == {
        "gradient_steps": 40,
        "group_labels": [],
    }


def test_every_kind_of_the_config_is_a_method(config: dict, schema: dict) -> None:
    assert config["finetune"].keys() - {"kind", "start"} == set(NAMES)
    assert set(schema["$defs"]["finetune"]["properties"]["kind"]["enum"]) == set(NAMES)
    for name in NAMES:
        assert callable(method(name).train)
        assert set(method(name).LABELS) <= {"generation", "training"}


@pytest.mark.parametrize("module", [erm, head], ids=lambda m: m.__name__)
def test_patience_ends_the_training_and_the_steps_are_not_counted(module: object, problem: Problem) -> None:
    """A learning rate of nearly nothing betters nothing: erm's first look is the best, head's is the
    untouched start.
    """
    given = recipe(module, steps=100, lr=1e-12, patience=3)
    best = module.train(build(TINY, 2, 0), replace(problem, trained=True), given)
    assert (best.step, best.unspent) == (0, 70)
    assert finetune.history({"gradient_steps": 5}, module, given, best)["gradient_steps"] == 5 + 30
    assert module.train(build(TINY, 2, 0), problem, replace(given, patience=0)).unspent == 0


def test_head_computes_the_features_once(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build(TINY, 2, 0)
    seen, features = [], network.features
    monkeypatch.setattr(network, "features", lambda x: seen.append(len(x)) or features(x))
    head.train(network, problem, recipe(steps=20))
    assert sum(seen) == len(problem.train) + len(problem.validation)


def test_bfloat16_is_for_training_only(problem: Problem) -> None:
    """Weights, features and evaluation stay float32; the features of training are rounded to eight bits."""
    whole, half = (build(TINY, 2, 0, precision) for precision in ("float32", "bfloat16"))
    x = problem.train.pixels[:8]
    assert torch.equal(predict(whole, x), predict(half, x))
    exact, rounded = (network.train().features(x) for network in (whole, half))
    assert rounded.dtype == torch.float32 == half.head.weight.dtype
    assert 0 < (exact - rounded).abs().max() < 0.05 * exact.abs().max()
    assert erm.train(half, problem, recipe()).score[0] > 0.9


def test_images_and_filters_are_channels_last() -> None:
    network, seen = build(TINY, 2, 0), []
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    first.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    predict(network, torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    for x in (seen[0], first.weight):
        assert x.is_contiguous(memory_format=torch.channels_last)


def test_pretrained_weights_come_from_a_local_file(tmp_path: Path) -> None:
    """A timm checkpoint of 1000 classes gives the backbone; the head is new, and the trained file stands
    alone.
    """
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(5)
    args = {name: tuple(v) if isinstance(v, list) else v for name, v in TINY.args.items()}
    source = timm.create_model(TINY.model, num_classes=1000, **args).state_dict()
    path = tmp_path / "backbone.safetensors"
    save_file({name: x.contiguous() for name, x in source.items()}, path)
    network = build(replace(TINY, pretrained=str(path)), 2, 0)
    found = network.net.state_dict()
    assert all(torch.equal(found[name], x) for name, x in source.items() if not name.startswith("fc."))
    assert found["fc.weight"].shape == (2, 16)
    save(tmp_path / "model", network, identity(replace(TINY, pretrained=str(path)), ["a", "b"]))
    path.unlink()
    assert torch.equal(load(tmp_path / "model")[0].net.state_dict()["fc.weight"], found["fc.weight"])
    with pytest.raises(FairgenError, match=r"classifier\.pretrained: no file .*backbone"):
        build(replace(TINY, pretrained=str(path)), 2, 0)


def test_selection_prefers_worst_group_then_balanced_then_earlier() -> None:
    module, best = torch.nn.Linear(1, 1), Best()
    for step, score in enumerate([(0.5, 0.6), (0.5, 0.7), (0.5, 0.7), (0.4, 0.9)]):
        best.offer(score, step, module)
    assert (best.step, best.score) == (1, (0.5, 0.7))


def test_augmentation_keeps_shape_and_range() -> None:
    x = torch.randint(0, 256, (5, 3, 16, 16), dtype=torch.uint8)
    y = augment(x, torch.Generator().manual_seed(0))
    assert y.shape == x.shape
    assert y.min() >= 0 and y.max() <= 255
    assert not torch.equal(y, x.float())


def test_groups_adjustments_fall_with_the_root_of_their_size() -> None:
    """C / √n: of 400 and 4 rows 1/20 and 1/2."""
    objective = groupdro.GroupDro(torch.tensor([400, 4]), 1.0, 1.0)
    objective(torch.tensor([0.5, 0.5]), torch.tensor([0, 1]))
    assert (objective.q[1] / objective.q[0]).item() == pytest.approx(math.exp(1 / 2 - 1 / 20))


def test_group_weights_climb_by_the_step_size() -> None:
    objective = groupdro.GroupDro(torch.tensor([10, 10]), 0.1)
    objective(torch.tensor([1.0, 0.0]), torch.tensor([0, 1]))
    assert (objective.q[0] / objective.q[1]).item() == pytest.approx(math.exp(0.1))


def test_groups_without_a_row_in_the_batch_have_no_loss() -> None:
    objective = groupdro.GroupDro(torch.tensor([5, 5, 5]), 0.5)
    value = objective(torch.tensor([1.0, 1.0]), torch.tensor([0, 0]))
    assert torch.isfinite(value) and objective.q[1] == objective.q[2] < objective.q[0]


def test_every_setting_of_stage_one_changes_its_weights(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    drawn, chosen, weights = tmp_path / "drawn", tmp_path / "chosen", tmp_path / "weights"
    parquet.write_images(drawn, ((images.encode_png(x), {}) for x in grey), {}, {})
    kept = {"group": ["g", "h"] * 4, "file": [str(drawn)] * 8, "kept": [True] * 8}
    parquet.write(chosen, kept | {"score": [0.1, 0.9, 0.3, 0.5, 0.8, 0.2, 0.7, 0.4]})
    own = Optimisation(2, 8, 1e-2, 0.0, "sgd")
    groups = {"g": "x", "h": "y"}
    first = pretrain.Pretrain(TINY, "float32", own, 0.0, 0.1, 8, "none", None, 0, ["x", "y"], groups)

    def trained(seed: str = "0", **changes: object) -> bytes:
        work = WorkFolder(weights, {})
        work.lock(print)
        given = {"selection": [chosen], "extra": [], "seed": seed, "weights": weights, "work": work}
        torch.manual_seed(0)
        pretrain.work(replace(first, **changes), SimpleNamespace(**given))
        work.close(done=True)
        return weights.read_bytes()

    plain = trained()
    assert trained() == trained(temperature=0.5) == plain  # the temperature is SupCon's
    found = [plain, trained("1"), trained(weights="score"), trained(supcon=1.0), trained(supcon=2.0)]
    assert len({*found, trained(supcon=1.0, temperature=0.5)}) == 6
