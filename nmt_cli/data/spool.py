"""Sentence pairs on disk between two readings: what comes from a pipe, a gzip file or the hub is read once only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nmt_cli.data.corpus import Pair

Hashes = NDArray[np.uint64]  # 64 bits: among ten million different pairs two agree once in 400,000 corpora


class Spool:
    """A temporary file of pairs, three lines each: source, target, where they come from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pairs = 0

    def write(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """Keep the pairs as they pass by; no field of theirs holds a newline."""
        with self.path.open("w", encoding="utf-8", newline="\n") as file:
            for pair in pairs:
                file.write(f"{pair.source}\n{pair.target}\n{pair.where}\n")
                self.pairs += 1
                yield pair

    def __iter__(self) -> Iterator[Pair]:
        with self.path.open(encoding="utf-8", newline="\n") as file:
            for source, target, where in zip(file, file, file, strict=True):
                yield Pair(source[:-1], target[:-1], where[:-1])

    def __len__(self) -> int:
        return self.pairs


def hash_text(text: str) -> int:
    """64 bits of BLAKE2b: the same on every machine."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def hash_pair(pair: Pair) -> int:
    """The hash of source and target together."""
    return hash_text(f"{pair.source}\n{pair.target}")


def repeated(hashes: Hashes) -> Hashes:
    """Of sorted hashes, all but the first of each that occurs more than once."""
    again: Hashes = hashes[1:][hashes[1:] == hashes[:-1]]
    return again


def single(hashes: Hashes) -> Hashes:
    """Of sorted hashes, those that occur once."""
    same = hashes[1:] == hashes[:-1]
    alone = ~(np.append(same, False) | np.append(False, same))
    once: Hashes = hashes[alone[: len(hashes)]]
    return once
