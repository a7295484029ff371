"""How good the model is now: loss on the validation pairs, scores of real translations of the validation text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from nmt_cli.batch import Batch
from nmt_cli.config import Train
from nmt_cli.data.batching import Batches, buckets
from nmt_cli.data.store import Prepared
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.loss import Loss
from nmt_cli.run.scoring import Score, score
from nmt_cli.run.translator import Translator

SHAPES = 4  # more would pad less and compile longer
SAMPLES = 3  # translations shown at each validation: the same ones, to be watched as they improve
LINES_AT_A_TIME = 256  # between two looks at whether to stop
METRICS = ("bleu", "chrf")


class Validation(NamedTuple):
    """The result of one look at the validation set."""

    loss: float  # mean negative log-likelihood per target token, in nats
    scores: tuple[Score, ...]  # of the translations; empty when nothing was translated
    samples: tuple[tuple[str, str, str], ...]  # source, reference, translation

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))

    def rank(self, metric: str) -> tuple[str, list[float]]:
        """What the best model is chosen by, and the value: the higher list wins.

        Among equal scores (a BLEU of 0, early on) the loss decides, and where nothing was translated it does alone.
        """
        values = [score.value for score in self.scores if score.metric == metric]
        return metric if values else "loss", [*values, -self.loss]

    def record(self) -> dict[str, float]:
        """What the log holds of it."""
        scores = {f"valid_{score.metric}": score.value for score in self.scores}
        return {"valid_loss": self.loss, "valid_perplexity": self.perplexity, **scores}


class Validator:
    """Measures parameters on a validation set.

    loss: sums for a batch (see `nmt_cli.training.step.make_loss`).
    """

    def __init__(
        self, data: Prepared, train: Train, translator: Translator, loss: Callable[[Any, Batch], Loss]
    ) -> None:
        assert data.valid is not None
        self.translator, self.loss = translator, loss
        shapes = buckets(data.valid.source_lengths, data.valid.target_lengths, train.batch_tokens, SHAPES)
        self.batches = Batches(data.valid, shapes, data.hash, train.seed, shuffle=False)
        source, target = data.valid_text()
        self.source, self.target = source[: train.eval_lines], target[: train.eval_lines]

    def __call__(self, parameters: Any, look: Callable[[], None]) -> Validation:
        """Measure. look: called every so often between parts of the work; it may raise to break off."""
        log_loss = tokens = 0.0
        for index in range(len(self.batches)):
            look()
            sums = self.loss(parameters, self.batches.batch(0, index))
            log_loss, tokens = log_loss + float(sums.log_loss), tokens + float(sums.tokens)
        try:
            texts = self.translate(parameters, look)
        except UserError as error:
            if error.code != Exit.DIVERGED:
                raise
            texts, log_loss = [], math.nan  # the loop decides what becomes of parameters that make no numbers
        return Validation(
            loss=log_loss / max(tokens, 1.0),
            scores=tuple(score(texts, [self.target], METRICS)) if texts else (),
            samples=tuple(zip(self.source, self.target, texts, strict=False))[:SAMPLES],
        )

    def translate(self, parameters: Any, look: Callable[[], None]) -> list[str]:
        """Greedy translations of the validation text."""
        self.translator.parameters = parameters
        texts: list[str] = []
        for start in range(0, len(self.source), LINES_AT_A_TIME):
            look()
            lines = self.source[start : start + LINES_AT_A_TIME]
            texts += [translation.text for translation in self.translator.translate(lines, beam=1)]
        return texts
