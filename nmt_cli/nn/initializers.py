"""How parameters begin."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def uniform() -> Any:
    """Uniform with the variance that keeps activations' size (Glorot & Bengio 2010, equation 16)."""
    return nn.initializers.xavier_uniform()


def embedding() -> Any:
    """Normal with variance 1 / E: rows of about unit length, fit to be tied with the output layer."""

    def initialize(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.normal(key, shape, dtype) / jnp.sqrt(shape[-1])

    return initialize


def per_gate(gates: int) -> Any:
    """An orthogonal matrix for each gate (Saxe et al. 2014), side by side: [H, gates * H]."""
    orthogonal = nn.initializers.orthogonal()

    def initialize(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        rows, columns = shape
        keys = jax.random.split(key, gates)
        return jnp.concatenate([orthogonal(k, (rows, columns // gates), dtype) for k in keys], axis=1)

    return initialize
