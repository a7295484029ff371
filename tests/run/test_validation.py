"""The look at the validation set: sums divided once, scores of translations, and which of two models is the better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nmt_cli.config import Train
from nmt_cli.data.store import Pairs, Sentences
from nmt_cli.nn.loss import Loss
from nmt_cli.run import validation
from nmt_cli.run.scoring import Score
from nmt_cli.run.translation import Hypothesis, Translation
from nmt_cli.run.validation import Validation, Validator

SOURCE = [f"le chat numéro {n} dort" for n in range(40)]
TARGET = [f"the cat number {n} sleeps" for n in range(40)]


class SomeData:
    """Prepared data with a validation set whose sentence n is n % 9 + 1 pieces long."""

    hash = "a" * 64

    def __init__(self) -> None:
        sentences = Sentences.from_lists([[4 + n % 5] * (n % 9 + 1) for n in range(40)])
        self.valid = Pairs(sentences, sentences)

    def valid_text(self) -> tuple[list[str], list[str]]:
        return SOURCE, TARGET


class Parrot:
    """A translator that knows the answers, and what it has been asked."""

    def __init__(self) -> None:
        self.parameters: Any = None
        self.asked: list[tuple[int, int]] = []

    def translate(self, lines: list[str], beam: int) -> list[Translation]:
        self.asked.append((len(lines), beam))
        return [Translation(n_best=(Hypothesis(TARGET[SOURCE.index(line)]),)) for line in lines]


def validator(loss: Any = None, **options: Any) -> Validator:
    def two_nats(parameters: Any, batch: Any) -> Loss:
        tokens = np.float32(batch.target_mask.sum())
        return Loss(tokens * 9, tokens * 2, tokens)

    return Validator(SomeData(), Train(batch_tokens=64, **options), Parrot(), loss or two_nats)


def result(loss: float, **scores: float) -> Validation:
    return Validation(loss, tuple(Score(name, value, "") for name, value in scores.items()), ())


def test_the_loss_is_the_mean_over_the_tokens_of_all_batches():
    losses = []

    def loss(parameters: Any, batch: Any) -> Loss:  # 1 nat a token in the first batch, 3 in all others
        tokens = np.float32(batch.target_mask.sum())
        losses.append((1.0 if not losses else 3.0, float(tokens)))
        return Loss(tokens, tokens * losses[-1][0], tokens)

    found = validator(loss)({}, lambda: None)
    assert len(losses) > 1
    assert sum(tokens for _, tokens in losses) == sum(n % 9 + 2 for n in range(40))  # with EOS
    assert found.loss == pytest.approx(np.average([nats for nats, _ in losses], weights=[n for _, n in losses]))


def test_perplexity_is_the_exponential_of_the_loss():
    assert validator()({}, lambda: None).perplexity == pytest.approx(math.exp(2.0))


def test_real_translations_are_scored_and_some_shown():
    found = validator()({}, lambda: None)
    assert [(score.metric, score.value) for score in found.scores] == [("bleu", pytest.approx(100.0)), ("chrf", 100.0)]
    assert all("version" in score.signature for score in found.scores)
    assert found.samples[0] == (SOURCE[0], TARGET[0], TARGET[0])
    assert len(found.samples) == 3


def test_translating_is_greedy_and_with_the_parameters_given():
    measure = validator()
    measure({"kernel": 1}, lambda: None)
    assert measure.translator.parameters == {"kernel": 1}
    assert measure.translator.asked == [(40, 1)]


def test_only_so_many_lines_are_translated():
    assert validator(eval_lines=7).source == SOURCE[:7]


def test_without_lines_to_translate_the_loss_is_all_there_is():
    found = validator(eval_lines=0)({}, lambda: None)
    assert found.scores == found.samples == ()
    assert found.record() == {"valid_loss": 2.0, "valid_perplexity": pytest.approx(math.exp(2.0))}


def test_the_record_is_flat():
    assert result(1.0, bleu=30.0, chrf=55.0).record() == {
        "valid_loss": 1.0,
        "valid_perplexity": math.e,
        "valid_bleu": 30.0,
        "valid_chrf": 55.0,
    }


def test_it_can_be_broken_off_between_parts_of_the_work(monkeypatch):
    monkeypatch.setattr(validation, "LINES_AT_A_TIME", 10)
    looks = []
    measure = validator()
    measure({}, lambda: looks.append(1))
    assert len(looks) == len(measure.batches) + 4

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        measure({}, stop)


@pytest.mark.parametrize(
    ("better", "worse", "metric"),
    [
        (result(2.0, bleu=30.0, chrf=50.0), result(1.0, bleu=29.0, chrf=51.0), "bleu"),
        (result(2.0, bleu=29.0, chrf=51.0), result(1.0, bleu=30.0, chrf=50.0), "chrf"),
        (result(1.0, bleu=29.0), result(2.0, bleu=30.0), "loss"),
        (result(1.0, bleu=0.0), result(2.0, bleu=0.0), "bleu"),
        (result(1.0), result(2.0), "bleu"),
    ],
    ids=["bleu", "chrf", "loss", "the loss where scores are equal", "the loss where nothing was translated"],
)
def test_the_better_model_ranks_higher(better, worse, metric):
    (_, high), (_, low) = better.rank(metric), worse.rank(metric)
    assert high > low


def test_it_says_what_the_rank_was_measured_in():
    assert result(1.0, bleu=1.0).rank("bleu")[0] == "bleu"
    assert result(1.0).rank("bleu")[0] == "loss"


def test_a_loss_that_is_no_number_or_huge_has_a_perplexity_nevertheless():
    assert math.isnan(result(math.nan).perplexity)
    assert math.isfinite(result(1e9).perplexity)
