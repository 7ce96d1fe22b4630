"""All audits of a data set on one page."""

import json
from pathlib import Path
from types import SimpleNamespace

from fairgen.evaluate import audit_synthetic


def test_the_page_holds_every_set(folder: Path, audit_document: dict, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**audit_document, "method": "n", "scope": "bias-0.9"}))
    paths = SimpleNamespace(
        audits=[folder / "audit.json", other], table=tmp_path / "t.json", page=tmp_path / "t.md"
    )
    paths.html = tmp_path / "all.html"
    audit_synthetic.work(audit_synthetic.AuditSynthetic("toy"), paths)
    results = json.loads(paths.table.read_text())["results"]
    assert {scope: list(methods) for scope, methods in results.items()} == {"any": ["m"], "bias-0.9": ["n"]}
    text = paths.page.read_text()
    assert "| m | any | a | 13 | 0.500 |" in text
    assert "| n | bias-0.9 | b | 1 | 1.000 | – | – | – |" in text
    assert "- n, bias-0.9, b: 1 generated and 12 real images; audit.min_images asks for 10" in text
