"""Beam search over any step function, on the device, in one `lax.while_loop`. It knows ids, not models or text.

At every step each sentence has up to K live hypotheses, and the K best of their K*V continuations are taken. Those
that end in EOS go to a pool of the N best finished hypotheses; the others live on. With K = 1 this is greedy search.
PAD and BOS are never produced; UNK is a token like any other.

Histories are not copied: every step records which continuations it took, and the hypotheses in the pool are traced
back through these records after the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.batch import BOS, EOS, PAD

# step(state, tokens [B K]) -> (state, log_probs [B K V] float32, weights [B K S] float32); state leaves are [B K ...]
Step = Callable[[Any, Array], tuple[Any, Array, Array]]

DEPTH = 64  # candidates whose maximum stands for them in the first stage of `top`


class Hypotheses(NamedTuple):
    """The N best translations of each sentence, best first. Where fewer were found, scores are -inf and lengths 0."""

    ids: Array  # [B N T] int32, EOS included, then PAD
    lengths: Array  # [B N] int32, EOS included
    scores: Array  # [B N] float32, log-probability / length_penalty
    log_probs: Array  # [B N T] float32, of each token in nats, 0 after EOS
    weights: Array | None  # [B N T S] float32, attention of each token, 0 after EOS; None where not asked for


class Pool(NamedTuple):
    """The best finished hypotheses so far, best first."""

    scores: Array  # [B N] float32, -inf where there is none yet
    ends: Array  # [B N] int32, where EOS stands in the records: step * K + slot


class Records(NamedTuple):
    """What each step took, for tracing hypotheses back."""

    taken: Array  # [T B K] int32, parent * V + token; the parent is a slot of the step before
    log_probs: Array  # [T B K] float32, of that token
    weights: Array | None  # [T B K S] float32, by parent, not by the slot that was taken


class Beam(NamedTuple):
    """The carry of the loop."""

    time: Array  # [] int32, tokens in every live hypothesis
    state: Any  # the step function's; leaves [B K ...]
    tokens: Array  # [B K] int32, last token of each hypothesis
    log_probs: Array  # [B K] float32, of each live hypothesis; -inf where none lives
    pool: Pool
    records: Records


def search(
    step: Step,
    state: Any,
    max_lengths: Array,
    *,
    steps: int,
    beam: int = 1,
    n_best: int = 1,
    alpha: float | Array = 0.0,
    with_weights: bool = False,
) -> Hypotheses:
    """Find the N highest-scoring translations that a beam of K meets, each sentence as if it were alone.

    A sentence is done when nothing that lives can still enter the pool, so the result is that of a search that goes
    on to the longest length. A hypothesis that reaches it is ended by EOS, at EOS's own log-probability.

    state: leaves [B 1 ...], before BOS.
    max_lengths: [B] int32, most tokens before EOS, below `steps`; a row with 0 is a filler and is not searched.
    steps: T, static: most tokens in a hypothesis, EOS included.
    beam, n_best: K and N, static; N is at most K.
    alpha: of `length_penalty`, not negative.
    """
    if not 1 <= n_best <= beam:
        raise ValueError(f"n_best = {n_best} must be between 1 and beam = {beam}")
    max_lengths = jnp.minimum(max_lengths, steps - 1)
    _, log_probs, weights = jax.eval_shape(step, state, max_lengths[:, None])
    records = blank_records(steps, max_lengths.shape[0], beam, weights.shape[-1] if with_weights else None)
    end = lax.while_loop(
        lambda beam: jnp.any(beam.log_probs > -jnp.inf),
        partial(advance, step, max_lengths, alpha),
        first_beam(state, max_lengths, beam, n_best, records),
    )
    return trace(end.pool, end.records, log_probs.shape[-1])


def length_penalty(lengths: Array, alpha: float | Array) -> Array:
    """Wu et al. 2016, equation 14: ((5 + |Y|) / 6) ** alpha, with EOS counted in |Y|. Any shape, float32."""
    return ((5.0 + lengths.astype(jnp.float32)) / 6.0) ** alpha


def blank_records(steps: int, rows: int, beam: int, source_length: int | None) -> Records:
    """Records of no step yet; without weights where source_length is None."""
    return Records(
        taken=jnp.zeros((steps, rows, beam), jnp.int32),
        log_probs=jnp.zeros((steps, rows, beam), jnp.float32),
        weights=None if source_length is None else jnp.zeros((steps, rows, beam, source_length), jnp.float32),
    )


def first_beam(state: Any, max_lengths: Array, beam: int, n_best: int, records: Records) -> Beam:
    """One live hypothesis a sentence, BOS, in the first of K slots; none in filler rows."""
    rows = max_lengths.shape[0]
    lives = (jnp.arange(beam) == 0) & (max_lengths > 0)[:, None]
    return Beam(
        time=jnp.zeros((), jnp.int32),
        state=jax.tree.map(lambda leaf: jnp.repeat(leaf, beam, axis=1), state),
        tokens=jnp.full((rows, beam), BOS, jnp.int32),
        log_probs=jnp.where(lives, 0.0, -jnp.inf).astype(jnp.float32),
        pool=Pool(jnp.full((rows, n_best), -jnp.inf, jnp.float32), jnp.zeros((rows, n_best), jnp.int32)),
        records=records,
    )


def advance(step: Step, max_lengths: Array, alpha: float | Array, beam: Beam) -> Beam:
    """Take the K best continuations of every sentence: finished ones into the pool, the others into the beam."""
    state, log_probs, weights = step(beam.state, beam.tokens)
    rows, width, vocabulary_size = log_probs.shape
    candidates = beam.log_probs[:, :, None] + restrict(log_probs, beam.time, max_lengths)
    totals, taken = top(candidates.reshape(rows, -1), width)
    parents, tokens = jnp.divmod(taken, vocabulary_size)
    ended = tokens == EOS
    pool = gather_finished(beam.pool, jnp.where(ended, totals, -jnp.inf), beam.time, alpha)
    live = jnp.where(ended, -jnp.inf, totals)
    return Beam(
        time=beam.time + 1,
        state=state if width == 1 else jax.tree.map(lambda leaf: pick(leaf, parents), state),
        tokens=tokens,
        log_probs=jnp.where(is_done(pool, live, max_lengths, alpha)[:, None], -jnp.inf, live),
        pool=pool,
        records=record(beam.records, beam.time, taken, pick(log_probs.reshape(rows, -1), taken), weights),
    )


def restrict(log_probs: Array, time: Array, max_lengths: Array) -> Array:
    """-inf for PAD and BOS, and for all but EOS in sentences whose hypotheses are as long as they may be. [B K V]"""
    ids = jnp.arange(log_probs.shape[-1])
    may_go_on = (time < max_lengths)[:, None, None] & (ids != PAD) & (ids != BOS)
    return jnp.where(may_go_on | (ids == EOS), log_probs, -jnp.inf)


def gather_finished(pool: Pool, totals: Array, time: Array, alpha: float | Array) -> Pool:
    """The best of the pool and of what finished in this step; of equals, the earlier.

    totals: [B K] log-probabilities of what finished, -inf elsewhere.
    """
    rows, width = totals.shape
    scores = jnp.concatenate([pool.scores, totals / length_penalty(time + 1, alpha)], axis=1)
    here = jnp.broadcast_to(time * width + jnp.arange(width), (rows, width))
    best, positions = lax.top_k(scores, pool.scores.shape[1])
    return Pool(best, pick(jnp.concatenate([pool.ends, here], axis=1), positions))


def is_done(pool: Pool, live: Array, max_lengths: Array, alpha: float | Array) -> Array:
    """Whether the worst kept score is at least what any live hypothesis can still reach. [B] bool

    A log-probability can only fall from here, and the penalty that divides it only grow up to the longest length;
    so the best that a live hypothesis can reach is its present log-probability at that length.
    """
    reachable = jnp.max(live, axis=1) / length_penalty(max_lengths + 1, alpha)
    return pool.scores[:, -1] >= reachable


def record(records: Records, time: Array, taken: Array, log_probs: Array, weights: Array) -> Records:
    """Write what a step took."""
    write = partial(lax.dynamic_update_index_in_dim, index=time, axis=0)
    return Records(
        taken=write(records.taken, taken),
        log_probs=write(records.log_probs, log_probs),
        weights=None if records.weights is None else write(records.weights, weights.astype(jnp.float32)),
    )


def top(values: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest of [B C] values and where they are, as `lax.top_k`, but at a fifth of its time on a CPU.

    Values are laid out as a table of DEPTH rows. The best values lie in the `count` columns of highest maximum, or in
    the few that fill no row. (The maximum over rows is vector code; over columns it would not be.) Of equal values the
    same ones are taken each time, though not always the first.
    """
    rows, size = values.shape
    columns = size // DEPTH
    if columns <= 2 * count:
        return lax.top_k(values, count)
    table = values[:, : DEPTH * columns].reshape(rows, DEPTH, columns)
    chosen = lax.top_k(jnp.max(table, axis=1), count)[1]
    inside = (jnp.arange(DEPTH)[:, None] * columns + chosen[:, None, :]).reshape(rows, -1)
    rest = jnp.broadcast_to(jnp.arange(DEPTH * columns, size), (rows, size - DEPTH * columns))
    places = jnp.concatenate([inside, rest], axis=1)
    best, positions = lax.top_k(pick(values, places), count)
    return best, pick(places, positions)


def pick(leaf: Array, indices: Array) -> Array:
    """Rows of [B X ...] by indices [B Y] of the second axis: [B Y ...]."""
    picked: Array = jax.vmap(lambda row, index: row.at[index].get(mode="promise_in_bounds"))(leaf, indices)
    return picked


def trace(pool: Pool, records: Records, vocabulary_size: int) -> Hypotheses:
    """Follow the hypotheses in the pool back through the records."""
    steps, _, width = records.taken.shape
    ends, slots = jnp.divmod(pool.ends, width)
    exists = pool.scores > -jnp.inf

    def back(slots: Array, at: tuple[Array, Records]) -> tuple[Array, Records]:
        time, record = at
        inside = exists & (time <= ends)
        taken = pick(record.taken, slots)
        parents = jnp.where(inside, taken // vocabulary_size, slots)
        return parents, Records(
            taken=jnp.where(inside, taken % vocabulary_size, PAD),
            log_probs=jnp.where(inside, pick(record.log_probs, slots), 0.0),
            weights=None
            if record.weights is None
            else jnp.where(inside[..., None], pick(record.weights, parents), 0.0),
        )

    _, path = lax.scan(back, slots, (jnp.arange(steps), records), reverse=True)
    ids, log_probs, weights = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 2), path)
    return Hypotheses(ids, jnp.where(exists, ends + 1, 0), pool.scores, log_probs, weights)
