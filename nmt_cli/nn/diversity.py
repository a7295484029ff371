"""Diverse beam search: groups of hypotheses that are kept from saying the same (Vijayakumar et al. 2018)."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.nn.hypotheses import Beam, Hypotheses, Sentences, Step
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.search import search
from nmt_cli.nn.top import pick, top


def diverse_search(
    step: Step,
    sentences: Sentences,
    state: Any,
    ranking: Ranking,
    strength: Array | float,
    *,
    steps: int,
    rows: int | None = None,
    beam: int,
    groups: int,
    n_best: int,
    with_weights: bool = False,
) -> Hypotheses:
    """The N best of what G groups of K / G hypotheses find, each hypothesis once. Their numbers are the model's own.

    strength: what a token loses in log-probability for each hypothesis of an earlier group that takes it at the same
    time (the paper's lambda with Hamming diversity); it decides what is taken and is no part of any score.
    steps, rows, beam, n_best: T, B, K, N, as in `search`. groups: G, static.
    """
    found = search(
        step,
        sentences,
        state,
        ranking,
        steps=steps,
        rows=rows,
        beam=beam,
        groups=groups,
        n_best=min(n_best, beam // groups),
        choose=partial(spread, groups, strength),
        with_weights=with_weights,
    )
    return best_distinct(found, n_best)


def spread(groups: int, strength: Array | float, given: Sentences, beam: Beam, allowed: Array) -> tuple[Array, Array]:
    """The best continuations of each group in turn, away from what those before have taken (a choice for `search`)."""
    rows, width, vocabulary_size = allowed.shape
    size = width // groups
    candidates = (beam.log_probs[:, :, None] + allowed).reshape(rows, groups, -1)  # [B G K/G*V]
    times_taken = jnp.zeros((rows, vocabulary_size))
    totals, taken = [], []
    for group in range(groups):
        own = candidates[:, group]
        _, places = top(own - strength * jnp.tile(times_taken, size), size)
        totals.append(pick(own, places))
        taken.append(places + group * size * vocabulary_size)
        lives = (totals[-1] > -jnp.inf).astype(jnp.float32)
        times_taken = jax.vmap(lambda row, token, one: row.at[token].add(one))(
            times_taken, places % vocabulary_size, lives
        )
    return jnp.concatenate(totals, axis=1), jnp.concatenate(taken, axis=1)


def best_distinct(found: Hypotheses, count: int) -> Hypotheses:
    """The `count` best hypotheses of each sentence, each once. What is missing has length 0 and score -inf."""
    number = found.ids.shape[1]
    same = jnp.all(found.ids[:, :, None] == found.ids[:, None], axis=3)  # [B N N]
    repeats = jnp.any(same & (jnp.arange(number)[:, None] > jnp.arange(number)), axis=2)
    scores, order = lax.top_k(jnp.where(repeats, -jnp.inf, found.scores), min(count, number))
    chosen = jax.tree.map(lambda leaf: pick(leaf, order), found)
    exists = scores > -jnp.inf
    return Hypotheses(
        ids=jnp.where(exists[..., None], chosen.ids, 0),
        lengths=jnp.where(exists, chosen.lengths, 0),
        scores=scores,
        log_probs=jnp.where(exists[..., None], chosen.log_probs, 0.0),
        weights=None if chosen.weights is None else jnp.where(exists[..., None, None], chosen.weights, 0.0),
    )
