"""Scheduled sampling (Bengio et al. 2015): the decoder learns to go on from pieces of its own.

A first pass feeds the decoder, at every position, the reference's piece or one drawn from the model; what was fed then
takes the place of the reference in training, which is teacher-forced as ever. No gradient flows through the drawing,
in the paper as here, so the two passes are the paper's one; only that here pieces are drawn as in translating, without
dropout. It holds for every architecture, because the first pass is made of the steps of search.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nmt_cli.batch import Batch
from nmt_cli.config import Train
from nmt_cli.nn.rows import of_our_rows
from nmt_cli.nn.seq2seq import Seq2Seq


def teacher_share(train: Train, step: jax.Array) -> jax.Array:
    """How likely a piece of the reference is to be fed at update number `step` (int32 [], from 0): float32 [].

    The paper's section 2.4, with N = sampling_steps: 1 - i/N, k^i with k = e^(-1/N), and k / (k + e^(i/k)) with k = N.
    """
    now, steps = step.astype(jnp.float32), train.sampling_steps
    share = {
        "linear": lambda: 1.0 - now / steps,
        "exponential": lambda: jnp.exp(-now / steps),
        "inverse_sigmoid": lambda: steps / (steps + jnp.exp(now / steps)),
    }[train.scheduled_sampling]()
    return jnp.maximum(share, train.teacher_least)


def sampled_inputs(model: Seq2Seq, params: Any, batch: Batch, share: jax.Array, rng: jax.Array) -> jax.Array:
    """`target_in` [B T] with each piece but BOS kept with probability `share` [], else drawn from the model.

    What is drawn follows p(piece | what was fed before), so that mistakes meet their consequences.
    """
    variables = {"params": params}
    memory, state = model.apply(variables, batch.source, batch.source_mask, method="encode")
    rows, length = batch.target_in.shape
    keys = jax.random.split(rng)
    kept, draws = (of_our_rows(partial(jax.random.uniform, key), (length, rows), 1) for key in keys)
    first = jnp.arange(length) == 0

    def feed(carry: Any, x: Any) -> tuple[Any, jax.Array]:
        (state, drawn), (reference, keep, draw) = carry, x
        fed = jnp.where(keep, reference, drawn)  # [B]
        step: Any = model.apply(variables, memory, state, fed[:, None], method="step")
        state, distribution, _ = step
        return (state, draw_piece(distribution.log_probs()[:, 0], draw)), fed

    inputs = (jnp.asarray(batch.target_in).T, (kept < share) | first[:, None], draws)
    _, fed = jax.lax.scan(feed, (state, jnp.zeros(rows, jnp.int32)), inputs)
    return fed.T


def draw_piece(log_probs: jax.Array, draw: jax.Array) -> jax.Array:
    """The piece whose share of the unit interval holds `draw`: log_probs [B V], draw [B] in [0, 1) -> int32 [B]."""
    below = jnp.cumsum(jnp.exp(log_probs), axis=-1) <= draw[:, None]
    return jnp.minimum(below.sum(-1, dtype=jnp.int32), log_probs.shape[-1] - 1)
