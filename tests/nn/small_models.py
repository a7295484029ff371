"""A small model for every option, every pair of options at least once, with random parameters and a padded batch."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.config import Config, Model, check_combinations
from nmt_cli.nn.seq2seq import Seq2Seq

SOURCE_SIZE, TARGET_SIZE = 9, 11
SOURCE_LENGTHS, TARGET_LENGTHS = (5, 3, 1, 0), (4, 1, 3, 0)  # the last row is padding altogether
SMOOTHING = 0.1
QUICK = {"xla_backend_optimization_level": 0}  # compiling is most of the time these tests take


def model(cell, attention, feeding, bridge, tied, encoder_layers=1, decoder_layers=1, **options):
    """A configuration in which no two sizes are the same unless they have to be."""
    decoder_units = 4 if bridge == "last" or attention == "dot" else 5
    decoder = options.get("decoder", "luong")
    bare = decoder.startswith("gnmt") or (decoder == "luong" and attention == "none")
    embedding_size = decoder_units if bare and tied != "none" else 3
    config = Model(
        cell=cell,
        attention=attention,
        input_feeding=feeding,
        bridge=bridge,
        tied_embeddings=tied,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        embedding_size=embedding_size,
        encoder_units=4,
        decoder_units=decoder_units,
        attention_units=6,
        attention_heads=2,
        attention_window=1,
        attention_positions=4,
        **options,
    )
    check_combinations(Config(model=config))
    return config


# Layer normalisation of the two units of one direction is almost a step: not for finite differences.
MODELS = {
    "lstm-general-feed": model("lstm", "general", True, "dense", "target"),
    "lstm-additive-feed-deep": model("lstm", "additive", True, "zero", "none", 2, 2, residual_from=2),
    "lstm-general-encoder3": model("lstm", "general", False, "last", "all", 3, 2, residual_from=3),
    "lstm-none-deep": model("lstm", "none", False, "dense", "none", 2, 2),
    "lstm-additive-decoder3": model("lstm", "additive", False, "dense", "target", 1, 3, residual_from=3),
    "lstm-none-last": model("lstm", "none", False, "last", "target", bidirectional=False),
    "gru-general-feed-last": model("gru", "general", True, "last", "target", 2, 1, bidirectional=False),
    "gru-additive-feed-deep": model("gru", "additive", True, "dense", "all", 1, 2, residual_from=2),
    "gru-additive-zero": model("gru", "additive", False, "zero", "none", 2, 2, residual_from=1),
    "gru-none-encoder2": model("gru", "none", False, "dense", "all", 2, 1, bidirectional=False),
    "gru-general-plain": model("gru", "general", False, "dense", "none"),
    "gru-general-feed-zero": model("gru", "general", True, "zero", "all"),
    "gru-dot-local-p": model("gru", "dot", False, "last", "none", attention_span="local-p"),
    "lstm-concat-feed-covered": model("lstm", "concat", True, "dense", "none", coverage=True),
    "lstm-multi_head-feed-local-m": model("lstm", "multi_head", True, "zero", "target", attention_span="local-m"),
    "gru-location-local-m": model("gru", "location", False, "dense", "all", attention_span="local-m"),
    "bahdanau": model("gru_reset_before", "additive", False, "dense", "none", decoder="bahdanau"),
    "bahdanau-deep-covered": model(
        "lstm_layer_norm",
        "concat",
        False,
        "zero",
        "target",
        1,
        2,
        decoder="bahdanau",
        coverage=True,
        residual_from=2,
        bidirectional=False,
    ),
    "cho": model("gru_reset_before", "none", False, "dense", "target", decoder="cho", bidirectional=False),
    "cho-deep": model("lstm", "none", False, "zero", "none", 1, 2, decoder="cho"),
    "gnmt": model(
        "lstm_peephole",
        "normed_bahdanau",
        False,
        "dense",
        "target",
        3,
        3,
        decoder="gnmt",
        residual_from=3,
        bidirectional_layers=1,
    ),
    "gnmt_v2": model(
        "gru_layer_norm",
        "multi_head",
        False,
        "dense",
        "none",
        1,
        3,
        decoder="gnmt_v2",
        residual_from=2,
        bidirectional=False,
    ),
    "gnmt_v2-local-p": model(
        "gru", "scaled_luong", False, "last", "all", 1, 2, decoder="gnmt_v2", attention_span="local-p"
    ),
    "conditional": model("gru", "multi_head", False, "last", "all", 1, 2, decoder="conditional", coverage=True),
    "conditional-lstm": model("lstm", "general", False, "dense", "target", decoder="conditional"),
    "lstm-zoneout": model(
        "lstm", "general", True, "dense", "target", 1, 2, zoneout=0.25, memory_zoneout=0.5, residual_from=2
    ),
    "conditional-zoneout": model(
        "gru", "additive", False, "dense", "none", 1, 2, decoder="conditional", zoneout=0.25, bidirectional=False
    ),
    "lstm-none-reversed": model(
        "lstm", "none", False, "last", "target", 2, 2, bidirectional=False, reverse_source=True
    ),
}


def sizes(config):
    """Vocabulary sizes of source and target: one where the vocabulary is joint."""
    return (TARGET_SIZE if config.tied_embeddings == "all" else SOURCE_SIZE), TARGET_SIZE


def padded_batch(config, garbage=0):
    """Four sentence pairs of different lengths; the ids at padding follow from `garbage`."""
    real, fill = np.random.default_rng(1), np.random.default_rng(1000 + garbage)

    def ids(lengths, size, first=None):
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        tokens = real.integers(4, size, mask.shape)
        if first is not None:
            tokens[:, 0] = first
        return np.where(mask, tokens, fill.integers(0, size, mask.shape)).astype(np.int32), mask

    source_size, target_size = sizes(config)
    source, source_mask = ids(SOURCE_LENGTHS, source_size)
    target_in, target_mask = ids(TARGET_LENGTHS, target_size, first=2)
    target_out, _ = ids(TARGET_LENGTHS, target_size)
    return Batch(source, source_mask, target_in, target_out, target_mask)


@cache
def random_parameters(config, seed=0):
    """Parameters of the model as float64 NumPy arrays, none of them zero, biases included."""
    with jax.enable_x64(False):
        module = Seq2Seq(config, *sizes(config))
        shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), padded_batch(config), method="loss"))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(scale=0.6, size=leaf.shape), shapes["params"])


def cast(parameters, dtype):
    """The parameters as JAX arrays of this type."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), parameters)


@cache
def gradient(config, dtype=jnp.float64):
    """Compiled (parameters, batch, rng) -> ((smoothed, Loss), gradients). dtype: what products multiply."""
    module = Seq2Seq(config, *sizes(config), dtype)

    def smoothed(parameters, batch, rng):
        loss = module.apply({"params": parameters}, batch, SMOOTHING, rng, method="loss")
        return loss.smoothed, loss

    return jax.jit(jax.value_and_grad(smoothed, has_aux=True), compiler_options=QUICK)


@cache
def stepped(config, dtype=jnp.float64):
    """Compiled search over given tokens: (parameters, source, mask, tokens [B K T]) -> what each step returned.

    Log-probabilities [B K T V], weights [B K T S], and the memory.
    """
    module = Seq2Seq(config, *sizes(config), dtype)

    def steps(parameters, source, mask, tokens):
        variables = {"params": parameters}
        memory, state = module.apply(variables, source, mask, method="encode")
        state = jax.tree.map(lambda x: jnp.repeat(x, tokens.shape[1], axis=1), state)

        def step(state, token):
            state, distribution, weights = module.apply(variables, memory, state, token, method="step")
            return state, (distribution.log_probs(), weights)

        _, outputs = jax.lax.scan(step, state, jnp.moveaxis(tokens, -1, 0))
        log_probs, weights = jax.tree.map(lambda x: jnp.moveaxis(x, 0, 2), outputs)
        return log_probs, weights, memory

    return jax.jit(steps, compiler_options=QUICK)
