"""Claims and map from tables over replicates."""

import json
from pathlib import Path

from looked_at import table

from fairgen.report import replicated

SAME = [0.70, 0.71, 0.69]
STRONG = {"vanilla": SAME, "groupdro": SAME, "lora": [0.80, 0.81, 0.79], "clustered": [0.9, 0.91, 0.89]}


def test_the_claims_are_those_of_the_own_replicates_with_the_methods_that_are_there(tmp_path: Path) -> None:
    files = [table(tmp_path, "other", 0.9, {"vanilla": SAME}), table(tmp_path, "birds", 0.95, STRONG)]
    found = replicated.read(files, "birds")
    claims, where = found["claims"], found["map"]
    assert claims is not None and claims.finetuned == ["lora", "clustered"] and claims.replicates == 3
    assert [(one.claim[0], one.verdict) for one in claims.judged] == [(n, "held") for n in "123"]
    assert where is not None and where.ratios == ["0.9", "0.95"]
    (other, count, cells), (birds, _, own) = where.rows
    assert (other, count, birds) == ("other", 3, "birds")
    assert cells[1] is None and own[0] is None
    assert cells[0] is not None and (cells[0].method, cells[0].level, cells[0].alone) == ("vanilla", [], True)
    assert own[1] is not None and (own[1].method, own[1].level) == ("clustered", []) and not own[1].alone


def test_the_table_has_every_replicate_the_best_method_first(tmp_path: Path) -> None:
    (one,) = replicated.read([table(tmp_path, "birds", 0.95, STRONG)], "birds")["replicated"]
    assert (one.ratio, one.head[:3]) == ("0.95", ("method", "worst group", "minus groupdro"))
    assert [row[0] for row in one.rows][:2] == ["clustered", "lora"]
    assert one.rows[0][3:] == ("0.900", "0.910", "0.890")
    assert one.rows[0][2].startswith("+0.200 (")
    alone = {name: values for name, values in STRONG.items() if name != "groupdro"}
    (one,) = replicated.read([table(tmp_path, "alone", 0.95, alone)], "alone")["replicated"]
    assert one.head[:2] == ("method", "worst group") and "minus groupdro" not in one.head
    assert [len(row) for row in one.rows] == [len(one.head)] * 3


def test_what_cannot_be_judged_says_why(tmp_path: Path) -> None:
    few, natural = {"vanilla": SAME, "clustered": SAME}, table(tmp_path, "faces", "natural", STRONG)
    claims = replicated.read([table(tmp_path, "birds", 0.9, few)], "birds")["claims"]
    assert [(one.claim[0], one.verdict) for one in claims.judged] == [("1", "not held")]
    assert claims.why == "no groupdro among the methods that it compares"
    found = replicated.read([natural], "faces")
    assert [(one.claim[0], one.ratio) for one in found["claims"].judged] == [
        ("1", "natural"),
        ("2", "natural"),
    ]
    assert found["claims"].notes[-1].startswith("no bias ratio is a number: claim 3")
    assert found["map"].ratios == ["natural"]
    claims = replicated.read([table(tmp_path, "plain", 0.9, {"erm": SAME})], "plain")["claims"]
    assert claims.why.startswith("no lora, dreambooth, clustered among the methods")


def test_the_first_claim_needs_no_clusters(tmp_path: Path) -> None:
    few = {name: STRONG[name] for name in ("vanilla", "groupdro", "lora")}
    claims = replicated.read([table(tmp_path, "birds", 0.9, few)], "birds")["claims"]
    assert [(one.claim[0], one.verdict) for one in claims.judged] == [("1", "held")]
    assert claims.why == "no clustered among the methods that it compares"


def test_what_has_to_be_known_stands_beside_the_claims(tmp_path: Path) -> None:
    """Also where none can be judged."""
    for name, values in (("birds", STRONG), ("plain", {"erm": SAME})):
        path = table(tmp_path, name, 0.9, values)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"same_rows": [["a", "b"]]}))
        notes = replicated.read([path], name)["claims"].notes
        assert notes[0] == "a and b have the same test rows"
        assert len(notes) == (2 if values is STRONG else 1)  # of one ratio, half of the third claim


def test_without_replicates_there_is_nothing(tmp_path: Path) -> None:
    assert replicated.read([], "birds") == {"replicated": [], "trial": "", "claims": None, "map": None}
    found = replicated.read([table(tmp_path, "other", 0.9, STRONG)], "birds")
    assert found["claims"] is None and found["replicated"] == [] and found["map"] is not None
