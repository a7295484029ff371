"""Word vectors from text files of word2vec, GloVe or fastText, for the pieces of a vocabulary.

A line is a word and its numbers, separated by spaces; a first line of two whole numbers, `vectors numbers`, is
word2vec's and fastText's heading. A piece is looked up as it is, then as the word it begins (without U+2581), then as
that word in lower case. Where the words of a file are pieces themselves, some beginning with U+2581 (as BPEmb's do),
only they are looked up. Pieces from within words are no words, so other files have no vectors for them. A word that is
not UTF-8, as published files have some, is no piece's either: it is passed over, and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from nmt_cli.batch import SPECIAL_PIECES
from nmt_cli.data.lines import display, open_bytes, read_lines
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.data.vocabulary import SPACE_MARK
from nmt_cli.errors import Exit, UserError

BANDS = (100, 1000, 10_000, 100_000)  # most frequent pieces of which it is told how many have vectors
SHOWN = 10  # frequent pieces without a vector that are named
LARGEST = float(np.finfo(np.float32).max)
CHUNK = 1 << 20  # ids counted at a time: a ceiling on memory


class Vectors(NamedTuple):
    """Embeddings to begin with: row `ids[n]` of the table is `values[n]`."""

    ids: NDArray[np.int32]  # [N]
    values: NDArray[np.float32]  # [N E]


class Lines(NamedTuple):
    """What a file holds."""

    vectors: int
    not_utf8: int  # lines passed over because their word is not UTF-8


@dataclass(frozen=True)
class Coverage:
    """What a file held for a vocabulary. Frequency is counted in the training data."""

    file: str
    sha256: str
    vectors: int  # in the file
    not_utf8: int  # lines passed over
    pieces: int  # in the vocabulary, special ones apart
    found: int  # of these
    running: float  # share of the running pieces of the text that are found
    most_frequent: list[tuple[int, int]]  # how many of so many most frequent pieces are found
    missing: list[str]  # the most frequent pieces that are not

    def __str__(self) -> str:
        share = self.found / max(self.pieces, 1)
        bands = ", ".join(f"{found:,} of the {most:,} most frequent" for most, found in self.most_frequent)
        missing = f"; without: {' '.join(self.missing)}" if self.missing else ""
        passed_over = f"; lines that are not UTF-8: {self.not_utf8}" if self.not_utf8 else ""
        return (
            f"{self.file}: vectors for {self.found:,} of {self.pieces:,} pieces ({share:.0%}), "
            f"{self.running:.0%} of the running text; {bands}{missing}{passed_over}"
        )


def read_vectors(file: str, tokenizer: Tokenizer, size: int) -> tuple[Vectors, Lines]:
    """The vectors, of `size` numbers, that a file has for the pieces of a vocabulary; and what it holds in all.

    Raises UserError: DATA with file and line of what is broken, USAGE when vectors have another size.
    """
    names = spellings(tokenizer)
    found: dict[int, dict[int, NDArray[np.float32]]] = {}  # piece -> rank of the spelling -> vector
    first: dict[str, int] = {}
    of_pieces, count, not_utf8 = False, 0, 0
    for number, word, fields in entries(file, size):
        if word is None:
            not_utf8 += 1
            continue
        count += 1
        of_pieces = of_pieces or (word.startswith(SPACE_MARK) and word != SPACE_MARK)
        if word not in names:
            continue
        if word in first:
            broken(file, number, f"{word!r} has a vector already, on line {first[word]}", "keep one of the two lines")
        first[word] = number
        values = numbers(file, number, fields)
        for piece, rank in names[word]:
            found.setdefault(piece, {})[rank] = values
    chosen = choose(found, tokenizer, of_pieces)
    ids = sorted(chosen)
    values = np.array([chosen[id] for id in ids], np.float32).reshape(len(ids), size)
    return Vectors(np.array(ids, np.int32), values), Lines(count, not_utf8)


def spellings(tokenizer: Tokenizer) -> dict[str, list[tuple[int, int]]]:
    """Words to look for: the pieces each may stand for, with the rank of that spelling, 0 for the piece itself."""
    names: dict[str, list[tuple[int, int]]] = {}
    for id in range(len(SPECIAL_PIECES), tokenizer.size):
        piece = tokenizer.piece(id)
        word = piece.removeprefix(SPACE_MARK)
        if word:
            for name, rank in {word.lower(): 2, word: 1, piece: 0}.items():  # of the same spellings the last counts
                names.setdefault(name, []).append((id, rank))
    return names


def choose(
    found: dict[int, dict[int, NDArray[np.float32]]], tokenizer: Tokenizer, of_pieces: bool
) -> dict[int, NDArray[np.float32]]:
    """The vector of each piece, of the best of its spellings that counts."""
    chosen = {}
    for piece, by_rank in found.items():
        begins_word = tokenizer.kind in ("word", "char") or tokenizer.piece(piece).startswith(SPACE_MARK)
        ranks = [rank for rank in sorted(by_rank) if (rank == 0 if of_pieces else begins_word)]
        if ranks:
            chosen[piece] = by_rank[ranks[0]]
    return chosen


def entries(file: str, size: int) -> Iterator[tuple[int, str | None, list[str]]]:
    """Line number, word and numbers of each line; a word may hold spaces, and is None where it is not UTF-8."""
    promised, seen, checked, name = None, 0, False, display(file)
    if not Path(file).is_file():
        raise UserError(f"{name}: there is no such file of word vectors", "a pipe will not do: it is read twice")
    with open_bytes(file) as stream:
        for number, line in enumerate(read_lines(stream, name, "skip"), start=1):
            if line is None:
                seen += 1
                yield number, None, []
                continue
            fields = line.replace("\t", " ").strip(" ").split(" ")
            if fields == [""]:
                continue
            is_heading = number == 1 and len(fields) == 2 and all(field.isdecimal() for field in fields)
            if not checked:
                check_size(name, number, int(fields[1]) if is_heading else len(fields) - 1, size)
                checked = True
            if is_heading:
                promised = int(fields[0])
                continue
            if len(fields) <= size or (len(fields) > size + 1 and is_number(fields[-size - 1])):
                broken(name, number, f"{len(fields) - 1} numbers where vectors have {size}", "mend or remove the line")
            seen += 1
            yield number, " ".join(fields[:-size]), fields[-size:]
    if not seen or promised not in (None, seen):
        what = f"{seen:,} vectors, and its first line promises {promised:,}" if promised else "no vectors"
        raise UserError(f"{name}: {what}", "was it cut short? fetch it again", Exit.DATA)


def check_size(name: str, number: int, found: int, size: int) -> None:
    """Refuse vectors of another size than the model's embeddings."""
    if found == size:
        return
    if found < 1:
        broken(name, number, "a word without numbers", "is it a file of word2vec, GloVe or fastText, as text?")
    what = f"{name}:{number}: vectors of {found} numbers, but model.embedding_size = {size}"
    raise UserError(what, f"--set model.embedding_size={found}, or give vectors of {size} numbers")


def numbers(file: str, number: int, fields: Sequence[str]) -> NDArray[np.float32]:
    """float32 [E]."""
    for field in fields:
        if not is_number(field) or not abs(float(field)) <= LARGEST:
            broken(file, number, f"{field!r} is no finite number", "mend or remove the line")
    return np.array([float(field) for field in fields], np.float32)


def is_number(field: str) -> bool:
    """Whether a field is written as a number, NaN and infinity included."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def broken(name: str, number: int, what: str, hint: str) -> NoReturn:
    """Raise the error for a line that cannot be used."""
    raise UserError(f"{display(name)}:{number}: {what}", hint, Exit.DATA)


def coverage(
    file: str, vectors: Vectors, lines: Lines, tokenizer: Tokenizer, texts: Iterable[NDArray[Any]]
) -> Coverage:
    """How much of a vocabulary, and of the ids of the texts it is for, has vectors."""
    frequency = np.zeros(tokenizer.size, np.int64)
    for ids in texts:
        for first in range(0, len(ids), CHUNK):
            frequency += np.bincount(ids[first : first + CHUNK], minlength=tokenizer.size)
    specials = len(SPECIAL_PIECES)
    frequency[:specials] = 0
    has_vector = np.zeros(tokenizer.size, bool)
    has_vector[vectors.ids] = True
    ranked = specials + np.argsort(-frequency[specials:], kind="stable")
    return Coverage(
        file=display(file),
        sha256=checksum(file),
        vectors=lines.vectors,
        not_utf8=lines.not_utf8,
        pieces=tokenizer.size - specials,
        found=len(vectors.ids),
        running=float(frequency[has_vector].sum() / max(frequency.sum(), 1)),
        most_frequent=[(most, int(has_vector[ranked[:most]].sum())) for most in BANDS if most <= len(ranked)],
        missing=[tokenizer.piece(int(id)) for id in ranked[~has_vector[ranked]][:SHOWN] if frequency[id]],
    )


def checksum(file: str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
