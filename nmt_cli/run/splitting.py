"""A line that is too long for the model becomes parts that are not.

It is divided after sentences; a sentence still too long after its clauses (commas, colons, semicolons, dashes); a
clause still too long at white space; and what has no white space is halved. Clauses and words are put together again as
far as they fit; sentences only until they have SHORTEST pieces: a model that was trained on sentences translates them
best one at a time, but "Mr." is none. Every character is in exactly one part.
"""

# ruff: noqa: RUF001 (the marks of many scripts are what this is about)

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise

from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.data.words import Span

LONGEST_PIECE = 64  # characters for each piece beyond which a text is too long without a count of its pieces

SHORTEST = 8  # pieces of a sentence that stands alone
LONGEST_CHARACTER = 16  # code points of what is one character to a reader: letters with marks, emoji with joiners

# Each matches what a part ends with, white space after it included; marks of scripts that write no spaces need none.
# Looking behind keeps the time linear: a run of marks is looked at from its beginning only.
CLOSING = r"(?:[\"')\]}”’]|\s?»)*+"
SENTENCE_END = re.compile(rf"(?<![.!?…‽।॥؟۔])[.!?…‽।॥؟۔]++{CLOSING}\s+|[。！？｡]+[」』）”’]*\s*")
CLAUSE_END = re.compile(rf"(?<![,;:،؛])[,;:،؛]++{CLOSING}\s+|\s[-–—]++\s+|[、，；：]+\s*")
SPACE = re.compile(r"\s+")


def split(tokenizer: Tokenizer, text: str, most: int) -> list[Span]:
    """Where the parts of a text begin and end, in its characters; each has at most so many pieces.

    A text that fits is one part. The only part that can be too long is a single character.
    """
    parts = [(0, len(text))]
    for boundary, least in ((SENTENCE_END, SHORTEST), (CLAUSE_END, most), (SPACE, most)):
        sizes = count(tokenizer, text, parts, most)
        divided = (
            [part] if size <= most else divide(tokenizer, text, part, most, least, boundary)
            for part, size in zip(parts, sizes, strict=True)
        )
        parts = list(chain.from_iterable(divided))
    sizes = count(tokenizer, text, parts, most)
    halves = (
        [part] if size <= most else halve(tokenizer, text, part, most) for part, size in zip(parts, sizes, strict=True)
    )
    return list(chain.from_iterable(halves))


def count(tokenizer: Tokenizer, text: str, parts: Sequence[Span], most: int) -> list[int]:
    """Pieces of each part; those of a text that is long beyond doubt are not counted."""
    short = [(start, end) for start, end in parts if end - start <= most * LONGEST_PIECE]
    counted = iter(tokenizer.encode([text[start:end] for start, end in short]))
    return [len(next(counted)) if end - start <= most * LONGEST_PIECE else most + 1 for start, end in parts]


def divide(
    tokenizer: Tokenizer, text: str, part: Span, most: int, least: int, boundary: re.Pattern[str]
) -> Iterator[Span]:
    """A part divided at boundaries, neighbours put together until they have so many pieces, if they then fit."""
    start, end = part
    cuts = [start, *(match.end() for match in boundary.finditer(text, start, end) if match.end() < end), end]
    segments = list(pairwise(cuts))
    size = 0
    for (begin, _), more in zip(segments, count(tokenizer, text, segments, most), strict=True):
        if size and (size >= least or size + more > most):
            yield start, begin
            start, size = begin, 0
        size += more
    yield start, end


def halve(tokenizer: Tokenizer, text: str, part: Span, most: int) -> Iterator[Span]:
    """The part if it fits or is a single character, else its halves, and so on."""
    start, end = part
    middle = (start + end) // 2
    if middle == start or count(tokenizer, text, [part], most)[0] <= most:
        yield part
        return
    near = range(middle, max(middle - LONGEST_CHARACTER, start), -1)
    place = next((place for place in near if not belongs_to_the_one_before(text, place)), middle)
    yield from halve(tokenizer, text, (start, place), most)
    yield from halve(tokenizer, text, (place, end), most)


def belongs_to_the_one_before(text: str, place: int) -> bool:
    """Whether the character here is a mark or a joiner, or follows a joiner, as in composed letters and emoji."""
    joiner = "\u200d"
    return unicodedata.category(text[place])[0] == "M" or text[place] == joiner or text[place - 1] == joiner
