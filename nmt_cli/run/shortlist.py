"""The part of the target vocabulary that each sentence needs: what its source pieces are likely to become.

Search and scoring then know a piece by its place among the sentence's own, and a sentence is normalised over these
alone: what is found for it does not depend on the sentences beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.batch import EOS, PAD
from nmt_cli.data.lexicon import LIKELY
from nmt_cli.data.store import Sentences
from nmt_cli.run.reading import Sentence

SPECIAL = EOS + 1  # pieces that every sentence may use, in their own places
SMALLEST = 192  # pieces in the smallest shape; sentences of a dozen words have 120 (Multi30k), at most 180


class Narrowed(NamedTuple):
    """A batch and the pieces that its sentences may use."""

    sentences: list[Sentence]  # with places among their own for target ids
    written: list[list[int]]  # places of the further ids that each may use
    own: NDArray[np.int32]  # [C U], ids in ascending order, the special pieces first; PAD after the last


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
        """The shortlists of a batch, in the smallest shape that holds them. What is asked of a sentence can be had.

        rows: C; those after the sentences are fillers. written: further ids that each sentence may use.
        """
        further = written or [[]] * len(group)
        allowed = np.zeros((rows, self.target_size), bool)
        allowed[:, :SPECIAL] = True
        allowed[: len(group), self.frequent] = True
        lengths = [len(sentence.ids) for sentence in group]
        sources = np.fromiter((id for sentence in group for id in sentence.ids), np.int64, sum(lengths))
        allowed[np.repeat(np.arange(len(group)), lengths)[:, None], self.likely[sources]] = True
        for row, sentence in enumerate(group):
            for wanted in (sentence.prefix, *sentence.required, further[row]):
                allowed[row, list(wanted)] = True
        counts = np.sum(allowed, axis=1)
        own = np.full((rows, fitted(int(counts.max()))), PAD, np.int32)
        own[np.arange(own.shape[1]) < counts[:, None]] = np.nonzero(allowed)[1]
        kept = [ids[:count] for ids, count in zip(own, counts, strict=True)][: len(group)]
        return Narrowed(
            [placed(sentence, ids) for sentence, ids in zip(group, kept, strict=True)],
            [places(ids, own) for ids, own in zip(further, kept, strict=True)],
            own,
        )


def fitted(count: int) -> int:
    """U: places in the smallest shape that holds so many pieces."""
    return SMALLEST if count <= SMALLEST else 1 << (count - 1).bit_length()


def placed(sentence: Sentence, own: NDArray[np.int32]) -> Sentence:
    """The sentence with places for target ids. A phrase that cannot be written need not be forbidden."""
    if not (sentence.prefix or sentence.required or sentence.forbidden):
        return sentence
    known = set(own.tolist())
    return sentence._replace(
        prefix=places(sentence.prefix, own),
        required=[places(phrase, own) for phrase in sentence.required],
        forbidden=[places(phrase, own) for phrase in sentence.forbidden if known.issuperset(phrase)],
    )


def places(ids: Sequence[int], own: NDArray[np.int32]) -> list[int]:
    """Where ids stand among a sentence's own."""
    found: list[int] = np.searchsorted(own, np.asarray(ids, np.int64)).tolist()
    return found
