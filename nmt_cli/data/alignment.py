"""Do line n of one side and line n of the other belong together? Lengths tell (Gale & Church 1993).

Long sentences have long translations, so the lengths of true pairs correlate, and those of shifted pairs do not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmt_cli.errors import Exit, UserError

Lengths = NDArray[np.uint16]  # [lines] characters in a line, cut at 65,535

WINDOW = 100  # lines judged together
REACH = 5  # shifts, in lines, that are looked for by trying them
BLOCK = 1000  # windows computed at a time


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
    x, y = np.log1p(short.astype(np.float64)), np.log1p(long.astype(np.float64))
    if not len(x):
        return 1
    together, apart = x - y[: len(x)], x - y[len(y) - len(x) :]
    usual = np.median(np.concatenate([together, apart]))
    gain = np.cumsum(np.abs(together - usual) - np.abs(apart - usual))
    return int(np.argmin(np.concatenate([[0.0], gain]))) + 1


def shift_warning(source: Lengths, target: Lengths, names: tuple[str, str]) -> str:
    """A sentence about the lines that look shifted against each other, or "" where none do."""
    shifted = shifted_windows(source, target)
    if not shifted:
        return ""
    lines = len(shifted) * WINDOW
    return (
        f"{names[0]} and {names[1]} look shifted against each other from about line {shifted[0]} on "
        f"(some {lines} lines): their lengths stop to correspond"
    )


def shifted_windows(source: Lengths, target: Lengths) -> list[int]:
    """First lines, counted from 1, of the windows whose lines do not seem to belong together.

    Such a window's lengths correlate much better when moved by up to `REACH` lines, or hardly at all where most of the
    file's correlate well.
    """
    windows = max(0, len(source) - 2 * REACH) // WINDOW
    aligned, moved = [np.zeros(0)], [np.zeros(0)]
    for start in range(0, windows, BLOCK):
        rows = slice(start * WINDOW, min(windows, start + BLOCK) * WINDOW + 2 * REACH)
        x, y = np.log1p(source[rows].astype(np.float64)), np.log1p(target[rows].astype(np.float64))
        size = len(x) - 2 * REACH
        middle = x[REACH : REACH + size].reshape(-1, WINDOW)
        by_shift = [correlations(middle, y[s : s + size].reshape(-1, WINDOW)) for s in range(2 * REACH + 1)]
        aligned.append(by_shift.pop(REACH))
        moved.append(np.max(by_shift, axis=0))
    together, apart = np.concatenate(aligned), np.concatenate(moved)
    collapsed = (together < 0.15) & (np.median(together) > 0.6) if windows else np.zeros(0, bool)
    shifted = (together < 0.3) & (apart > 0.5) & (apart - together > 0.4)
    return [int(w) * WINDOW + REACH + 1 for w in np.flatnonzero(collapsed | shifted)]


def correlations(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of each row of x [windows, lines] with that of y; 0 where a row is constant. [windows]"""
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    scale = np.sqrt((x * x).sum(1) * (y * y).sum(1))
    return np.asarray((x * y).sum(1) / np.where(scale > 1e-9, scale, np.inf))
