"""Search over any step function, on the device, in one `lax.while_loop`. It knows ids, not models or text.

At every step each sentence has up to K live hypotheses, and K of their K*V continuations are taken. Those that end in
EOS go to a pool of the N best finished hypotheses; the others live on. Which are taken is `choose`'s affair: the K
best in beam search, which with K = 1 is greedy search.

Hypotheses may be in groups, each with a pool of its own, and none leaves its group.

Histories are not copied: every step records which continuations it took, and the hypotheses in the pool are traced
back through these records after the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.batch import BOS, EOS, PAD
from nmt_cli.nn.constraints import Constraints, Past, first_past, remember, restrict
from nmt_cli.nn.penalties import Ranking

# step(state, tokens [B K]) -> (state, log_probs [B K V] float32, weights [B K S] float32); state leaves are [B K ...]
Step = Callable[[Any, Array], tuple[Any, Array, Array]]

DEPTH = 64  # candidates whose maximum stands for them in the first stage of `top`


class Hypotheses(NamedTuple):
    """N translations of each sentence, best first. Where fewer were found, scores are -inf and lengths 0."""

    ids: Array  # [B N T] int32, EOS included, then PAD
    lengths: Array  # [B N] int32, EOS included
    scores: Array  # [B N] float32, what ranks them
    log_probs: Array  # [B N T] float32, of each token in nats, 0 after EOS
    weights: Array | None  # [B N T S] float32, attention of each token, 0 after EOS; None where not asked for


class Pool(NamedTuple):
    """The N best finished hypotheses of each of G groups so far, best first within a group."""

    scores: Array  # [B G*N] float32, -inf where there is none yet
    ends: Array  # [B G*N] int32, where EOS stands in the records: step * K + slot


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
    past: Past
    pool: Pool
    records: Records


# choose(beam, allowed [B K V], log-probabilities of what may come next) -> (totals [B K], taken [B K]): of each
# continuation that is taken, its log-probability from the start, or -inf for none, and parent * V + token
Choose = Callable[[Beam, Array], tuple[Array, Array]]


def best(beam: Beam, allowed: Array) -> tuple[Array, Array]:
    """The K best continuations of each sentence."""
    rows, width, _ = allowed.shape
    return top((beam.log_probs[:, :, None] + allowed).reshape(rows, -1), width)


def search(
    step: Step,
    state: Any,
    constraints: Constraints,
    ranking: Ranking,
    *,
    steps: int,
    beam: int = 1,
    n_best: int = 1,
    groups: int = 1,
    choose: Choose = best,
    with_weights: bool = False,
) -> Hypotheses:
    """Find the N highest-scoring translations that a beam of K meets, each sentence as if it were alone.

    A sentence is done when nothing that lives can still enter a pool, so the result is that of a search that goes
    on to the longest length. A hypothesis that reaches it is ended by EOS, at EOS's own log-probability.

    state: leaves [B 1 ...], before BOS.
    steps: T, static: most tokens in a hypothesis, EOS included; it cuts `max_lengths` to one less.
    beam, n_best, groups: K, N and G, static; K is a multiple of G, N at most K / G. There are G*N results, by group.
    """
    if not (1 <= n_best <= beam // groups and beam % groups == 0):
        raise ValueError(f"n_best = {n_best} must be between 1 and beam = {beam} / groups = {groups}, a whole number")
    max_lengths = jnp.minimum(constraints.max_lengths, steps - 1)
    constraints = replace(constraints, max_lengths=max_lengths)
    _, log_probs, weights = jax.eval_shape(step, state, max_lengths[:, None])
    records = blank_records(steps, max_lengths.shape[0], beam, weights.shape[-1] if with_weights else None)
    end = lax.while_loop(
        lambda beam: jnp.any(beam.log_probs > -jnp.inf),
        partial(advance, step, constraints, ranking, choose=choose, groups=groups),
        first_beam(state, constraints, ranking, records, n_best=n_best, groups=groups),
    )
    return trace(end.pool, end.records, log_probs.shape[-1])


def blank_records(steps: int, rows: int, beam: int, source_length: int | None) -> Records:
    """Records of no step yet; without weights where source_length is None."""
    return Records(
        taken=jnp.zeros((steps, rows, beam), jnp.int32),
        log_probs=jnp.zeros((steps, rows, beam), jnp.float32),
        weights=None if source_length is None else jnp.zeros((steps, rows, beam, source_length), jnp.float32),
    )


def first_beam(
    state: Any, constraints: Constraints, ranking: Ranking, records: Records, *, n_best: int, groups: int = 1
) -> Beam:
    """One live hypothesis a group, BOS, in the first of its slots; none in filler rows."""
    steps, rows, width = records.taken.shape
    lives = (jnp.arange(width) % (width // groups) == 0) & (constraints.max_lengths > 0)[:, None]
    kept = (rows, groups * n_best)
    return Beam(
        time=jnp.zeros((), jnp.int32),
        state=jax.tree.map(lambda leaf: jnp.repeat(leaf, width, axis=1), state),
        tokens=jnp.full((rows, width), BOS, jnp.int32),
        log_probs=jnp.where(lives, 0.0, -jnp.inf).astype(jnp.float32),
        past=first_past(constraints, width, steps, None if ranking.mask is None else ranking.mask.shape[1]),
        pool=Pool(jnp.full(kept, -jnp.inf, jnp.float32), jnp.zeros(kept, jnp.int32)),
        records=records,
    )


def advance(
    step: Step, constraints: Constraints, ranking: Ranking, beam: Beam, *, choose: Choose = best, groups: int = 1
) -> Beam:
    """Take K continuations of every sentence: finished ones into the pools, the others into the beam."""
    state, log_probs, weights = step(beam.state, beam.tokens)
    rows, width, vocabulary_size = log_probs.shape
    totals, taken = choose(beam, restrict(constraints, beam.past, beam.time, log_probs))
    parents, tokens = jnp.divmod(taken, vocabulary_size)
    # What the children have of their parents; alone in its group, a hypothesis is its own parent.
    inherited = state, beam.past, weights
    if width > groups:
        inherited = jax.tree.map(lambda leaf: pick(leaf, parents), inherited)
    past = remember(constraints, inherited[1], beam.time, tokens, inherited[2])
    ended = tokens == EOS
    scores = jnp.where(ended, ranking.scores(totals, beam.time + 1, past.coverage), -jnp.inf)
    pool = gather_finished(beam.pool, scores, beam.time, groups)
    live = jnp.where(ended, -jnp.inf, totals)
    done = is_done(pool, ranking.reachable(live, constraints.max_lengths + 1), groups)
    return Beam(
        time=beam.time + 1,
        state=inherited[0],
        tokens=tokens,
        log_probs=jnp.where(done[:, None], -jnp.inf, live),
        past=past,
        pool=pool,
        records=record(beam.records, beam.time, taken, pick(log_probs.reshape(rows, -1), taken), weights),
    )


def gather_finished(pool: Pool, scores: Array, time: Array, groups: int = 1) -> Pool:
    """The best of each group's pool and of what finished in this step; of equals, the earlier.

    scores: [B K] of what finished, -inf elsewhere.
    """
    rows, width = scores.shape
    here = jnp.broadcast_to(time * width + jnp.arange(width), (rows, width))
    kept, found, ends, here = (leaf.reshape(rows, groups, -1) for leaf in (pool.scores, scores, pool.ends, here))
    best, positions = lax.top_k(jnp.concatenate([kept, found], axis=2), kept.shape[2])  # [B G N]
    ends = jnp.take_along_axis(jnp.concatenate([ends, here], axis=2), positions, axis=2)
    return Pool(best.reshape(rows, -1), ends.reshape(rows, -1))


def is_done(pool: Pool, reachable: Array, groups: int = 1) -> Array:
    """Whether each group's worst kept score is at least what any of its live hypotheses can still reach. [B] bool

    reachable: [B K], as `Ranking.reachable` has it.
    Dropping single hypotheses that cannot reach it would change nothing: none of theirs could enter the pool, and
    what took their places would have even less log-probability.
    """
    rows = len(reachable)
    worst = pool.scores.reshape(rows, groups, -1)[:, :, -1]
    return jnp.all(worst >= jnp.max(reachable.reshape(rows, groups, -1), axis=2), axis=1)


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
