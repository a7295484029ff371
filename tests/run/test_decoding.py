"""Batches through the search: what is found, and that given translations are scored like it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli import config
from nmt_cli.batch import EOS
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.decoding import Decoding, Request
from nmt_cli.run.reading import Sentence

SIZE = 20


@pytest.fixture(scope="module")
def parameters():
    """Two models nobody has trained, with parameters large enough for opinions."""
    ids = jnp.ones((1, 1), jnp.int32)
    shapes = jax.eval_shape(lambda: member().init(jax.random.key(0), ids, method=first_step))["params"]
    return [random_like(shapes, np.random.default_rng(seed)) for seed in range(2)]


def random_like(shapes, rng):
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(scale=0.5, size=leaf.shape), jnp.float32), shapes)


def first_step(seq2seq, source):
    return seq2seq.step(*seq2seq.encode(source, source > 0), source)


def member() -> Seq2Seq:
    sizes = {"embedding_size": 16, "encoder_units": 16, "decoder_units": 16, "attention_units": 16}
    return Seq2Seq(config.Model(**sizes), SIZE, SIZE)


@pytest.fixture(scope="module")
def one() -> Decoding:
    return Decoding([member()], note=lambda text: None)


@pytest.fixture(scope="module")
def two() -> Decoding:
    return Decoding([member(), member()], note=lambda text: None)


def sentences(count: int = 5, **asked) -> list[Sentence]:
    chance = np.random.default_rng(3)
    return [
        Sentence(line, [*chance.integers(4, SIZE, chance.integers(1, 7)).tolist(), EOS], False, **asked)
        for line in range(count)
    ]


def ask(n_best: int = 1, with_weights: bool = True, **search) -> Request:
    return Request(config.Search(**{"beam": 3, "batch_size": 8, **search}), n_best, with_weights)


def targets_of(found, count: int, n: int = 0) -> list[list[int]]:
    return [found.ids[row, n, : found.lengths[row, n] - 1].tolist() for row in range(count)]


def assert_scored_the_same(found, scored, count: int, n: int = 0) -> None:
    for row in range(count):
        length = found.lengths[row, n]
        assert scored.lengths[row, 0] == length
        assert scored.scores[row, 0] == pytest.approx(found.scores[row, n], abs=1e-5)
        np.testing.assert_allclose(scored.log_probs[row, 0, :length], found.log_probs[row, n, :length], atol=1e-5)
        if found.weights is not None:
            np.testing.assert_allclose(scored.weights[row, 0, :length], found.weights[row, n, :length], atol=1e-5)


@pytest.mark.parametrize("members", ["one", "two"])
def test_given_translations_get_the_scores_that_search_gives_them(members, parameters, request):
    decoding = request.getfixturevalue(members)
    own, asked, group = parameters[: len(decoding.members)], ask(n_best=3), sentences()
    found = decoding.run(own, group, asked)
    for n in range(3):
        assert_scored_the_same(found, decoding.score(own, group, targets_of(found, 5, n), asked), 5, n)


def test_an_ensemble_of_a_model_with_itself_translates_as_the_model(one, two, parameters):
    alone = one.run(parameters[:1], sentences(), ask())
    twice = two.run([parameters[0], parameters[0]], sentences(), ask())
    np.testing.assert_array_equal(twice.ids, alone.ids)
    np.testing.assert_allclose(twice.scores[:5], alone.scores[:5], atol=1e-5)


def test_an_ensemble_of_two_models_is_neither_of_them(one, two, parameters):
    found = [one.run([own], sentences(), ask()).ids.tolist() for own in parameters]
    assert two.run(parameters, sentences(), ask()).ids.tolist() not in found
