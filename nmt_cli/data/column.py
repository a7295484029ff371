"""Numbers on disk: one for each pair of a corpus that may be larger than memory."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUFFERED = 1 << 16  # numbers written at a time
BLOCK = 1 << 20  # numbers read at a time
PART = 1 << 20  # numbers sorted at a time


class Column:
    """Numbers of one type in the order they came, in a file without a name; a slice of it is an array."""

    def __init__(self, code: str, folder: Path | None = None) -> None:
        """code: the type as in the module array, "H" or "Q". folder: where the file goes; else the system's place."""
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (open as long as the object is there)
        weakref.finalize(self, self.file.close)
        self.type = np.dtype(code)
        self.recent: array[int] = array(code)
        self.written = 0

    def append(self, number: int) -> None:
        """Add a number at the end."""
        self.recent.append(number)
        if len(self.recent) >= BUFFERED:
            self.write()

    def write(self) -> None:
        """Move what was added last into the file."""
        self.file.seek(0, 2)
        self.file.write(self.recent.tobytes())
        self.written += len(self.recent)
        del self.recent[:]

    def __len__(self) -> int:
        return self.written + len(self.recent)

    def __getitem__(self, place: slice) -> NDArray[Any]:
        if self.recent:
            self.write()
        start, stop, _ = place.indices(len(self))
        self.file.seek(start * self.type.itemsize)
        return np.frombuffer(self.file.read(max(stop - start, 0) * self.type.itemsize), self.type)


def in_order(column: Column) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Hashes in ascending order with their places in the column, some `PART` at a time; equal ones always together.

    Each part is picked out of the whole file: hashes are spread evenly, and reading a file is fast.
    """
    parts = len(column) // PART + 1
    for part in range(parts):
        values, places = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
        low, high = (2**64 * bound // parts for bound in (part, part + 1))
        for start in range(0, len(column), BLOCK):
            block = column[start : start + BLOCK]
            inside = np.flatnonzero((block >= np.uint64(low)) & (block <= np.uint64(high - 1)))
            values.append(block[inside])
            places.append(inside + start)
        found, at = np.concatenate(values), np.concatenate(places)
        order = np.argsort(found, kind="stable")
        yield found[order], at[order]


class Repeats:
    """For each number of a column, whether it has come before: an eighth of a byte each in memory."""

    def __init__(self, column: Column) -> None:
        self.bits = np.zeros(len(column) // 8 + 1, np.uint8)
        self.count = len(column)
        for values, places in in_order(column):
            again = places[1:][values[1:] == values[:-1]]
            np.bitwise_or.at(self.bits, again // 8, (1 << (again % 8)).astype(np.uint8))

    def __iter__(self) -> Iterator[bool]:
        for start in range(0, self.count, BLOCK):
            bits = self.bits[start // 8 : (start + BLOCK) // 8 + 1]
            flags = np.unpackbits(bits, count=min(BLOCK, self.count - start), bitorder="little")
            yield from flags.astype(bool).tolist()
