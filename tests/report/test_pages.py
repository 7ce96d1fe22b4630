"""The report's pages, read as a browser shows them."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

from browser import needs_browser, shown
from workflows import result

from fairgen.core import html as webpage
from fairgen.evaluate import audit_synthetic
from fairgen.report import pages

LINK = "![x](http://example.org/x.png) [y](http://example.org) <http://example.org>"
EVIL = '<script>document.title = "broken in"</script><img src=x onerror="document.title = \'broken in\'">'


def tags(html: str) -> set[str]:
    """Names of all elements."""
    return set(re.findall(r"<([a-z][a-z0-9]*)", html))


def test_the_result_page_ranks_methods_and_names_no_winner_lightly() -> None:
    text = pages.result_page(result(ratios=(0.99, "natural"), erm=[0.2, 0.4, 0.3], lora=[0.8, 0.6, 0.2]))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[2].startswith("| lora | 0.533 (0.000 – 1.000) |")
    assert lines[3].startswith("| erm | 0.300 (0.052 – 0.548) |")
    assert "## Bias ratio natural" in text
    assert "No winner: lora leads, but not clearly over erm." in text


def test_the_result_page_names_groups_without_images_and_invents_no_interval() -> None:
    document = result(erm=[0.2, 0.4], lora=[0.8, 0.6])
    for entry in document["results"]["0.99"].values():
        entry["empty_groups"]["validation"] = ["B"]
    text = pages.result_page(document)
    assert "| lora | 0.700 (n/a) |" in text
    assert "**group B: no validation image, so the selection of weights did not see it.**" in text
    assert "No winner is named: intervals need at least three seeds, there are 2." in text


def test_no_name_injects_markup() -> None:
    document = result(**{EVIL: [0.5, 0.6], "erm": [0.1, 0.2]})
    document["dataset"] = EVIL + LINK
    html = webpage.render(pages.result_page(document), EVIL)
    assert '<meta name="viewport" content="width=device-width' in html
    page, table = (
        {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p"},
        {"table", "thead", "tbody", "tr", "th", "td"},
    )
    assert tags(html) <= page | table


def synthetic(method: str) -> dict:
    """An audit of one synthetic set, with a group that has no figures."""
    figures = {
        **{"kept": 9, "sampled": 12, "accepted": 0.75, "kernel_distance": {"mean": 0.01, "sd": None}},
        **{
            "precision": 0.5,
            "recall": 0.25,
            "density": 0.5,
            "coverage": 0.75,
            "transfer": dict.fromkeys(("real_to_synthetic", "synthetic_to_real", "real_to_real"), 0.5),
            "vendi_score": 3.0,
            "vendi_score_real": 4.0,
            "black": 1,
            "constant": 0,
        },
        **{"near_copies": {"share": 0.125, "share_among_real": None}, "duplicates": 2, "null_because": EVIL},
    }
    about = {"real": EVIL, "scorer": "clip", "space": LINK, "encoder": LINK, "similarity": 0.9}
    return {"method": method, "scope": "bias-0.9", "groups": {"a": figures, EVIL: figures}, **about}


@needs_browser
def test_the_audit_of_synthetic_images_is_a_table_in_a_browser(tmp_path: Path) -> None:
    """Shown as a table, not as Markdown's bars; no label of the data becomes an element."""
    for name in ("lora", EVIL):
        (tmp_path / f"{len(name)}.json").write_text(json.dumps(synthetic(name)))
    made = {"table": tmp_path / "t.json", "page": tmp_path / "p.md", "html": tmp_path / "p.html"}
    paths = SimpleNamespace(audits=sorted(tmp_path.glob("*.json")), **made)
    audit_synthetic.work(audit_synthetic.AuditSynthetic(EVIL), paths)
    html = shown(made["html"])
    # a script that ran would have changed it
    assert html.count("<title>Synthetic images of &lt;script&gt;") == 1
    assert not {"script", "img", "a"} & tags(html)
    assert html.count("<tr>") == 1 + 4
    assert "<td>0.125 (–)</td>" in html and "|" not in re.sub(r"<style>.*?</style>", "", html, flags=re.S)


@needs_browser
def test_a_browser_shows_the_table_and_runs_nothing(tmp_path: Path) -> None:
    page = tmp_path / "result.html"
    document = result(**{EVIL: [0.5, 0.6], "erm": [0.1, 0.2]})
    page.write_text(webpage.render(pages.result_page({**document, "dataset": EVIL}), "Result"))
    html = shown(page)
    assert "<title>Result</title>" in html
    assert not {"script", "img"} & tags(html)
    assert html.count("<tr>") >= 4
    assert "0.550 (n/a)" in html
