"""The documentation: links, anchors and paths lead somewhere, what stands twice agrees, and the site
builds.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from workflows import PROJECT

import fairgen
from fairgen.cli import COMMANDS
from fairgen.workflow.method_chain import merged
from fairgen.workflow.validation import validate

README = PROJECT / "README.md"
PAGES = sorted((PROJECT / "docs").glob("*.md"))
TEXTS = [README, PROJECT / "CONTRIBUTING.md", *PAGES]
FOLDERS = ("benchmarks/", "docs/", "envs/", "examples/", "fairgen/", "profiles/", "rules/", "tests/")
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
each_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"`[^`]+`", "", FENCED.sub("", path.read_text()))


def code(path: Path) -> list[str]:
    """Everything on a page that is set as code, blocks and spans."""
    text = path.read_text()
    return [*FENCED.findall(text), *re.findall(r"`([^`]+)`", FENCED.sub("", text))]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub and mkdocs give to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", path.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(path: Path) -> list[str]:
    """The lines of a page's tables."""
    return [line for line in path.read_text().splitlines() if line.startswith("|")]


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= 150


@each_text
def test_links_and_anchors_lead_somewhere(path: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)) if not link.startswith("https://")]
    for link in links:
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.is_file(), f"{path.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{path.name}: {link}"


@each_text
def test_paths_modules_and_commands_exist(path: Path) -> None:
    for text in code(path):
        words = [word.rstrip(".") for word in re.findall(r"[^\s`'\"(),;:]+", text)]
        for word in words:
            if word.startswith(FOLDERS) and "<" not in word:
                assert any(PROJECT.glob(word.rstrip("/"))), f"{path.name}: {word}"
        for module in re.findall(r"python -m (fairgen(?:\.\w+)+)", " ".join(words)):
            place = PROJECT.joinpath(*module.split("."))
            assert place.with_suffix(".py").is_file() or place.is_dir(), f"{path.name}: {module}"
        for command in re.findall(r"^fairgen (\w+)", text.removeprefix("```sh\n"), re.M):
            assert command in COMMANDS, f"{path.name}: fairgen {command}"


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(docs/(\w+\.md)", README.read_text()))
    assert linked == {page.name for page in PAGES} - {"index.md"}


def test_the_readmes_rows_stand_in_the_pages_too() -> None:
    text = README.read_text()
    shown = {
        "results.md": text.split("<!-- result -->")[1].split("<!-- /result -->")[0],
        "reruns.md": text.split("## What reruns when I edit X")[1].split("\n## ")[0],
    }
    for page, section in shown.items():
        own = [line for line in section.splitlines() if line.startswith("|")]
        assert len(own) > 7
        assert not set(own) - set(rows(PROJECT / "docs" / page)), page


def test_a_command_stands_behind_each_marker() -> None:
    for marker, last in (("run", "snakemake "), ("test", "pytest ")):
        found = re.search(rf"<!-- {marker} -->\n```sh\n(.+?)\n```", README.read_text(), re.S)
        assert found[1].splitlines()[-1].startswith(last), marker


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # what its makers say about other programs
    done = subprocess.run(command, cwd=PROJECT, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    for page in PAGES:
        html = tmp_path.joinpath(f"{page.stem}.html").read_text()
        assert not re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"?(?:https?:)?//", html), (
            page.name
        )


def test_changelog_citation_and_image_name_the_version_and_the_licence() -> None:
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert (str(citation["version"]), citation["license"]) == (fairgen.__version__, project["license"])
    heading = re.search(
        r"^## (\S+)(?: \(unreleased\)|, \d{4}-\d\d-\d\d)$", (PROJECT / "CHANGELOG.md").read_text(), re.M
    )
    assert heading[1] == fairgen.__version__
    image = yaml.safe_load((PROJECT / "profiles/kubernetes/profile.yaml").read_text())["container-image"]
    assert image.endswith(f"/fairgen:{fairgen.__version__}")
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("message", "title", "authors", "references"))


def test_the_trial_on_own_folders_is_a_right_config(config: dict, schema: dict) -> None:
    (text,) = re.findall(r"^```yaml\n(ratios:.*?)^```$", (PROJECT / "docs/data.md").read_text(), re.M | re.S)
    tiny = yaml.safe_load((PROJECT / "examples/utkface-tiny.yaml").read_text())
    given = yaml.safe_load(text)
    given["datasets"]["mine"]["settings"] = tiny["datasets"]["utkface"]["settings"]
    assert validate(merged(config, given), schema, ["mine"]) == []
