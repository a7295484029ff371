"""BPE dropout (Provilkov et al. 2020): the training text is cut into pieces anew in every epoch.

A sentence is put together from its ids and cut again with merges left out at random, so lengths change from epoch to
epoch while the shapes of batches may not. So shapes are planned for the longer of two trial cuts. A pair that is too
long for its shape is cut once more, and again; one that never fits keeps, for that epoch, the cut it was prepared with,
which always does. Such pairs are counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.store import Pairs, Sentences
from nmt_cli.data.tokenizer import Tokenizer

TRIALS = 2  # cuts of every sentence that shapes are planned for
TRIES = 4  # cuts of a pair in an epoch before it keeps its usual one: one in fifty does, on Multi30k at 0.1
CHUNK = 10_000  # sentences cut at a time when planning: a ceiling on memory


class Lengths(NamedTuple):
    """Pieces of each pair, int32 [N], without EOS."""

    source_lengths: NDArray[np.int32]
    target_lengths: NDArray[np.int32]


class BpeDropout:
    """Cuts of a corpus, each a pure function of (data_hash, seed, what it is for)."""

    def __init__(
        self, pairs: Pairs, tokenizers: tuple[Tokenizer, Tokenizer], rate: float, data_hash: str, seed: int
    ) -> None:
        """rate: the probability of leaving out a merge. Cuts every sentence TRIALS times: some 14,000 a second."""
        self.pairs, self.tokenizers, self.rate = pairs, tokenizers, rate
        self.material = f"{data_hash} {seed} bpe-dropout"
        self.kept: dict[tuple[int, int], int] = {}  # pairs with the cut they were prepared with, by epoch, batch
        self.room = self.plan()

    def __str__(self) -> str:
        before = self.pairs.source_lengths.sum() + self.pairs.target_lengths.sum()
        more = (self.room.source_lengths.sum() + self.room.target_lengths.sum()) / max(before, 1)
        return (
            f"text is cut anew in every epoch, with room for {more:.2f} times the pieces; "
            "a pair of which a cut does not fit keeps the usual one, and is counted in the log"
        )

    def take_count(self, epoch: int, index: int) -> int:
        """How many pairs before this batch have kept the cut they were prepared with, since this was last asked.

        Batches beyond may be drawn already, by a thread that works ahead.
        """
        return sum(self.kept.pop(place) for place in list(self.kept) if place < (epoch, index))

    def plan(self) -> Lengths:
        """How much room each pair is given: the most pieces of TRIALS cuts and of the one it was prepared with."""
        sides = []
        for side, sentences in enumerate((self.pairs.sources, self.pairs.targets)):
            longest = sentences.lengths.copy()
            for first in range(0, len(longest), CHUNK):
                part = np.arange(first, min(first + CHUNK, len(longest)))
                for trial in range(TRIALS):
                    cuts = self.cut(side, part, f"trial {trial} {first}")
                    longest[part] = np.maximum(longest[part], [len(cut) for cut in cuts])
            sides.append(longest)
        return Lengths(*sides)

    def cut(self, side: int, indices: Sequence[int] | NDArray[np.integer], purpose: str) -> list[list[int]]:
        """The ids of some sentences of the source (side 0) or the target (1), cut for this purpose."""
        sentences = (self.pairs.sources, self.pairs.targets)[side]
        digest = hashlib.sha256(f"{self.material} {side} {purpose}".encode()).digest()
        seed = int.from_bytes(digest[:4], "little") >> 1
        return self.tokenizers[side].recut([sentences[index].tolist() for index in indices], self.rate, seed)

    def draw(
        self, indices: NDArray[np.integer], source_length: int, target_length: int, epoch: int, index: int
    ) -> Pairs:
        """The pairs of batch `index` of an epoch, cut anew where that leaves room for EOS in these lengths."""
        sources = [self.pairs.source(pair).tolist() for pair in indices]
        targets = [self.pairs.target(pair).tolist() for pair in indices]
        pending = list(range(len(indices)))
        for attempt in range(TRIES):
            if not pending:
                break
            cuts = [self.cut(side, indices[pending], f"epoch {epoch} batch {index} try {attempt}") for side in (0, 1)]
            missed = []
            for place, source, target in zip(pending, *cuts, strict=True):
                if len(source) < source_length and len(target) < target_length:
                    sources[place], targets[place] = source, target
                else:
                    missed.append(place)
            pending = missed
        self.kept[epoch, index] = len(pending)
        return Pairs(Sentences.from_lists(sources), Sentences.from_lists(targets))
