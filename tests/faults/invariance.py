"""Does a translation depend on the lines beside it? `python -m tests.faults.invariance MODEL FILE` counts.

Every line is translated in batches of several sizes and orders, each of which pads it differently.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from nmt_cli.run.translator import Translator

BATCH_SIZES = (1, 7, 64)
TOLERANCE = 1e-5  # of a score; sums of another order differ in their last bits


def orders(lines: list[str]) -> Iterator[list[int]]:
    """Sorted by length, reversed, shuffled."""
    by_length = sorted(range(len(lines)), key=lambda line: len(lines[line]))
    yield by_length
    yield by_length[::-1]
    yield random.Random(0).sample(by_length, len(by_length))


def compare(translator: Translator, lines: list[str], sizes: tuple[int, ...] = BATCH_SIZES) -> tuple[int, int]:
    """Of how many hypotheses text and score are those of the line in its own order, and how many there were."""
    expected = translator.translate(lines)
    same = count = 0
    for size in sizes:
        for order in orders(lines):
            found = translator.translate([lines[line] for line in order], batch_size=size)
            for line, translation in zip(order, found, strict=True):
                is_same = translation.text == expected[line].text
                same += is_same and abs(translation.score - expected[line].score) <= TOLERANCE
                count += 1
    return same, count


if __name__ == "__main__":
    text = Path(sys.argv[2]).read_text(encoding="utf-8").split("\n")[:-1]
    print("{} of {} hypotheses the same".format(*compare(Translator.load(sys.argv[1], "cpu"), text)))
