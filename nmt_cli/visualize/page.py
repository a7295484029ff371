"""The page: one HTML file of a trace, a template, a style sheet, scripts and a table of texts for each language."""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files

from nmt_cli.visualize.packing import packed_json
from nmt_cli.visualize.trace import Trace

LANGUAGES = ("en", "ko")
# In the order in which they are read: each may use what stands before it.
SCRIPTS = (
    *("elements", "vectors", "tokens", "walk", "clock", "transport"),
    *("black_box", "embeddings", "cell", "encoder", "unrolled", "energies", "attention", "decoding", "matrix", "beam"),
    "what_if",
    "walkthrough",
)
FOLDER = files("nmt_cli.visualize") / "page"


def build_page(trace: Trace, language: str = "en") -> str:
    """The whole HTML. Sentences are data in it, never markup. language: what the page is first shown in."""
    title = f"{trace.walks[0].source_text[:60]} → {trace.walks[0].text[:60]}"
    return page_around(packed_json(trace), html.escape(title), language)


def page_around(packed: str, title: str, language: str) -> str:
    """The page of a packed trace. packed, title: escaped already."""
    tables = {name: json.loads(part(f"texts.{name}.json")) for name in LANGUAGES}
    scripts = "\n".join(f"<script>\n{part(name + '.js')}</script>" for name in SCRIPTS)
    pieces = {
        "language": language,
        "title": title,
        "style": part("style.css"),
        "texts": in_script(json.dumps(tables, ensure_ascii=False)),
        "trace": packed,
        "scripts": scripts,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: pieces[match[1]], part("template.html"))


def part(name: str) -> str:
    """A file of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")


def in_script(text: str) -> str:
    """JSON that nothing in a script element can end."""
    return text.replace("<", "\\u003c")
