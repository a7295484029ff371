"""How parameters begin."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def uniform(gates: int = 1) -> Any:
    """Uniform with the variance that keeps activations' size (Glorot & Bengio 2010, equation 16), for each gate."""
    return side_by_side(nn.initializers.xavier_uniform(), gates)


def embedding() -> Any:
    """Normal with variance 1 / E: rows of about unit length, fit to be tied with the output layer."""

    def initialize(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.normal(key, shape, dtype) / jnp.sqrt(shape[-1])

    return initialize


def orthogonal(gates: int) -> Any:
    """An orthogonal matrix for each gate (Saxe et al. 2014), side by side: [H, gates * H]."""
    return side_by_side(nn.initializers.orthogonal(), gates)


def side_by_side(initializer: Any, count: int) -> Any:
    """Draws `count` matrices, each for itself, and puts them next to each other."""

    def initialize(key: jax.Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> jax.Array:
        rows, columns = shape
        keys = jax.random.split(key, count)
        return jnp.concatenate([initializer(k, (rows, columns // count), dtype) for k in keys], axis=1)

    return initialize
