"""The page `report.html` in a real browser, by mouse, keyboard and on a phone, without a network; and what it
says where something is missing or wrong.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import looked_at
import pytest
from browser import Browser, driven, needs_browser
from looked_at import COPY, EVIL, SETTINGS, table
from PIL import Image

from fairgen import __version__
from fairgen.core import lineage, parquet
from fairgen.core.errors import FairgenError
from fairgen.core.html import Picture, render
from fairgen.report import web_images
from fairgen.report.browse import Files, work

COUNT = "[...document.querySelectorAll('.tile[data-shot]')].filter(t => t.offsetParent).length"
ALONE = {"vanilla": [0.70, 0.71, 0.69]}
BEATEN = {**ALONE, "lora": [0.80, 0.81, 0.79]}
FOCUS = (
    "document.activeElement.dataset.shot ?? document.activeElement.dataset.real ?? document.activeElement.id"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The small comparison with its page."""
    found = looked_at.written(tmp_path_factory.mktemp("page"))
    work(SETTINGS, found)
    return found


@pytest.fixture(scope="module")
def tab(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests here."""
    with driven(tmp_path_factory.mktemp("browser")) as found:
        yield found


def choose(tab: Browser, **values: str) -> int:
    """Set filters as a user does; returns how many generated images stay."""
    for name, value in values.items():
        field = f"document.querySelector('#filters select[name={name}]')"
        tab.ask(f"{field}.value = {json.dumps(value)}")
        tab.ask(f"{field}.dispatchEvent(new Event('change', {{bubbles: true}}))")
        assert tab.ask(f"{field}.value") == value
    return tab.ask(COUNT)


def facts(tab: Browser) -> list[dict]:
    """What the page knows of its generated images, in their order."""
    return tab.ask("JSON.parse(document.getElementById('facts').textContent).shots")


def number_of(tab: Browser, name: str, method: str = "lora") -> int:
    """The place of an image on the page."""
    return next(n for n, shot in enumerate(facts(tab)) if (shot["id"], shot["method"]) == (name, method))


@needs_browser
def test_one_file_asks_for_nothing_and_runs_no_label(tab: Browser, files: Files) -> None:
    tab.open(files.page)
    assert {url.split(":")[0] for url in tab.requested} <= {"file", "data"}
    assert [url for url in tab.requested if url.startswith("file:")] == [files.page.as_uri()]
    assert tab.said == []
    assert tab.ask("document.title") == f"{EVIL}: fairgen's report"
    assert tab.ask("document.querySelector('h1').textContent").startswith(EVIL)
    assert tab.ask("document.querySelectorAll('script').length") == 2  # facts, and the page's own
    assert tab.ask("document.querySelectorAll('img[onerror], [onload], iframe, link').length") == 0
    # also a script that came in otherwise would not run
    tab.ask("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    assert tab.ask("window.ran ?? 0") == 0


@needs_browser
def test_filters_leave_what_they_say(tab: Browser, files: Files) -> None:
    tab.open(files.page)
    whole, shots = tab.ask(COUNT), facts(tab)
    assert whole == len(shots) > 20
    assert choose(tab, method="clustered") == sum(s["method"] == "clustered" for s in shots)
    chosen = [s for s in shots if s["method"] == "clustered" and s["group"] == "a" and s["cluster"] == 1]
    assert choose(tab, group="a", cluster="1") == len(chosen) > 0
    left_out = [s for s in chosen if s["reason"]]
    assert choose(tab, show="out") == len(left_out) > 0
    assert tab.ask("document.getElementById('shown').textContent").startswith(f"{len(left_out)} of {whole} ")
    assert tab.ask("[...document.querySelectorAll('.block')].filter(b => b.offsetParent).length") == 1
    tab.click("#all")
    assert tab.ask(COUNT) == whole
    assert choose(tab, show="near") == 1
    told = "Near copies among all kept images: 1 of 21; the page shows some images only."
    assert told in tab.ask("document.getElementById('shown').textContent")
    assert choose(tab, show="near", method="clustered") == 0
    # real images of a group stand beside what is left of its images
    tab.click("#all")
    choose(tab, group=EVIL)
    seen = "[...document.querySelectorAll('.tile[data-real]')].filter(t => t.offsetParent)"
    assert set(tab.ask(f"{seen}.map(t => t.dataset.real)")) == {"12.png", "13.png"}


@needs_browser
def test_a_click_shows_the_closest_training_image_and_escape_leads_back(tab: Browser, files: Files) -> None:
    tab.open(files.page)
    at = number_of(tab, COPY[0])
    tab.click(f".tile[data-shot='{at}']")
    assert tab.ask("document.getElementById('look').open")
    with Image.open(files.split.parent / COPY[1]) as picture:
        assert tab.ask("document.getElementById('look-real').src") == web_images.embedded(picture, 32)
    words = tab.ask("document.getElementById('look').textContent")
    for part in (
        "● near copy: similarity 0.999",
        "the limit is 0.99",
        f"a {EVIL} bird",
        str(2**60 + 3),
        COPY[1],
    ):
        assert part in words, part
    # enlarged by a whole number, pixel by pixel
    image = "document.getElementById('look-image')"
    assert tab.ask(f"{image}.clientWidth") % 32 == 0 and tab.ask(f"{image}.clientWidth") > 32
    assert tab.ask(f"getComputedStyle({image}).imageRendering") == "pixelated"
    tab.press("Escape")
    assert not tab.ask("document.getElementById('look').open")
    assert tab.ask(FOCUS) == str(at)
    # a closest image that stands in no row of real ones, and one that does
    shown = set(tab.ask("[...document.querySelectorAll('.tile[data-real]')].map(t => t.dataset.real)"))
    for inside in (True, False):
        shot = next(n for n, s in enumerate(facts(tab)) if (s["real"] in shown) is inside)
        tab.click(f".tile[data-shot='{shot}']")
        with Image.open(files.split.parent / facts(tab)[shot]["real"]) as picture:
            assert tab.ask("document.getElementById('look-real').src") == web_images.embedded(picture, 32)
        tab.press("Escape")


@needs_browser
def test_the_keyboard_reaches_all_of_it(tab: Browser, files: Files) -> None:
    tab.open(files.page)
    assert "the arrow keys" in tab.ask("document.getElementById('keys').innerText")
    tab.ask("document.querySelector('#filters button').focus()")
    tab.press("Tab")  # one stop, however many images there are
    first = tab.ask(FOCUS)
    assert tab.ask("document.activeElement.classList.contains('tile')")
    assert tab.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.press("ArrowRight")
    second = tab.ask(FOCUS)
    tab.press("ArrowLeft")
    assert second != tab.ask(FOCUS) == first
    tab.press("ArrowDown")
    below = tab.ask(FOCUS)
    assert below.isdigit()  # the row of generated images below the real ones
    tab.press("ArrowUp")
    assert tab.ask(FOCUS) == first
    tab.press("ArrowDown", "Enter")
    assert tab.ask("document.getElementById('look').open")
    assert tab.ask("document.getElementById('look').contains(document.activeElement)")
    tab.press("ArrowRight")
    assert facts(tab)[int(below) + 1]["id"] in tab.ask("document.getElementById('look-facts').textContent")
    tab.press("Escape")
    assert tab.ask(FOCUS) == str(int(below) + 1)
    tab.press("Tab")
    assert not tab.ask("document.activeElement.classList.contains('tile')")
    tab.ask("document.querySelector('.tile[tabindex=\"0\"]').focus()")
    tab.press("End")
    assert tab.ask(FOCUS) == str(len(facts(tab)) - 1)


@needs_browser
def test_it_fits_a_phone(tab: Browser, files: Files) -> None:
    tab.open(files.page, width=360, height=740)
    assert tab.ask("document.documentElement.scrollWidth") == 360
    assert tab.ask("document.querySelector('table.result').scrollWidth") > 360  # in a box that scrolls
    tab.click(".tile[data-shot='0']")
    box = tab.ask("(b => [b.left, b.right])(document.getElementById('look').getBoundingClientRect())")
    assert box[0] >= 0 and box[1] <= 360
    assert tab.ask("(d => d.scrollWidth <= d.clientWidth)(document.getElementById('look'))")
    assert tab.ask("document.documentElement.scrollWidth") == 360


@needs_browser
def test_on_paper_no_table_is_cut_and_no_key_is_told(tab: Browser, files: Files) -> None:
    tab.open(files.page)
    tab.send("Emulation.setEmulatedMedia", media="print")
    boxes = "[...document.querySelectorAll('.scroll')].map(e => getComputedStyle(e).overflowX)"
    assert set(tab.ask(boxes)) == {"visible"}
    assert tab.ask("document.getElementById('keys').offsetParent") is None
    tab.ask("dispatchEvent(new Event('beforeprint'))")
    assert tab.ask("[...document.images].every(image => image.decoding === 'sync')")
    tab.send("Emulation.setEmulatedMedia", media="")


@needs_browser
def test_tables_are_sorted_by_their_heads(tab: Browser, files: Files) -> None:
    tab.open(files.page)
    names = "[...document.querySelectorAll('table.result tbody th')].map(c => c.textContent)"
    assert tab.ask(names) == ["lora", "clustered", "erm"]
    tab.click("table.result thead th:nth-child(1) button")
    assert tab.ask(names) == ["clustered", "erm", "lora"]
    assert tab.ask("document.querySelector('table.result thead th').getAttribute('aria-sort')") == "ascending"
    tab.click("table.result thead th:nth-child(2) button")
    assert tab.ask(names) == ["lora", "clustered", "erm"]
    tab.click("table.result thead th:nth-child(2) button")
    assert tab.ask(names) == ["erm", "clustered", "lora"]
    assert tab.ask("document.querySelectorAll('table.result [aria-sort]').length") == 1


@needs_browser
def test_it_can_be_read_without_javascript(tab: Browser, files: Files) -> None:
    tab.open(files.page, script=False)
    tab.send("Emulation.setScriptExecutionDisabled", value=False)  # of the tests' own questions
    assert tab.ask(COUNT) > 20
    assert tab.ask("document.getElementById('filters').offsetParent") is None
    assert tab.ask("document.getElementById('keys').offsetParent") is None
    assert "lora" in tab.ask("document.querySelector('#result .told').textContent")
    assert tab.ask("document.querySelectorAll('th button').length") == 0


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Their contrast."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_are_told_from_their_grounds_by_day_and_night() -> None:
    style = (Path(web_images.__file__).parent / "page/report.css").read_text()
    themes = [
        dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in re.findall(r":root {(.*?)}", style, re.S)
    ]
    assert len(themes) == 2
    for theme in themes:
        words = ("ink", "soft", "mark", "link")
        assert all(contrast(theme[w], theme[g]) >= 4.5 for w in words for g in ("paper", "shade")), theme
        assert all(contrast(theme[f"s{i}"], theme["paper"]) >= 4.5 for i in range(8)), theme


def png(width: int, height: int) -> bytes:
    """A picture's bytes."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, format="PNG")
    return file.getvalue()


def read(files: Files) -> str:
    """A page's words."""
    html = re.sub(r"<(script|style).*?</\1>", "", files.page.read_text(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_the_page_says_what_came_out_and_what_it_took(files: Files) -> None:
    text = read(files)
    assert "lora has the best worst-group accuracy, 0.850" in text
    assert "adapt 1 2.00 1.00 4.00 2.00" in text  # a job of two hours, one of a processor, on two GPUs
    assert "results/<script>" in text and "list them under replicates in the config" in text
    assert "The score is the probability of its own group's prompt" in text
    assert "On the images of clustered train clustered, clustered-groupdro." in text
    assert "4 kept images of each are shown at most: 1 of them is the one closest to a training image" in text
    assert "8 of 12 kept, 4 shown; near copies: 1 of 8 kept, 12.5 % (among real images 6.2 %)" in text
    assert "near copies: 0 of 2 kept," not in text  # too few real ones to tell
    assert "Images This page holds training images with their file names" in text
    assert "cluster 0 of a, whose generators draw for this group" in text
    assert "lora, generators of a: training loss" in text and "cluster 0 from 1 to 0.25." in text


def test_images_keep_their_room_and_are_there_on_paper(files: Files) -> None:
    texts = [files.page.read_text(), *(path.read_text() for path in files.assets if path.suffix == ".html")]
    tags = [tag for text in texts for tag in re.findall(r"<img[^>]*>", text) if "src=" in tag]
    assert len(tags) > 20
    assert all("width=" in tag and "height=" in tag and "lazy" not in tag for tag in tags)
    size = re.search(r" width=.* height=.*", render([Picture(png(20, 10), "x")], "x"))
    assert size and size[0].startswith(' width="20" height="10"')


def test_the_page_names_each_version_once_and_a_call_that_works_everywhere(files: Files) -> None:
    text = read(files)
    assert text.count(f"fairgen {__version__}") == 1
    assert "call fairgen run --configfile … -- results/" in text and "snakemake …" not in text


def test_the_same_inputs_make_the_same_page(files: Files, tmp_path: Path) -> None:
    again = replace(files, page=tmp_path / "report.html")
    work(SETTINGS, again)
    assert again.page.read_bytes() == files.page.read_bytes()


def test_fewer_images_are_shown_where_they_would_not_fit(files: Files, tmp_path: Path) -> None:
    size = len(files.page.read_bytes())
    small = replace(files, page=tmp_path / "report.html")
    work(replace(SETTINGS, megabytes=0.1), small)
    images = re.findall(r"data:image/\w+;base64,[\w+/=]+", small.page.read_text())
    assert sum(map(len, images)) <= 100_000 < size
    assert "(the 4 that browse.images asks for would take more than browse.megabytes : 0.1)" in read(small)


def test_a_page_that_is_larger_than_asked_says_so(
    files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "more than browse.megabytes" not in read(files).partition("fairgen 0.")[2]
    small = replace(files, page=tmp_path / "report.html")
    work(replace(SETTINGS, megabytes=0.01), small)
    size = len(small.page.read_bytes()) / 1e6
    assert size > 0.01
    assert f"This page takes {size:.1f} MB, more than browse.megabytes (0.01)" in read(small).replace(
        " )", ")"
    )
    assert f"the page takes {size:.1f} MB, more than browse.megabytes (0.01)" in caplog.text


def test_without_generators_real_images_are_left(files: Files, tmp_path: Path) -> None:
    made = {"page": tmp_path / "report.html", "trained": str(tmp_path)}
    settings, bare = looked_at.without_generators(replace(files, **made))
    work(settings, bare)
    assert "No compared method draws images." in read(bare)
    assert bare.page.read_text().count('data-real="') == 4 + 2
    assert 'id="curves"' not in bare.page.read_text()  # nor is there any training


def test_a_group_of_which_no_image_was_kept_says_so(tmp_path: Path) -> None:
    found = looked_at.written(tmp_path)
    rows = parquet.read(found.selections[0]).to_pylist()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["kept"] = [row["kept"] and row["group"] == "a" for row in rows]
    columns["reason"] = ["" if kept else "over quota" for kept in columns["kept"]]
    parquet.write(found.selections[0], columns)
    work(SETTINGS, found)
    assert "lora 0 of 3 kept, 0 shown; near copies: no image was kept" in read(found)


def test_a_method_without_others_is_not_ahead_of_all(files: Files, tmp_path: Path) -> None:
    tables = [table(tmp_path, *one) for one in (("x", 0.9, ALONE), ("y", 0.9, BEATEN))]
    made = replace(files, replicates=tables, page=tmp_path / "report.html")
    work(*looked_at.without_generators(made))
    assert "vanilla 0.700 (0.675 – 0.725) no other method is ranked" in read(made)
    assert read(made).count("ahead of all") == 1


def test_trainings_that_the_inputs_do_not_come_from_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = looked_at.written(tmp_path)
    for sources, shown in (("ada other", True), ("other", False)):
        monkeypatch.setattr(lineage, "current", lineage.Lineage(hash="ada"))
        looked_at.write_trained(tmp_path)
        monkeypatch.setattr(lineage, "current", lineage.Lineage(hash="page", sources=sources))
        work(SETTINGS, found)
        assert ("lora, generators of a: training loss" in read(found)) is shown


def test_an_image_that_has_changed_since_is_not_shown(tmp_path: Path) -> None:
    found = looked_at.written(tmp_path)
    Image.new("RGB", (40, 60)).save(tmp_path / COPY[1])
    with pytest.raises(FairgenError, match=rf"{COPY[1]}: the image has changed since it was indexed"):
        work(SETTINGS, found)
    (tmp_path / COPY[1]).unlink()
    with pytest.raises(FairgenError, match="the image is gone since it was indexed"):
        work(SETTINGS, found)


def test_closest_images_of_other_samples_are_refused(files: Files) -> None:
    swapped = replace(files, nearest=files.nearest[::-1])
    with pytest.raises(FairgenError, match=r"nearest.parquet: it says nothing of a/0/1; delete it"):
        work(SETTINGS, swapped)
