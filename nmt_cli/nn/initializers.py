"""How parameters begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.config import Model


@dataclass(frozen=True)
class Initial:
    """How the parameters of a model begin.

    glorot: what keeps activations' size, and orthogonal recurrent matrices.
    uniform: every matrix from -reach to reach (Sutskever et al. 2014, section 3.4; tensorflow/nmt).
    normal: of deviation `reach`, and orthogonal recurrent matrices (Bahdanau et al. 2015, B.1; Cho et al. 2014, 4.1.1).
    """

    kind: str = "glorot"
    reach: float = 0.1
    forget: float = 1.0

    @classmethod
    def of(cls, config: Model) -> Initial:
        """That of a configuration."""
        return cls(config.initialization, config.initial_range, config.forget_bias)

    def matrix(self, gates: int = 1) -> Any:
        """A matrix of weights, or one for each gate, side by side."""
        return uniform(gates) if self.kind == "glorot" else self.plain()

    def recurrent(self, gates: int) -> Any:
        """The matrix that multiplies a hidden vector, for each gate."""
        return self.plain() if self.kind == "uniform" else orthogonal(gates)

    def table(self) -> Any:
        """Embedding vectors."""
        return embedding() if self.kind == "glorot" else self.plain()

    def plain(self) -> Any:
        """Uniform or normal numbers whatever the shape."""
        if self.kind == "normal":
            return nn.initializers.normal(self.reach)
        return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -self.reach, self.reach)

    def lstm_bias(self) -> Any:
        """Zeros, and `forget` for the forget gate, so that memories last at first (Jozefowicz et al. 2015, 2.2)."""

        def initialize(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
            units = shape[0] // 4
            return jnp.zeros(shape, dtype).at[units : 2 * units].set(self.forget)

        return initialize


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
