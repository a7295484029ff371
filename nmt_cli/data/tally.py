"""What happened to lines: counts by reason, with the first places where it did."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field

EXAMPLES = 3  # places kept for each reason
EXCERPT = 80  # characters of a line that a message shows


@dataclass
class Tally:
    """Counts by reason and, for each, the first `EXAMPLES` places as (where, excerpt)."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, reason: str, where: str, text: str = "") -> None:
        """Count one line; where: `file:line`, text: what to quote of it."""
        self.counts[reason] += 1
        places = self.examples.setdefault(reason, [])
        if len(places) < EXAMPLES:
            places.append((where, excerpt(text)))


def excerpt(text: str, length: int = EXCERPT) -> str:
    """The start of a text, fit for a terminal: control and formatting characters show as U+FFFD."""
    shown = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text[:length])
    return shown + "…" if len(text) > length else shown


@dataclass
class Counts:
    """What reading a corpus found out.

    read: pairs seen; dropped: pairs that were left out; altered: lines that were changed; noticed: pairs that are worth
    a word, but kept; warnings: whole sentences.
    """

    read: int = 0
    dropped: Tally = field(default_factory=Tally)
    altered: Tally = field(default_factory=Tally)
    noticed: Tally = field(default_factory=Tally)
    warnings: list[str] = field(default_factory=list)
