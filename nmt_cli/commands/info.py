"""`nmt info`: say what a data directory, a run or a model is, and which of its files are damaged."""

from __future__ import annotations

import json as json_format
import sys
import unicodedata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt_cli.commands.prepare_report import show_report
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.report import Facts, describe, flat_rows

REPORTED = {"train", "valid", "notes", "warnings"}  # what `nmt prepare` writes; a stranger's report may be anything


def run(path: Path, json: bool) -> None:
    """Write the report to stdout. Raises UserError: USAGE for another path, INTEGRITY when files are damaged."""
    facts = describe(path)
    if json:
        print(json_format.dumps(facts, indent=2, ensure_ascii=False))
    else:
        show(facts)
    sys.stdout.flush()
    if facts["problems"]:
        what = f"{path}: damaged:\n  " + "\n  ".join(facts["problems"])
        raise UserError(what, "copy the files again, or make them anew", Exit.INTEGRITY)


def show(facts: Facts) -> None:
    """One table of names and values for each section."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{facts['kind']} {printable(facts['path'])}", style="bold"))
    told = {"kind", "path", "problems"}
    if facts["kind"] == "data" and facts["contents"].keys() >= REPORTED and not facts["problems"]:
        console.print()
        show_report(facts["contents"], console)
        told.add("contents")
    for title, section in facts.items():
        if title in told:
            continue
        rows = flat_rows({title: section})
        if not rows:
            continue
        table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(printable(name.partition(".")[2] or name)), Text(in_words(name, value)))
        console.print()
        console.print(table)


def in_words(name: str, value: Any) -> str:
    """A value as people read it: thousands apart, sizes with their unit."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return size_in_words(value) if name.endswith("bytes") else f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def size_in_words(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def printable(text: str) -> str:
    """The text without control characters, so that a stranger's file cannot steer the terminal."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
