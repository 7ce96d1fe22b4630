"""The report's cover: sentences that say no more than the result does, a figure inside, and no markup of the
data.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest
from workflows import PROJECT, result

from fairgen.commands import compare, init_entry
from fairgen.core import lineage
from fairgen.core.html import Picture, render
from fairgen.evaluate import comparison, results
from fairgen.report import cover, page_parts, pages, ranking

EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">![x](http://example.org/x.png)'


def sentences(document: dict) -> str:
    """What the cover says of the result."""
    return cover.cover(document, b"")[0].split("## The result")[1].split("\n\n")[1]


def test_a_leader_is_clearly_ahead_only_of_whom_its_paired_intervals_say() -> None:
    erm, dro, lora, clustered = [0.1, 0.2, 0.1], [0.3, 0.9, 0.4], [0.8, 0.7, 0.75], [0.85, 0.75, 0.8]
    told = sentences(result(erm=erm, groupdro=dro, lora=lora, clustered=clustered))
    assert told.startswith(
        "**clustered** has the best worst-group accuracy, 0.800 (95 % interval over 3 seeds 0.6"
    )
    assert re.search(
        r"is ahead of erm \(by 0\.667, 0\.\d+ – 0\.\d+\) and lora, the next method \(by 0\.050,"
        r" [^)]+\), but",
        told,
    )
    assert "but not clearly of groupdro (by 0.267, −" in told
    won = sentences(result(erm=erm, lora=lora, clustered=clustered))
    assert "is ahead of every other method, also of erm (by" in won
    assert "is not clearly ahead of groupdro (by" in sentences(result(groupdro=dro, lora=lora))


@pytest.mark.parametrize(
    ("seeds", "words"), [(1, "one seed, so there is no interval"), (2, "mean of 2 seeds, too few for")]
)
def test_one_or_two_seeds_have_no_interval_and_nobody_is_ahead(seeds: int, words: str) -> None:
    told = sentences(result(erm=[0.1, 0.2][:seeds], lora=[0.8, 0.9][:seeds]))
    assert words in told
    assert "cannot be said: that takes at least 3 seeds" in told
    assert "ahead of erm" not in told and "95 %" not in told


def test_one_method_leads_nobody() -> None:
    told = sentences(result(lora=[0.5, 0.6, 0.7]))
    assert told.startswith("**lora** has a worst-group accuracy of 0.600")
    assert "No other method is ranked" in told and "best" not in told
    assert told.endswith("The group that it serves worst is a, with 9 training images.")


def test_equal_methods_share_the_lead() -> None:
    told = sentences(result(erm=[0.5, 0.6, 0.7], lora=[0.7, 0.6, 0.5]))
    assert "**erm** and **lora** share the best" in told and "not clearly ahead" in told


def test_a_ceiling_is_named_and_does_not_lead() -> None:
    document = result(ceilings=("perfect",), perfect=[0.9] * 3, lora=[0.9, 0.9, 0.9], erm=[0.1, 0.2, 0.1])
    told = sentences(document)
    assert told.startswith("**lora** has the best") and told.endswith("Ceilings, not ranked: perfect.")
    assert "perfect" not in told.removesuffix("perfect.")
    assert "ceilings, not ranked: perfect" in comparison.terminal_table(document)
    based = {**document["config"]["methods"], "lora": {"base": "perfect"}}
    assert results.ceilings({"methods": based}, based) == ["perfect", "lora"]
    alone = sentences(result(ceilings=("lora", "erm"), erm=[0.5, 0.6, 0.7], lora=[0.7, 0.7, 0.9]))
    assert "ahead" not in alone and "best" not in alone and "only show what could be had" in alone
    assert ranking.sentence("lora is ahead", ["lora"]) == "lora is ahead."  # as the method is called
    assert ranking.sentence("no winner", ["lora"]) == "No winner."


def test_the_lead_over_several_ratios() -> None:
    document = result(ratios=(0.9, 0.99, "natural"), erm=[0.1, 0.2, 0.1], lora=[0.8, 0.7, 0.75])
    assert "and leads at every ratio." in sentences(document)
    document["comparisons"]["natural"]["leader"] = "erm"
    assert "and leads at 2 of the 3 ratios." in sentences(document)
    above = cover.cover(document, b"")[0]
    assert "at bias ratios 0.9, 0.99 and natural (" in above and "natural: the data as they are" in above
    assert "## The result at bias ratio 0.9\n" in above


def test_the_group_that_most_methods_serve_worst() -> None:
    document = result(erm=[0.1] * 3, lora=[0.5] * 3, clustered=[0.6] * 3)
    methods = document["results"]["0.99"]
    assert "All 3 methods serve the group a worst, which has 9 training images." in sentences(document)
    methods["lora"]["worst_group"]["by_mean"] = "b"
    for entry in methods.values():
        entry["groups"]["a"]["train_n"] = 0
        entry["empty_groups"]["train"] = ["a"]
    assert "2 of the 3 methods serve the group a worst, which has no training image." in sentences(document)
    assert (
        "**group a: no training image, so no method has seen a real one.**" in cover.cover(document, b"")[2]
    )
    told = cover.worst_groups({name: methods[name] for name in ("erm", "lora")})
    assert told == "No single group is served worst by most methods: a by 1 and b by 1."


def test_the_cover_is_one_file_with_the_figure_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "current", lineage.Lineage())
    (tmp_path / "table.json").write_text("{}")
    document = result("birds", erm=[0.1, 0.2, 0.1], lora=[0.8, 0.7, 0.75])
    monkeypatch.setattr(pages.results, "load", lambda path: document)
    (tmp_path / "audit.md").write_text("# Audit\n")
    plt.figure(figsize=(1, 1)).savefig(tmp_path / "bars.png")
    made = {name: tmp_path / f"{name}.html" for name in ("cover", "result", "audit", "clusters", "samples")}
    drawn = dict.fromkeys(("bars", "sheet", "map"), tmp_path / "bars.png")
    paths = SimpleNamespace(table=tmp_path / "table.json", markdown=tmp_path / "audit.md", **drawn, **made)
    pages.work(pages.Pages("birds"), paths)
    html = made["cover"].read_text()
    assert html.count('src="data:image/png;base64,iVBOR') == 1
    assert not re.findall(r"(?:src|href)=\"(?!data:image/png;base64,)", html)
    for name in ("clusters", "samples"):
        assert made[name].read_text().count('src="data:image/png;base64,iVBOR') == 1
    assert "2 methods (erm, lora) on the data set birds" in html and "<td>9</td>" in html
    style = re.search(r"<style>(.*?)</style>", html, re.S)[1]  # of the page alone, also inside the report
    assert all(rule.split()[0] == "main" for rule in re.findall(r"([^{}]+){", style))


def test_no_name_injects_markup_beside_the_figure() -> None:
    document = result(EVIL, **{EVIL: [0.5, 0.6, 0.7], "erm": [0.1, 0.2, 0.1]})
    html = render(cover.cover(document, b"png"), EVIL)
    assert (
        len(re.findall(r'<img alt="[^"<>]*" src="data:image/png;base64,cG5n">', html))
        == html.count("<img")
        == 1
    )
    assert "<script" not in html and "<a " not in html
    assert '" onerror=' not in render([Picture(b"", '" onerror="x')], "x")


def test_categories_are_numbered_in_order_and_told_everywhere() -> None:
    rules = "".join(path.read_text() for path in (PROJECT / "rules").glob("*.smk"))
    used = sorted(set(re.findall(r'category="([^"]+)"', rules)))
    assert [name[:2] for name in used] == [f"{number + 1} " for number in range(len(used))]
    assert rules.count("report(") == rules.count("category=")
    assert re.findall(r'^ +"(\d [^"]+)":', (PROJECT / "rules/captions/report.rst").read_text(), re.M) == used
    assert re.findall(r"^\| (\d [^|]+) \|", (PROJECT / "docs/outputs.md").read_text(), re.M) == used


def of_trial(**accuracies: list[float]) -> dict:
    """A comparison as `fairgen init` writes it for a trial."""
    document = result(**accuracies)
    document["config"]["dataset"] = {
        "format": "table",
        "settings": {"diffusion": init_entry.TRIAL["diffusion"]},
    }
    document["config"]["methods"]["erm"] = {"synthetic": False}
    return document


def test_a_trial_on_the_embedded_model_says_so_first_and_names_no_winner() -> None:
    document = of_trial(erm=[0.1, 0.2, 0.1], lora=[0.8, 0.9, 0.8])
    note = results.trial(document)
    assert "has seen only drawings of birds" in note
    assert cover.compared(document).startswith(f"**{note}.**\n\n2 methods")
    assert cover.cover(document, b"")[0].split("\n\n")[1] == f"**{note}.**"
    assert pages.result_page(document).split("\n\n")[1] == f"**{note}.**"
    assert comparison.terminal_table(document).strip().startswith(note)
    assert compare.trials(document, result(erm=[0.5])) == [f"A: {note}."]
    said = [sentences(document), pages.result_page(document), comparison.terminal_table(document)]
    said.append(page_parts.comparisons(document)[0].verdict)
    for text in said:
        assert "o winner is named: this is a trial on fairgen's embedded model" in text
        assert "best" not in text and "wins" not in text and "ahead" not in text


def test_only_an_unfit_generator_makes_a_trial() -> None:
    document = of_trial(erm=[0.1, 0.2, 0.1], lora=[0.8, 0.9, 0.8])
    changes: list[tuple[dict, dict]] = [
        (document["config"]["dataset"], {"format": "birds"}),
        (document["config"]["dataset"]["settings"], {"diffusion": {"model": "a/base"}}),
        (document["config"]["methods"], {"lora": {"base": "erm"}}),  # nothing is generated
    ]
    for place, change in changes:
        before = dict(place)
        place.update(change)
        assert not results.trial(document), change
        place.update(before)
    document["config"]["diffusion"] = document["config"]["dataset"].pop("settings")["diffusion"]
    assert results.trial(document)
