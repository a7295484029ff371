"""Which pairs are trained on: a corpus read once into a spool, what is held out of it, duplicates, lengths."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from nmt_cli import config
from nmt_cli.data.corpus import Corpus, Pair, read_pairs
from nmt_cli.data.spool import Hashes, Spool, hash_pair, hash_text, repeated, single
from nmt_cli.data.tally import Counts
from nmt_cli.data.tokenizer import Tokenizer

DUPLICATE = "the same pair once more"
OVERLAP = "the source is in the validation set too"
NO_PIECES = "nothing left for the tokenizer"
HELD_OUT, HELD_OUT_SHARE, LEAST_TO_HOLD_OUT = 1000, 0.02, 20  # pairs at most; share at most; pairs there must be
ENCODED = 4096  # pairs encoded at a time: enough to keep the cores busy


@dataclass
class Intake:
    """A corpus after its only reading. Two sorted hashes a pair, 16 bytes, are what grows with its size."""

    spool: Spool
    counts: Counts = field(default_factory=Counts)
    pairs: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    sources: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))


class Encoded(NamedTuple):
    """A pair and the ids of both sides, without BOS and EOS."""

    pair: Pair
    source: list[int]
    target: list[int]


def take_in(corpus: Corpus, intake: Intake, known: Hashes) -> Iterator[Pair]:
    """Read a corpus into the intake's spool, passing its pairs on; the intake is complete when they have passed.

    known: hashes of validation sources; pairs whose source is among them are tallied.
    """
    pairs, sources, known_sources = array("Q"), array("Q"), frozenset(known.tolist())
    for pair in intake.spool.write(read_pairs(corpus, intake.counts)):
        source = hash_text(pair.source)
        pairs.append(hash_pair(pair))
        sources.append(source)
        if source in known_sources:
            intake.counts.noticed.add(OVERLAP, pair.where, pair.source)
        yield pair
    for name, hashes in (("pairs", pairs), ("sources", sources)):
        in_order = np.frombuffer(hashes, np.uint64)
        in_order.sort()  # in place
        setattr(intake, name, in_order)


def choose_held_out(intake: Intake) -> frozenset[int]:
    """Hashes of the sources to hold out for validation: the smallest ones, which is as good as drawing lots.

    At most 2 % of the pairs and 1000, none of fewer than 20. Only sources that occur once are taken, so that no
    held-out sentence is trained on with another translation.
    """
    if len(intake.spool) < LEAST_TO_HOLD_OUT:
        return frozenset()
    wanted = min(HELD_OUT, max(1, int(len(intake.spool) * HELD_OUT_SHARE)))
    return frozenset(single(intake.sources)[:wanted].tolist())


def divide(spool: Spool, held_out: frozenset[int], wanted: bool) -> Iterator[Pair]:
    """The pairs that are held out (wanted), or those that are not."""
    for pair in spool:
        if not held_out or (hash_text(pair.source) in held_out) is wanted:
            yield pair


def without_duplicates(pairs: Iterable[Pair], hashes: Hashes, drop: bool, counts: Counts) -> Iterator[Pair]:
    """Tally every pair that has occurred before, and leave it out if `drop`.

    hashes: of all pairs, sorted.
    """
    suspects = np.unique(repeated(hashes))
    seen = np.zeros(len(suspects), bool)
    for pair in pairs:
        if len(suspects):
            value = np.uint64(hash_pair(pair))
            place = min(int(np.searchsorted(suspects, value)), len(suspects) - 1)
            if suspects[place] == value:
                if seen[place]:
                    (counts.dropped if drop else counts.noticed).add(DUPLICATE, pair.where, pair.source)
                    if drop:
                        continue
                seen[place] = True
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
