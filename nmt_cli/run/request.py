"""What is asked of the search, and the few shapes in which sentences are given to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nmt_cli import config
from nmt_cli.errors import UserError
from nmt_cli.run.reading import Sentence

# Least sentences and least hypotheses in a shape: a processor computes the products of fewer in another way, which
# rounds bfloat16 differently, and then a translation could depend on how many lines came with it.
FEWEST = 4
WAITING = 16  # sentences for each row, in the largest shape: all but one of them wait for a row that is done
ENCODED = 64  # sentences that a processor encodes at a time: what is computed of more does not fit its caches
SHORTEST_SHAPE = 8  # pieces
MOST_HYPOTHESES = 160  # of a batch at a time: more do not fit the caches of a core (measured)
MOST_TOKENS = 1 << 14  # of the source, padding included, that are encoded at a time


class Request(NamedTuple):
    """How lines are to be translated."""

    search: config.Search
    n_best: int
    with_weights: bool

    @classmethod
    def checked(cls, search: config.Search, n_best: int, with_weights: bool) -> Request:
        """Raises UserError where there cannot be so many translations of a line."""
        request = cls(search, n_best, with_weights)
        if n_best > request.width or n_best < 1:
            what, fix = {
                "beam": ("a beam at least as wide", f"try --beam {n_best}"),
                "mbr": ("at least as many samples", f"try --set search.samples={n_best}"),
                "sample": ("a sample each", "ask for at least one"),
            }[search.method]
            raise UserError(f"{n_best} translations of each line need {what}", fix)
        return request

    @property
    def width(self) -> int:
        """Hypotheses of a line at a time."""
        return {"beam": self.search.beam, "sample": self.n_best, "mbr": self.search.samples}[self.search.method]

    @property
    def rows(self) -> int:
        """Lines translated at a time."""
        return max(-(-FEWEST // self.width), min(self.search.batch_size, MOST_HYPOTHESES // self.width))

    def source_shape(self, length: int) -> int:
        """S: what a source of so many ids is padded to."""
        return padded_length(length, self.search.max_length + 1)

    def most(self, length: int) -> int:
        """Most sentences that are given to the search at a time, padded to this length."""
        if self.with_weights:  # they are recorded for all who wait, too
            return max(FEWEST, self.rows)
        encoded = MOST_TOKENS // length // ENCODED * ENCODED  # the last part is a whole one
        return max(FEWEST, min(WAITING * self.rows, max(self.rows, encoded)))

    def sentence_count(self, group: Sequence[Sentence]) -> int:
        """C of a batch."""
        return row_count(len(group), self.most(self.source_shape(longest_source(group))))


def longest_source(group: Sequence[Sentence]) -> int:
    """Ids in the longest source."""
    return max(len(sentence.ids) for sentence in group)


def most_pieces(sentence: Sentence, asked: config.Search) -> int:
    """Most pieces in the translation of a sentence, without EOS; what must be in it comes on top."""
    own = len(sentence.prefix) + sum(map(len, sentence.required))
    return longest_translation(len(sentence.ids), asked) + own


def longest_translation(length: int, search: config.Search) -> int:
    """Most pieces in the translation of a source of this length, both without EOS but the source's counted."""
    longest = math.ceil(search.max_ratio * (length - 1)) + 10
    return max(min(longest, search.max_output or longest), search.min_output)


def row_count(lines: int, most: int) -> int:
    """Sentences in the smallest shape that holds this many lines: a few, or as many as may wait for all rows.

    A shape between would hardly be faster than the largest, whose fillers take no row; and each costs a program.
    """
    return FEWEST if lines <= FEWEST else most


def padded_length(length: int, most: int | None = None) -> int:
    """The length a sequence is padded to: 8, 16, 24, 32, 48, 64, 96, 128 ... but not above `most`."""
    shape = SHORTEST_SHAPE
    while shape < length:
        power = 1 << (shape.bit_length() - 1)
        shape = power * 2 if shape > power or shape == SHORTEST_SHAPE else power * 3 // 2
    return shape if most is None else min(shape, most)
