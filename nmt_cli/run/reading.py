"""Lines become sentences: the ids that the model reads, and those that are asked of its translation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from nmt_cli import config
from nmt_cli.batch import EOS
from nmt_cli.data.lines import is_blank
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.data.words import Span
from nmt_cli.run.splitting import LONGEST_PIECE, split

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """A line of input: what it says, and what its translation has to be like.

    prefix: what the translation begins with. require, forbid: phrases that occur in it, and that do not.
    flags: what was done to the line when it was read. fields: what it carries along, given back with its translation.
    """

    text: str
    prefix: str = ""
    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


class Sentence(NamedTuple):
    """A line that has something to translate, or a part of one that was split.

    What is asked of its translation is in ids of the target.
    """

    line: int  # its place in the input
    ids: list[int]  # with EOS
    was_cut: bool
    prefix: Sequence[int] = ()  # what it begins with
    required: Sequence[Sequence[int]] = ()  # phrases that occur in it
    forbidden: Sequence[Sequence[int]] = ()  # phrases that do not
    span: Span = (0, 0)  # where it stands in the line, in characters


def read(source: Tokenizer, target: Tokenizer, lines: Sequence[Line], search: config.Search) -> list[Sentence]:
    """The sentences of all lines in their order; none of a line with nothing in it.

    A line of more than `search.max_length` pieces becomes several sentences (see `nmt_cli.run.splitting`), the first
    of which has the line's prefix and its required phrases; or it is cut there, where `search.long_lines` says so.
    """
    most = search.max_length
    longest = most * LONGEST_PIECE
    present = [place for place, line in enumerate(lines) if not is_blank(line.text)]
    encoded = source.encode([lines[place].text[:longest] for place in present])
    sentences: list[Sentence] = []
    for place, ids in zip(present, encoded, strict=True):
        text = lines[place].text
        too_long = len(ids) > most or len(text) > longest
        if too_long and search.long_lines == "split":
            made = list(parts(source, place, text, most))
        else:
            made = [Sentence(place, [*ids[:most], EOS], too_long, span=(0, min(len(text), longest)))] if ids else []
        sentences += wished(target, lines[place], made)
    return sentences


def parts(tokenizer: Tokenizer, place: int, text: str, most: int) -> Iterator[Sentence]:
    """The sentences that a line too long is split into."""
    spans = [(start, end) for start, end in split(tokenizer, text, most) if not is_blank(text[start:end])]
    for span, ids in zip(spans, tokenizer.encode([text[start:end] for start, end in spans]), strict=True):
        if ids:
            yield Sentence(place, [*ids[:most], EOS], len(ids) > most, span=span)


def wished(tokenizer: Tokenizer, line: Line, sentences: list[Sentence]) -> list[Sentence]:
    """The sentences of a line with what is asked of their translations."""
    if not sentences or not (line.prefix or line.require or line.forbid):
        return sentences
    forbidden = [ids for phrase in line.forbid for ids in tokenizer.phrase(phrase)]
    first, *others = (sentence._replace(forbidden=forbidden) for sentence in sentences)
    required = [ids[0] for ids in map(tokenizer.phrase, line.require) if ids]
    prefix = tokenizer.encode([line.prefix])[0]
    return [first._replace(prefix=prefix, required=required), *others]


def grouped(waiting: Iterable[T], padded: Callable[[T], int], most: Callable[[int], int]) -> list[list[T]]:
    """Batches of what is padded to the same length, the longest first; those of one length in the order given.

    How far a sentence is padded follows from itself alone: sums over another length round otherwise.
    padded: the length that one is padded to. most: how many of that length a batch has; batches are of like size.
    """
    groups = []
    for length, own in groupby(sorted(waiting, key=padded, reverse=True), key=padded):
        alike = list(own)
        size = -(-len(alike) // -(-len(alike) // most(length)))
        groups += [alike[start : start + size] for start in range(0, len(alike), size)]
    return groups
