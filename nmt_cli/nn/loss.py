"""Masked, label-smoothed cross-entropy: sums and counts, never means of means.

The gradients are computed in the forward pass, a chunk of tokens at a time: logits [N V] never exist as a whole,
and are computed once instead of twice. Padding is left out of the products altogether.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from nmt_cli.nn.products import product, rounded, sum_of_outer


class Loss(NamedTuple):
    """Sums over the real target tokens of a batch; divide by `tokens` for means, in nats."""

    smoothed: jax.Array  # [] float32: what training minimises
    log_loss: jax.Array  # [] float32: negative log-likelihood; exp(log_loss / tokens) is the perplexity
    tokens: jax.Array  # [] float32: how many


@partial(jax.custom_vjp, nondiff_argnums=(5, 6, 7))
def cross_entropy(
    hidden: jax.Array,
    table: jax.Array,
    bias: jax.Array,
    targets: jax.Array,
    mask: jax.Array,
    smoothing: float = 0.0,
    dtype: Any = jnp.float32,
    chunk: int = 512,
) -> Loss:
    """Loss of `softmax(hidden table^T + bias)`, with uniform label smoothing (Szegedy et al. 2016, section 7).

    hidden [N H], table [V H], bias [V], float32; targets [N] int32, mask [N] bool.
    dtype: what the products' operands are rounded to; chunk: tokens in one product.
    """
    return forward(hidden, table, bias, targets, mask, smoothing, dtype, chunk)[0]


def forward(
    hidden: jax.Array,
    table: jax.Array,
    bias: jax.Array,
    targets: jax.Array,
    mask: jax.Array,
    smoothing: float,
    dtype: Any,
    chunk: int,
) -> tuple[Loss, tuple[jax.Array, jax.Array, jax.Array]]:
    """The loss, and the gradients of its smoothed sum with respect to hidden, table and bias."""
    count = len(targets)
    chunk = min(chunk, count)
    rows = -(-count // chunk) * chunk
    order = jnp.argsort(~mask, stable=True)  # real tokens first
    order = jnp.concatenate([order, jnp.zeros(rows - count, order.dtype)])  # [rows]
    real = jnp.arange(rows) < mask.sum()
    weights, ones = table.astype(dtype), jnp.ones((chunk, 1), dtype)

    def one_chunk(index: jax.Array, carry: Any) -> Any:
        smoothed, log_loss, d_hidden, d_table, d_bias = carry
        picked = lax.dynamic_slice_in_dim(order, index * chunk, chunk)
        is_real = lax.dynamic_slice_in_dim(real, index * chunk, chunk)[:, None]
        x, y = hidden[picked].astype(dtype), targets[picked]
        losses, d_logits = token_losses(product("nh,vh->nv", x, weights) + bias, y, smoothing)
        losses, d_logits = jnp.where(is_real, losses, 0.0), rounded(jnp.where(is_real, d_logits, 0.0), dtype)
        d_x = product("nv,vh->nh", d_logits, weights)
        return (
            smoothed + losses[:, 0].sum(),
            log_loss + losses[:, 1].sum(),
            lax.dynamic_update_slice_in_dim(d_hidden, d_x, index * chunk, 0),
            d_table + sum_of_outer(x, d_logits),
            d_bias + sum_of_outer(ones, d_logits),
        )

    zero = jnp.zeros((), hidden.dtype)
    start = (
        zero,
        zero,
        jnp.zeros((rows, hidden.shape[1]), hidden.dtype),
        jnp.zeros_like(table.T),
        jnp.zeros_like(bias[None]),
    )
    chunks = (mask.sum() + chunk - 1) // chunk
    smoothed, log_loss, d_sorted, d_table, d_bias = lax.fori_loop(0, chunks, one_chunk, start)
    place = jnp.zeros(count, order.dtype).at[order[:count]].set(jnp.arange(count, dtype=order.dtype))
    loss = Loss(smoothed, log_loss, mask.sum().astype(hidden.dtype))
    return loss, (d_sorted[place], d_table.T, d_bias[0])


def token_losses(logits: jax.Array, targets: jax.Array, smoothing: float) -> tuple[jax.Array, jax.Array]:
    """logits [C V], targets [C] -> smoothed and plain loss of each token [C 2], d smoothed / d logits [C V]."""
    log_norm = jax.nn.logsumexp(logits, axis=-1, keepdims=True)  # [C 1]
    target = jnp.take_along_axis(logits, targets[:, None], axis=-1)  # [C 1]
    plain = log_norm - target
    uniform = log_norm - logits.mean(axis=-1, keepdims=True)
    smoothed = (1.0 - smoothing) * plain + smoothing * uniform
    is_target = jnp.arange(logits.shape[-1]) == targets[:, None]
    gradient = jnp.exp(logits - log_norm) - smoothing / logits.shape[-1] - jnp.where(is_target, 1.0 - smoothing, 0.0)
    return jnp.concatenate([smoothed, plain], axis=-1), gradient


def backward(
    smoothing: float, dtype: Any, chunk: int, gradients: tuple[jax.Array, jax.Array, jax.Array], outer: Loss
) -> tuple[Any, ...]:
    """Scale the ready gradients. Only `smoothed` is differentiated: the other sums are for the log."""
    d_hidden, d_table, d_bias = gradients
    return outer.smoothed * d_hidden, outer.smoothed * d_table, outer.smoothed * d_bias, None, None


cross_entropy.defvjp(forward, backward)
