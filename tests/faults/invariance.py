"""Does a translation depend on the lines beside it? `python -m tests.faults.invariance MODEL FILE PRECISION` counts.

Every line is translated in batches of several sizes and orders, and beside a line so long that all others are padded.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nmt_cli.run.translation import Translation
from nmt_cli.run.translator import Translator

BATCH_SIZES = (1, 7, 64)
TOLERANCE = 1e-5  # of a score; sums of another order differ in their last bits
LONG = 12  # lines that make the long one


class Same(NamedTuple):
    """Of how many hypotheses text and score are those of the line in its file."""

    texts: int
    scores: int
    of: int

    def __str__(self) -> str:
        return f"{self.texts:,} of {self.of:,} texts the same, {self.scores:,} with the same score"


def orders(lines: list[str]) -> Iterator[list[int]]:
    """Sorted by length, reversed, shuffled."""
    by_length = sorted(range(len(lines)), key=lambda line: len(lines[line]))
    yield by_length
    yield by_length[::-1]
    yield random.Random(0).sample(by_length, len(by_length))


def ways(translator: Translator, lines: list[str], precision: str) -> Iterator[tuple[int, Translation]]:
    """Numbers of lines, each with a translation of it."""
    for size in BATCH_SIZES:
        for order in orders(lines):
            given = [lines[line] for line in order]
            yield from zip(order, translator.translate(given, batch_size=size, precision=precision), strict=True)
    long = " ".join(lines[:LONG])
    for size in BATCH_SIZES[1:]:
        for first in range(0, len(lines), size - 1):
            given = [*lines[first : first + size - 1], long]
            found = translator.translate(given, batch_size=size, precision=precision)[:-1]
            yield from enumerate(found, start=first)


def compare(translator: Translator, lines: list[str], precision: str) -> Same:
    """Each line translated in every way, against the file as it is."""
    expected = translator.translate(lines, precision=precision)
    texts = scores = count = 0
    for line, translation in ways(translator, lines, precision):
        is_same = translation.text == expected[line].text
        texts += is_same
        scores += is_same and abs(translation.score - expected[line].score) <= TOLERANCE
        count += 1
    return Same(texts, scores, count)


if __name__ == "__main__":
    text = Path(sys.argv[2]).read_text(encoding="utf-8").split("\n")[:-1]
    print(compare(Translator.load(sys.argv[1], "cpu"), text, sys.argv[3]))
