"""The check before a run: what it counts and what it warns of."""

import json
import os
from pathlib import Path

import pytest
from bench import BASE

from fairgen.commands import check
from fairgen.core import parquet
from fairgen.core.errors import FairgenError
from fairgen.models import base_model, scorer, text_encoders
from fairgen.report import check_page
from fairgen.workflow import compared, stage_settings
from fairgen.workflow.expansion import expanded
from fairgen.workflow.method_chain import merged

GENERATOR = check_page.Generator(k=4, min_images=10, borrow_below=20, token="V", per_group=100)


def settings(**changes: object) -> check_page.Check:
    given = {
        "dataset": "d",
        "ratios": [0.9],
        "base": BASE,
        "generators": {"clustered": GENERATOR},
        "classifiers": 6,
        "by_prompt": 7,
        "aligned": ["a"],
    }
    given |= {
        "prompts": {"a": "a landbird on land [V]", "b": "a landbird on water [V]"},
        "donors": {"a": None, "b": "a"},
    }
    given |= changes
    return check_page.Check(**{**given, "base": base_model.Base(**given["base"])})


def test_plan_says_who_borrows_and_how_many_clusters_there_are() -> None:
    assert check_page.plan({"a": 800, "b": 19}, settings(), GENERATOR) == {
        "a": "4 generators at most",
        "b": "borrows from a",
    }
    assert check_page.plan({"a": 800, "b": 25}, settings(), GENERATOR) == {
        "a": "4 generators at most",
        "b": "2 generators at most",
    }
    assert check_page.plan({"b": 25}, settings(), GENERATOR)["a"] == "no image and no donor"


def test_long_prompts_are_named_with_their_tokens() -> None:
    long = "a landbird on land " * 30
    lengths, problems = check_page.prompt_lengths(
        settings(prompts={"a": long + "[V]", "b": "a landbird on water [V]"})
    )
    counted = dict(lengths)
    assert counted["a landbird on water V"] == 7
    assert counted["a landbird on water"] == 6
    assert len(problems) == 2
    assert "tokens, the text encoder reads" in problems[0]


def test_images_that_the_base_draws_as_it_is_count_once(config: dict) -> None:
    """Methods that share them count once, methods without generators not at all."""
    each = config["datasets"]["birds"]["settings"]["sample"]["per_group"]
    methods = {
        "more": {"base": "vanilla", "filter": {"quota": 8}},
        "other": {"base": "vanilla", "sample": {"seed": 1}},
    }
    given = expanded(merged(config, {"methods": methods}))
    for compare, count in (
        (["erm", "lora"], 0),
        (["erm", "vanilla", "more"], each),
        (["vanilla", "more", "other"], 2 * each),
    ):
        assert compared.by_prompt(given, "birds", compare) == count


def test_a_missing_model_is_a_remark_not_a_failure(tmp_path: Path) -> None:
    lengths, problems = check_page.prompt_lengths(settings(base={**BASE, "model": str(tmp_path)}))
    assert {n for _, n in lengths} == {"?"}
    assert problems[0].startswith("tokens not counted: ")


def test_the_page_counts_the_work_and_lists_what_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    counts = {"train": {"a": 800, "b": 8}, "validation": {"a": 10, "b": 10}, "test": {"a": 10}}
    facts = {"counts": counts, "short": ["train b: 8 of 89"], "uncut": ["landbird"]}
    text = check_page.page(settings(), {"0.9": facts}, [("a landbird", 4)], ["first of all"], audit())
    assert "| 0.9 | a | 800 | 10 | 10 | 4 generators at most |" in text
    assert "| 0.9 | b | 8 | 10 | 0 | borrows from a |" in text
    assert (
        "4 generators to train, 214 images to draw, 6 classifier runs. What they take: fairgen estimate"
        in text
    )
    listed = [line for line in text.splitlines() if line.startswith("- ")]
    assert listed == [
        "- first of all",
        "- ratio 0.9: group b: no test image, so no figure speaks about it",
        "- ratio 0.9: fewer images than it asks for, all are kept: train b: 8 of 89",
        "- ratio 0.9: it leaves all images of landbird, where no group has role: conflicting",
        "- no validation image of c: figures of these groups will be missing or mean nothing",
        "- few test images of b (3): one image moves a group's accuracy by 1/n",
        "- few training images of a (9), b (1): a generator of their own would repeat them",
        "- 12 images are one set of (near-)identical ones and stay in one split; are they different"
        " pictures, lower index.near",
        "- 2 files or rows are malformed and left out: 2 × truncated",
        "- 5 images have a value that no group of the config has: age '7' (5)",
    ]
    named = check_page.page(settings(), {"0.9": facts}, [], [], audit() | {"empty": {"test": ["b"]}})
    assert named.count("no test image") == 1  # the audit has said it
    assert (
        text.index("first of all")
        < text.index("## Images")
        < text.index(check_page.DETAIL)
        < text.index("a landbird")
    )


def test_what_ratios_share_counts_once() -> None:
    """Of a 4 generators and 100 images once, of b 4 at 0.9 and none at 0.99, and 100 images of each."""
    every = {"validation": {"a": 10, "b": 10}, "test": {"a": 10, "b": 10}}
    facts = {
        ratio: {"counts": {"train": {"a": 800, "b": own}, **every}, "short": [], "uncut": []}
        for ratio, own in (("0.9", 89), ("0.99", 8))
    }
    text = check_page.page(settings(ratios=[0.9, 0.99]), facts, [], [], audit())
    assert "8 generators to train, 314 images to draw, 6 classifier runs." in text


def test_what_methods_share_counts_once(config: dict) -> None:
    """Generators and images of a method are those of others that differ in what comes after them."""
    counts = {}
    for compare in (["clustered"], ["clustered", "clustered-groupdro", "clustered-dfr"], ["dfr"]):
        given = config | {"compare": compare, "ratios": [0.95], "seeds": [0, 1]}
        found = json.loads(stage_settings.settings(expanded(given), "birds", "check"))
        shown = [own for own in found["generators"].values() if own["trains"] and own["draws"]]
        counts[compare[-1]] = (len(shown), found["classifiers"])
    # dfr goes on from erm
    assert counts == {"clustered": (1, 2), "clustered-dfr": (1, 6), "dfr": (0, 4)}


def audit() -> dict:
    """The parts of an `audit.json` that the page looks at."""
    same = {"sets": 0, "images": 0, "conflicting_sets": 0, "conflicting_images": 0, "conflicting": []}
    rejects = [{"reason": "truncated", "count": 2, "malformed": True, "examples": []}]
    rejects += [{"reason": "age in no value of the config", "count": 5, "malformed": False, "examples": []}]
    return {
        **{
            "dataset": "d",
            "root": "r<1>",
            "read": 27,
            "indexed": 20,
            "rejects": rejects,
            "conversions": {},
            "outside": {"age '7'": 5},
        },
        **{
            "left_out": {"malformed": 2, "not_asked_for": 5},
            "identical": same,
            "near_identical": same | {"largest": 12},
        },
        "counts": {"train": {"a": 9, "b": 1}, "validation": {"a": 10, "b": 0}, "test": {"a": 11, "b": 3}},
        "across_splits": {"sets": 0, "images": 0, "examples": []},
        "empty": {"validation": ["c"]},
    }


def test_the_terminal_shows_a_screen_of_plain_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many ratios and many problems: what is cut stands in the file, which is named; no Markdown."""
    monkeypatch.chdir(tmp_path)
    counts = {"train": {"a": 800, "b": 8}, "validation": {"a": 10}, "test": {"a": 10}}
    splits = {str(n): {"counts": counts, "short": [f"train b: 8 of {n}"], "uncut": []} for n in range(30)}
    text = check_page.page(settings(), splits, [("a|b", 4)] * 50, ["prompt 'x' has 90 tokens"], audit())
    lines = check.screen(text + "# Audit\n" * 200, Path("results/d/check.md")).splitlines()
    assert 24 <= len(lines) <= 40
    assert lines[0] == "CHECK OF D"
    assert lines[1] == "27 files or rows of r<1> read, 20 images indexed."
    assert lines[3:5] == ["TO LOOK AT", "- prompt 'x' has 90 tokens"]
    assert [line for line in lines if line.startswith("  …")] == [
        "  … and 87 more in results/d/check.md",
        "  … and 45 more in results/d/check.md",
    ]
    assert "0      a      800    10          10    4 generators at most" in lines
    assert lines[-1].endswith("results/d/check.md")
    assert not any(mark in line for line in lines for mark in ("|", "##", "&lt;"))


def test_no_stage_cuts_a_prompt_silently(base: base_model.Base) -> None:
    long = "a landbird on land " * 30
    with pytest.raises(FairgenError, match="tokens, and the text encoder reads"):
        text_encoders.encode_prompts(base, [long])
    with pytest.raises(FairgenError, match="tokens, and the text encoder reads"):
        scorer.load("fairgen:embedded/weights/clip", "score.model").texts([long])


def test_a_hub_model_that_is_not_there_counts_no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers makes an empty tokenizer of a hub id that it cannot reach, in which every letter is a
    token.
    """
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    lengths, problems = check_page.prompt_lengths(settings(base={**BASE, "model": "nobody/no-such-model"}))
    assert {n for _, n in lengths} == {"?"}
    assert "nobody/no-such-model" in problems[0]


def test_files_that_changed_since_they_were_indexed_are_named(tmp_path: Path) -> None:
    index, root = tmp_path / "results/d/index.parquet", tmp_path / "data"
    photo, gone = root / "a/0.png", root / "b/1.png"
    for path in (index, photo, gone):
        path.parent.mkdir(parents=True)
        path.write_text("")
    assert check.changed(tmp_path / "results/d/none.parquet") == ""
    parquet.write(index, {"id": [1]}, {"root": str(root)})
    now = index.stat().st_mtime_ns
    for path in (root, photo, photo.parent, gone, gone.parent):
        os.utime(path, ns=(now - 10**9, now - 10**9))
    assert check.changed(index) == ""
    os.utime(photo, ns=(now + 10**9, now + 10**9))
    assert check.changed(index) == str(photo)
    os.utime(photo, ns=(now - 10**9, now - 10**9))
    gone.unlink()
    os.utime(gone.parent, ns=(now + 10**9, now + 10**9))
    assert check.changed(index) == str(gone.parent)
    parquet.write(index, {"id": [1]}, {"root": str(tmp_path / "results")})  # drawings, which a job makes
    assert check.changed(index) == ""
