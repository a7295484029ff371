"""Sentence pairs to padded batches of a few fixed shapes, in an order that anyone can compute.

Compiled code wants few shapes, and padding is work for nothing. So pairs go into length buckets, boxes of source length
and target length, chosen for the corpus at hand; a batch is filled from one bucket and has that bucket's shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt_cli.batch import BOS, EOS, PAD, Batch
from nmt_cli.data.bpe_dropout import BpeDropout, Lengths
from nmt_cli.data.store import Pairs

Integers = NDArray[np.int64]

LEVELS = 32  # lengths of each side that a bucket may have; the work grows with the fourth power
ROWS_STEP = 8  # rows come in multiples that vector units and several devices like
SOURCE_SHARE = 2  # source tokens in a batch, for each target token allowed: bounds memory where sources are long


class Bucket(NamedTuple):
    """The shape of a batch.

    source_length counts EOS; target_length counts BOS (fed) or EOS (predicted).
    """

    rows: int
    source_length: int
    target_length: int


def buckets(
    source_lengths: ArrayLike, target_lengths: ArrayLike, batch_tokens: int, max_shapes: int
) -> tuple[Bucket, ...]:
    """The at most max_shapes shapes that hold all pairs in the fewest padded tokens, source and target together.

    source_lengths, target_lengths: [N], in pieces, without EOS. batch_tokens: target tokens in a batch, padding
    included; there are at most twice as many source tokens. rows is a multiple of 8 where 8 rows fit, and at least 1.
    Each bucket fits inside the next; a pair belongs to the first that it fits. Found by dynamic programming over the
    joint histogram of lengths, cut to 32 levels a side, counting the empty rows of batches that are not full.
    """
    source, target = np.asarray(source_lengths, np.int64) + 1, np.asarray(target_lengths, np.int64) + 1
    if not len(source):
        return ()
    corners, inside = count_inside(source, target)
    boxes = nested_boxes(corners, inside, batch_tokens, max_shapes)
    found, before = [], 0
    for box in boxes:
        count, (source_length, target_length) = inside[box] - before, corners[box]
        if count:
            rows, _ = batches_for(count, source_length, target_length, batch_tokens)
            found.append(Bucket(int(rows), int(source_length), int(target_length)))
        before = inside[box]
    return tuple(found)


def levels(lengths: Integers) -> Integers:
    """At most LEVELS of the lengths, the longest among them, closer together where the rare long ones are."""
    present = np.unique(lengths)
    if len(present) <= LEVELS:
        return present
    tail = [0.98, 0.99, 0.995, 0.999, 1.0]
    shares = [*np.linspace(0, 0.97, LEVELS - len(tail)), *tail]
    return np.unique(np.quantile(lengths, shares, method="higher"))


def count_inside(source: Integers, target: Integers) -> tuple[Integers, Integers]:
    """All boxes whose sides are levels [C, 2], in an order where larger comes later; how many pairs each holds [C].

    The first is the empty box, the last holds everything.
    """
    source_levels, target_levels = levels(source), levels(target)
    histogram = np.zeros((len(source_levels) + 1, len(target_levels) + 1), np.int64)
    cells = np.searchsorted(source_levels, source) + 1, np.searchsorted(target_levels, target) + 1
    np.add.at(histogram, cells, 1)
    sides = np.meshgrid([0, *source_levels], [0, *target_levels], indexing="ij")
    return np.stack(sides, axis=-1).reshape(-1, 2), histogram.cumsum(0).cumsum(1).ravel()


def nested_boxes(corners: Integers, inside: Integers, batch_tokens: int, most: int) -> list[int]:
    """The chain of boxes, from small to the one that holds everything, with the fewest padded tokens.

    cost(i, j) is what the pairs in box j but not in box i cost at the shape of j, so that
    best(k, j) = min over i inside j of best(k - 1, i) + cost(i, j).
    """
    smaller, larger = np.nonzero((corners[:, None] <= corners).all(-1))
    lengths = corners[larger]
    rows, batches = batches_for(inside[larger] - inside[smaller], lengths[:, 0], lengths[:, 1], batch_tokens)
    cost = np.full((len(corners), len(corners)), np.inf)
    cost[smaller, larger] = rows * batches * lengths.sum(1)
    best, previous = cost[0], []
    for _ in range(most - 1):
        through = best[:, None] + cost
        previous.append(through.argmin(0))
        best = through.min(0)
    chain = [len(corners) - 1]
    for step in reversed(previous):
        chain.append(int(step[chain[-1]]))
    return chain[::-1]


def batches_for(count: Any, source_length: Any, target_length: Any, batch_tokens: int) -> tuple[Any, Any]:
    """Rows of a batch, and how many batches, for count pairs of a bucket; arrays of the same shape or numbers.

    As many rows as the token budget allows, or about a fifth fewer when that leaves fewer rows empty.
    """
    limit = np.minimum(
        batch_tokens // np.maximum(target_length, 1), SOURCE_SHARE * batch_tokens // np.maximum(source_length, 1)
    )
    step = np.where(limit >= ROWS_STEP, ROWS_STEP, 1)
    limit = np.maximum(limit // step * step, 1)
    fewest = -(-count // limit)
    best_rows, best_batches = limit, fewest
    for more in range(4):
        batches = fewest + np.minimum(more, fewest // 4)
        rows = np.maximum(-(-count // np.maximum(batches, 1) // step) * step, step)
        better = rows * batches < best_rows * best_batches
        best_rows, best_batches = np.where(better, rows, best_rows), np.where(better, batches, best_batches)
    return best_rows, best_batches


class Batches:
    """The batches of a corpus: every pair exactly once in every epoch, any batch of any epoch at once.

    An epoch's order is a pure function of (data_hash, seed, epoch): pairs are shuffled within their bucket and spread
    evenly over its batches, and the batches are shuffled. Rows that no pair fills are masked completely.
    """

    def __init__(
        self,
        pairs: Pairs,
        buckets: Sequence[Bucket],
        data_hash: str,
        seed: int,
        shuffle: bool = True,
        dropout: BpeDropout | None = None,
    ) -> None:
        """shuffle: False gives the order of the corpus within each bucket, from short to long, for validation.

        dropout: cuts the text anew in every epoch; buckets are for the room it plans with.
        Raises ValueError when a pair fits no bucket.
        """
        self.pairs, self.dropout = pairs, dropout
        self.buckets = tuple(buckets)
        self.data_hash, self.seed, self.shuffle = data_hash, seed, shuffle
        self.bucket_of = assign(dropout.room if dropout else pairs, self.buckets)
        self.counts = np.bincount(self.bucket_of, minlength=len(self.buckets))
        self.batch_bucket, self.first, self.last = split(self.counts, self.buckets)
        self.plan: tuple[int, NDArray[Any], NDArray[Any]] | None = None

    def __len__(self) -> int:
        """Batches in an epoch: the same in each."""
        return len(self.batch_bucket)

    def batch(self, epoch: int, index: int) -> Batch:
        """One batch as NumPy arrays: index counts from 0 to len(self) - 1. The first of an epoch plans the epoch."""
        if self.plan is None or self.plan[0] != epoch:
            self.plan = (epoch, *self.order(epoch))
        _, pairs, batches = self.plan
        place = batches[index]
        indices = pairs[self.first[place] : self.last[place]]
        bucket = self.buckets[self.batch_bucket[place]]
        if self.dropout is None:
            return assemble(self.pairs, indices, bucket)
        drawn = self.dropout.draw(indices, bucket.source_length, bucket.target_length, epoch, index)
        return assemble(drawn, np.arange(len(drawn)), bucket)

    def order(self, epoch: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The pairs of an epoch, bucket after bucket [N], and the order of its batches."""
        if not self.shuffle:
            return np.argsort(self.bucket_of, kind="stable"), np.arange(len(self))
        # Sorting raw Philox output, because NumPy may change what its shuffles do with it (NEP 19).
        material = hashlib.sha256(f"{self.data_hash} {self.seed} {epoch}".encode()).digest()
        random = np.random.Philox(key=int.from_bytes(material[:16], "little"))
        draws = random.random_raw(len(self.pairs)) >> np.uint64(8) | self.bucket_of.astype(np.uint64) << np.uint64(56)
        return np.argsort(draws, kind="stable"), np.argsort(random.random_raw(len(self)), kind="stable")

    def upcoming(self, epoch: int, index: int) -> list[Bucket]:
        """All buckets, in the order in which they are needed from this batch on."""
        _, batches = self.order(epoch)
        needed = self.batch_bucket[[*batches[index:], *batches[:index]]]
        return [self.buckets[number] for number in dict.fromkeys(needed.tolist())]

    def useful_share(self) -> float:
        """The part of all tokens computed in an epoch, source and target together, that is not padding."""
        shapes = np.array([bucket.rows * (bucket.source_length + bucket.target_length) for bucket in self.buckets])
        useful = self.pairs.source_lengths.sum(dtype=np.int64) + self.pairs.target_lengths.sum(dtype=np.int64)
        return float((useful + 2 * len(self.pairs)) / shapes[self.batch_bucket].sum())


def assign(pairs: Pairs | Lengths, buckets: Sequence[Bucket]) -> NDArray[np.uint8]:
    """The first bucket that each pair fits, [N]."""
    sides = [
        (pairs.source_lengths, [bucket.source_length for bucket in buckets]),
        (pairs.target_lengths, [bucket.target_length for bucket in buckets]),
    ]
    if len(buckets) > 255 or any(list(limits) != sorted(limits) for _, limits in sides):
        raise ValueError("at most 255 buckets, each inside the next")
    first = np.maximum(*(np.searchsorted(limits, lengths + 1) for lengths, limits in sides))
    if (first == len(buckets)).any():
        raise ValueError(f"pair {int(first.argmax())} fits no bucket")
    return first.astype(np.uint8)


def split(counts: NDArray[Any], buckets: Sequence[Bucket]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The bucket of each batch, and where its pairs begin and end when pairs stand bucket after bucket."""
    owners, first, last = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    start = 0
    for number, (count, bucket) in enumerate(zip(counts.tolist(), buckets, strict=True)):
        batches = -(-count // bucket.rows)
        bounds = start + np.arange(batches + 1) * count // max(batches, 1)
        owners.append(np.full(batches, number))
        first.append(bounds[:-1])
        last.append(bounds[1:])
        start += count
    return np.concatenate(owners), np.concatenate(first), np.concatenate(last)


def assemble(pairs: Pairs, indices: NDArray[Any], bucket: Bucket) -> Batch:
    """The batch of these pairs, at most bucket.rows of them, in the shape of the bucket."""
    source, source_mask = ended(pairs.sources.padded(indices, bucket.source_length), pairs.source_lengths[indices])
    target = pairs.targets.padded(indices, bucket.target_length)
    target_in = np.concatenate([np.full((len(indices), 1), BOS, np.int32), target[:, :-1]], axis=1)
    target_out, target_mask = ended(target, pairs.target_lengths[indices])
    arrays = (source, source_mask, target_in, target_out, target_mask)
    empty = bucket.rows - len(indices)
    return Batch(*(np.pad(array, ((0, empty), (0, 0)), constant_values=PAD) for array in arrays))


def ended(rows: NDArray[np.int32], lengths: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The rows with EOS after their ends, and the mask of what is real, EOS included."""
    rows = rows.copy()
    rows[np.arange(len(rows)), lengths] = EOS
    return rows, np.arange(rows.shape[1]) <= lengths[:, None]


def blank(bucket: Bucket) -> Batch:
    """A batch of this shape without any text."""
    source = np.zeros((bucket.rows, bucket.source_length), np.int32)
    target = np.zeros((bucket.rows, bucket.target_length), np.int32)
    return Batch(source, source > 0, target, target, target > 0)
