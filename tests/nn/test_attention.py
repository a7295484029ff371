"""Energies, weights and contexts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.config import Model
from nmt_cli.nn.attention import ATTENTIONS, Position, attend, look, value_factor
from tests.nn import reference

B, Q, S, H, D, A = 3, 2, 4, 3, 6, 8
LENGTHS = (4, 2, 0)
MASK = np.arange(S) < np.array(LENGTHS)[:, None]
TIME = np.array([[1.0, 3.0], [2.0, 5.0], [1.0, 4.0]])


def model(name, **options):
    sizes = {"encoder_units": D, "decoder_units": D if name == "dot" else H, "attention_units": A}
    return Model(attention=name, attention_heads=2, attention_positions=3, attention_window=1, **sizes, **options)


MODELS = {
    **{name: model(name) for name in ATTENTIONS},
    **{f"{name}-covered": model(name, coverage=True) for name in ("additive", "concat", "multi_head")},
    "general-local-m": model("general", attention_span="local-m"),
    "dot-local-p": model("dot", attention_span="local-p"),
    "location-local-p": model("location", attention_span="local-p"),
    "multi_head-local-p": model("multi_head", attention_span="local-p"),
}
every_attention = pytest.mark.parametrize("config", MODELS.values(), ids=MODELS.keys())


def problem(config):
    """Parameters of the attention and of its position, queries [B Q H], annotations [B S D], and coverage [B Q S]."""
    rng, key = np.random.default_rng(0), jax.random.key(0)
    module = ATTENTIONS[config.attention](config)
    attention = jax.eval_shape(lambda: module.init(key, jnp.zeros((B, S, D)), method="keys")).get("params", {})
    position = jax.eval_shape(lambda: Position(config).init(key, method="factors"))["params"]
    parameters = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), {"attention": attention, "position": position})
    annotations = rng.normal(size=(B, S, D)) * MASK[:, :, None]
    return parameters, rng.normal(size=(B, Q, config.decoder_units)), annotations, rng.uniform(size=(B, Q, S))


def attended(config, parameters, query, annotations, coverage, dtype=jnp.float64):
    """Weights [B Q S] and contexts [B Q D]."""

    def call(module):
        position = Position(config, dtype).apply({"params": parameters["position"]}, method="factors")
        values = module.values(annotations) if config.attention == "multi_head" else annotations
        factors = {
            "energies": module.factors(module.keys(annotations)),
            "values": value_factor(config, values, dtype),
            "mask": jnp.asarray(MASK),
            "position": position,
        }
        return look(config, factors, query, jnp.asarray(TIME, query.dtype), coverage if config.coverage else None)

    module = ATTENTIONS[config.attention](config, dtype)
    return module.apply({"params": parameters["attention"]}, method=call)


@every_attention
@pytest.mark.usefixtures("double")
def test_weights_and_contexts_equal_the_equations(config):
    parameters, query, annotations, coverage = problem(config)
    weights, context = jax.jit(lambda *args: attended(config, *args))(parameters, query, annotations, coverage)
    for row, length in enumerate(LENGTHS[:-1]):
        for q in range(Q):
            wanted = reference.attend(
                parameters["attention"],
                config,
                query[row, q],
                annotations[row, :length],
                TIME[row, q],
                coverage[row, q],
                parameters["position"],
            )
            np.testing.assert_allclose(weights[row, q, :length], wanted[0], rtol=1e-12, atol=1e-15)
            np.testing.assert_allclose(context[row, q], wanted[1], rtol=1e-12, atol=1e-14)


@every_attention
@pytest.mark.usefixtures("double")
def test_weights_are_shared_out_among_real_tokens_only(config):
    weights, _ = jax.jit(lambda *args: attended(config, *args))(*problem(config))
    if config.attention_span != "local-p":  # where the Gaussian takes some away
        np.testing.assert_allclose(weights[:2].sum(-1), 1.0, rtol=1e-14)
    assert weights[:2].sum(-1).all()
    assert not np.asarray(weights)[np.broadcast_to(~MASK[:, None], weights.shape)].any()


@every_attention
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_sentence_of_padding_has_no_context_and_no_gradient(config, scale):
    arguments = jax.tree.map(jnp.float32, problem(config))

    def value(parameters, query, annotations, coverage):
        results = attended(config, parameters, query * scale, annotations, coverage, jnp.float32)
        return results[1].sum() + (results[0] ** 2).sum(), results

    compiled = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True))
    (_, results), gradients = compiled(*arguments)
    assert not any(leaf[2].any() for leaf in (*results, *gradients[1:]))  # NaN would be true
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((results, gradients)))
    assert not np.asarray(gradients[2])[~MASK].any()


def test_the_context_is_the_weighted_sum_of_the_values():
    annotations = jnp.float32(np.random.default_rng(0).normal(size=(1, S, D)))
    energies, mask = jnp.log(jnp.array([[[1.0, 3.0, 5.0, 7.0]]])), jnp.array([[[True, True, False, True]]])
    values = value_factor(MODELS["general"], annotations, jnp.float32)
    weights, context = jax.jit(lambda e: attend(e, values, mask))(energies)
    np.testing.assert_allclose(weights[0, 0], [1 / 11, 3 / 11, 0, 7 / 11], rtol=1e-6)
    np.testing.assert_allclose(context[0, 0], weights[0, 0] @ annotations[0], rtol=1e-5)


@pytest.mark.usefixtures("double")
def test_monotonic_attention_moves_along_with_the_target_up_to_the_end_of_the_source():
    config = MODELS["general-local-m"]
    weights, _ = jax.jit(lambda *args: attended(config, *args))(*problem(config))
    seen = np.asarray(weights) > 0
    np.testing.assert_array_equal(seen[0], [[True, True, False, False], [False, True, True, True]])
    np.testing.assert_array_equal(seen[1], [[True, True, False, False]] * 2)  # a source of two: time 2, time 5


@pytest.mark.usefixtures("double")
def test_location_attention_does_not_see_the_end_of_a_long_source():
    weights, _ = jax.jit(lambda *args: attended(MODELS["location"], *args))(*problem(MODELS["location"]))
    assert (np.asarray(weights)[0] > 0).tolist() == [[True, True, True, False]] * Q
