"""Sums in an order of their own: what they come to, their gradients, and that nothing beside them changes a bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.sums import largest, softmax, total


def numbers(*shape):
    return np.random.default_rng(0).normal(scale=3.0, size=shape).astype(np.float32)


@pytest.mark.parametrize("length", [1, 7, 8, 21, 64])
def test_they_come_to_what_numpy_makes_of_float64(length):
    x = numbers(5, length)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(jax.jit(total)(x)[:, 0], exact.sum(-1), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(jax.jit(largest)(x)[:, 0], x.max(-1))
    powers = np.exp(exact - exact.max(-1, keepdims=True))
    np.testing.assert_allclose(jax.jit(softmax)(x), powers / powers.sum(-1, keepdims=True), rtol=1e-5)


def test_gradients_are_those_of_the_plain_forms():
    x, weights = numbers(3, 11), numbers(3, 11)
    for own, plain in ((softmax, jax.nn.softmax), (total, lambda x: jnp.sum(x, axis=-1, keepdims=True))):
        found, expected = (jax.jit(jax.grad(lambda x, f=f: jnp.sum(f(x) * weights)))(x) for f in (own, plain))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("function", "filler"), [(total, 0.0), (largest, -np.inf), (softmax, -np.inf)])
@pytest.mark.parametrize("length", [8, 64])
@pytest.mark.fault(58)
def test_neither_rows_nor_padding_change_a_bit(function, filler, length):
    function = jax.jit(function)
    x = numbers(64, 5, length)
    alone = [np.asarray(function(x[:rows])) for rows in (1, 4, 7, 32, 64)]
    for few in alone:
        np.testing.assert_array_equal(few, alone[-1][: len(few)])
    padded = np.full((64, 5, length + 40), filler, np.float32)
    padded[..., :length] = x
    np.testing.assert_array_equal(np.asarray(function(padded))[..., :length], alone[-1])
