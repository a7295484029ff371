"""What may come next: the same log-probabilities and the same best continuations as written out in full."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.top import table_depth

ROWS, WIDTH = 3, 4


def made(size: int, seed: int = 0) -> tuple[Distribution, np.ndarray]:
    """A distribution of random logits, and its log-probabilities [B K V] computed in float64."""
    logits = np.random.default_rng(seed).normal(scale=3.0, size=(ROWS, WIDTH, size)).astype(np.float32)
    depth = table_depth(size)
    by_piece = np.pad(logits.reshape(-1, size).T, ((0, -size % depth), (0, 0)), constant_values=-np.inf)
    found = jax.jit(Distribution.of_logits, static_argnums=(1, 2))(
        by_piece.reshape(-1, depth, ROWS * WIDTH), ROWS, size
    )
    exact = logits.astype(np.float64)
    return found, exact - np.log(np.exp(exact).sum(axis=2, keepdims=True))


@pytest.mark.parametrize("size", [5, 64, 67, 640, 1000])
def test_log_probs_are_those_of_a_softmax(size):
    found, expected = made(size)
    np.testing.assert_allclose(found.log_probs(), expected, atol=1e-5)
    np.testing.assert_allclose(Distribution.of(jnp.asarray(expected, jnp.float32)).log_probs(), expected, atol=1e-5)


@pytest.mark.parametrize("size", [5, 64, 67, 640, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_are_the_best_of_all_that_may_come(size, seed):
    found, log_probs = made(size, seed)
    depth = found.logits.shape[1]
    chance = np.random.default_rng(seed)
    before = chance.normal(size=(ROWS, WIDTH)).astype(np.float32)
    first, others = chance.random((ROWS, depth)) < 0.7, np.array([True, False, True])
    allowed = np.concatenate([first, np.repeat(others[:, None], max(size - depth, 0), axis=1)], axis=1)[:, :size]
    everything = np.where(allowed[:, None], before[:, :, None] + log_probs, -np.inf).reshape(ROWS, -1)
    totals, taken = jax.jit(Distribution.best)(found, before, first, others)
    expected = np.argsort(-everything, axis=1)[:, :WIDTH]
    np.testing.assert_array_equal(taken, expected)
    np.testing.assert_allclose(totals, np.take_along_axis(everything, expected, axis=1), atol=1e-5)
    np.testing.assert_allclose(
        found.of_taken(taken), np.take_along_axis(log_probs.reshape(ROWS, -1), expected, axis=1), atol=1e-5
    )


def test_where_nothing_may_come_nothing_beyond_the_vocabulary_is_taken():
    found, _ = made(67)
    nothing = jnp.zeros((ROWS, found.logits.shape[1]), bool)
    totals, taken = found.best(jnp.zeros((ROWS, WIDTH)), nothing, jnp.zeros(ROWS, bool))
    assert np.all(np.isneginf(totals))
    assert np.all((taken >= 0) & (taken < WIDTH * 67))
