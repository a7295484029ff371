"""Byte-pair encoding with merges left out at random (Provilkov et al. 2020, algorithm 1).

SentencePiece has this too, but its random numbers differ from process to process whatever the seed (0.2.3): training
that was killed and resumed would go on with other cuts.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby


class Merges:
    """The merges of a vocabulary: two neighbours become one where that is a piece too, the likeliest piece first."""

    def __init__(self, pieces: Mapping[int, tuple[str, float]]) -> None:
        """pieces: text and score of every id that is made of characters; a merge comes before those of lower score."""
        self.texts = {id: text for id, (text, _) in pieces.items()}
        self.ids = {text: id for id, text in self.texts.items()}
        self.ranks = {text: -score for text, score in pieces.values()}

    def recut(self, ids: Sequence[int], rate: float, random: Callable[[], float]) -> list[int]:
        """Other ids of the same text: each merge is left out where `random()` in [0, 1) is below `rate`.

        What is no piece (unknown, bytes) stays, and so does a stretch with a character that has no piece of its own.
        """
        made: list[int] = []
        for is_text, stretch in groupby(ids, self.texts.__contains__):
            own = list(stretch)
            text = "".join(map(self.texts.__getitem__, own)) if is_text else ""
            can_be_cut = is_text and all(character in self.ids for character in text)
            made += map(self.ids.__getitem__, self.cut(text, rate, random)) if can_be_cut else own
        return made

    def cut(self, text: str, rate: float, random: Callable[[], float]) -> Iterator[str]:
        """The pieces of a text, each of whose characters is a piece."""
        symbols, end = list(text), len(text)  # merged into the left one; the right one is then empty
        before, after = list(range(-1, end - 1)), list(range(1, end + 1))
        waiting: list[tuple[float, int, str]] = []  # rank, place of the left one, what both make

        def propose(left: int) -> None:
            if left >= 0 and after[left] < end:
                both = symbols[left] + symbols[after[left]]
                if both in self.ranks:
                    heapq.heappush(waiting, (self.ranks[both], left, both))

        for left in range(end):
            propose(left)
        while waiting:
            _, left, both = heapq.heappop(waiting)
            right = after[left]
            is_there = symbols[left] and right < end and symbols[left] + symbols[right] == both
            if not is_there or random() < rate:
                continue
            symbols[left], symbols[right] = both, ""
            after[left] = after[right]
            if after[left] < end:
                before[after[left]] = left
            propose(before[left])
            propose(left)
        return filter(None, symbols)
