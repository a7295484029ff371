"""What search found for a sentence becomes text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nmt_cli.batch import UNK
from nmt_cli.data.lines import clean_output
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.data.words import Span, align, words, words_of
from nmt_cli.nn.hypotheses import Hypotheses
from nmt_cli.run.consensus import consensus
from nmt_cli.run.reading import Sentence
from nmt_cli.run.request import Request, most_pieces
from nmt_cli.run.translation import CUT, LIMIT, Hypothesis, Translation


class Writer(NamedTuple):
    """Makes text of what search found.

    unknown: what to write in the place of an unknown piece for the source word that was looked at most; a word that is
        not there is copied. None leaves unknown pieces as they are.
    """

    source: Tokenizer
    target: Tokenizer
    request: Request
    unknown: Mapping[str, str] | None = None

    def write(self, line: str, sentence: Sentence, row: int, found: Hypotheses) -> Translation:
        """One row of what search found, as text; of a part of a line, places are counted in the part."""
        text = line[slice(*sentence.span)]
        wanted = self.request.with_weights or self.unknown is not None
        spans = self.source_spans(text, len(sentence.ids) - 1) if wanted else None
        hypotheses = tuple(
            self.hypothesis(text, spans, row, n, found) for n in range(found.ids.shape[1]) if found.lengths[row, n] > 0
        )
        if self.request.search.method == "mbr":
            hypotheses = consensus(hypotheses, self.request.n_best)
        elif self.request.search.method == "beam":
            hypotheses = distinct(hypotheses)
        at_limit = len(hypotheses[0].tokens) >= most_pieces(sentence, self.request.search)
        flags = tuple(flag for flag, raised in ((CUT, sentence.was_cut), (LIMIT, at_limit)) if raised)
        tokens = tuple(map(self.source.piece, sentence.ids))
        if len(text) < len(line) and not sentence.was_cut:  # the weights of all parts could fill the memory
            hypotheses = tuple(replace(hypothesis, weights=None) for hypothesis in hypotheses)
        return Translation(tokens, spans if self.request.with_weights else None, hypotheses, flags)

    def source_spans(self, text: str, count: int) -> tuple[Span, ...]:
        """Where each of the first `count` pieces of a text stands, and after them the end of the sentence."""
        spans = self.source.spans(text)[:count]
        return (*spans, (spans[-1][1], spans[-1][1]))

    def hypothesis(
        self, text: str, source_spans: Sequence[Span] | None, row: int, n: int, found: Hypotheses
    ) -> Hypothesis:
        """The n-th hypothesis of a row, as text."""
        length = int(found.lengths[row, n])
        ids = found.ids[row, n, : length - 1].tolist()
        made = Hypothesis(
            text=clean_output(self.target.decode(ids)),
            score=float(found.scores[row, n]),
            tokens=tuple(map(self.target.piece, ids)),
            log_probs=tuple(found.log_probs[row, n, :length].tolist()),
        )
        if source_spans is None or found.weights is None:
            return made
        weights = np.array(found.weights[row, n, :length, : len(source_spans)])  # a copy: found is large
        made = replace(made, spans=tuple(self.target.places(ids)), weights=weights)
        if self.unknown is not None and UNK in ids:
            made = replace_unknown(made, ids, text, source_spans, self.unknown)
        return (
            self.aligned(made, text, source_spans)
            if self.request.with_weights
            else replace(made, spans=None, weights=None)
        )

    def aligned(self, made: Hypothesis, text: str, source_spans: Sequence[Span]) -> Hypothesis:
        """The hypothesis with which of its words belong to which of the source's."""
        assert made.weights is not None
        assert made.spans is not None
        from_words, to_words = words_of(source_spans, words(text)), words_of(made.spans, words(made.text))
        return replace(made, alignment=tuple(align(made.weights, from_words, to_words)))


def distinct(hypotheses: Sequence[Hypothesis]) -> tuple[Hypothesis, ...]:
    """Each text once, as the best hypothesis spells it: pieces may spell a text in several ways."""
    best = {made.text: made for made in reversed(hypotheses)}
    return tuple(made for made in hypotheses if best[made.text] is made)


def replace_unknown(
    made: Hypothesis, ids: Sequence[int], source: str, source_spans: Sequence[Span], dictionary: Mapping[str, str]
) -> Hypothesis:
    """The hypothesis with the translation of a source word, or a copy of it, for each unknown piece.

    The word is the one with the highest weight (Luong et al. 2015, "Addressing the rare word problem", section 3.3,
    with attention in the place of their alignments).
    """
    assert made.weights is not None
    assert made.spans is not None
    text, spans, done = "", [], 0
    for id, weights, (start, end) in zip(ids, made.weights, made.spans, strict=False):
        text += made.text[done:start]
        written = made.text[start:end]
        if id == UNK:
            begin, stop = source_spans[int(np.argmax(weights[: len(source_spans) - 1]))]
            word = source[begin:stop]
            written = dictionary.get(word) or dictionary.get(word.lower()) or word
        spans.append((len(text), len(text) + len(written)))
        text, done = text + written, end
    return replace(made, text=text + made.text[done:], spans=tuple(spans))
