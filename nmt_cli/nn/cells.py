"""Recurrent cells: parameters, and one pure step through time.

A step is in two halves. `project` takes the input; it can run for a whole sequence at once, ahead of the loop. `step`
takes the state. Each half reads its own factors, so that a loop holds only what it needs.

To add a cell: a Flax module with `setup` (its parameters), `input_factors` and `factors` (what the halves multiply
with), static `project`, `step` and `state`; then name it in `CELLS` and in `sections.Model.cell`.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.nn.dropout import Drop, identity
from nmt_cli.nn.initializers import Initial
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
    initial: Initial = Initial()

    def setup(self) -> None:
        self.input_kernel = self.param("input_kernel", self.initial.matrix(4), (self.input_size, 4 * self.units))
        self.kernel = self.param("kernel", self.initial.recurrent(4), (self.units, 4 * self.units))
        self.bias = self.param("bias", self.initial.lstm_bias(), (4 * self.units,))

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
    initial: Initial = Initial()

    def setup(self) -> None:
        self.input_kernel = self.param("input_kernel", self.initial.matrix(3), (self.input_size, 3 * self.units))
        self.kernel = self.param("kernel", self.initial.recurrent(3), (self.units, 3 * self.units))
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


class PeepholeLSTM(LSTM):
    """LSTM whose gates see the memory (Gers & Schmidhuber 2000; Graves 2013, equations 7 to 11).

    input, forget += p * memory before they open; output += p * memory'
    """

    def setup(self) -> None:
        super().setup()
        self.peephole = self.param("peephole", nn.initializers.zeros_init(), (3 * self.units,))

    def factors(self) -> dict[str, Any]:
        """What `step` reads."""
        return {**super().factors(), "peephole": self.peephole}

    @staticmethod
    def step(factors: dict[str, Any], state: LSTMState, projected: jax.Array, drop: Drop = identity) -> LSTMState:
        """One time step: projected [... 4H], state of [... H] -> the new state. `drop` drops recurrent units."""
        gates = projected + factors["kernel"](drop(state.hidden))  # [... 4H]
        input, forget, candidate, output = jnp.split(gates, 4, axis=-1)  # [... H]
        to_input, to_forget, to_output = jnp.split(factors["peephole"], 3)  # [H]
        input = jax.nn.sigmoid(input + to_input * state.memory)
        forget = jax.nn.sigmoid(forget + to_forget * state.memory)
        candidate = jnp.tanh(candidate)
        memory = forget * state.memory + input * candidate
        output = jax.nn.sigmoid(output + to_output * memory)
        tap("gates", input=input, forget=forget, candidate=candidate, output=output)
        return LSTMState(output * jnp.tanh(memory), memory)


class LayerNormLSTM(LSTM):
    """LSTM with layer normalisation (Ba et al. 2016, equations 20 to 22), for each gate (Chen et al. 2018, 4.1).

    gates = norm(U hidden) * gain + norm(W x) * input_gain + b
    hidden' = sigmoid(output) * tanh(norm(memory') * memory_gain + memory_bias)
    """

    def setup(self) -> None:
        super().setup()
        ones, zeros = nn.initializers.ones_init(), nn.initializers.zeros_init()
        self.gain = self.param("gain", ones, (4 * self.units,))
        self.input_gain = self.param("input_gain", ones, (4 * self.units,))
        self.memory_gain = self.param("memory_gain", ones, (self.units,))
        self.memory_bias = self.param("memory_bias", zeros, (self.units,))

    def input_factors(self) -> dict[str, Any]:
        """What `project` reads."""
        return {"kernel": Factor(self.input_kernel, dtype=self.dtype)}

    def factors(self) -> dict[str, Any]:
        """What `step` reads."""
        gains = {"gain": self.gain, "input_gain": self.input_gain, "bias": self.bias}
        return {**super().factors(), **gains, "memory_gain": self.memory_gain, "memory_bias": self.memory_bias}

    @staticmethod
    def project(factors: dict[str, Any], inputs: jax.Array) -> jax.Array:
        """The inputs' product, before it is normalised: [... I] -> [... 4H] float32."""
        return factors["kernel"](inputs)

    @staticmethod
    def step(factors: dict[str, Any], state: LSTMState, projected: jax.Array, drop: Drop = identity) -> LSTMState:
        """One time step: projected [... 4H], state of [... H] -> the new state. `drop` drops recurrent units."""
        gates = normalize(factors["kernel"](drop(state.hidden)), 4) * factors["gain"]  # [... 4H]
        gates = gates + normalize(projected, 4) * factors["input_gain"] + factors["bias"]
        input, forget, candidate, output = jnp.split(gates, 4, axis=-1)  # [... H]
        input, forget, output = jax.nn.sigmoid(input), jax.nn.sigmoid(forget), jax.nn.sigmoid(output)
        candidate = jnp.tanh(candidate)
        memory = forget * state.memory + input * candidate
        shown = normalize(memory, 1) * factors["memory_gain"] + factors["memory_bias"]
        tap("gates", input=input, forget=forget, candidate=candidate, output=output, shown=shown)
        return LSTMState(output * jnp.tanh(shown), memory)


class ResetBeforeGRU(GRU):
    """GRU, reset gate before the product (Cho et al. 2014, equations 5 to 8).

    reset, update = sigmoid(W x + b + U hidden); candidate = tanh(W x + b + U (reset * hidden))
    hidden' = (1 - update) * candidate + update * hidden
    """

    def setup(self) -> None:
        self.input_kernel = self.param("input_kernel", self.initial.matrix(3), (self.input_size, 3 * self.units))
        self.kernel = self.param("kernel", self.initial.recurrent(3), (self.units, 3 * self.units))
        self.bias = self.param("bias", nn.initializers.zeros_init(), (3 * self.units,))

    def factors(self) -> dict[str, Any]:
        """What `step` reads."""
        gates, candidate = jnp.split(self.kernel, [2 * self.units], axis=1)
        return {"gates": Factor(gates, dtype=self.dtype), "candidate": Factor(candidate, dtype=self.dtype)}

    @staticmethod
    def step(factors: dict[str, Any], state: GRUState, projected: jax.Array, drop: Drop = identity) -> GRUState:
        """One time step: projected [... 3H], state of [... H] -> the new state. `drop` drops recurrent units."""
        hidden = drop(state.hidden)
        reset, update, candidate = jnp.split(projected, 3, axis=-1)  # [... H]
        reset_h, update_h = jnp.split(factors["gates"](hidden), 2, axis=-1)
        reset, update = jax.nn.sigmoid(reset + reset_h), jax.nn.sigmoid(update + update_h)
        candidate = jnp.tanh(candidate + factors["candidate"](reset * hidden))
        tap("gates", reset=reset, update=update, candidate=candidate)
        return GRUState((1.0 - update) * candidate + update * state.hidden)


class LayerNormGRU(GRU):
    """GRU with layer normalisation (Ba et al. 2016, appendix), for each gate; the reset gate after the product.

    Products are norm(U hidden) * gain and norm(W x) * input_gain; all else is the GRU's.
    """

    def setup(self) -> None:
        super().setup()
        self.gain = self.param("gain", nn.initializers.ones_init(), (3 * self.units,))
        self.input_gain = self.param("input_gain", nn.initializers.ones_init(), (3 * self.units,))

    def input_factors(self) -> dict[str, Any]:
        """What `project` reads."""
        return {"kernel": Factor(self.input_kernel, dtype=self.dtype)}

    def factors(self) -> dict[str, Any]:
        """What `step` reads."""
        return {**super().factors(), "gain": self.gain, "input_gain": self.input_gain, "bias": self.bias}

    @staticmethod
    def project(factors: dict[str, Any], inputs: jax.Array) -> jax.Array:
        """The inputs' product, before it is normalised: [... I] -> [... 3H] float32."""
        return factors["kernel"](inputs)

    @staticmethod
    def step(factors: dict[str, Any], state: GRUState, projected: jax.Array, drop: Drop = identity) -> GRUState:
        """One time step: projected [... 3H], state of [... H] -> the new state. `drop` drops recurrent units."""
        kernel, gain = factors["kernel"], factors["gain"]
        projected = normalize(projected, 3) * factors["input_gain"] + factors["bias"]
        normed = {**factors, "kernel": lambda hidden: normalize(kernel(hidden), 3) * gain}
        return GRU.step(normed, state, projected, drop)


def normalize(x: jax.Array, gates: int) -> jax.Array:
    """Each gate's units with mean 0 and variance 1 (Ba et al. 2016, equation 3): [... gates * H] -> the same shape."""
    units = x.reshape(*x.shape[:-1], gates, -1)
    centered = units - jnp.mean(units, axis=-1, keepdims=True)
    variance = jnp.mean(centered**2, axis=-1, keepdims=True)
    return (centered * jax.lax.rsqrt(variance + 1e-5)).reshape(x.shape)


CELLS: dict[str, Any] = {
    "lstm": LSTM,
    "lstm_peephole": PeepholeLSTM,
    "lstm_layer_norm": LayerNormLSTM,
    "gru": GRU,
    "gru_reset_before": ResetBeforeGRU,
    "gru_layer_norm": LayerNormGRU,
}
