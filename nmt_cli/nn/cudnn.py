"""LSTM layers by NVIDIA's cuDNN, which runs a whole sequence in one call where a scan starts kernels at every step.

Parameters stay those of `LSTM`; only while a program runs are they packed as cuDNN wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import rnn

from nmt_cli.config import Model
from nmt_cli.nn.cells import LSTMState


class Weights(NamedTuple):
    """Of an LSTM in one direction, float32, as `cells.LSTM` has them."""

    input_kernel: jax.Array  # [I 4H]
    kernel: jax.Array  # [H 4H]
    bias: jax.Array  # [4H]


def runs(config: Model, rng: jax.Array | None) -> bool:
    """Whether it runs the layers: in training, plain LSTMs of which nothing is dropped between steps."""
    plain = config.cell == "lstm" and not (config.state_dropout or config.zoneout or config.memory_zoneout)
    return rng is not None and plain and is_there()


@cache
def is_there() -> bool:
    """Whether the device has it. On others, and where it cannot be loaded, layers are scanned."""
    if jax.default_backend() != "gpu":
        return False
    x, weights = jax.ShapeDtypeStruct((1, 1, 1), jnp.float32), jax.ShapeDtypeStruct((16,), jnp.float32)
    lengths = jax.ShapeDtypeStruct((1,), jnp.int32)
    try:  # to find the shapes of its results, JAX asks cuDNN itself
        jax.eval_shape(lambda *arrays: rnn.lstm(*arrays, 1, 1, 1, 0.0, False), x, x, x, weights, lengths)
    except Exception:  # of whatever kind: a library that is missing, or of another version
        return False
    return True


def run(
    weights: Sequence[Weights], inputs: jax.Array, mask: jax.Array, states: Sequence[LSTMState] = ()
) -> list[tuple[LSTMState, jax.Array]]:
    """One LSTM forward in time, or two, the second backward: inputs [S B I], mask [S B] with real tokens first
    -> for each its final state of [B H] and outputs [S B H], zero at padding.

    states: of [B H], that each begins with; none for zeros.
    Products are of TF32 where the device has it, sums and states float32.
    """
    units, directions = len(weights[0].kernel), len(weights)
    lengths = jnp.sum(mask, axis=0, dtype=jnp.int32)
    nothing = jnp.zeros((mask.shape[1], units), inputs.dtype)
    begin = states or [LSTMState(nothing, nothing)] * directions
    outputs, hidden, memory = rnn.lstm(
        jnp.swapaxes(inputs, 0, 1),
        jnp.stack([state.hidden for state in begin]),
        jnp.stack([state.memory for state in begin]),
        packed(weights),
        jnp.maximum(lengths, 1),  # it wants a token in every row; what it makes of a filler's is left out below
        inputs.shape[2],
        units,
        1,
        0.0,
        directions == 2,
    )
    outputs = jnp.where(mask[..., None], jnp.swapaxes(outputs, 0, 1), 0.0)  # [S B directions*H]
    exists = (lengths > 0)[:, None]
    hidden, memory = (jnp.where(exists, state, 0.0) for state in (hidden, memory))  # [directions B H]
    of_each = jnp.split(outputs, directions, axis=2)
    return [(LSTMState(*ends), own) for *ends, own in zip(hidden, memory, of_each, strict=True)]


def packed(weights: Sequence[Weights]) -> jax.Array:
    """All parameters of a layer in one vector: for each direction W [4H I] and U [4H H], then for each b and zeros.

    cuDNN adds two biases. Its gates are in the order of ours: input, forget, candidate, output.
    """
    matrices = [matrix.T.ravel() for own in weights for matrix in (own.input_kernel, own.kernel)]
    biases = [bias for own in weights for bias in (own.bias, jnp.zeros_like(own.bias))]
    return jnp.concatenate([*matrices, *biases])
