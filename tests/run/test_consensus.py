"""Minimum Bayes risk: the sample most like the others comes first."""

from __future__ import annotations

import pytest

from nmt_cli.run.consensus import consensus
from nmt_cli.run.translation import Hypothesis


def samples(*texts: str) -> list[Hypothesis]:
    return [Hypothesis(text, score=-1.0 - place, tokens=(str(place),)) for place, text in enumerate(texts)]


def test_the_text_most_like_all_samples_comes_first():
    best, *others = consensus(samples("no", "a small house", "a small horse", "the small house"), 4)
    assert best.text == "a small house"
    assert others[-1].text == "no"
    assert [best.score, *(other.score for other in others)] == sorted((h.score for h in [best, *others]), reverse=True)


def test_what_is_sampled_often_weighs_more():
    assert consensus(samples("yes", "no", "yes"), 1)[0].text == "yes"


def test_each_text_is_given_once_and_no_more_than_asked_for():
    found = consensus(samples("yes", "no", "yes", "maybe"), 2)
    assert len({hypothesis.text for hypothesis in found}) == len(found) == 2
    assert [h.tokens for h in consensus(samples("yes", "no", "yes"), 3) if h.text == "yes"] == [("0",)]


def test_one_sample_is_like_itself():
    (found,) = consensus(samples("a small house"), 1)
    assert found.score == pytest.approx(100.0)


def test_samples_of_nothing_are_no_mistake():
    assert consensus(samples("", ""), 2)[0].text == ""
