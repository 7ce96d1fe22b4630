"""Deep feature reweighting: which rows it fits to, which it chooses by, and how."""

from collections.abc import Callable

import pytest
import torch
from problems import GROUPS, Plain, planted

from fairgen.classify.methods import dfr
from fairgen.classify.model_selection import Best
from fairgen.classify.problem import Problem

TRAINING = planted(200, 0)


def fitted(*penalties: float) -> Best:
    """A last layer, by 300 validation rows and one balanced subset."""
    problem = Problem(TRAINING, planted(300, 1), GROUPS, 0)
    return dfr.train(Plain(), problem, dfr.Recipe(1, list(penalties)))


def watch(monkeypatch: pytest.MonkeyPatch, name: str, what: Callable[..., object]) -> list[object]:
    """What of its arguments a function of the module's is called with."""
    seen, of = [], getattr(dfr, name)

    def watched(*given: object) -> object:
        seen.append(what(*given))
        return of(*given)

    monkeypatch.setattr(dfr, name, watched)
    return seen


def test_features_are_scaled_by_training_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch(monkeypatch, "scale_of", lambda features: features)
    fitted(1)
    assert torch.equal(seen[0], TRAINING.pixels)


def test_one_half_chooses_and_all_rows_are_fitted_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dfr, "halves", lambda *given: (torch.arange(200), torch.arange(200, 300)))
    fits = watch(monkeypatch, "refit", lambda x, rows, *more: len(rows))
    looks = watch(monkeypatch, "selection_score", lambda x, rows, *more: len(rows))
    fitted(1)
    assert (fits, looks) == ([200, 300], [100])


@pytest.mark.parametrize("penalties", [(1, 1e-6), (1e-6, 1)])
def test_the_best_penalty_is_taken_whatever_their_order(penalties: tuple[float, float]) -> None:
    assert fitted(*penalties).notes["c"] == 1


def test_the_layer_is_the_mean_over_balanced_subsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dfr,
        "logistic",
        lambda x, target, c, seed: (torch.full((2, 8), float(seed)), torch.full((2,), float(seed))),
    )
    rows = planted(100, 1)
    weight, bias = dfr.refit(rows.pixels, rows, 1, 3, 0)
    assert weight.unique().tolist() == bias.unique().tolist() == [1]


def test_the_penalty_leaves_out_features() -> None:
    rows = planted(200, 1)
    weight, _ = dfr.logistic(rows.pixels - rows.pixels.mean(0), rows.target, 0.02, 0)
    assert (weight[1] == 0).sum() >= 4 and (weight[1] != 0).any()
