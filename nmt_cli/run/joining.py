"""The translations of a line's parts become the translation of the line."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from nmt_cli.batch import EOS, SPECIAL_PIECES
from nmt_cli.data.tokenizer import Tokenizer, is_unspaced
from nmt_cli.data.words import Span, words
from nmt_cli.run.reading import Line, Sentence
from nmt_cli.run.translation import CUT, EMPTY, LIMIT, SPLIT, UNMET, Hypothesis, Translation

Part = tuple[Sentence, Translation]

END = SPECIAL_PIECES[EOS]


def join(tokenizer: Tokenizer, line: Line, parts: Sequence[Part], n_best: int, aligned: bool = False) -> Translation:
    """The translation of a line, from those of the sentences that it was read as, in their order.

    tokenizer: of the target. n_best: hypotheses of a line that was split; its best are those whose parts' scores have
    the highest sum. aligned: whether the parts are; a line with nothing in it then has an alignment of no words.
    """
    if not parts:
        nothing = blank(Hypothesis()) if aligned else Translation()
        return replace(nothing, flags=(*line.flags, EMPTY), fields=line.fields)
    is_whole = len(parts) == 1 and parts[0][0].span[0] == 0
    whole = parts[0][1] if is_whole else join_parts(line.text, parts, n_best)
    raised = {flag for _, part in parts for flag in part.flags}
    flags = [flag for flag in (CUT, LIMIT) if flag in raised]
    split = [SPLIT] if len(parts) > 1 else []
    unmet = [UNMET] if misses(tokenizer, line, whole.text) else []
    return replace(whole, flags=(*line.flags, *split, *flags, *unmet), fields=line.fields)


def blank(hypothesis: Hypothesis) -> Translation:
    """Of a line with nothing to read in it, aligned."""
    return Translation(source_spans=(), n_best=(replace(hypothesis, spans=(), alignment=()),))


def join_parts(text: str, parts: Sequence[Part], n_best: int) -> Translation:
    """The parts of a line's text as one translation. Their texts are put together with spaces between them, save where
    the characters on both sides are of a script that is written without."""
    offsets = [sentence.span[0] for sentence, _ in parts]
    translations = [translation for _, translation in parts]
    spans = [translation.source_spans for translation in translations]
    known = None if None in spans else tuple(chain.from_iterable(map(shift, filter(None, spans), offsets)))
    before = words_before(text, [sentence.span for sentence, _ in parts]) if known is not None else []
    return Translation(
        source_tokens=tuple(chain.from_iterable(translation.source_tokens for translation in translations)),
        source_spans=known,
        n_best=tuple(
            join_hypotheses([t.n_best[n] for t, n in zip(translations, choice, strict=True)], score, before)
            for score, choice in best_choices(translations, n_best)
        ),
    )


def shift(spans: Sequence[Span], by: int) -> Iterator[Span]:
    return ((start + by, end + by) for start, end in spans)


def words_before(text: str, spans: Sequence[Span]) -> list[int]:
    """The number of the word that each part of a text begins with."""
    starts = [start for start, _ in words(text)]
    firsts = [start + len(text[start:end]) - len(text[start:end].lstrip()) for start, end in spans]
    return [bisect_right(starts, first) - 1 for first in firsts]


def best_choices(parts: Sequence[Translation], count: int) -> list[tuple[float, list[int]]]:
    """The choices of one hypothesis from each part with the highest sums of scores: each sum, and the numbers."""
    totals, taken = [0.0], []
    for part in parts:
        sums = [(total + h.score, i, n) for i, total in enumerate(totals) for n, h in enumerate(part.n_best)]
        best = sorted(sums, key=lambda entry: -entry[0])[:count]
        totals = [total for total, _, _ in best]
        taken.append([(i, n) for _, i, n in best])
    choices = []
    for rank, total in enumerate(totals):
        numbers = []
        for entries in reversed(taken):
            rank, number = entries[rank]  # noqa: PLW2901 (followed back through the parts)
            numbers.append(number)
        choices.append((total, numbers[::-1]))
    return choices


def join_hypotheses(parts: Sequence[Hypothesis], score: float, before: Sequence[int]) -> Hypothesis:
    """One hypothesis of each part as a hypothesis of the line; before: see `words_before`, empty without alignments."""
    glued = list(glue([part.text for part in parts]))
    text = "".join(chain.from_iterable((piece.space, piece.text) for piece in glued))
    tokens = [(*part.tokens, END) for part in parts]
    whole = Hypothesis(
        text=text,
        score=score,
        tokens=tuple(chain.from_iterable(tokens))[:-1],
        log_probs=tuple(chain.from_iterable(part.log_probs for part in parts)),
    )
    if not before:
        return whole
    spans: list[Span] = []
    pairs: list[tuple[int, int]] = []
    for part, piece, first in zip(parts, glued, before, strict=True):
        assert part.spans is not None
        assert part.alignment is not None
        end = piece.start + len(piece.text)
        spans += [*shift(part.spans, piece.start), (end, end)]
        pairs += [(source + first, target + piece.words) for source, target in part.alignment]
    return replace(whole, spans=tuple(spans[:-1]), alignment=tuple(dict.fromkeys(pairs)))


class Glued(NamedTuple):
    """A text among others: what stands before it, where it starts, and the number of its first word."""

    space: str
    text: str
    start: int
    words: int


def glue(texts: Sequence[str]) -> Iterator[Glued]:
    """Texts as they stand in the text that they make together."""
    start = count = 0
    last = ""  # the character before
    for text in texts:
        space = " " if last and text and not (is_unspaced(last) and is_unspaced(text[0])) else ""
        start += len(space)
        in_word = bool(last and text) and not space
        yield Glued(space, text, start, count - in_word)
        start += len(text)
        count += len(words(text)) - in_word
        last = text[-1:] or last


def misses(tokenizer: Tokenizer, line: Line, text: str) -> bool:
    """Whether a translation lacks a phrase that the line requires, or has one that it forbids, as whole words."""
    if not (line.require or line.forbid):
        return False
    text = tokenizer.normal(text)
    lacking = any(tokenizer.normal(phrase) not in text for phrase in line.require)
    return lacking or any(
        re.search(rf"(?<!\w){re.escape(tokenizer.normal(phrase))}(?!\w)", text) for phrase in line.forbid if phrase
    )
