"""What commands tell the user beside their result, on stderr."""

from __future__ import annotations

import sys

from nmt_cli.data.tally import Tally


def note(text: str) -> None:
    """Say a line."""
    print(f"nmt: {text}", file=sys.stderr, flush=True)


def no_note(text: str) -> None:
    """What --quiet puts in the place of `note`."""


def note_tally(tally: Tally) -> None:
    """Say how many lines were altered, why, and where the first of them is."""
    for reason, count in tally.counts.items():
        note(f"{plural(count)}: {reason} (first at {tally.examples[reason][0][0]})")


def plural(count: int) -> str:
    """So many lines, in words: "1 line", "2,000 lines"."""
    return "1 line" if count == 1 else f"{count:,} lines"
