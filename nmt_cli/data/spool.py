"""Sentence pairs on disk between two readings: what comes from a pipe, a gzip file or the hub is read once only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

from nmt_cli.data.corpus import Pair


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
    """64 bits of BLAKE2b, the same on every machine: among ten million texts two agree once in 400,000 corpora."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def hash_pair(pair: Pair) -> int:
    """The hash of source and target together."""
    return hash_text(f"{pair.source}\n{pair.target}")
