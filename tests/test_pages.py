"""The report's pages, read as a browser shows them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import result

from fairgen import pages

EVIL = '<script>document.title = "broken in"</script><img src=x onerror="document.title = \'broken in\'">'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian's package of that name)")


def shown(page: Path) -> str:
    """The page's elements after a headless Chromium has run it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run([CHROMIUM, *options, profile, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def tags(html: str) -> set[str]:
    """Names of all elements."""
    return set(re.findall(r"<([a-z][a-z0-9]*)", html))


def test_the_result_page_ranks_methods_and_names_no_winner_lightly() -> None:
    text = pages.result_page(result(ratios=(0.99, "natural"), erm=[0.2, 0.4], lora=[0.8, 0.6]))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[2].startswith("| lora | 0.700 ± ")
    assert lines[3].startswith("| erm | 0.300 ± ")
    assert "## Bias ratio natural" in text
    assert "No winner: lora leads, but not clearly over erm." in text


def test_no_name_injects_markup() -> None:
    document = result(**{EVIL: [0.5, 0.6], "erm": [0.1, 0.2]})
    document["dataset"] = EVIL
    html = pages.render(pages.result_page(document), EVIL)
    page, table = (
        {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p"},
        {"table", "thead", "tbody", "tr", "th", "td"},
    )
    assert tags(html) <= page | table


@needs_browser
def test_a_browser_shows_the_table_and_runs_nothing(tmp_path: Path) -> None:
    page = tmp_path / "result.html"
    document = result(**{EVIL: [0.5, 0.6], "erm": [0.1, 0.2]})
    page.write_text(pages.render(pages.result_page({**document, "dataset": EVIL}), "Result"))
    html = shown(page)
    assert "<title>Result</title>" in html
    assert not {"script", "img"} & tags(html)
    assert html.count("<tr>") >= 4
    assert "0.550 ±" in html
