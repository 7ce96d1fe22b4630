"""Markdown as a self-contained HTML page, for the report.

HTML, links and images are switched off in the rendering, so that no label or file name can inject markup.
Pictures come beside the Markdown, as bytes of a file of ours, and are embedded. A page's style holds inside
its `main` alone, so that a page can stand inside another one.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt

STYLE = """
main { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24 }
main { margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
main h1 { font-size: 1.5rem } main h2 { font-size: 1.2rem; margin-top: 2rem } main h3 { font-size: 1rem }
main table { border-collapse: collapse; margin: .5rem 0; display: block; overflow-x: auto }
main :is(th, td) { padding: .25rem .6rem; border-bottom: 1px solid #d8dee4 }
main th { text-align: left; background: #f3f5f7 }
main td { font-variant-numeric: tabular-nums; overflow-wrap: break-word }
main code { background: #f3f5f7; padding: 0 .2rem }
main img { display: block; max-width: 100%; height: auto; margin: 1rem 0 }
"""


@dataclass(frozen=True)
class Picture:
    """A PNG that a stage has drawn, with the words that stand for it where it cannot be seen."""

    png: bytes
    words: str


def render(parts: str | Sequence[str | Picture], title: str) -> str:
    """One self-contained HTML page of Markdown, or of Markdown and pictures in turn.

    HTML, links and images in the Markdown stay text.
    """
    body = "".join(
        _embedded(p) if isinstance(p, Picture) else fragment(p)
        for p in ([parts] if isinstance(parts, str) else parts)
    )
    head = (
        '<!doctype html><html lang="en"><head><meta'
        ' charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    return f"{head}<body><main>{body}</main></body></html>\n"


def fragment(markdown: str) -> str:
    """HTML of some Markdown, whose own HTML, links and images stay text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])
    return reader.render(markdown)


def _embedded(picture: Picture) -> str:
    shown = escape(picture.words)
    data = b64encode(picture.png).decode()
    return f'<img alt="{shown}"{_size(picture.png)} src="data:image/png;base64,{data}">'


def _size(png: bytes) -> str:
    """The width and height of a PNG, which its first chunk begins with, so that a page keeps room for it."""
    if png[:8] != b"\x89PNG\r\n\x1a\n":
        return ""
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    return f' width="{width}" height="{height}"'
