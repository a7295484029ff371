"""`nmt verify`: hold every file of a data directory, a run or a model against its checksum."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path

from nmt_cli.commands.info import printable, size_in_words
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.verification import Examination, Part, examine


def run(path: Path, json: bool) -> None:
    """Say what was checked. Raises UserError: USAGE for another path, INTEGRITY naming each damaged file."""
    found = examine(path)
    if json:
        print(json_format.dumps(found.as_dict(), indent=2))
    else:
        for part in found.parts:
            print(printable(describe(part, found)))
    sys.stdout.flush()
    if found.problems:
        what = f"{path}: damaged:\n  " + "\n  ".join(map(printable, found.problems))
        raise UserError(what, "copy these files again, or make them anew", Exit.INTEGRITY)


def describe(part: Part, whole: Examination) -> str:
    """One line: what was checked, and how it is."""
    name = part.path.relative_to(whole.path).as_posix()
    if not part.files and not part.problems:
        return f"{name}: readable; it carries no checksum"
    state = "DAMAGED" if part.problems else "intact"
    files = "1 file" if part.files == 1 else f"{part.files} files"
    return f"{whole.kind if name == '.' else name}: {state}; {files}, {size_in_words(part.bytes)}, SHA-256 right"
