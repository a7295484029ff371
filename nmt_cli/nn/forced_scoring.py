"""What a model thinks of given translations: the numbers that search would give them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.batch import BOS
from nmt_cli.nn.hypotheses import Hypotheses, Step
from nmt_cli.nn.penalties import Ranking


def score_ids(
    step: Step,
    memory: Any,
    state: Any,
    targets: Array,
    lengths: Array,
    ranking: Ranking,
    *,
    width: int = 1,
    mask: Array | None = None,
    with_weights: bool = False,
) -> Hypotheses:
    """The log-probabilities of given translations, by the search's own steps: N is 1.

    memory, state: leaves [B ...] and [B 1 ...], before BOS.
    targets: [B T] int32, EOS included; lengths: [B] int32, of these, 0 in fillers.
    width: K, static. Each translation stands in so many slots, as many as a search has that is to come to the same
    numbers: products of another shape are rounded otherwise.
    mask: [B S] bool, source tokens that are to be covered; None without a coverage penalty.
    """

    def forward(carry: tuple[Any, Array], token: Array) -> tuple[tuple[Any, Array], tuple[Array, Array | None]]:
        state, distribution, weights = step(memory, *carry)
        taken = distribution.of_taken(jnp.broadcast_to(token[:, None], first.shape))[:, :1]
        kept = weights[:, :1].astype(jnp.float32) if keep_weights else None
        return (state, jnp.broadcast_to(token[:, None], first.shape)), (taken, kept)

    keep_weights = with_weights or mask is not None
    first = jnp.full((targets.shape[0], width), BOS, jnp.int32)
    state = jax.tree.map(lambda leaf: jnp.repeat(leaf, width, axis=1), state)
    _, (log_probs, weights) = lax.scan(forward, (state, first), targets.T)  # [T B 1], [T B 1 S]
    inside = jnp.arange(targets.shape[1]) < lengths[:, None, None]  # [B 1 T]
    log_probs = jnp.where(inside, jnp.moveaxis(log_probs, 0, 2), 0.0)
    weights = None if weights is None else jnp.where(inside[..., None], jnp.moveaxis(weights, 0, 2), 0.0)
    coverage = None if weights is None else jnp.sum(weights, axis=2)
    scores = ranking.scores(jnp.sum(log_probs, axis=2), lengths[:, None], coverage, mask)
    return Hypotheses(
        ids=targets[:, None],
        lengths=lengths[:, None],
        scores=jnp.where(lengths[:, None] > 0, scores, -jnp.inf),
        log_probs=log_probs,
        weights=weights if with_weights else None,
    )
