"""Cross-entropy: sums, masks, smoothing, chunks, and gradients made in the forward pass."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nmt_cli.nn.loss import cross_entropy
from tests.nn import reference

N, H, V = 7, 3, 5


def sample(seed=0):
    """hidden [N H], table [V H], bias [V], targets [N], mask [N] with real tokens before and after padding."""
    rng = np.random.default_rng(seed)
    mask = np.array([True, False, True, True, False, True, True])
    return rng.normal(size=(N, H)), rng.normal(size=(V, H)), rng.normal(size=V), rng.integers(0, V, N), mask


def smoothed(smoothing, chunk, dtype, hidden, table, bias, targets, mask):
    return cross_entropy(hidden, table, bias, targets, mask, smoothing, dtype, chunk).smoothed


@partial(jax.jit, static_argnums=(0, 1, 2))
def value_and_gradients(smoothing, chunk, dtype, *args):
    return jax.value_and_grad(partial(smoothed, smoothing, chunk, dtype), argnums=(0, 1, 2))(*args)


losses = partial(jax.jit, static_argnums=(5, 6, 7))(cross_entropy)


def plain(hidden, table, bias, targets, mask, smoothing):
    """The formula as one would write it, for autodiff."""
    log_probs = jax.nn.log_softmax(hidden @ table.T + bias)
    wanted = optax.losses.smooth_labels(jax.nn.one_hot(targets, V, dtype=hidden.dtype), smoothing)
    return jnp.where(mask, -(wanted * log_probs).sum(-1), 0.0).sum()


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_cross_entropy_of_the_real_tokens(smoothing):
    hidden, table, bias, targets, mask = sample()
    log_probs = reference.log_softmax(hidden @ table.T + bias)[mask]
    loss = losses(hidden, table, bias, targets, mask, smoothing, jnp.float64, 256)
    assert loss.smoothed == pytest.approx(reference.cross_entropy(log_probs, targets[mask], smoothing), rel=1e-12)
    assert loss.log_loss == pytest.approx(reference.cross_entropy(log_probs, targets[mask], 0.0), rel=1e-12)
    assert loss.tokens == 5


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 256])
def test_chunks_of_any_size_give_the_gradients_of_the_plain_formula(chunk, smoothing):
    args = sample()
    wanted = jax.jit(jax.value_and_grad(plain, argnums=(0, 1, 2)), static_argnums=5)(*args, smoothing)
    found = value_and_gradients(smoothing, chunk, jnp.float64, *args)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14)


@pytest.mark.usefixtures("double")
def test_without_smoothing_it_is_what_optax_computes():
    hidden, table, bias, targets, mask = sample()
    tokens = optax.losses.softmax_cross_entropy_with_integer_labels(hidden @ table.T + bias, targets)
    loss = losses(hidden, table, bias, targets, mask, 0.0, jnp.float64, 256)
    assert loss.smoothed == pytest.approx(float(tokens[mask].sum()), rel=1e-12)


@pytest.mark.usefixtures("double")
def test_gradients_scale_with_what_the_loss_is_divided_by():
    args = sample()
    half = jax.jit(jax.grad(lambda *a: smoothed(0.1, 3, jnp.float64, *a) / 2, argnums=(0, 1, 2)))(*args)
    _, whole = value_and_gradients(0.1, 3, jnp.float64, *args)
    for a, b in zip(half, whole, strict=True):
        np.testing.assert_allclose(a, b / 2, rtol=1e-12)


@pytest.mark.usefixtures("double")
def test_sums_of_the_parts_of_a_batch_add_up():
    args = sample()
    hidden, table, bias, targets, mask = args
    whole = losses(*args, 0.1, jnp.float64, 256)
    parts = [
        losses(hidden[c], table, bias, targets[c], mask[c], 0.1, jnp.float64, 256) for c in np.split(np.arange(7), [3])
    ]
    for found, wanted in zip(jax.tree.map(jnp.add, *parts), whole, strict=True):
        assert found == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("chunk", [2, 256])
def test_nothing_but_padding_costs_nothing_and_has_no_gradient(chunk):
    hidden, table, bias, targets, _ = sample()
    args = (*(np.float32(x) for x in (hidden, table, bias)), targets, np.zeros(N, bool))
    value, gradients = value_and_gradients(0.1, chunk, jnp.float32, *args)
    assert value == 0.0
    assert not any(gradient.any() for gradient in gradients)  # NaN would be true


def test_what_stands_at_padding_changes_nothing():
    hidden, table, bias, targets, mask = sample()
    hidden, table, bias = (np.float32(x) for x in (hidden, table, bias))
    garbage = np.where(mask[:, None], hidden, np.float32(1e6)), table, bias, np.where(mask, targets, 10**6), mask
    wanted = value_and_gradients(0.1, 3, jnp.float32, hidden, table, bias, targets, mask)
    for a, b in zip(*map(jax.tree.leaves, (value_and_gradients(0.1, 3, jnp.float32, *garbage), wanted)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_logits_of_any_size_give_a_finite_loss():
    hidden, table, bias, targets, mask = sample()
    args = (np.float32(hidden * 1e4), np.float32(table * 1e4), np.float32(bias), targets, mask)
    value, gradients = value_and_gradients(0.1, 3, jnp.float32, *args)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_bfloat16_products_stay_close_to_float32():
    hidden, table, bias, targets, mask = sample()
    args = (*(np.float32(x) for x in (hidden, table, bias)), targets, mask)
    exact, rounded = (value_and_gradients(0.1, 3, dtype, *args) for dtype in (jnp.float32, jnp.bfloat16))
    for a, b in zip(jax.tree.leaves(rounded), jax.tree.leaves(exact), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=0.02, atol=0.02)


def test_memory_does_not_grow_with_tokens_times_vocabulary():
    vocabulary, units, chunk = 2000, 8, 128

    def memory(tokens):
        shapes = [(tokens, units), (vocabulary, units), (vocabulary,)]
        args = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
        args += [jax.ShapeDtypeStruct((tokens,), dtype) for dtype in (jnp.int32, jnp.bool)]
        compiled = value_and_gradients.lower(0.1, chunk, jnp.float32, *args).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    few, many = memory(2 * chunk), memory(8 * chunk)
    assert few > 4 * chunk * vocabulary  # it counts the logits of a chunk
    assert many - few < 6 * chunk * vocabulary * 4 / 20  # those of six more would take 20 times as much
