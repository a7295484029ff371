"""Which pairs are trained on: a corpus read once into a spool, what is held out of it, duplicates, lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import NamedTuple

import numpy as np

from nmt_cli import config
from nmt_cli.data.column import Column, Repeats, in_order
from nmt_cli.data.corpus import Corpus, Pair, read_pairs
from nmt_cli.data.spool import Spool, hash_pair, hash_text
from nmt_cli.data.tally import Counts
from nmt_cli.data.tokenizer import Tokenizer

DUPLICATE = "the same pair once more"
OVERLAP = "the source is in the validation set too"
NO_PIECES = "nothing left for the tokenizer"
HELD_OUT, HELD_OUT_SHARE, LEAST_TO_HOLD_OUT = 1000, 0.02, 20  # pairs at most; share at most; pairs there must be
ENCODED = 4096  # pairs encoded at a time: enough to keep the cores busy


@dataclass
class Intake:
    """A corpus after its only reading: all of it is on disk, and memory does not grow with its size."""

    spool: Spool
    counts: Counts = field(default_factory=Counts)
    pairs: Column = field(init=False)  # a hash of each
    sources: Column = field(init=False)  # a hash of each pair's source

    def __post_init__(self) -> None:
        self.pairs, self.sources = (Column("Q", self.spool.path.parent) for _ in range(2))

    @cached_property
    def repeats(self) -> Repeats:
        """For each pair, whether it has come before."""
        return Repeats(self.pairs)


class Encoded(NamedTuple):
    """A pair and the ids of both sides, without BOS and EOS."""

    pair: Pair
    source: list[int]
    target: list[int]


def take_in(corpus: Corpus, intake: Intake, known: frozenset[int] = frozenset()) -> Iterator[Pair]:
    """Read a corpus into the intake's spool, passing its pairs on; the intake is complete when they have passed.

    known: hashes of validation sources; pairs whose source is among them are tallied.
    """
    for pair in intake.spool.write(read_pairs(corpus, intake.counts, intake.spool.path.parent)):
        source = hash_text(pair.source)
        intake.pairs.append(hash_pair(pair))
        intake.sources.append(source)
        if source in known:
            intake.counts.noticed.add(OVERLAP, pair.where, pair.source)
        yield pair


def choose_held_out(intake: Intake) -> frozenset[int]:
    """Hashes of the sources to hold out for validation: the smallest ones, which is as good as drawing lots.

    At most 2 % of the pairs and 1000, none of fewer than 20. Only sources that occur once are taken, so that no
    held-out sentence is trained on with another translation.
    """
    if len(intake.spool) < LEAST_TO_HOLD_OUT:
        return frozenset()
    wanted = min(HELD_OUT, max(1, int(len(intake.spool) * HELD_OUT_SHARE)))
    return frozenset(islice(single(intake.sources), wanted))


def single(hashes: Column) -> Iterator[int]:
    """The hashes that occur once, in ascending order."""
    for values, _ in in_order(hashes):
        found, counts = np.unique_counts(values)
        yield from found[counts == 1].tolist()


def divide(pairs: Iterable[Pair], held_out: frozenset[int], wanted: bool) -> Iterator[Pair]:
    """The pairs that are held out (wanted), or those that are not."""
    for pair in pairs:
        if not held_out or (hash_text(pair.source) in held_out) is wanted:
            yield pair


def without_duplicates(intake: Intake, drop: bool, counts: Counts) -> Iterator[Pair]:
    """All pairs of an intake; those that have come before are tallied, and left out if `drop`."""
    for pair, has_come_before in zip(intake.spool, intake.repeats, strict=True):
        if has_come_before:
            (counts.dropped if drop else counts.noticed).add(DUPLICATE, pair.where, pair.source)
        if not (has_come_before and drop):
            yield pair


def encode(pairs: Iterable[Pair], source: Tokenizer, target: Tokenizer) -> Iterator[Encoded]:
    """Pairs with their ids, in order; SentencePiece spreads each batch over the cores."""
    pairs = iter(pairs)
    while batch := list(islice(pairs, ENCODED)):
        source_ids = source.encode([pair.source for pair in batch])
        target_ids = target.encode([pair.target for pair in batch])
        yield from map(Encoded, batch, source_ids, target_ids)


def with_pieces(encoded: Iterable[Encoded], counts: Counts) -> Iterator[Encoded]:
    """Pairs that have at least one piece on both sides; the others are tallied and left out."""
    for item in encoded:
        if item.source and item.target:
            yield item
        else:
            counts.dropped.add(NO_PIECES, item.pair.where, item.pair.source if item.target else item.pair.target)


def fitting(encoded: Iterable[Encoded], data: config.Data, counts: Counts) -> Iterator[Encoded]:
    """Pairs within `data.max_length` and `data.max_ratio`; the others are tallied and left out."""
    too_long = f"longer than {data.max_length} pieces (data.max_length)"
    lopsided = f"one side has more than {data.max_ratio:g} times the pieces of the other (data.max_ratio)"
    for item in encoded:
        shorter, longer = sorted((len(item.source), len(item.target)))
        if longer > data.max_length:
            text = item.pair.source if len(item.source) == longer else item.pair.target
            counts.dropped.add(too_long, item.pair.where, text)
        elif longer > data.max_ratio * shorter:
            counts.dropped.add(lopsided, item.pair.where, f"{item.pair.source} | {item.pair.target}")
        else:
            yield item
