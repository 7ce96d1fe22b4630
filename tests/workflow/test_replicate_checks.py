"""What replicates may differ in: ceilings and drawings, by the study that birds have."""

import copy

import pytest
import yaml
from workflows import PROJECT

from fairgen.core.errors import FairgenError
from fairgen.workflow import preflight
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import merged
from fairgen.workflow.preflight import plan, probes
from fairgen.workflow.replicate_checks import check_replicates


@pytest.fixture
def study(config: dict) -> dict:
    """The study on birds, of Group-DRO and the ceilings."""
    found = merged(config, yaml.safe_load((PROJECT / "examples/birds-study.yaml").read_text()))
    return found | {"compare": ["groupdro", "perfect-vanilla", "perfect-finetune"]}


def extras(found: dict, vanilla: str, finetune: str) -> None:
    own = found["datasets"]["birds-r1"]["settings"]["methods"]
    own["perfect-vanilla"]["pretrain"]["extra"] = vanilla
    own["perfect-finetune"]["pretrain"]["extra"] = finetune


def test_ceilings_of_replicates_are_the_same_experiment(study: dict) -> None:
    check_replicates(expanded(study), "birds")
    swapped = copy.deepcopy(study)
    extras(swapped, "drawn-by-user-r1", "drawn-by-world-r1")
    fewer = copy.deepcopy(study)
    fewer["datasets"]["drawn-by-user-r2"]["options"] |= {"train": 5, "distance": 0.1}
    for wrong, line in (
        (swapped, r"birds-r1 differs from birds in more than seeds: extra of perfect-\w+.draw.stream"),
        (fewer, r"birds-r2 differs from birds in more than seeds: extra of perfect-\w+.draw.distance"),
    ):
        with pytest.raises(FairgenError, match=line):
            check_replicates(expanded(wrong), "birds")


def test_replicates_have_as_many_classifier_seeds(study: dict) -> None:
    study["datasets"]["birds-r2"]["settings"]["seeds"] = [7]
    with pytest.raises(FairgenError, match=r"birds-r2 has other groups, .* or another number of classifier"):
        check_replicates(expanded(study), "birds")


def test_the_same_drawings_are_noted(
    study: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(probes, "ask", lambda asked: iter(()))
    assert list(plan.replicated(expanded(study), "birds")) == []
    study["datasets"]["birds-r3"]["options"] = {"seed": 8}
    preflight.check(expanded(study), ["results/birds/replicates.json"])
    assert "warning: config: replicates.birds: birds-r3 draws the same images as birds-r1" in (
        capsys.readouterr().err
    )
    preflight.check(expanded(study), ["results/birds/worst_group.json"])
    assert "draws the same" not in capsys.readouterr().err
