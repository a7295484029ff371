"""Recurrent cells: parameters, and one pure step through time.

A step is in two halves. `project` takes the input; it can run for a whole sequence at once, ahead of the loop. `step`
takes the state. Each half reads its own factors, so that a loop holds only what it needs.

To add a cell: a Flax module with `setup` (its parameters), `input_factors` and `factors` (what the halves multiply
with), static `project`, `step` and `state`; then name it in `CELLS` and in `config.Model.cell`.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.nn.dropout import Drop, identity
from nmt_cli.nn.initializers import orthogonal, uniform
from nmt_cli.nn.recurrence import Factor
from nmt_cli.nn.taps import tap


class LSTMState(NamedTuple):
    """The carry of an LSTM."""

    hidden: jax.Array  # [... H] float32
    memory: jax.Array  # [... H] float32: the cell's long-term content, c in the papers


class GRUState(NamedTuple):
    """The carry of a GRU."""

    hidden: jax.Array  # [... H] float32


class LSTM(nn.Module):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    input, forget, candidate, output = split(W x + b + U hidden)
    memory' = sigmoid(forget) * memory + sigmoid(input) * tanh(candidate)
    hidden' = sigmoid(output) * tanh(memory')
    """

    gates: ClassVar[int] = 4
    input_size: int
    units: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.input_kernel = self.param("input_kernel", uniform(4), (self.input_size, 4 * self.units))
        self.kernel = self.param("kernel", orthogonal(4), (self.units, 4 * self.units))
        self.bias = self.param("bias", forget_bias, (4 * self.units,))

    def input_factors(self) -> dict[str, Any]:
        """What `project` reads."""
        return {"kernel": Factor(self.input_kernel, dtype=self.dtype), "bias": self.bias}

    def factors(self) -> dict[str, Any]:
        """What `step` reads."""
        return {"kernel": Factor(self.kernel, dtype=self.dtype)}

    @staticmethod
    def project(factors: dict[str, Any], inputs: jax.Array) -> jax.Array:
        """The inputs' share of the gates: [... I] -> [... 4H] float32."""
        return factors["kernel"](inputs) + factors["bias"]

    @staticmethod
    def step(factors: dict[str, Any], state: LSTMState, projected: jax.Array, drop: Drop = identity) -> LSTMState:
        """One time step: projected [... 4H], state of [... H] -> the new state. `drop` drops recurrent units."""
        gates = projected + factors["kernel"](drop(state.hidden))  # [... 4H]
        input, forget, candidate, output = jnp.split(gates, 4, axis=-1)  # [... H]
        input, forget, output = jax.nn.sigmoid(input), jax.nn.sigmoid(forget), jax.nn.sigmoid(output)
        candidate = jnp.tanh(candidate)
        memory = forget * state.memory + input * candidate
        tap("gates", input=input, forget=forget, candidate=candidate, output=output)
        return LSTMState(output * jnp.tanh(memory), memory)

    @staticmethod
    def state(hidden: jax.Array) -> LSTMState:
        """The state that begins with this hidden vector and an empty memory."""
        return LSTMState(hidden, jnp.zeros_like(hidden))


class GRU(nn.Module):
    """Gated recurrent unit, reset gate after the product as in cuDNN (Cho et al. 2014, appendix A.1.1).

    reset, update = sigmoid(W x + b + U hidden); candidate = tanh(W x + b + reset * (U hidden + b'))
    hidden' = (1 - update) * candidate + update * hidden
    """

    gates: ClassVar[int] = 3
    input_size: int
    units: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.input_kernel = self.param("input_kernel", uniform(3), (self.input_size, 3 * self.units))
        self.kernel = self.param("kernel", orthogonal(3), (self.units, 3 * self.units))
        self.bias = self.param("bias", nn.initializers.zeros_init(), (3 * self.units,))
        self.candidate_bias = self.param("candidate_bias", nn.initializers.zeros_init(), (self.units,))

    def input_factors(self) -> dict[str, Any]:
        """What `project` reads."""
        return {"kernel": Factor(self.input_kernel, dtype=self.dtype), "bias": self.bias}

    def factors(self) -> dict[str, Any]:
        """What `step` reads."""
        return {"kernel": Factor(self.kernel, dtype=self.dtype), "candidate_bias": self.candidate_bias}

    @staticmethod
    def project(factors: dict[str, Any], inputs: jax.Array) -> jax.Array:
        """The inputs' share of the gates: [... I] -> [... 3H] float32."""
        return factors["kernel"](inputs) + factors["bias"]

    @staticmethod
    def step(factors: dict[str, Any], state: GRUState, projected: jax.Array, drop: Drop = identity) -> GRUState:
        """One time step: projected [... 3H], state of [... H] -> the new state. `drop` drops recurrent units."""
        reset, update, candidate = jnp.split(projected, 3, axis=-1)  # [... H]
        reset_h, update_h, candidate_h = jnp.split(factors["kernel"](drop(state.hidden)), 3, axis=-1)
        reset, update = jax.nn.sigmoid(reset + reset_h), jax.nn.sigmoid(update + update_h)
        candidate = jnp.tanh(candidate + reset * (candidate_h + factors["candidate_bias"]))
        tap("gates", reset=reset, update=update, candidate=candidate)
        return GRUState((1.0 - update) * candidate + update * state.hidden)

    @staticmethod
    def state(hidden: jax.Array) -> GRUState:
        """The state that begins with this hidden vector."""
        return GRUState(hidden)


def forget_bias(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Zeros, and ones for the forget gate, so that memories last at first (Jozefowicz et al. 2015, section 2.2)."""
    units = shape[0] // 4
    return jnp.zeros(shape, dtype).at[units : 2 * units].set(1.0)


CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU}
