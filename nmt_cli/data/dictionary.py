"""A dictionary as a file: a word, a tab and its translation on each line."""

from __future__ import annotations

from pathlib import Path

from nmt_cli.data.lines import display, is_blank, open_bytes, read_lines
from nmt_cli.data.tally import excerpt
from nmt_cli.errors import Exit, UserError


def read_dictionary(path: Path) -> dict[str, str]:
    """Translations by word; of several for a word the first. Blank lines are passed over.

    Raises UserError (DATA) naming the line that has no tab, or nothing on one side of it.
    """
    name = display(str(path))
    found: dict[str, str] = {}
    with open_bytes(str(path)) as stream:
        for number, line in enumerate(read_lines(stream, name), start=1):
            word, _, translation = (" ".join(part.split()) for part in line.partition("\t"))
            if is_blank(line):
                continue
            if not word or not translation:
                what = f"{name}:{number}: not a word, a tab and its translation: {excerpt(line)}"
                raise UserError(what, "for example: chien<tab>dog", Exit.DATA)
            found.setdefault(word, translation)
    return found
