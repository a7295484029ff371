"""What a hypothesis may say and what it must: lengths, a beginning, phrases, repetition. All in ids.

PAD and BOS are never produced; UNK is a token like any other. What is None costs nothing: it is not in the program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nmt_cli.batch import BOS, EOS, PAD
from nmt_cli.nn.phrases import Phrases


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constraints:
    """What is asked of the translations of each sentence. The beginning goes before all else that is asked."""

    max_lengths: Array  # [B] int32, most tokens before EOS; a row with 0 is a filler and is not searched
    min_lengths: Array | None = None  # [B] int32, fewest tokens before EOS; not above max_lengths
    prefix: Array | None = None  # [B L] int32, what it begins with, then PAD
    required: Phrases | None = None  # what must occur in it
    forbidden: Phrases | None = None  # what must not
    no_repeat: int = field(default=0, metadata={"static": True})  # no n-gram of so many tokens twice; 0: any

    @property
    def only_of_lengths(self) -> bool:
        """Whether nothing is asked but how long translations are."""
        return not self.no_repeat and all(asked is None for asked in (self.prefix, self.required, self.forbidden))


class Past(NamedTuple):
    """What must be known of each live hypothesis besides its last token; None where it need not."""

    tokens: Array | None = None  # [B K T] int32
    required: Array | None = None  # [B K P] int32, progress in the required phrases
    forbidden: Array | None = None  # [B K P] int32, progress in the forbidden ones
    coverage: Array | None = None  # [B K S] float32, sum of the attention weights


def first_past(constraints: Constraints, width: int, steps: int, source_length: int | None) -> Past:
    """Before the first token. source_length: None where coverage is not asked for."""
    rows = constraints.max_lengths.shape[0]

    def progress(phrases: Phrases | None) -> Array | None:
        return None if phrases is None else jnp.zeros((rows, width, phrases.ids.shape[1]), jnp.int32)

    return Past(
        tokens=jnp.zeros((rows, width, steps), jnp.int32) if constraints.no_repeat else None,
        required=progress(constraints.required),
        forbidden=progress(constraints.forbidden),
        coverage=None if source_length is None else jnp.zeros((rows, width, source_length), jnp.float32),
    )


def remember(constraints: Constraints, past: Past, time: Array, tokens: Array, weights: Array) -> Past:
    """The past after one more token. past, weights [B K S]: of the parents, in their children's order."""
    return Past(
        tokens=None if past.tokens is None else past.tokens.at[jnp.arange(len(time)), :, time].set(tokens, mode="drop"),
        required=None
        if past.required is None or constraints.required is None
        else constraints.required.read_once(past.required, tokens),
        forbidden=None
        if past.forbidden is None or constraints.forbidden is None
        else constraints.forbidden.read(past.forbidden, tokens),
        coverage=None if past.coverage is None else past.coverage + weights,
    )


def restrict(constraints: Constraints, past: Past, time: Array, log_probs: Array) -> Array:
    """-inf for every token that may not come next. [B K V] float32

    At its longest length a sentence can only end. time: [B] int32. log_probs: [B K V] float32.
    """
    ids = jnp.arange(log_probs.shape[-1])
    may_come = fitting(constraints, time, len(ids))
    allowed = log_probs + jnp.where(may_come, 0.0, -jnp.inf)[:, None]  # a sum, unlike a choice, is vector code on a CPU
    if constraints.no_repeat and past.tokens is not None:
        allowed = ban(allowed, repeating(past.tokens, time, constraints.no_repeat))
    if constraints.forbidden is not None and past.forbidden is not None:
        allowed = ban(allowed, constraints.forbidden.completing(past.forbidden))
    if constraints.required is not None and past.required is not None:
        lacking = ~jnp.all(constraints.required.occurred(past.required), axis=2)
        allowed = jnp.where(lacking[:, :, None] & (ids == EOS), -jnp.inf, allowed)
    return allowed if constraints.prefix is None else force(constraints.prefix, time, log_probs, allowed)


def fitting(constraints: Constraints, time: Array, count: int) -> Array:
    """Which of the first `count` tokens may come next for all that is asked of lengths. [B count] bool"""
    ids = jnp.arange(count)
    may_come = jnp.where(ids == EOS, True, (time < constraints.max_lengths)[:, None] & (ids != PAD) & (ids != BOS))
    if constraints.min_lengths is not None:
        may_come &= (time >= constraints.min_lengths)[:, None] | (ids != EOS)
    return may_come


def ban(log_probs: Array, tokens: Array) -> Array:
    """-inf for these tokens [B K X]; PAD is none. [B K V]"""
    return jax.vmap(jax.vmap(lambda row, banned: row.at[banned].set(-jnp.inf)))(log_probs, tokens)


def repeating(tokens: Array, time: Array, size: int) -> Array:
    """Tokens that would be the end of an n-gram of this size for the second time; PAD elsewhere. [B K X]

    tokens: [B K T] int32, of each hypothesis; time [B] of them are there.
    """
    places = max(tokens.shape[2] - size + 1, 0)  # where an n-gram can begin
    recent = (time - (size - 1))[:, None, None] + jnp.arange(size - 1)
    last = jnp.take_along_axis(tokens, jnp.clip(recent, 0, tokens.shape[2] - 1), axis=2)
    begun = [tokens[:, :, n : n + places] == last[:, :, n, None] for n in range(size - 1)]
    complete = (jnp.arange(places) + size - 1 < time[:, None])[:, None]  # [B 1 places]
    again = jnp.all(jnp.stack(jnp.broadcast_arrays(complete, *begun)), axis=0)
    return jnp.where(again, tokens[:, :, size - 1 :][:, :, :places], PAD)


def force(prefix: Array, time: Array, log_probs: Array, allowed: Array) -> Array:
    """Within the beginning nothing but its next token, whatever else is asked; after it, what is allowed. [B K V]"""
    here = jnp.minimum(time, prefix.shape[1] - 1)[:, None]
    token = jnp.take_along_axis(prefix, here, axis=1)[:, :, None]  # [B 1 1]
    inside = (time < prefix.shape[1])[:, None, None] & (token != PAD)
    forced = jnp.where(jnp.arange(log_probs.shape[-1]) == token, log_probs, -jnp.inf)
    return jnp.where(inside, forced, allowed)
