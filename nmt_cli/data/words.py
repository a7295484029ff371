"""Words of raw text: what stands between white space. Which word a piece lies in, and which words belong together."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]  # start and end in characters, the end excluded

NO_WORD = -1  # of a piece of white space, and of the end of the sentence


def words(text: str) -> list[Span]:
    """Where each word of a text starts and ends."""
    return [match.span() for match in re.finditer(r"\S+", text)]


def words_of(pieces: Sequence[Span], words: Sequence[Span]) -> list[int]:
    """The number of the word that each piece begins in, counted from 0, or NO_WORD."""
    starts = [start for start, _ in words]
    places = [bisect_right(starts, start) - 1 for start, _ in pieces]
    return [
        place if place >= 0 and start < words[place][1] else NO_WORD
        for place, (start, _) in zip(places, pieces, strict=True)
    ]


def align(weights: NDArray[np.float32], source: Sequence[int], target: Sequence[int]) -> list[tuple[int, int]]:
    """For each target word the source word that its pieces looked at most, as (source word, target word).

    weights: [T, S], of each target piece over the source pieces; further rows and columns (the ends) are left aside.
    source, target: the words of the S and T pieces, from `words_of`. Of equal sums the first word counts.
    """
    sums: dict[int, NDArray[np.float32]] = {}
    columns = [column for column, word in enumerate(source) if word != NO_WORD]
    if not columns:
        return []
    into = np.array([source[column] for column in columns])
    for row, word in enumerate(target):
        if word != NO_WORD:
            mass = sums.setdefault(word, np.zeros(into.max() + 1, np.float32))
            np.add.at(mass, into, weights[row, columns])
    return [(int(np.argmax(mass)), word) for word, mass in sorted(sums.items())]
