"""What a search works on and with: sentences, hypotheses that live, hypotheses that are finished.

Axes: C sentences, B rows that are at work on a sentence each, K live hypotheses of a row, G groups of them, N results,
T tokens of a translation, R turns of the loop, S tokens of a source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from nmt_cli.nn.constraints import Constraints, Past
from nmt_cli.nn.distribution import Distribution

# step(memory, state, tokens [B K]) -> (state, distribution, weights [B K S] float32); leaves of the memory are
# [B ...], of the state [B K ...]
Step = Callable[[Any, Any, Array], tuple[Any, Distribution, Array]]


class Hypotheses(NamedTuple):
    """N translations of each sentence, best first. Where fewer were found, scores are -inf and lengths 0."""

    ids: Array  # [C N T] int32, EOS included, then PAD
    lengths: Array  # [C N] int32, EOS included
    scores: Array  # [C N] float32, what ranks them
    log_probs: Array  # [C N T] float32, of each token in nats, 0 after EOS
    weights: Array | None = None  # [C N T S] float32, attention of each token, 0 after EOS; None where not asked for


class Sentences(NamedTuple):
    """What is constant for each sentence. All leaves begin with the axis of sentences."""

    memory: Any  # what the step function reads
    constraints: Constraints
    mask: Array | None = None  # [C S] bool, source tokens that are to be covered; None without a coverage penalty
    rngs: Array | None = None  # [C] random keys, for choices that draw

    @property
    def number(self) -> int:
        """C"""
        return len(self.constraints.max_lengths)


class Pool(NamedTuple):
    """The N best finished hypotheses of each of G groups so far, best first within a group."""

    scores: Array  # [B G*N] float32, -inf where there is none yet
    ends: Array  # [B G*N] int32, time * K + slot of its EOS


class Records(NamedTuple):
    """What each turn of the loop took, for tracing hypotheses back. R turns, whatever the time of each row is."""

    taken: Array  # [R B K] int32, parent * V + token; the parent is a slot of the turn before
    log_probs: Array  # [R B K] float32, of that token
    weights: Array | None  # [R B K S] float32, by parent, not by the slot that was taken


class Beam(NamedTuple):
    """The hypotheses of the sentences that are translated now, one to a row."""

    time: Array  # [B] int32, tokens in every live hypothesis
    state: Any  # the step function's; leaves [B K ...]
    tokens: Array  # [B K] int32, last token of each hypothesis
    log_probs: Array  # [B K] float32, of each live hypothesis; -inf where none lives
    past: Past
    pool: Pool

    @property
    def idle(self) -> Array:
        """Rows in which nothing lives; what is no number does not. [B] bool"""
        return ~jnp.any(self.log_probs > -jnp.inf, axis=1)


class Results(NamedTuple):
    """Where the translations of each sentence are to be found."""

    pool: Pool  # leaves [C G*N]
    row: Array  # [C] int32
    begun: Array  # [C] int32, the turn that took its first token


class Work(NamedTuple):
    """The carry of the loops."""

    turn: Array  # [] int32, turns made
    waiting: Array  # [] int32, the first sentence that has not begun
    sentence: Array  # [B] int32, that each row is at work on; C where it is on none
    given: Sentences  # of these; leaves [B ...]
    beam: Beam
    records: Records
    results: Results


# choose(given, beam, allowed [B K V], log-probabilities of what may come next) -> (totals [B K], taken [B K]): of
# each continuation that is taken, its log-probability from the start, or -inf for none, and parent * V + token
Choose = Callable[[Sentences, Beam, Array], tuple[Array, Array]]
