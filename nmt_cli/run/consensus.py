"""Minimum Bayes risk decoding: of several translations, the one most like all of them (Eikema & Aziz 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nmt_cli.run.scoring import mean_chrf
from nmt_cli.run.translation import Hypothesis


def consensus(samples: Sequence[Hypothesis], n_best: int) -> tuple[Hypothesis, ...]:
    """The different texts among samples, by how like they are to all samples, up to `n_best` of them.

    Their score is the mean chrF in percent, with the samples as references: what is expected of it if the translation
    that is wanted is one of the model's.
    """
    utility = mean_chrf([sample.text for sample in samples])
    first = {sample.text: sample for sample in reversed(samples)}
    ordered = sorted(first, key=lambda text: -utility[text])
    return tuple(replace(first[text], score=utility[text]) for text in ordered[:n_best])
