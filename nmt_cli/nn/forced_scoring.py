"""What a model thinks of given translations: the numbers that search would give them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.batch import BOS
from nmt_cli.nn.search import Hypotheses, Step, length_penalty


def score_ids(
    step: Step,
    state: Any,
    targets: Array,
    lengths: Array,
    *,
    alpha: float | Array = 0.0,
    with_weights: bool = False,
) -> Hypotheses:
    """The log-probabilities of given translations, by the search's own steps: N is 1.

    state: leaves [B 1 ...], before BOS. targets: [B T] int32, EOS included; lengths: [B] int32, of these, 0 in fillers.
    alpha: of `length_penalty`.
    """

    def forward(carry: tuple[Any, Array], token: Array) -> tuple[tuple[Any, Array], tuple[Array, Array | None]]:
        state, log_probs, weights = step(*carry)
        taken = jnp.take_along_axis(log_probs, token[:, None, None], axis=2)[:, :, 0]
        return (state, token[:, None]), (taken, weights.astype(jnp.float32) if with_weights else None)

    first = jnp.full((targets.shape[0], 1), BOS, jnp.int32)
    _, (log_probs, weights) = lax.scan(forward, (state, first), targets.T)  # [T B 1], [T B 1 S]
    inside = jnp.arange(targets.shape[1]) < lengths[:, None, None]  # [B 1 T]
    log_probs = jnp.where(inside, jnp.moveaxis(log_probs, 0, 2), 0.0)
    scores = jnp.sum(log_probs, axis=2) / length_penalty(lengths[:, None], alpha)
    return Hypotheses(
        ids=targets[:, None],
        lengths=lengths[:, None],
        scores=jnp.where(lengths[:, None] > 0, scores, -jnp.inf),
        log_probs=log_probs,
        weights=None if weights is None else jnp.where(inside[..., None], jnp.moveaxis(weights, 0, 2), 0.0),
    )
