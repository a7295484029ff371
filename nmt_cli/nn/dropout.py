"""Dropout (Srivastava et al. 2014): masks are drawn outside of loops, and only where there is a random key.

Masks are bool and True for units that stay: gradients do not flow into them, and they take a byte a unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from nmt_cli.nn.rows import of_our_rows

Drop = Callable[[jax.Array], jax.Array]


def identity(x: jax.Array) -> jax.Array:
    """Drops nothing."""
    return x


def kept_share(rate: float) -> float:
    """The exact probability that a unit stays: `rate` is rounded to 1/256, since masks come from random bytes."""
    return 1.0 - round(rate * 256) / 256


def keep_mask(rng: jax.Array | None, rate: float, shape: tuple[int, ...], rows: int = -2) -> jax.Array | None:
    """A mask of this shape, or None where nothing is to be dropped (no key, or a rate of zero).

    rows: which axis of the shape counts the rows of the batch.
    """
    threshold = round(rate * 256)
    if rng is None or threshold == 0:
        return None
    return of_our_rows(partial(random_bytes, rng), shape, rows) >= threshold


def random_bytes(rng: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """uint8: each random word gives four. (`jax.random.bits` of uint8 draws a word for each byte.)"""
    size = math.prod(shape)
    words = jax.random.bits(rng, (-(-size // 4),), jnp.uint32)
    return lax.bitcast_convert_type(words, jnp.uint8).reshape(-1)[:size].reshape(shape)


def word_mask(rng: jax.Array | None, rate: float, ids: jax.Array, size: int, by_type: bool) -> jax.Array | None:
    """A mask [T B] of whole words that stay, or None where none is to be dropped; ids [T B], of `size` words.

    by_type: a word that goes, goes wherever it stands in its sentence: rows of the embedding are dropped
    (Gal & Ghahramani 2016, section 4.2). Else each place is drawn by itself (Sennrich & Zhang 2019, section 3.1).
    """
    mask = keep_mask(rng, rate, (size, ids.shape[1]) if by_type else ids.shape, rows=1)
    return jnp.take_along_axis(mask, ids, axis=0) if mask is not None and by_type else mask


def drop(x: jax.Array, mask: jax.Array | None, rate: float) -> jax.Array:
    """x with the units outside the mask set to zero and the others scaled to keep the expected value."""
    return x if mask is None else jnp.where(mask, x / kept_share(rate), 0.0)


def split(rng: jax.Array | None, count: int) -> list[jax.Array | None]:
    """`count` independent keys, or as many Nones."""
    return [None] * count if rng is None else list(jax.random.split(rng, count))
