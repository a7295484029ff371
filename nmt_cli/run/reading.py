"""Lines become sentences: the ids that the model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nmt_cli.batch import EOS
from nmt_cli.data.lines import is_blank
from nmt_cli.data.tokenizer import Tokenizer

LONGEST_PIECE = 64  # characters of a line that are read for each piece that may be translated


class Sentence(NamedTuple):
    """A line that has something to translate, and what is asked of its translation, in ids of the target."""

    line: int  # its place in the input
    ids: list[int]  # with EOS
    was_cut: bool
    prefix: Sequence[int] = ()  # what it begins with
    required: Sequence[Sequence[int]] = ()  # phrases that occur in it
    forbidden: Sequence[Sequence[int]] = ()  # phrases that do not


def read(tokenizer: Tokenizer, lines: Sequence[str], most: int) -> list[Sentence]:
    """The lines that have something in them, as the ids that the model reads, at most so many and EOS."""
    present = [line for line, text in enumerate(lines) if not is_blank(text)]
    longest = most * LONGEST_PIECE
    encoded = tokenizer.encode([lines[line][:longest] for line in present])
    return [
        Sentence(line, [*ids[:most], EOS], was_cut=len(ids) > most or len(lines[line]) > longest)
        for line, ids in zip(present, encoded, strict=True)
        if ids
    ]


def grouped(sentences: Sequence[Sentence], batch_size: int) -> list[list[Sentence]]:
    """Batches of sentences of like length, the longest first."""
    ordered = sorted(sentences, key=lambda sentence: -len(sentence.ids))
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
