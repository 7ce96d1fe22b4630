"""Claims and map from tables over replicates."""

from pathlib import Path

from looked_at import table

from fairgen.report import replicated

SAME = [0.70, 0.71, 0.69]
STRONG = {"vanilla": SAME, "groupdro": SAME, "lora": [0.80, 0.81, 0.79], "clustered": [0.9, 0.91, 0.89]}


def test_the_claims_are_those_of_the_own_replicates_with_the_methods_that_are_there(tmp_path: Path) -> None:
    files = [table(tmp_path, "other", 0.9, {"vanilla": SAME}), table(tmp_path, "birds", 0.95, STRONG)]
    claims, where = replicated.read(files, "birds")
    assert claims is not None and claims.finetuned == ["lora", "clustered"] and claims.replicates == 3
    assert [(one.claim[0], one.verdict) for one in claims.judged] == [(n, "held") for n in "123"]
    assert where is not None and where.ratios == ["0.9", "0.95"]
    (other, count, cells), (birds, _, own) = where.rows
    assert (other, count, birds) == ("other", 3, "birds")
    assert cells[1] is None and own[0] is None
    assert cells[0] is not None and (cells[0].method, cells[0].level, cells[0].alone) == ("vanilla", [], True)
    assert own[1] is not None and (own[1].method, own[1].level) == ("clustered", []) and not own[1].alone


def test_what_cannot_be_judged_says_why(tmp_path: Path) -> None:
    few, natural = {"vanilla": SAME, "clustered": SAME}, table(tmp_path, "faces", "natural", STRONG)
    claims, _ = replicated.read([table(tmp_path, "birds", 0.9, few)], "birds")
    assert claims is not None and claims.judged == []
    assert claims.why.startswith("no groupdro among the methods that it compares (vanilla, clustered)")
    claims, where = replicated.read([natural], "faces")
    assert claims is not None and "no bias ratio that is a number" in claims.why
    assert where is not None and where.ratios == ["natural"]
    claims, _ = replicated.read([table(tmp_path, "plain", 0.9, {"erm": SAME})], "plain")
    assert claims is not None and claims.why.startswith("no lora, dreambooth, clustered among the methods")


def test_without_replicates_there_is_nothing(tmp_path: Path) -> None:
    assert replicated.read([], "birds") == (None, None)
    claims, where = replicated.read([table(tmp_path, "other", 0.9, STRONG)], "birds")
    assert claims is None and where is not None
