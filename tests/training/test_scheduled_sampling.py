"""Scheduled sampling: how much is drawn, from what, and that it follows from the key."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.config import Train
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.training.scheduled_sampling import draw_piece, sampled_inputs, teacher_share
from nmt_cli.training.step import batch_gradients
from tests.nn import reference
from tests.nn.small_models import (
    MODELS,
    QUICK,
    SOURCE_LENGTHS,
    TARGET_LENGTHS,
    cast,
    padded_batch,
    random_parameters,
    sizes,
)

KEY = jax.random.key(3)
STEPS = np.array([0, 1, 10, 50, 99, 100, 500, 100_000])


def shares(**options):
    """The share of the reference at each of STEPS."""
    return jax.jit(jax.vmap(functools.partial(teacher_share, Train(sampling_steps=100.0, **options))))(STEPS)


@functools.cache
def sampling(config, dtype=jnp.float32):
    module = Seq2Seq(config, *sizes(config), dtype)
    return jax.jit(functools.partial(sampled_inputs, module), compiler_options=QUICK)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", lambda i: np.maximum(1 - i / 100, 0)),
        ("exponential", lambda i: np.exp(-1 / 100) ** i),
        ("inverse_sigmoid", lambda i: 100 / (100 + np.exp(np.minimum(i / 100, 700)))),
    ],
)
def test_the_share_of_the_reference_decays_as_in_the_paper(schedule, expected):
    wanted = expected(STEPS.astype(np.float64))
    np.testing.assert_allclose(shares(scheduled_sampling=schedule), wanted, rtol=1e-5, atol=1e-7)
    floored = shares(scheduled_sampling=schedule, teacher_least=0.3)
    np.testing.assert_allclose(floored, np.maximum(wanted, 0.3), rtol=1e-5)


def test_a_piece_is_drawn_with_its_probability():
    log_probs = jnp.log(jnp.array([0.1, 0.0, 0.6, 0.3]))[None].repeat(20_000, 0)
    drawn = jax.jit(draw_piece)(log_probs, jax.random.uniform(KEY, (20_000,)))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, [0.1, 0.0, 0.6, 0.3], atol=0.01)


def test_rounding_draws_no_piece_outside_the_vocabulary():
    log_probs = jnp.log(jnp.array([[0.5, 0.49999]]))
    assert draw_piece(log_probs, jnp.array([0.9999999]))[0] == 1


def test_with_the_whole_reference_nothing_changes():
    config = MODELS["lstm-none-last"]
    batch = padded_batch(config)
    fed = sampling(config)(cast(random_parameters(config), jnp.float32), batch, jnp.float32(1.0), KEY)
    np.testing.assert_array_equal(fed, batch.target_in)


def test_the_first_piece_is_always_that_of_the_reference():
    config = MODELS["lstm-none-last"]
    batch = padded_batch(config)
    fed = sampling(config)(cast(random_parameters(config), jnp.float32), batch, jnp.float32(0.0), KEY)
    np.testing.assert_array_equal(fed[:, 0], batch.target_in[:, 0])
    assert (fed != batch.target_in).any()


@pytest.mark.parametrize("name", ["lstm-general-feed", "bahdanau-deep-covered"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_is_fed_was_drawn_by_the_equations(name, share):
    """With the same draws, NumPy's probabilities after each prefix lead to the same pieces."""
    config, parameters = MODELS[name], random_parameters(MODELS[name])
    batch, length = padded_batch(config), max(TARGET_LENGTHS)
    with jax.enable_x64(True):
        fed = np.asarray(sampling(config, jnp.float64)(cast(parameters, jnp.float64), batch, share, KEY))
        kept, draws = (np.asarray(jax.random.uniform(key, (length, len(fed)))) for key in jax.random.split(KEY))
    for row in [row for row, source_length in enumerate(SOURCE_LENGTHS) if source_length]:
        source = batch.source[row, : SOURCE_LENGTHS[row]]
        log_probs, _, _ = reference.translate_forced(parameters, config, source, fed[row])
        for place in range(1, length):
            drawn = np.searchsorted(np.cumsum(np.exp(log_probs[place - 1])), draws[place - 1, row], side="right")
            assert fed[row, place] == (batch.target_in[row, place] if kept[place, row] < share else drawn)


@pytest.mark.slow
def test_sampling_follows_from_the_key_and_the_step():
    config = MODELS["gru-general-plain"]
    module, train = Seq2Seq(config, *sizes(config)), Train(scheduled_sampling="linear", sampling_steps=10.0)
    compiled = jax.jit(functools.partial(batch_gradients, module, train), compiler_options=QUICK)
    parameters, batch = cast(random_parameters(config), jnp.float32), padded_batch(config)
    loss = {
        (key, step): float(compiled(parameters, batch, jax.random.key(key), jnp.int32(step))[1].log_loss)
        for key, step in [(1, 5), (2, 5), (1, 0)]
    }
    assert len(set(loss.values())) == 3
    assert loss[1, 5] == float(compiled(parameters, batch, jax.random.key(1), jnp.int32(5))[1].log_loss)
