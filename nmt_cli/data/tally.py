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


def excerpt(text: str) -> str:
    """The start of a text, fit for a terminal: control and formatting characters show as U+FFFD."""
    shown = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text[:EXCERPT])
    return shown + "…" if len(text) > EXCERPT else shown
