"""How the encoder's last states become the decoder's first."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn.recurrence import Factor


class Bridge(nn.Module):
    """Each decoder layer's first state, a dense layer of the encoder's final state (Bahdanau et al. 2015, A.2.2).

    hidden = tanh(W final_hidden + b); an LSTM's memory = W' final_memory + b', unbounded as memories are.
    """

    config: Model
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, finals: list[Any]) -> list[Any]:
        """States of [B D] for each layer -> states of [B H]."""
        units = self.config.decoder_units

        def product(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
            return Factor(kernel, dtype=self.dtype)(x)

        def dense(layer: int, name: str, final: jax.Array) -> jax.Array:
            projected = nn.Dense(units, name=f"{name}_{layer}", param_dtype=jnp.float32, dot_general=product)(final)
            return jnp.tanh(projected) if name == "hidden" else projected

        return [
            type(final)(**{name: dense(layer, name, x) for name, x in final._asdict().items()})
            for layer, final in enumerate(finals)
        ]
