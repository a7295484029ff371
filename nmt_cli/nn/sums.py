"""Sums and maxima over the last axis that are rounded by what is added alone, not by how much stands beside it.

A compiler's reduction takes one order of additions for a few rows and another for many, or for more padding. With
bfloat16 factors behind it, a last bit that differs becomes a difference that is seen; and the translation of a line
must not depend on the lines beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from jax import lax

LANES = 8  # sums that run side by side


@jax.custom_jvp
def total(x: jax.Array) -> jax.Array:
    """[... S] -> [... 1], the sum."""
    return fold(jnp.add, x, 0.0)


@total.defjvp
def total_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The sum's gradient is the same for all that is added, in whatever order."""
    return total(*primals), jnp.sum(*tangents, axis=-1, keepdims=True)


def largest(x: jax.Array) -> jax.Array:
    """[... S] -> [... 1], the maximum, as a constant for gradients."""
    return fold(jnp.maximum, lax.stop_gradient(x), -jnp.inf)


def softmax(x: jax.Array) -> jax.Array:
    """[... S] -> [... S], over the last axis; where x is very negative, as at padding, exactly 0."""
    powers = jnp.exp(x - largest(x))
    return powers / total(powers)


def fold(operation: Callable[..., jax.Array], x: jax.Array, neutral: float) -> jax.Array:
    """Lane i takes up elements i, i + LANES, i + 2 LANES ... in turn; the lanes then by halves. [... S] -> [... 1]"""
    missing = -x.shape[-1] % LANES
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)], constant_values=neutral) if missing else x
    lanes = reduce(operation, jnp.split(x, x.shape[-1] // LANES, axis=-1))
    while lanes.shape[-1] > 1:
        lanes = operation(*jnp.split(lanes, 2, axis=-1))
    return lanes
