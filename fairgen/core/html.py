"""Markdown as a self-contained HTML page, for the report.

HTML, links and images are switched off in the rendering, so that no label or file name can inject markup.
"""

from html import escape

from markdown_it import MarkdownIt

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem } h3 { font-size: 1rem }
table { border-collapse: collapse; margin: .5rem 0; display: block; overflow-x: auto }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #d8dee4 }
th { text-align: left; background: #f3f5f7 } td { font-variant-numeric: tabular-nums; overflow-wrap: break-word }
code { background: #f3f5f7; padding: 0 .2rem }
"""


def render(markdown: str, title: str) -> str:
    """One self-contained HTML page; HTML, links and images in the source stay text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])
    body = reader.render(markdown)
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style></head>'
    )
    return f"{head}<body>{body}</body></html>\n"
