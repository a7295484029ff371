"""The report of `nmt prepare`: what was read, dropped, altered, and what the prepared pairs look like, as JSON.

No times and no machine's names: the same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nmt_cli.data.selection import Encoded
from nmt_cli.data.statistics import Side
from nmt_cli.data.tally import Counts, Tally
from nmt_cli.data.tokenizer import Tokenizer

FORMAT = 1


@dataclass
class Part:
    """Training or validation pairs: what reading found, how many pairs are used, and both sides' sums."""

    counts: Counts
    source: Side
    target: Side

    @classmethod
    def of(cls, encoded: Iterable[Encoded], counts: Counts, tokenizers: tuple[Tokenizer, Tokenizer]) -> Part:
        """Sum up pairs as they pass by."""
        part = cls(counts, *(Side(tokenizer.size) for tokenizer in tokenizers))
        for item in encoded:
            part.source.add(item.source)
            part.target.add(item.target)
        return part

    @property
    def pairs(self) -> int:
        """Pairs that are used."""
        self.source.sum_up()
        return self.source.sentences

    def summary(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "read": self.counts.read,
            "pairs": self.pairs,
            "dropped": tally_json(self.counts.dropped),
            "altered": tally_json(self.counts.altered),
            "noticed": tally_json(self.counts.noticed),
            "source": self.source.summary(),
            "target": self.target.summary(),
        }


@dataclass
class Notes:
    """Sentences for the reader: notes say what was decided, warnings what looks wrong."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def tally_json(tally: Tally) -> dict[str, Any]:
    """`{reason: {"count", "examples": [{"where", "text"}]}}`, the most frequent first."""
    return {
        reason: {
            "count": count,
            "examples": [{"where": where, "text": text} for where, text in tally.examples[reason]],
        }
        for reason, count in sorted(tally.counts.items(), key=lambda item: (-item[1], item[0]))
    }


def build_report(
    train: Part, valid: Part | None, tokenizers: tuple[Tokenizer, Tokenizer], notes: Notes
) -> dict[str, Any]:
    """The whole report."""
    source, target = tokenizers
    return {
        "format": FORMAT,
        "train": train.summary(),
        "valid": valid.summary() if valid else None,
        "tokenizer": {
            "kind": source.kind,
            "vocabulary": "joint" if source is target else "separate",
            "source_size": source.size,
            "target_size": target.size,
            "lowercase": source.lowercase,
        },
        "notes": notes.notes,
        "warnings": notes.warnings,
    }
