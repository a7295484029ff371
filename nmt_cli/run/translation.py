"""What a line became: the translation, what the model thought of it, and what was done to the line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nmt_cli.data.words import Span

# What can be flagged about a translation.
EMPTY = "empty"  # nothing to translate in the line: the model was not asked
CUT = "cut"  # the line was too long, and its end was not translated
SPLIT = "split"  # the line was too long, and was translated in parts
LIMIT = "limit"  # the translation was ended at the longest length allowed
REPLACED = "replaced"  # bytes of the line were not UTF-8 and have been replaced
UNREADABLE = "unreadable"  # the line was not the JSON that was expected: there was nothing to translate
UNMET = "unmet"  # the translation lacks a phrase that is required, or has one that is forbidden


@dataclass(frozen=True)
class Hypothesis:
    """One possible translation of a line.

    score: log-probability / length penalty, in nats; what ranks hypotheses. Of a line that was split: the sum of those
        of its parts.
    tokens: its n pieces. Where a line was split, the end of each part but the last is one of them.
    log_probs: of each piece, and of the end of the sentence: n + 1 numbers, in nats.
    spans: where each piece stands in the text, in characters; like all that follows None unless asked for.
    weights: [n + 1, S] float32, attention of each piece and of the end to the source tokens; None also where a line
        was split.
    alignment: pairs of words as (source, target), counted from 0: for each word of the text, the word of the line that
        was looked at most. Words are what white space separates.
    """

    text: str = ""
    score: float = 0.0
    tokens: tuple[str, ...] = ()
    log_probs: tuple[float, ...] = ()
    spans: tuple[Span, ...] | None = None
    weights: np.ndarray | None = None
    alignment: tuple[tuple[int, int], ...] | None = None

    @property
    def log_prob(self) -> float:
        """Of the whole hypothesis, in nats."""
        return sum(self.log_probs)

    def as_dict(self) -> dict[str, Any]:
        """What JSON shows of it."""
        known = {"text": self.text, "score": finite(self.score), "tokens": self.tokens, "log_probs": self.log_probs}
        if self.alignment is None:
            return known
        weights = None if self.weights is None else self.weights.tolist()
        return {**known, "spans": self.spans, "alignment": self.alignment, "weights": weights}


@dataclass(frozen=True)
class Translation:
    """The translation of one line; text, score and so on are those of its best hypothesis.

    source_tokens: the S pieces that the model read, the last of them (or of each part) the end of the sentence.
    source_spans: where each of them stands in the line, in characters; None unless asked for.
    n_best: hypotheses, best first; at least one.
    flags: any of EMPTY, CUT, SPLIT, LIMIT, REPLACED, UNREADABLE, UNMET.
    fields: what the line carried along.
    """

    source_tokens: tuple[str, ...] = ()
    source_spans: tuple[Span, ...] | None = None
    n_best: tuple[Hypothesis, ...] = (Hypothesis(),)
    flags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.n_best[0].text

    @property
    def score(self) -> float:
        return self.n_best[0].score

    @property
    def tokens(self) -> tuple[str, ...]:
        return self.n_best[0].tokens

    @property
    def log_probs(self) -> tuple[float, ...]:
        return self.n_best[0].log_probs

    @property
    def weights(self) -> np.ndarray | None:
        return self.n_best[0].weights

    @property
    def alignment(self) -> tuple[tuple[int, int], ...] | None:
        return self.n_best[0].alignment

    def as_dict(self, listed: bool = False) -> dict[str, Any]:
        """What JSON shows of it: what the line carried along, the best hypothesis, the flags, what the model read where
        there is an alignment to it, and all hypotheses where they are to be `listed`."""
        shown = {**self.fields, **self.n_best[0].as_dict(), "flags": self.flags}
        if self.alignment is not None:
            shown |= {"source_tokens": self.source_tokens, "source_spans": self.source_spans}
        return {**shown, "n_best": [h.as_dict() for h in self.n_best]} if listed else shown


def finite(number: float) -> float | None:
    """The number as JSON has it, which knows no infinity."""
    return number if math.isfinite(number) else None
