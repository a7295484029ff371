"""What one side of the encoded corpus looks like: tokens, unknowns, lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nmt_cli.batch import SPECIAL_PIECES, UNK

BIN = 10  # pieces; the width of a bar of the histogram
LAST_BIN = 10  # from this bar on all are one
GATHERED = 4096  # sentences summed up at a time


class Side:
    """Sums over the sentences of one language."""

    def __init__(self, vocabulary_size: int) -> None:
        self.sentences = 0
        self.with_unknown = 0
        self.lengths: Counter[int] = Counter()
        self.occurrences = np.zeros(vocabulary_size, np.int64)  # [V]
        self.gathered: list[Sequence[int]] = []

    def add(self, ids: Sequence[int]) -> None:
        """Take in one sentence's ids."""
        self.gathered.append(ids)
        if len(self.gathered) >= GATHERED:
            self.sum_up()

    def sum_up(self) -> None:
        """Move the gathered sentences into the sums."""
        if not self.gathered:
            return
        self.sentences += len(self.gathered)
        self.with_unknown += sum(UNK in ids for ids in self.gathered)
        self.lengths.update(map(len, self.gathered))
        self.occurrences += np.bincount(np.concatenate(self.gathered), minlength=len(self.occurrences))
        self.gathered = []

    def summary(self) -> dict[str, Any]:
        """Sums and shares as JSON: tokens are pieces; `covered` is the share of sentences without an unknown one."""
        self.sum_up()
        tokens = int(self.occurrences.sum())
        pieces = len(self.occurrences) - len(SPECIAL_PIECES)
        used = int(np.count_nonzero(self.occurrences[len(SPECIAL_PIECES) :]))
        return {
            "tokens": tokens,
            "mean_length": round(tokens / max(self.sentences, 1), 2),
            "longest": max(self.lengths, default=0),
            "unknown": round(int(self.occurrences[UNK]) / max(tokens, 1), 6),
            "covered": round(1 - self.with_unknown / max(self.sentences, 1), 6),
            "vocabulary": len(self.occurrences),
            "vocabulary_used": round(used / max(pieces, 1), 6),
            "lengths": self.histogram(),
        }

    def histogram(self) -> dict[str, int]:
        """Sentences by length in pieces: "1-10", "11-20", ..., "101-"."""
        bars = [0] * (LAST_BIN + 1)
        for length, sentences in self.lengths.items():
            bars[min(max(length - 1, 0) // BIN, LAST_BIN)] += sentences
        names = [f"{bar * BIN + 1}-{(bar + 1) * BIN}" for bar in range(LAST_BIN)] + [f"{LAST_BIN * BIN + 1}-"]
        return dict(zip(names, bars, strict=True))
