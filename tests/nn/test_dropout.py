"""Dropout: how much, of what, and for how long."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.config import Model
from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.dropout import drop, keep_mask, kept_share
from nmt_cli.nn.encoder import Encoder
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.nn.zoneout import moving_masks, zone
from tests.nn import reference
from tests.nn.small_models import MODELS, cast, gradient, padded_batch, random_parameters

KEY = jax.random.key(7)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95])
def test_the_share_of_units_kept_is_one_minus_the_rate(rate):
    mask = jax.jit(lambda key: keep_mask(key, rate, (200, 500)))(KEY)
    assert mask.dtype == bool
    assert mask.mean() == pytest.approx(1.0 - rate, abs=0.01)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95])
def test_the_expected_value_stays(rate):
    dropped = jax.jit(lambda key: drop(jnp.full((500, 500), 3.0), keep_mask(key, rate, (500, 500)), rate))(KEY)
    assert dropped.mean() == pytest.approx(3.0, rel=0.03)
    np.testing.assert_allclose(np.unique(dropped), [0.0, 3.0 / kept_share(rate)], rtol=1e-6)


def test_without_a_key_or_a_rate_nothing_is_dropped():
    assert keep_mask(None, 0.5, (3,)) is None
    assert keep_mask(KEY, 0.0, (3,)) is None
    np.testing.assert_array_equal(drop(jnp.arange(3.0), None, 0.5), [0.0, 1.0, 2.0])


def test_the_mask_follows_from_the_key():
    masks = [keep_mask(key, 0.5, (100,)) for key in (KEY, KEY, jax.random.key(8))]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def embedded_ones(variational):
    """What dropout leaves of embeddings that are all one: [T B E]."""
    config = dataclasses.replace(MODELS["gru-general-plain"], dropout=0.5, variational_dropout=variational)
    return embedded(config, jnp.zeros((6, 5), jnp.int32), 0.0)


def embedded(config, ids, word_dropout):
    """Ids [T B] in a table of ones, as they are embedded in training: [T B E]."""
    parameters, apply = cast(random_parameters(config), jnp.float32), Seq2Seq(config, 9, 11).apply
    return jax.jit(lambda p: apply({"params": p}, jnp.ones((11, 3)), ids, word_dropout, KEY, method="embed"))(
        parameters
    )


def kept_outputs(variational, name="lstm-none-deep"):
    """Which units of the decoder's output are kept: [T B H]."""
    config = dataclasses.replace(MODELS[name], dropout=0.5, variational_dropout=variational)
    batch = padded_batch(config)

    def call(model):
        memory, state = model.encode(batch.source, batch.source_mask)
        return model.decoder(memory, state, model.target_embedding[batch.target_in.T], KEY)

    parameters = cast(random_parameters(config), jnp.float32)
    return np.asarray(jax.jit(lambda p: Seq2Seq(config, 9, 11).apply({"params": p}, method=call))(parameters)) != 0


@pytest.mark.parametrize("name", ["lstm-none-deep", "lstm-additive-feed-deep"])
def test_variational_masks_of_the_decoder_are_the_same_at_every_step(name):
    kept = kept_outputs(variational=True, name=name)
    assert (kept == kept[:1]).all()
    assert 0 < kept.mean() < 1


@pytest.mark.parametrize("name", ["lstm-none-deep", "lstm-additive-feed-deep"])
def test_plain_masks_of_the_decoder_change_from_step_to_step(name):
    kept = kept_outputs(variational=False, name=name)
    assert (kept != kept[:1]).any()


def test_variational_masks_of_embeddings_are_the_same_at_every_step():
    kept = np.asarray(embedded_ones(variational=True)) != 0
    assert (kept == kept[:1]).all()
    assert (kept != kept[:, :1]).any()  # each sentence has its own


def test_plain_masks_of_embeddings_change_from_step_to_step():
    kept = np.asarray(embedded_ones(variational=False)) != 0
    assert (kept != kept[:1]).any()


def kept_words(variational, ids):
    """Which words of ids [T B] word dropout keeps."""
    config = dataclasses.replace(MODELS["gru-general-plain"], dropout=0.0, variational_dropout=variational)
    units = np.asarray(embedded(config, ids, 0.25))
    np.testing.assert_allclose(np.unique(units), [0.0, 1 / 0.75], rtol=1e-6)
    assert (units == units[..., :1]).all()  # whole words
    return units[..., 0] != 0


def test_word_dropout_drops_words_place_by_place():
    kept = kept_words(False, jnp.zeros((50, 40), jnp.int32))
    assert kept.mean() == pytest.approx(0.75, abs=0.03)
    assert (kept != kept[:1]).any()


def test_variational_word_dropout_drops_a_word_wherever_it_stands_in_its_sentence():
    ids = np.random.default_rng(0).integers(0, 11, (50, 40)).astype(np.int32)
    kept = kept_words(True, jnp.asarray(ids))
    words = [[kept[ids[:, sentence] == word, sentence] for word in range(11)] for sentence in range(40)]
    assert all(len(set(places.tolist())) <= 1 for sentence in words for places in sentence)
    assert (kept[ids == 3] != kept[ids == 3][0]).any()  # each sentence draws for itself
    assert kept.mean() == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(("cell", "parts"), [("lstm", ("hidden", "memory")), ("gru", ("hidden",))])
def test_zoneout_keeps_units_of_the_state_before(cell, parts):
    config = Model(cell=cell, zoneout=0.25, memory_zoneout=0.5 if cell == "lstm" else 0.0)
    before, new = (type(CELLS[cell].state(jnp.ones(1)))(*(jnp.full((90, 80), x) for _ in parts)) for x in (1.0, 2.0))
    moving = moving_masks(config, KEY, (90, 80))
    drawn, expected = (jax.jit(lambda m: zone(config, before, new, m))(masks) for masks in (moving, {}))
    for part, rate in zip(parts, (0.25, 0.5), strict=False):
        assert set(np.unique(getattr(drawn, part))) == {1.0, 2.0}
        assert (getattr(drawn, part) == 1.0).mean() == pytest.approx(rate, abs=0.02)
        np.testing.assert_allclose(getattr(expected, part), 2.0 - rate)


def test_zoneout_draws_anew_at_every_step_and_for_each_part():
    config = Model(zoneout=0.5, memory_zoneout=0.5)
    masks = moving_masks(config, KEY, (2, 500))
    flat = [masks[part][step] for part in ("hidden", "memory") for step in range(2)]
    assert all((flat[a] != flat[b]).any() for a in range(4) for b in range(a))


def test_a_unit_kept_by_zoneout_has_the_value_of_the_step_before():
    """A source of ones through one layer: some units stand still from a step to the next, about as many as asked."""
    config = Model(cell="gru", bidirectional=False, encoder_units=64, embedding_size=1, zoneout=0.25)
    encoder, inputs, mask = Encoder(config), jnp.ones((6, 20, 1)), jnp.ones((6, 20), bool)
    parameters = encoder.init(KEY, inputs, mask)
    annotations, _ = jax.jit(lambda p: encoder.apply(p, inputs, mask, KEY))(parameters)
    still = np.asarray(annotations[1:] == annotations[:-1])
    assert still.mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_dropped_state_unit_stays_dropped_for_the_whole_sentence(cell):
    """Every unit feeds only itself and reads the same: it goes one of two ways, kept or dropped at every step."""
    units, batch, length, rate = 8, 6, 5, 0.5
    gates = {"lstm": 4, "gru": 3}[cell]
    config = Model(cell=cell, bidirectional=False, encoder_units=units, embedding_size=1, state_dropout=rate)
    parameters = {
        "input_kernel": np.full((1, gates * units), 0.3),
        "kernel": np.tile(0.8 * np.eye(units), gates),
        "bias": np.full(gates * units, 0.1),
    }
    if cell == "gru":
        parameters["candidate_bias"] = np.full(units, 0.2)
    encoder = Encoder(config)
    annotations, _ = jax.jit(
        lambda p: encoder.apply({"params": p}, jnp.ones((length, batch, 1)), jnp.ones((length, batch), bool), KEY)
    )({"forward_0": cast(parameters, jnp.float32)})
    ways = []
    for scale in (0.0, 1.0 / kept_share(rate)):  # dropped, kept
        scaled = {**parameters, "kernel": parameters["kernel"] * scale}
        ways.append(np.stack([state["hidden"][0] for state in reference.run(cell, scaled, np.ones((length, 1)))]))
    follows = [np.isclose(annotations, way[:, None, None], atol=1e-5).all(0) for way in ways]  # [B H] each
    assert (follows[0] ^ follows[1]).all()
    assert follows[0].any()
    assert follows[1].any()


@pytest.mark.slow
def test_training_follows_from_the_key():
    rates = dict.fromkeys(("dropout", "state_dropout", "zoneout", "source_word_dropout", "target_word_dropout"), 0.3)
    config = dataclasses.replace(MODELS["gru-general-plain"], **rates)
    parameters, batch = cast(random_parameters(config), jnp.float32), padded_batch(config)
    keyed, again, other = (
        gradient(config, jnp.float32)(parameters, batch, key) for key in (KEY, KEY, jax.random.key(8))
    )
    for a, b in zip(jax.tree.leaves(keyed), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert keyed[0][0] != other[0][0]


@pytest.mark.slow
def test_only_training_drops():
    config = MODELS["gru-general-plain"]
    rates = dict.fromkeys(("dropout", "state_dropout", "source_word_dropout", "target_word_dropout"), 0.3)
    with_rates, without = (dataclasses.replace(config, **r) for r in (rates, dict.fromkeys(rates, 0.0)))
    parameters, batch = cast(random_parameters(config), jnp.float32), padded_batch(config)
    (plain, _), _ = gradient(without, jnp.float32)(parameters, batch, KEY)
    (translating, _), _ = gradient(with_rates, jnp.float32)(parameters, batch, None)
    (training, _), _ = gradient(with_rates, jnp.float32)(parameters, batch, KEY)
    assert translating == pytest.approx(float(plain), rel=1e-6)
    assert training != pytest.approx(float(plain), rel=1e-3)
