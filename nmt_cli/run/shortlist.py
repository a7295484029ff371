"""The part of the target vocabulary that a batch needs: what its sentences' source pieces are likely to become.

Search and scoring then know these pieces by their places in the shortlist, and a sentence uses, and is normalised
over, its own alone: what is found for it does not depend on the sentences beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.batch import EOS
from nmt_cli.data.lexicon import LIKELY
from nmt_cli.data.store import Sentences
from nmt_cli.run.reading import Sentence

SPECIAL = EOS + 1  # pieces that every sentence may use, in their own places
SMALLEST = 512  # pieces in the smallest shape


class Narrowed(NamedTuple):
    """A batch and its shortlist of U pieces."""

    sentences: list[Sentence]  # with places in the shortlist for target ids
    places: NDArray[np.int64]  # [V], of each piece; -1 where it is not in the shortlist
    ids: NDArray[np.int32]  # [U], the special pieces first; PAD at the end, where there are fewer
    allowed: NDArray[np.bool_]  # [C U]: which of them each sentence may use


class Shortlist:
    """Which target pieces may be in a translation: the likely ones of its source's pieces, and the frequent ones.

    With several models, these are what any of their lexicons has.
    """

    def __init__(self, lexicons: Sequence[Sentences], target_size: int) -> None:
        self.target_size = target_size
        # [source pieces, L], PAD where there are fewer
        self.likely = np.concatenate([own.padded(np.arange(len(own)), LIKELY) for own in lexicons], axis=1)
        self.frequent = np.unique(np.concatenate([own[EOS] for own in lexicons]))

    def narrow(self, group: Sequence[Sentence], rows: int, written: Sequence[Sequence[int]] | None = None) -> Narrowed:
        """The shortlist of a batch, in the smallest shape that holds it. What is asked of a sentence can be had.

        rows: C; those after the sentences are fillers. written: further ids that each sentence may use.
        """
        allowed = np.zeros((rows, self.target_size), bool)
        allowed[:, :SPECIAL] = True
        allowed[: len(group), self.frequent] = True
        lengths = [len(sentence.ids) for sentence in group]
        sources = np.fromiter((id for sentence in group for id in sentence.ids), np.int64, sum(lengths))
        allowed[np.repeat(np.arange(len(group)), lengths)[:, None], self.likely[sources]] = True
        for row, sentence in enumerate(group):
            for wanted in (sentence.prefix, *sentence.required, written[row] if written else ()):
                allowed[row, list(wanted)] = True
        ids = self.fitted(np.flatnonzero(allowed.any(axis=0)))
        places = np.full(self.target_size, -1)
        places[ids[::-1]] = np.arange(len(ids))[::-1]  # of PAD the first
        chosen = allowed[:, ids]
        chosen[:, 1:][:, ids[1:] == 0] = False
        return Narrowed([placed(sentence, places) for sentence in group], places, ids.astype(np.int32), chosen)

    def fitted(self, used: NDArray[Any]) -> NDArray[Any]:
        """These pieces and PAD after them, so many as a shape has; the whole vocabulary where that is no more."""
        size = SMALLEST
        while size < len(used):  # in steps of a quarter of the power of two below
            size += 1 << (size.bit_length() - 3)
        return np.arange(self.target_size) if size >= self.target_size else np.pad(used, (0, size - len(used)))


def placed(sentence: Sentence, places: NDArray[np.int64]) -> Sentence:
    """The sentence with places for target ids. A phrase that cannot be written need not be forbidden."""
    if not (sentence.prefix or sentence.required or sentence.forbidden):
        return sentence
    prefix, *phrases = ([int(places[id]) for id in ids] for ids in (sentence.prefix, *sentence.required))
    forbidden = [[int(places[id]) for id in ids] for ids in sentence.forbidden]
    return sentence._replace(prefix=prefix, required=phrases, forbidden=[ids for ids in forbidden if min(ids) >= 0])
