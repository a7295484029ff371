"""Beam search for translations that must contain given phrases: dynamic beam allocation (Post & Vilar 2018).

Hypotheses stand in banks by how many tokens of the phrases they have. Places in the beam are dealt in rounds, one to
the best candidate of each bank, fullest bank first, then one to the second best of each, until none is left: so every
bank has its share, and what a bank does not use goes to the others. A phrase counts as met where it occurs, also when
it overlaps another.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.nn.hypotheses import Beam, Sentences
from nmt_cli.nn.phrases import Phrases
from nmt_cli.nn.top import pick, top


def deal(given: Sentences, beam: Beam, allowed: Array) -> tuple[Array, Array]:
    """K continuations of each sentence, from all its banks (a choice for `search`). allowed: [B K V]"""
    required = given.constraints.required
    assert required is not None
    assert beam.past.required is not None
    rows, width, vocabulary_size = allowed.shape
    flat = (beam.log_probs[:, :, None] + allowed).reshape(rows, -1)
    places = candidates(required, beam.past.required, flat, width)  # [B M]
    parents, tokens = jnp.divmod(places, vocabulary_size)
    totals = jnp.where(repeats(places), -jnp.inf, pick(flat, places))
    progress = required.read_once(pick(beam.past.required, parents), tokens)
    banks = jnp.where(totals > -jnp.inf, jnp.sum(progress, axis=2), -1)  # [B M]; what cannot be taken has its own
    better = (totals[:, None] > totals[:, :, None]) | (
        (totals[:, None] == totals[:, :, None]) & (jnp.arange(len(places[0])) < jnp.arange(len(places[0]))[:, None])
    )
    rounds = jnp.sum(better & (banks[:, None] == banks[:, :, None]), axis=2)  # [B M]: how many of its bank come before
    most = required.ids.shape[1] * required.ids.shape[2]
    turn = jnp.where(banks < 0, jnp.iinfo(jnp.int32).max, rounds * (most + 1) + most - banks)
    _, dealt = lax.top_k(-turn, width)
    return pick(totals, dealt), pick(places, dealt)


def candidates(required: Phrases, progress: Array, flat: Array, width: int) -> Array:
    """What may be taken: the K best of all, the best of each hypothesis, and the next token of each of its phrases.

    flat: [B K*V] log-probabilities of the continuations. Returns places in it [B M], some more than once.
    """
    rows, vocabulary_size = len(flat), flat.shape[1] // width
    _, best_of_all = top(flat, width)
    _, best_of_each = top(flat.reshape(rows * width, -1), 1)
    first = jnp.arange(width) * vocabulary_size
    following = required.following(progress) + first[:, None]  # [B K P]; PAD, where there is none, is not allowed
    return jnp.concatenate(
        [best_of_all, best_of_each.reshape(rows, width) + first, following.reshape(rows, -1)], axis=1
    )


def repeats(places: Array) -> Array:
    """Which of [B M] values stood there before. [B M] bool"""
    count = places.shape[1]
    same = places[:, None] == places[:, :, None]
    return jnp.any(same & (jnp.arange(count) < jnp.arange(count)[:, None]), axis=2)
