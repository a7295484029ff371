"""Search over any step function, on the device, in two nested loops. It knows ids, not models or text.

At every turn each sentence has up to K live hypotheses, and K of their K*V continuations are taken. Those that end in
EOS go to a pool of the N best finished hypotheses; the others live on. Which are taken is `choose`'s affair: the K
best in beam search, which with K = 1 is greedy search. Hypotheses may be in groups, each with a pool of its own, and
none leaves its group.

There are C sentences and B rows. A row whose sentence is done takes the next that waits, so that few rows stand idle:
the inner loop makes turns, the outer one gives work to rows (`refill`).

Histories are not copied: every turn records which continuations it took, and the hypotheses in the pools are traced
back through these records after the loops.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.batch import BOS, EOS, PAD
from nmt_cli.nn.constraints import first_past, fitting, remember, restrict
from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.hypotheses import Beam, Choose, Hypotheses, Pool, Records, Results, Sentences, Step, Work
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.top import pick, top

IDLE = 8  # one in so many rows may stand idle while sentences wait: to give them work takes a tenth of a turn's time


def best(given: Sentences, beam: Beam, allowed: Array) -> tuple[Array, Array]:
    """The K best continuations of each sentence."""
    rows, width, _ = allowed.shape
    return top((beam.log_probs[:, :, None] + allowed).reshape(rows, -1), width)


def search(
    step: Step,
    sentences: Sentences,
    state: Any,
    ranking: Ranking,
    *,
    steps: int,
    rows: int | None = None,
    beam: int = 1,
    n_best: int = 1,
    groups: int = 1,
    choose: Choose = best,
    with_weights: bool = False,
) -> Hypotheses:
    """Find the N highest-scoring translations that a beam of K meets, each sentence as if it were alone.

    A sentence is done when nothing that lives can still enter a pool, so the result is that of a search that goes
    on to the longest length. A hypothesis that reaches it is ended by EOS, at EOS's own log-probability.

    state: leaves [C 1 ...], before BOS.
    steps: T, static: most tokens in a hypothesis, EOS included; it cuts `max_lengths` to one less.
    rows: B, static: sentences translated at a time; None for all. When an eighth of the rows are done, sentences that
    wait take their places.
    beam, n_best, groups: K, N and G, static; K is a multiple of G, N at most K / G. There are G*N results, by group.
    """
    if not (1 <= n_best <= beam // groups and beam % groups == 0):
        raise ValueError(f"n_best = {n_best} must be between 1 and beam = {beam} / groups = {groups}, a whole number")
    limit = jnp.minimum(sentences.constraints.max_lengths, steps - 1)
    sentences = sentences._replace(constraints=replace(sentences.constraints, max_lengths=limit))
    first = first_beam(state, sentences, beam, steps, n_best=n_best, groups=groups)
    work = no_work(step, sentences, first, min(rows or sentences.number, sentences.number), steps, with_weights)
    turn = partial(advance, step, ranking, choose=choose, groups=groups)
    last = jnp.max(jnp.where(limit > 0, jnp.arange(1, sentences.number + 1), 0))  # fillers after it need no row

    def turn_until_idle(work: Work) -> Work:
        return lax.while_loop(partial(goes_on, last), turn, refill(sentences, first, work))

    end = lax.while_loop(partial(has_work, last), turn_until_idle, work)
    end = refill(sentences, first, end)
    _, distribution, _ = jax.eval_shape(step, end.given.memory, end.beam.state, end.beam.tokens)
    return trace(end.results, end.records, steps, distribution.size)


def first_beam(state: Any, sentences: Sentences, width: int, steps: int, *, n_best: int, groups: int = 1) -> Beam:
    """One live hypothesis a group, BOS, in the first of its slots, for every sentence; none for fillers."""
    count = sentences.number
    lives = (jnp.arange(width) % (width // groups) == 0) & (sentences.constraints.max_lengths > 0)[:, None]
    kept = (count, groups * n_best)
    return Beam(
        time=jnp.zeros((count,), jnp.int32),
        state=jax.tree.map(lambda leaf: jnp.repeat(leaf, width, axis=1), state),
        tokens=jnp.full((count, width), BOS, jnp.int32),
        log_probs=jnp.where(lives, 0.0, -jnp.inf).astype(jnp.float32),
        past=first_past(
            sentences.constraints, width, steps, None if sentences.mask is None else sentences.mask.shape[1]
        ),
        pool=Pool(jnp.full(kept, -jnp.inf, jnp.float32), jnp.zeros(kept, jnp.int32)),
    )


def no_work(step: Step, sentences: Sentences, first: Beam, rows: int, steps: int, with_weights: bool) -> Work:
    """Before the first turn: all sentences wait, and all rows are idle."""
    count, width = first.tokens.shape
    given, beam = jax.tree.map(lambda leaf: leaf[:rows], (sentences, first))
    turns = steps if rows == count else most_turns(count, rows, steps)
    return Work(
        turn=jnp.zeros((), jnp.int32),
        waiting=jnp.zeros((), jnp.int32),
        sentence=jnp.full((rows,), count, jnp.int32),
        given=given,
        beam=beam._replace(log_probs=jnp.full((rows, width), -jnp.inf, jnp.float32)),
        records=Records(
            taken=jnp.zeros((turns, rows, width), jnp.int32),
            log_probs=jnp.zeros((turns, rows, width), jnp.float32),
            weights=jnp.zeros((turns, *weights_shape(step, given, beam)), jnp.float32) if with_weights else None,
        ),
        results=Results(first.pool, jnp.zeros((count,), jnp.int32), jnp.zeros((count,), jnp.int32)),
    )


def weights_shape(step: Step, given: Sentences, beam: Beam) -> tuple[int, ...]:
    """[B K S]"""
    _, _, weights = jax.eval_shape(step, given.memory, beam.state, beam.tokens)
    return tuple(weights.shape)


def most_turns(count: int, rows: int, steps: int) -> int:
    """An upper bound: while sentences wait, all rows but one in IDLE are busy; the last of them take `steps`."""
    return steps * (1 + -(-IDLE * count // ((IDLE - 1) * rows)))


def has_work(last: Array, work: Work) -> Array:
    """Whether a sentence waits or is being translated."""
    return (work.waiting < last) | ~jnp.all(work.beam.idle)


def goes_on(last: Array, work: Work) -> Array:
    """Whether the rows that are busy are enough to go on with: all that are left, or all but one in IDLE."""
    idle = jnp.sum(work.beam.idle)
    return (idle < len(work.sentence)) & ((work.waiting >= last) | (IDLE * idle < len(work.sentence)))


def refill(sentences: Sentences, first: Beam, work: Work) -> Work:
    """Keep what the idle rows have found, and give them the sentences that have waited longest."""
    idle, count = work.beam.idle, sentences.number
    done = jnp.where(idle, work.sentence, count)  # a place beyond the last is left out
    pool = jax.tree.map(lambda kept, own: kept.at[done].set(own, mode="drop"), work.results.pool, work.beam.pool)
    order = work.waiting + jnp.cumsum(idle) - 1
    sentence = jnp.where(idle, jnp.minimum(order, count), work.sentence)
    begins = jnp.where(idle, sentence, count)
    fresh = begins < count
    here = jnp.minimum(sentence, count - 1)

    def renew(new: Array, old: Array) -> Array:
        return jnp.where(fresh.reshape(-1, *[1] * (old.ndim - 1)), new[here], old)

    return work._replace(
        waiting=jnp.minimum(work.waiting + jnp.sum(idle), count),
        sentence=sentence,
        given=jax.tree.map(lambda leaf: leaf[here], sentences),
        beam=jax.tree.map(renew, first, work.beam),
        results=Results(
            pool,
            work.results.row.at[begins].set(jnp.arange(len(idle)), mode="drop"),
            work.results.begun.at[begins].set(work.turn, mode="drop"),
        ),
    )


def advance(step: Step, ranking: Ranking, work: Work, *, choose: Choose = best, groups: int = 1) -> Work:
    """One turn: take K continuations of every sentence, finished ones into the pools, the others into the beam."""
    given, beam = work.given, work.beam
    constraints = given.constraints
    state, distribution, weights = step(given.memory, beam.state, beam.tokens)
    totals, taken = take(given, beam, distribution, choose)
    parents, tokens = jnp.divmod(taken, distribution.size)
    # What the children have of their parents; alone in its group, a hypothesis is its own parent.
    inherited = state, beam.past, weights
    if taken.shape[1] > groups:
        inherited = jax.tree.map(lambda leaf: pick(leaf, parents), inherited)
    past = remember(constraints, inherited[1], beam.time, tokens, inherited[2])
    ended = tokens == EOS
    scores = ranking.scores(totals, beam.time[:, None] + 1, past.coverage, given.mask)
    scores = jnp.where(ended & (totals > -jnp.inf), scores, -jnp.inf)  # what is no number is not finished either
    pool = gather_finished(beam.pool, scores, beam.time, groups)
    live = jnp.where(ended, -jnp.inf, totals)
    done = is_done(pool, ranking.reachable(live, constraints.max_lengths + 1), groups)
    live = jnp.where(done[:, None], -jnp.inf, live)
    return work._replace(
        turn=work.turn + 1,
        beam=Beam(beam.time + 1, inherited[0], tokens, live, past, pool),
        records=record(work.records, work.turn, taken, distribution.of_taken(taken), weights),
    )


def take(given: Sentences, beam: Beam, distribution: Distribution, choose: Choose) -> tuple[Array, Array]:
    """Which continuations of every sentence are taken: totals [B K], and parent * V + token [B K]."""
    constraints = given.constraints
    if choose is best and constraints.only_of_lengths:  # found without writing down all that may come next
        first = fitting(constraints, beam.time, distribution.logits.shape[1])
        return distribution.best(beam.log_probs, first, beam.time < constraints.max_lengths)
    return choose(given, beam, restrict(constraints, beam.past, beam.time, distribution.log_probs()))


def gather_finished(pool: Pool, scores: Array, time: Array, groups: int = 1) -> Pool:
    """The best of each group's pool and of what finished in this step; of equals, the earlier.

    scores: [B K] of what finished, -inf elsewhere.
    """
    rows, width = scores.shape
    here = time[:, None] * width + jnp.arange(width)
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


def record(records: Records, turn: Array, taken: Array, log_probs: Array, weights: Array) -> Records:
    """Write what a turn took."""
    write = partial(lax.dynamic_update_index_in_dim, index=turn, axis=0)
    return Records(
        taken=write(records.taken, taken),
        log_probs=write(records.log_probs, log_probs),
        weights=None if records.weights is None else write(records.weights, weights.astype(jnp.float32)),
    )


def trace(results: Results, records: Records, steps: int, vocabulary_size: int) -> Hypotheses:
    """Follow the hypotheses in the pools back through the records."""
    pool, width = results.pool, records.taken.shape[2]
    ends, slots = jnp.divmod(pool.ends, width)
    exists = pool.scores > -jnp.inf
    last = len(records.taken) - 1

    def back(slots: Array, time: Array) -> tuple[Array, Records]:
        turns = jnp.minimum(results.begun + time, last)
        record: Records = jax.tree.map(lambda leaf: leaf[turns, results.row], records)  # [C K], [C K S]
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

    _, path = lax.scan(back, slots, jnp.arange(steps), reverse=True)
    ids, log_probs, weights = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 2), path)
    return Hypotheses(ids, jnp.where(exists, ends + 1, 0), pool.scores, log_probs, weights)
