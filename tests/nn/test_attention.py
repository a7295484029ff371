"""Energies, weights and contexts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.attention import ATTENTIONS, attend, value_factor
from nmt_cli.nn.types import Memory
from tests.nn import reference

B, Q, S, H, D, A = 3, 2, 4, 3, 5, 6
LENGTHS = (4, 2, 0)
MASK = np.arange(S) < np.array(LENGTHS)[:, None]
every_attention = pytest.mark.parametrize("name", list(ATTENTIONS))


def problem(name):
    """Parameters, queries [B Q H] and annotations [B S D] with garbage at padding."""
    rng = np.random.default_rng(0)
    module = ATTENTIONS[name](H, D, A)
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros((B, S, D)), method="keys"))["params"]
    parameters = {key: rng.normal(size=leaf.shape) for key, leaf in shapes.items()}
    return parameters, rng.normal(size=(B, Q, H)), rng.normal(size=(B, S, D))


def attended(name, parameters, query, annotations, dtype=jnp.float64):
    """Weights [B Q S] and contexts [B Q D]."""

    def call(module):
        memory = Memory(module.keys(annotations), annotations, jnp.asarray(MASK))
        energies = module.energies(module.factors(memory.keys), query)
        return attend(energies, value_factor(memory, dtype), memory.mask)

    return ATTENTIONS[name](H, D, A, dtype).apply({"params": parameters}, method=call)


@every_attention
@pytest.mark.usefixtures("double")
def test_weights_and_contexts_equal_the_equations(name):
    parameters, query, annotations = problem(name)
    weights, context = jax.jit(lambda *args: attended(name, *args))(parameters, query, annotations)
    for row, length in enumerate(LENGTHS[:-1]):
        for q in range(Q):
            wanted = reference.attend(parameters, name, query[row, q], annotations[row, :length])
            np.testing.assert_allclose(weights[row, q, :length], wanted[0], rtol=1e-12)
            np.testing.assert_allclose(context[row, q], wanted[1], rtol=1e-12, atol=1e-14)


@every_attention
@pytest.mark.usefixtures("double")
def test_weights_are_shared_out_among_real_tokens_only(name):
    weights, _ = jax.jit(lambda *args: attended(name, *args))(*problem(name))
    np.testing.assert_allclose(weights[:2].sum(-1), 1.0, rtol=1e-14)
    assert not np.asarray(weights)[np.broadcast_to(~MASK[:, None], weights.shape)].any()


@every_attention
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_sentence_of_padding_has_no_context_and_no_gradient(name, scale):
    parameters, query, annotations = jax.tree.map(jnp.float32, problem(name))

    def value(parameters, query, annotations):
        weights, context = attended(name, parameters, query * scale, annotations, jnp.float32)
        return context.sum() + (weights**2).sum(), (weights, context)

    compiled = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True))
    (_, results), gradients = compiled(parameters, query, annotations)
    assert not any(leaf[2].any() for leaf in (*results, *gradients[1:]))  # NaN would be true
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((results, gradients)))
    assert not np.asarray(gradients[2])[~MASK].any()


def test_the_context_is_the_weighted_sum_of_the_values():
    _, _, annotations = problem("general")
    energies = jnp.log(jnp.array([[[1.0, 3.0, 5.0, 7.0]]]))
    memory = Memory(jnp.zeros((1, S, 0)), jnp.float32(annotations[:1]), jnp.array([[True, True, False, True]]))
    weights, context = jax.jit(lambda e: attend(e, value_factor(memory, jnp.float32), memory.mask))(energies)
    np.testing.assert_allclose(weights[0, 0], [1 / 11, 3 / 11, 0, 7 / 11], rtol=1e-6)
    np.testing.assert_allclose(context[0, 0], weights[0, 0] @ annotations[0], rtol=1e-5)
