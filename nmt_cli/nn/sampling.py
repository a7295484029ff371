"""Translations drawn at random from the model's distribution, or from the likelier part of it.

A draw depends on the sentence's own key, the number of the sample and the time step, and on nothing else: neither on
the sentences beside it nor on how many samples are drawn.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nmt_cli.nn.hypotheses import Beam, Hypotheses, Sentences, Step
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.search import search
from nmt_cli.nn.top import top

HALVINGS = 40  # of the interval in which the threshold of a nucleus is looked for


class Shape(NamedTuple):
    """What is made of a distribution before a token is drawn from it, in this order."""

    temperature: Array | float = 1.0  # above 0; below 1 favours the likely
    top_p: Array | float | None = None  # of `nucleus`; None for all tokens


def sample(
    step: Step,
    sentences: Sentences,
    state: Any,
    ranking: Ranking,
    shape: Shape,
    *,
    steps: int,
    rows: int | None = None,
    count: int,
    top_k: int = 0,
    with_weights: bool = False,
) -> Hypotheses:
    """Draw N translations of each sentence, in the order of drawing. Their numbers are the model's own.

    sentences: with a key for each. steps, rows: as in `search`. count: N, static.
    top_k: static: draw among so many likeliest tokens; 0 for all.
    """
    return search(
        step,
        sentences,
        state,
        ranking,
        steps=steps,
        rows=rows,
        beam=count,
        groups=count,
        choose=partial(draw, shape, top_k),
        with_weights=with_weights,
    )


def draw(shape: Shape, top_k: int, given: Sentences, beam: Beam, allowed: Array) -> tuple[Array, Array]:
    """One continuation of each hypothesis, at random (a choice for `search`). allowed: [B K V]"""
    rows, width, vocabulary_size = allowed.shape
    logits = reshape(allowed, shape, top_k)
    assert given.rngs is not None
    noise = jax.vmap(lambda rng, time: gumbel(rng, time, width, vocabulary_size))(given.rngs, beam.time)  # [B K V]
    _, tokens = top((logits + noise).reshape(rows * width, -1), 1)
    tokens = tokens.reshape(rows, width)
    drawn = jnp.take_along_axis(allowed, tokens[:, :, None], axis=2)[:, :, 0]
    return beam.log_probs + drawn, jnp.arange(width) * vocabulary_size + tokens


def gumbel(rng: Array, time: Array, width: int, size: int) -> Array:
    """Noise whose maximum over log-probabilities is a draw from them (Gumbel 1954), a key for each sample. [K V]"""
    keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.fold_in(rng, number), time))(jnp.arange(width))
    return jax.vmap(lambda key: jax.random.gumbel(key, (size,)))(keys)


def reshape(log_probs: Array, shape: Shape, top_k: int) -> Array:
    """Logits of what is drawn from: log_probs [B K V], where -inf is never drawn. [B K V]"""
    logits = log_probs / shape.temperature
    if 0 < top_k < logits.shape[-1]:
        likeliest, _ = top(logits.reshape(-1, logits.shape[-1]), top_k)
        logits = jnp.where(logits >= likeliest[:, -1].reshape(*logits.shape[:-1], 1), logits, -jnp.inf)
    return logits if shape.top_p is None else nucleus(logits, shape.top_p)


def nucleus(logits: Array, top_p: Array | float) -> Array:
    """The smallest set of likeliest tokens that together have this probability; -inf elsewhere (Holtzman et al. 2020).

    The set is all tokens from some probability on, which is found by halving: a sort of the vocabulary takes longer.
    logits: [... V]. top_p: above 0, up to 1.
    """
    probabilities = jax.nn.softmax(logits)

    def halve(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        middle = (low + high) / 2
        enough = jnp.sum(jnp.where(probabilities >= middle, probabilities, 0.0), axis=-1, keepdims=True) >= top_p
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    highest = jnp.max(probabilities, axis=-1, keepdims=True)
    low, _ = jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(highest), highest))
    return jnp.where(probabilities >= low, logits, -jnp.inf)
