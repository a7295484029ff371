"""The whole model, for every option: against NumPy, against finite differences, and against itself."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import Batch
from nmt_cli.config import Model
from nmt_cli.nn.seq2seq import Seq2Seq
from tests.nn import reference
from tests.nn.small_models import (
    MODELS,
    QUICK,
    SMOOTHING,
    SOURCE_LENGTHS,
    TARGET_LENGTHS,
    TARGET_SIZE,
    cast,
    gradient,
    padded_batch,
    random_parameters,
    sizes,
    stepped,
)

# Compiling is most of the time: the scope brings the tests of one model together, and so mostly into one process.
# Models whose parts are all in others as well: for the slow suite.
MORE = {
    *("lstm-general-encoder3", "lstm-additive-decoder3", "gru-general-feed-last", "gru-additive-zero"),
    *("gru-none-encoder2", "gru-general-feed-zero", "bahdanau-deep-covered", "cho-deep", "gnmt_v2-local-p"),
    *("conditional-lstm", "conditional-zoneout", "lstm-none-deep", "gnmt_v2", "gru-location-local-m"),
}
every_model = pytest.mark.parametrize(
    "config",
    [pytest.param(MODELS[name], id=name, marks=pytest.mark.slow if name in MORE else ()) for name in MODELS],
    scope="module",
)
# In lower precision a few models stand for all in the quick suite.
FEW = ("lstm-general-feed", "lstm-none-last", "gru-additive-feed-deep")
few_models = pytest.mark.parametrize(
    "config",
    [pytest.param(MODELS[name], id=name, marks=() if name in FEW else pytest.mark.slow) for name in MODELS],
    scope="module",
)
REAL_ROWS = [row for row, length in enumerate(SOURCE_LENGTHS) if length]


def reference_losses(config, batch, smoothing):
    """The summed loss of a batch, sentence by sentence."""
    total, parameters = 0.0, random_parameters(config)
    for row in REAL_ROWS:
        source = batch.source[row, : SOURCE_LENGTHS[row]]
        target_in, target_out = (ids[row, : TARGET_LENGTHS[row]] for ids in (batch.target_in, batch.target_out))
        log_probs, _, _ = reference.translate_forced(parameters, config, source, target_in)
        total += reference.cross_entropy(log_probs, target_out, smoothing)
    return total


def relative_difference(tree, other):
    """|tree - other| / |other| over all leaves together."""
    flat, wanted = (
        np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(t)]) for t in (tree, other)
    )
    return np.linalg.norm(flat - wanted) / np.linalg.norm(wanted)


@every_model
@pytest.mark.usefixtures("double")
def test_losses_equal_the_equations(config):
    batch = padded_batch(config)
    (smoothed, loss), _ = gradient(config)(cast(random_parameters(config), jnp.float64), batch, None)
    assert smoothed == pytest.approx(reference_losses(config, batch, SMOOTHING), rel=1e-10)
    assert loss.log_loss == pytest.approx(reference_losses(config, batch, 0.0), rel=1e-10)
    assert loss.tokens == sum(TARGET_LENGTHS)


@every_model
@pytest.mark.usefixtures("double")
def test_gradients_equal_finite_differences(config):
    check_by_finite_differences(config, None)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("name", "variational"),
    [
        ("gru-additive-zero", False),
        ("lstm-zoneout", True),
        pytest.param("lstm-additive-feed-deep", True, marks=pytest.mark.slow),
        pytest.param("lstm-zoneout", False, marks=pytest.mark.slow),
    ],
)
def test_gradients_equal_finite_differences_under_dropout(name, variational):
    rates = {"dropout": 0.3, "state_dropout": 0.3, "variational_dropout": variational}
    rates |= {"source_word_dropout": 0.3, "target_word_dropout": 0.3}
    check_by_finite_differences(dataclasses.replace(MODELS[name], **rates), jax.random.key(5))


def check_by_finite_differences(config, rng):
    """Central differences of fourth order along a random direction in each array of parameters."""
    batch, compiled = padded_batch(config), gradient(config)
    parameters = cast(random_parameters(config), jnp.float64)
    leaves, structure = jax.tree.flatten(parameters)
    _, gradients = compiled(parameters, batch, rng)
    directions, width = np.random.default_rng(2), 1e-5
    for place, (leaf, found) in enumerate(zip(leaves, jax.tree.leaves(gradients), strict=True)):
        direction = directions.normal(size=leaf.shape)

        def moved(by, place=place, direction=direction):
            changed = [leaf + by * direction if i == place else leaf for i, leaf in enumerate(leaves)]
            return float(compiled(jax.tree.unflatten(structure, changed), batch, rng)[0][0])

        near, far = (moved(by) - moved(-by) for by in (width, 2 * width))
        slope = (8 * near - far) / (12 * width)  # layer normalisation bends too much for second order
        path = jax.tree_util.keystr(jax.tree_util.tree_flatten_with_path(parameters)[0][place][0])
        assert (found * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-7), path


@every_model
@pytest.mark.usefixtures("double")
def test_no_parameter_is_idle(config):
    _, gradients = gradient(config)(cast(random_parameters(config), jnp.float64), padded_batch(config), None)
    idle = [
        jax.tree_util.keystr(path) for path, leaf in jax.tree_util.tree_leaves_with_path(gradients) if not leaf.any()
    ]
    assert idle == []


@every_model
@pytest.mark.usefixtures("double")
def test_garbage_at_padding_changes_neither_losses_nor_gradients(config):
    parameters = cast(random_parameters(config), jnp.float64)
    results = [gradient(config)(parameters, padded_batch(config, garbage), None) for garbage in (0, 1)]
    for found, wanted in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_array_equal(found, wanted)


@every_model
@pytest.mark.usefixtures("double")
def test_every_hypothesis_steps_through_the_equations(config):
    """Three hypotheses of a sentence with different tokens; what they return is what teacher forcing scores."""
    batch, parameters = padded_batch(config), random_parameters(config)
    tokens = np.random.default_rng(3).integers(0, TARGET_SIZE, (len(SOURCE_LENGTHS), 3, 4)).astype(np.int32)
    args = batch.source, batch.source_mask, tokens
    log_probs, weights, memory = stepped(config)(cast(parameters, jnp.float64), *args)
    for row in REAL_ROWS:
        length = SOURCE_LENGTHS[row]
        for k in range(3):
            wanted = reference.translate_forced(parameters, config, batch.source[row, :length], tokens[row, k])
            found = log_probs[row, k], weights[row, k, :, :length], memory.values[row, :length]
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        assert not weights[row, :, :, length:].any()
        assert not memory.values[row, length:].any()


@every_model
@pytest.mark.usefixtures("double")
def test_garbage_at_padding_changes_no_step(config):
    parameters = cast(random_parameters(config), jnp.float64)
    tokens = np.random.default_rng(4).integers(0, TARGET_SIZE, (len(SOURCE_LENGTHS), 3, 4)).astype(np.int32)
    batches = [padded_batch(config, garbage) for garbage in (0, 1)]
    results = [stepped(config)(parameters, batch.source, batch.source_mask, tokens) for batch in batches]
    for found, wanted in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert np.isfinite(results[0][0]).all()  # the row without any source token as well


@few_models
def test_float32_is_close_to_the_equations(config):
    batch = padded_batch(config)
    (smoothed, _), gradients = gradient(config, jnp.float32)(cast(random_parameters(config), jnp.float32), batch, None)
    assert smoothed.dtype == jnp.float32
    assert smoothed == pytest.approx(reference_losses(config, batch, SMOOTHING), rel=1e-5)
    with jax.enable_x64(True):
        _, exact = gradient(config)(cast(random_parameters(config), jnp.float64), batch, None)
    assert relative_difference(gradients, exact) < 1e-5


@few_models
def test_bfloat16_products_keep_float32_gradients_close(config):
    batch, parameters = padded_batch(config), random_parameters(config)
    (smoothed, _), gradients = gradient(config, jnp.bfloat16)(cast(parameters, jnp.float32), batch, None)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype(jnp.float32)}
    assert smoothed == pytest.approx(reference_losses(config, batch, SMOOTHING), rel=0.01)
    with jax.enable_x64(True):
        _, exact = gradient(config)(cast(parameters, jnp.float64), batch, None)
    assert relative_difference(gradients, exact) < 0.03


@pytest.mark.slow
def test_each_gradient_in_bfloat16_is_close_to_float32_where_products_are_large_enough_for_their_own_kernels():
    size, random = 64, np.random.default_rng(0)
    sizes = dict.fromkeys(("embedding_size", "encoder_units", "decoder_units"), size)
    config = Model(**sizes, input_feeding=True, tied_embeddings="none", dropout=0.0)
    ids, mask = random.integers(4, 500, (16, 6)).astype(np.int32), np.ones((16, 6), bool)
    batch = jax.tree.map(jnp.asarray, Batch(ids, mask, ids, np.roll(ids, -1, 1), mask))
    wide, narrow = (Seq2Seq(config, 500, 500, dtype) for dtype in (jnp.float32, jnp.bfloat16))
    parameters = jax.jit(functools.partial(wide.init, method="loss"))(jax.random.key(1), batch)["params"]

    def gradients(model):
        return jax.jit(jax.grad(lambda p: model.apply({"params": p}, batch, method="loss").smoothed))(parameters)

    exact, found = (jax.tree_util.tree_leaves_with_path(gradients(model)) for model in (wide, narrow))
    for (path, a), (_, b) in zip(exact, found, strict=True):
        assert jnp.linalg.norm(a - b) < 0.03 * jnp.linalg.norm(a), jax.tree_util.keystr(path)


@pytest.mark.usefixtures("double")
def test_ids_outside_the_vocabulary_at_padding_change_nothing():
    config = MODELS["lstm-additive-feed-deep"]
    parameters, batch = cast(random_parameters(config), jnp.float64), padded_batch(config)
    wild = Batch(
        np.where(batch.source_mask, batch.source, 10**6).astype(np.int32),
        batch.source_mask,
        np.where(batch.target_mask, batch.target_in, -(10**6)).astype(np.int32),
        np.where(batch.target_mask, batch.target_out, 10**6).astype(np.int32),
        batch.target_mask,
    )
    results = [gradient(config)(parameters, b, None) for b in (batch, wild)]
    for found, wanted in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["lstm-general-feed", "gru-general-plain"])
def test_a_batch_is_the_sum_of_its_sentences(name):
    """Each sentence with all others masked out: losses and gradients add up to those of the batch."""
    config = MODELS[name]
    parameters, batch = cast(random_parameters(config), jnp.float64), padded_batch(config)
    total = None
    for row in REAL_ROWS:
        alone = (np.arange(len(SOURCE_LENGTHS)) == row)[:, None]
        masks = {"source_mask": batch.source_mask & alone, "target_mask": batch.target_mask & alone}
        result = gradient(config)(parameters, batch._replace(**masks), None)
        total = result if total is None else jax.tree.map(jnp.add, total, result)
    for found, wanted in zip(*map(jax.tree.leaves, (gradient(config)(parameters, batch, None), total)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("double")
def test_a_sentence_without_padding_costs_what_it_does_in_a_batch():
    config, row = MODELS["lstm-none-last"], 1
    parameters, batch = cast(random_parameters(config), jnp.float64), padded_batch(config)
    source, target = slice(SOURCE_LENGTHS[row]), slice(TARGET_LENGTHS[row])
    cuts = (source, source, target, target, target)
    sentence = Batch(*(array[row : row + 1, cut] for array, cut in zip(batch, cuts, strict=True)))
    alone = (np.arange(len(SOURCE_LENGTHS)) == row)[:, None]
    masked = batch._replace(target_mask=batch.target_mask & alone)
    results = [gradient(config)(parameters, each, None) for each in (sentence, masked)]
    for found, wanted in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", ["lstm-none-last", "gru-general-plain"])
def test_one_hypothesis_steps_as_many_do(name):
    config = MODELS[name]
    parameters, batch = cast(random_parameters(config), jnp.float64), padded_batch(config)
    tokens = np.random.default_rng(5).integers(0, TARGET_SIZE, (len(SOURCE_LENGTHS), 3, 4)).astype(np.int32)
    together, _, _ = stepped(config)(parameters, batch.source, batch.source_mask, tokens)
    alone, _, _ = stepped(config)(parameters, batch.source, batch.source_mask, tokens[:, 1:2])
    np.testing.assert_allclose(alone[:, 0], together[:, 1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["gru-additive-feed-deep", "lstm-none-last"])
def test_a_batch_of_nothing_but_padding_costs_nothing(name, dtype):
    config = MODELS[name]
    batch = padded_batch(config)
    empty = batch._replace(source_mask=np.zeros_like(batch.source_mask), target_mask=np.zeros_like(batch.target_mask))
    (smoothed, loss), gradients = gradient(config, dtype)(cast(random_parameters(config), jnp.float32), empty, None)
    assert (float(smoothed), float(loss.log_loss), float(loss.tokens)) == (0.0, 0.0, 0.0)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradients))  # NaN would be true


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.int8], ids=["bfloat16", "int8"])
def test_step_returns_float32_from_products_of_less(dtype):
    config = MODELS["lstm-general-feed"]
    parameters, batch = cast(random_parameters(config), jnp.float32), padded_batch(config)
    tokens = np.full((len(SOURCE_LENGTHS), 2, 3), 4, np.int32)
    log_probs, weights, _ = stepped(config, dtype)(parameters, batch.source, batch.source_mask, tokens)
    assert (log_probs.dtype, weights.dtype) == (jnp.float32, jnp.float32)
    np.testing.assert_allclose(jnp.exp(log_probs).sum(-1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("lstm-general-feed", "bahdanau") else pytest.mark.slow)
        for name in MODELS
    ],
)
def test_steps_of_8_bit_integers_stay_close_to_float32(name):
    config = MODELS[name]
    parameters, batch = cast(random_parameters(config), jnp.float32), padded_batch(config)
    tokens = np.random.default_rng(5).integers(0, TARGET_SIZE, (len(SOURCE_LENGTHS), 2, 3)).astype(np.int32)
    (exact, *_), (rounded, *_) = (
        stepped(config, dtype)(parameters, batch.source, batch.source_mask, tokens) for dtype in (jnp.float32, jnp.int8)
    )
    assert 0.0 < jnp.max(jnp.abs(rounded - exact)) < 0.15 * jnp.std(exact)


@pytest.mark.parametrize("name", ["lstm-general-feed", "bahdanau", pytest.param("gnmt_v2", marks=pytest.mark.slow)])
def test_steps_over_a_part_of_the_vocabulary_are_steps_over_all_of_it_normalised_anew(name):
    config = MODELS[name]
    module, batch = Seq2Seq(config, *sizes(config)), padded_batch(config)
    variables = {"params": cast(random_parameters(config), jnp.float32)}
    own = np.zeros((4, 64), int)
    for row, ids in enumerate(([0, 1, 2, 3, 5, 9], [0, 1, 2, 3, 5], [0, 1, 2, 3], [0, 1, 2, 3])):
        own[row, : len(ids)] = ids
    places = np.array([[5], [4], [2], [1]])
    known = (own > 0) | (np.arange(64) == 0)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def step():
        memory, state = module.apply(variables, batch.source, batch.source_mask, method="encode")
        whole = module.apply(variables, memory, state, np.take_along_axis(own, places, 1), method="step")
        words = module.apply(variables, method="words")
        return whole, module.apply(variables, memory, state, places, words, own, method="step")

    (state, whole, weights), (found_state, found, found_weights) = step()
    close = functools.partial(np.testing.assert_allclose, atol=1e-5)
    jax.tree.map(close, (found_state, found_weights), (state, weights))
    expected = np.take_along_axis(np.asarray(whole.log_probs(), np.float64), own[:, None], 2)
    expected = np.where(known[:, None], expected, -np.inf)
    expected -= np.log(np.sum(np.exp(expected), axis=-1, keepdims=True))
    close(found.log_probs(), expected)
