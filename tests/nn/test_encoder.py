"""The encoder over padded batches, against the equations for each sentence alone."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.config import Model
from nmt_cli.nn import encoder
from nmt_cli.nn.encoder import Encoder
from tests.nn import reference

E, D = 3, 4
LENGTHS = (5, 1, 3, 0)
CONFIGS = {
    f"{cell}-{'both' if bidirectional else 'forward'}-{layers}-residual{residual}": Model(
        cell=cell,
        bidirectional=bidirectional,
        encoder_layers=layers,
        residual_from=residual,
        embedding_size=E,
        encoder_units=D,
    )
    for cell, bidirectional, layers, residual in [
        ("lstm", True, 1, 0),
        ("lstm", False, 1, 1),
        ("lstm", True, 3, 3),
        ("gru", True, 2, 2),
        ("gru", False, 2, 1),
        ("lstm_layer_norm", True, 1, 0),
        ("gru_reset_before", False, 1, 0),
    ]
}
SIZES = {"embedding_size": E, "encoder_units": D, "input_feeding": False}
CONFIGS["gnmt"] = Model(encoder_layers=3, residual_from=3, bidirectional_layers=1, **SIZES)
CONFIGS["reversed"] = Model(cell="gru", encoder_layers=2, bidirectional=False, reverse_source=True, **SIZES)
every_encoder = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


@cache
def random_parameters(config):
    with jax.enable_x64(False):
        shapes = jax.eval_shape(
            lambda: Encoder(config).init(jax.random.key(0), jnp.zeros((5, 4, E)), jnp.ones((5, 4), bool))
        )
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(scale=0.7, size=leaf.shape), shapes["params"])


def padded(fill_seed, dtype=np.float64):
    """Embedded [S B E] with large garbage at padding, and the mask [S B]."""
    embedded = np.random.default_rng(1).normal(size=(max(LENGTHS), len(LENGTHS), E))
    mask = np.arange(max(LENGTHS))[:, None] < np.array(LENGTHS)
    garbage = np.random.default_rng(fill_seed).normal(scale=100.0, size=embedded.shape)
    return np.where(mask[:, :, None], embedded, garbage).astype(dtype), mask


@cache
def compiled(config, dtype):
    encoder = Encoder(config, dtype)
    return jax.jit(lambda parameters, embedded, mask: encoder.apply({"params": parameters}, embedded, mask))


def encoded(config, fill_seed=2):
    return compiled(config, jnp.float64)(random_parameters(config), *padded(fill_seed))


@every_encoder
@pytest.mark.usefixtures("double")
def test_annotations_and_final_states_equal_those_of_each_sentence_alone(config):
    (embedded, _), (annotations, finals) = padded(2), encoded(config)
    for row, length in enumerate(LENGTHS[:-1]):
        wanted, wanted_finals = reference.encode(random_parameters(config), config, embedded[:length, row])
        np.testing.assert_allclose(annotations[:length, row], wanted, rtol=1e-11, atol=1e-13)
        for final, state in zip(finals, wanted_finals, strict=True):
            for name, value in state.items():
                np.testing.assert_allclose(getattr(final, name)[row], value, rtol=1e-11, atol=1e-13)


@every_encoder
@pytest.mark.usefixtures("double")
def test_what_is_embedded_at_padding_changes_nothing(config):
    for a, b in zip(*(jax.tree.leaves(encoded(config, seed)) for seed in (2, 3)), strict=True):
        np.testing.assert_array_equal(a, b)


@every_encoder
@pytest.mark.usefixtures("double")
def test_annotations_at_padding_and_states_of_an_empty_sentence_are_zero(config):
    annotations, finals = encoded(config)
    assert not np.asarray(annotations)[~padded(2)[1]].any()
    assert not any(leaf[LENGTHS.index(0)].any() for leaf in jax.tree.leaves(finals))


def test_float32_is_close_to_the_equations():
    config = CONFIGS["lstm-both-3-residual3"]
    parameters = jax.tree.map(jnp.float32, random_parameters(config))
    annotations, _ = compiled(config, jnp.float32)(parameters, *padded(2, np.float32))
    wanted, _ = reference.encode(random_parameters(config), config, padded(2)[0][:5, 0])
    assert annotations.dtype == jnp.float32
    np.testing.assert_allclose(annotations[:, 0], wanted, rtol=1e-5, atol=1e-5)


def value_and_gradients(config):
    """In training: a number on which all outputs and states have their effect, and its gradients."""
    module, (embedded, mask) = Encoder(config, jnp.float64), padded(2)

    def weighted(parameters):
        outputs = module.apply({"params": parameters}, jnp.asarray(embedded), jnp.asarray(mask), jax.random.key(3))
        leaves = jax.tree.leaves(outputs)
        return sum((jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape) * leaf).sum() for leaf in leaves)

    return jax.jit(jax.value_and_grad(weighted))(random_parameters(config))


@pytest.mark.parametrize("options", [{}, {"reverse_source": True}], ids=["plain", "reversed"])
@pytest.mark.usefixtures("double")
def test_one_loop_for_both_directions_is_two_loops(options, monkeypatch):
    config = Model(dropout=0.3, state_dropout=0.3, zoneout=0.2, encoder_layers=2, **options, **SIZES)
    found = []
    for together in (False, True):
        monkeypatch.setattr(encoder, "steps_together", lambda config, rng, together=together: together)
        found.append(value_and_gradients(config))
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_processors_go_through_one_direction_after_the_other():
    assert not encoder.steps_together(Model(), jax.random.key(0))
