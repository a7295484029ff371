"""What the model thinks of given translations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nmt_cli.data.lines import is_blank
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.nn.hypotheses import Hypotheses
from nmt_cli.run.joining import blank
from nmt_cli.run.reading import Line, Sentence, grouped, read
from nmt_cli.run.request import Request, longest_translation
from nmt_cli.run.splitting import LONGEST_PIECE
from nmt_cli.run.translation import CUT, EMPTY, Hypothesis, Translation
from nmt_cli.run.writing import Writer

Score = Callable[[Sequence[Sentence], Sequence[Sequence[int]], Request], Hypotheses]


class Pair(NamedTuple):
    """A sentence and its given translation, in ids without EOS."""

    sentence: Sentence
    target: list[int]
    was_cut: bool


class Forcing(NamedTuple):
    """Scores pairs of lines.

    score: gives the log-probabilities of translations, a batch at a time (see `Decoding.score`).
    request: search.long_lines is "cut", because a line that is split has no translation to score for its parts.
    """

    source: Tokenizer
    target: Tokenizer
    request: Request
    score: Score

    def run(self, sources: Sequence[str], targets: Sequence[str]) -> list[Translation]:
        """Each pair as the translation that search would have reported, had it found these pieces."""
        results = [self.unread(target) for target in targets]
        for group in self.batches(self.pairs(sources, targets)):
            found = self.score([pair.sentence for pair in group], [pair.target for pair in group], self.request)
            for row, pair in enumerate(group):
                place = pair.sentence.line
                results[place] = self.result(sources[place], targets[place], pair, row, found)
        return results

    def pairs(self, sources: Sequence[str], targets: Sequence[str]) -> list[Pair]:
        """The pairs whose source has something in it."""
        search = self.request.search
        most = longest_translation(search.max_length + 1, search)
        longest = most * LONGEST_PIECE
        sentences = read(self.source, self.target, [Line(text) for text in sources], search)
        given = [targets[sentence.line] for sentence in sentences]
        encoded = self.target.encode(["" if is_blank(text) else text[:longest] for text in given])
        return [
            Pair(sentence, ids[:most], sentence.was_cut or len(ids) > most or len(text) > longest)
            for sentence, ids, text in zip(sentences, encoded, given, strict=True)
        ]

    def batches(self, pairs: list[Pair]) -> list[list[Pair]]:
        """Batches of pairs whose sources are padded as search pads them, those of like translations together."""
        request = self.request
        return grouped(
            sorted(pairs, key=lambda pair: -len(pair.target)),
            padded=lambda pair: request.source_shape(len(pair.sentence.ids)),
            most=lambda length: request.rows,
        )

    def result(self, source: str, target: str, pair: Pair, row: int, found: Hypotheses) -> Translation:
        """One row of what was found. source, target: the lines as they were given."""
        ids, length = pair.sentence.ids, len(pair.target) + 1
        made = Hypothesis(
            text=target,
            score=float(found.scores[row, 0]),
            tokens=tuple(map(self.target.piece, pair.target)),
            log_probs=tuple(found.log_probs[row, 0, :length].tolist()),
        )
        flags = (CUT,) if pair.was_cut else ()
        tokens = tuple(map(self.source.piece, ids))
        if found.weights is None:
            return Translation(tokens, None, (made,), flags)
        writer = Writer(self.source, self.target, self.request)
        read_from = source[slice(*pair.sentence.span)]
        source_spans = writer.source_spans(read_from, len(ids) - 1)
        weights = np.array(found.weights[row, 0, :length, : len(ids)])  # a copy: found is large
        spans = self.target.spans(target[: length * LONGEST_PIECE])[: length - 1] if pair.target else []
        made = Hypothesis(made.text, made.score, made.tokens, made.log_probs, tuple(spans), weights)
        return Translation(tokens, source_spans, (writer.aligned(made, read_from, source_spans),), flags)

    def unread(self, target: str) -> Translation:
        """Of a pair whose source is blank: the model would not be asked, and its translation is blank for certain."""
        made = Hypothesis(target, 0.0 if is_blank(target) else -math.inf)
        known = blank(made) if self.request.with_weights else Translation(n_best=(made,))
        return replace(known, flags=(EMPTY,))
