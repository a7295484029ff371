"""Do line n of one side and line n of the other belong together? Lengths tell (Gale & Church 1993).

Long sentences have long translations: the logarithms of their lengths differ by a constant and some noise, which is
taken to be Laplace's. Two questions are put to the lengths as sums of log-likelihood ratios, line by line: where did
lines get lost, and is there a stretch in which every line fits another one, some lines further, better than its own?
For the second the sum starts anew whenever it falls below zero (CUSUM; Page 1954), and there is an alarm when it rises
so high that chance would hardly ever bring it there. Files may be far larger than memory: they are read in blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.column import Column
from nmt_cli.errors import Exit, UserError

Lengths = NDArray[np.uint16] | Column  # [lines] characters in a line, cut at 65,535
Reals = NDArray[np.float64]

REACH = 5  # shifts, in lines, that are looked for by trying them
LEAST_LINES = 100  # fewer are not judged
BLOCK = 200_000  # lines computed at a time
SURPRISE = 3.0  # nats that one line can say at most: a single odd pair is no shift
DOUBT = 6.0  # nats: one corpus in e^6, some 400, raises an alarm by chance
UNRELATED = 50  # lines apart, where sentences have nothing to do with each other
LIKENESS = 0.7  # lengths that fit each other no better than this share of unrelated ones tell nothing


def check_counts(source: Lengths, target: Lengths, names: tuple[str, str]) -> None:
    """Raise UserError (DATA) naming both line counts and the first suspicious line when they differ."""
    if len(source) == len(target):
        return
    line = first_gap(source, target)
    shorter, longer = names if len(source) < len(target) else names[::-1]
    place = (
        f"the pairs look wrong from line {line} on" if line <= min(len(source), len(target)) else "the end is missing"
    )
    raise UserError(
        f"{names[0]} has {len(source)} lines and {names[1]} has {len(target)}; by their lengths {place}",
        f"look around line {line}: {shorter} lacks lines there, or {longer} has some too many",
        Exit.DATA,
    )


def first_gap(source: Lengths, target: Lengths) -> int:
    """The line, counted from 1, at which a side most likely lost its missing lines.

    Before it pairs stand at the same line, after it apart by the difference of the counts: the most likely point is
    where the sum of the first kind's misfits before and of the second kind's after is smallest.
    """
    short, long = sorted((source, target), key=len)
    lost, usual, best, total, line = len(long) - len(short), 0.0, 0.0, 0.0, 1
    for start in range(0, len(short), BLOCK):
        stop = min(start + BLOCK, len(short))
        x = logarithms(short[start:stop])
        together, apart = x - logarithms(long[start:stop]), x - logarithms(long[start + lost : stop + lost])
        if start == 0:
            usual = float(np.median(np.concatenate([together, apart])))
        sums = total + np.cumsum(np.abs(together - usual) - np.abs(apart - usual))
        lowest, total = int(np.argmin(sums)), float(sums[-1])
        if sums[lowest] < best:
            best, line = float(sums[lowest]), start + lowest + 2
    return line


def shift_warning(source: Lengths, target: Lengths, names: tuple[str, str]) -> str:
    """A sentence about the lines that look shifted against each other, or "" where none do."""
    shifted = list(shifted_stretches(source, target))
    if not shifted:
        return ""
    lines = sum(stop - start for start, stop in shifted)
    return (
        f"{names[0]} and {names[1]} look shifted against each other from about line {shifted[0][0]} on "
        f"(some {lines} lines): their lengths stop to correspond"
    )


def shifted_stretches(source: Lengths, target: Lengths) -> Iterator[tuple[int, int]]:
    """First line, counted from 1, and the line after the last, of the stretches that look shifted, in order."""
    if len(source) < LEAST_LINES:
        return
    alarm = math.log(2 * REACH * len(source)) + DOUBT
    for start in range(0, len(source) - 2 * REACH, BLOCK):
        rows = slice(start, start + BLOCK + 2 * REACH)
        x, y = logarithms(source[rows]), logarithms(target[rows])
        misfits = [misfit_at(x, y, shift) for shift in range(-REACH, REACH + 1)]
        scale = min(float(np.median(misfit)) for misfit in misfits)
        apart = np.roll(y, UNRELATED)
        if scale > LIKENESS * float(np.median(misfit_at(x, apart, 0))):
            continue
        scale = max(scale, 0.02) / math.log(2)  # Laplace's, of which the median is ln 2 times as large
        own = misfits.pop(REACH)
        gains = (np.clip((own - misfit) / scale, -SURPRISE, SURPRISE) for misfit in misfits)
        found = sorted(stretch for gain in gains for stretch in excursions(gain, alarm))
        for first, stop in merged(found):
            yield start + REACH + first + 1, start + REACH + stop + 1


def logarithms(lengths: NDArray[np.uint16]) -> Reals:
    return np.log1p(lengths.astype(np.float64))


def misfit_at(x: Reals, y: Reals, shift: int) -> Reals:
    """How far each line of x, but for `REACH` at either end, is from the usual with the one so many lines further."""
    differences = x[REACH : len(x) - REACH] - y[REACH + shift : len(y) - REACH + shift]
    return np.abs(differences - np.median(differences))


def excursions(gains: Reals, alarm: float) -> Iterator[tuple[int, int]]:
    """Where a sum that starts anew below zero rises to the alarm: from its start to after its peak, each time."""
    sums = np.cumsum(gains)
    level = sums - np.minimum(np.minimum.accumulate(sums), 0.0)
    resets = np.flatnonzero(level == 0)
    high = np.flatnonzero(level >= alarm)
    while len(high):
        after = int(np.searchsorted(resets, high[0]))
        start = int(resets[after - 1]) + 1 if after else 0
        stop = int(resets[after]) if after < len(resets) else len(level)
        yield start, start + int(np.argmax(level[start:stop])) + 1
        high = high[high >= stop]


def merged(stretches: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Stretches in order, those that overlap or nearly touch as one."""
    joined: list[tuple[int, int]] = []
    for start, stop in stretches:
        if joined and start <= joined[-1][1] + REACH:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    yield from joined
