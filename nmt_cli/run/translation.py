"""What a line became: the translation, what the model thought of it, and what was done to the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# What can be flagged about a translation.
EMPTY = "empty"  # nothing to translate in the line: the model was not asked
CUT = "cut"  # the line was too long, and its end was not translated
LIMIT = "limit"  # the translation was ended at the longest length allowed


@dataclass(frozen=True)
class Hypothesis:
    """One possible translation of a line.

    score: log-probability / length penalty, in nats; what ranks hypotheses.
    tokens: its n pieces.
    log_probs: of each piece, and of the end of the sentence: n + 1 numbers, in nats.
    weights: [n + 1, S] float32, attention of each of these to the source tokens; None unless asked for.
    """

    text: str = ""
    score: float = 0.0
    tokens: tuple[str, ...] = ()
    log_probs: tuple[float, ...] = ()
    weights: np.ndarray | None = None

    @property
    def log_prob(self) -> float:
        """Of the whole hypothesis, in nats."""
        return sum(self.log_probs)

    def as_dict(self) -> dict[str, Any]:
        """What JSON shows of it."""
        known = {"text": self.text, "score": self.score, "tokens": self.tokens, "log_probs": self.log_probs}
        return known if self.weights is None else {**known, "weights": self.weights.tolist()}


@dataclass(frozen=True)
class Translation:
    """The translation of one line; text, score and so on are those of its best hypothesis.

    source_tokens: the S pieces that the model read, the last of them the end of the sentence.
    n_best: hypotheses, best first; at least one.
    flags: any of EMPTY, CUT, LIMIT.
    """

    source_tokens: tuple[str, ...] = ()
    n_best: tuple[Hypothesis, ...] = (Hypothesis(),)
    flags: tuple[str, ...] = ()

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

    def as_dict(self) -> dict[str, Any]:
        """What JSON shows of it: the best hypothesis, the flags, and all hypotheses where there are several."""
        shown = {**self.n_best[0].as_dict(), "flags": self.flags}
        return shown if len(self.n_best) == 1 else {**shown, "n_best": [h.as_dict() for h in self.n_best]}
