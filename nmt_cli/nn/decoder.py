"""The decoder: one step, in the order of the equations, and the teacher-forced scan of that same step."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn.attention import ATTENTIONS, attend, value_factor
from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.dropout import drop, keep_mask, split
from nmt_cli.nn.encoder import is_residual
from nmt_cli.nn.initializers import uniform
from nmt_cli.nn.recurrence import Factor, scan
from nmt_cli.nn.taps import tap
from nmt_cli.nn.types import DecoderOutput, DecoderState, Memory


def attentional_size(config: Model) -> int:
    """Size of what the output layer reads: an embedding's where the two are tied, else the decoder's."""
    if config.attention == "none" or config.tied_embeddings == "none":
        return config.decoder_units
    return config.embedding_size


class Decoder(nn.Module):
    """Stacked cells, then attention over the annotations, then the attentional vector (Luong et al. 2015, section 3).

    hidden = cells([embedding; attentional of the step before], state)
    weights = softmax(energies(hidden, annotations)); context = weights * annotations
    attentional = tanh(W [hidden; context])                                                    (equation 5)

    Without attention the attentional vector is the hidden vector (Sutskever et al. 2014).
    """

    config: Model
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config, dtype = self.config, self.dtype
        units, size = config.decoder_units, attentional_size(config)
        inputs = [config.embedding_size] + [units] * (config.decoder_layers - 1)
        self.cells = [CELLS[config.cell](i, units, dtype) for i in inputs]
        if config.attention != "none":
            attention = ATTENTIONS[config.attention]
            self.attention = attention(units, config.encoder_units, config.attention_units, dtype)
            self.kernel = self.param("kernel", uniform(), (units + config.encoder_units, size))
        if config.input_feeding:
            gates = self.cells[0].gates * units
            self.feed_kernel = self.param("feed_kernel", uniform(self.cells[0].gates), (size, gates))
        if config.bridge == "dense":
            self.bridge = Bridge(config)

    def start(self, annotations: jax.Array, mask: jax.Array, finals: tuple[Any, ...]) -> tuple[Memory, DecoderState]:
        """Memory, and the state before the first step: annotations [B S D], mask [B S], a state of [B D] a layer.

        State arrays are [B 1 H]: one hypothesis for each sentence.
        """
        config = self.config
        keys = self.attention.keys(annotations) if config.attention != "none" else annotations[:, :, :0]
        # A deeper encoder hands over its upper layers; a shallower one its last to all decoder layers above.
        finals = finals[max(0, len(finals) - config.decoder_layers) :]
        states = [finals[min(layer, len(finals) - 1)] for layer in range(config.decoder_layers)]
        if config.bridge == "zero":
            states = [self.cells[0].state(jnp.zeros((len(mask), config.decoder_units), keys.dtype)) for _ in states]
        elif config.bridge == "dense":
            states = self.bridge(states)
        feed = jnp.zeros((len(mask), attentional_size(config)), keys.dtype) if config.input_feeding else None
        return Memory(keys, annotations, mask), jax.tree.map(lambda x: x[:, None], DecoderState(tuple(states), feed))

    def factors(self, memory: Memory) -> dict[str, Any]:
        """What every step reads."""
        config, dtype = self.config, self.dtype
        factors: dict[str, Any] = {
            "cells": [cell.factors() for cell in self.cells],
            "inputs": [cell.input_factors() for cell in self.cells[1:]],
        }
        if config.attention != "none":
            factors["attention"] = self.attention.factors(memory.keys)
            factors["values"] = value_factor(memory, dtype)
            factors["mask"] = memory.mask
            factors["kernel"] = Factor(self.kernel, dtype=dtype)
        if config.input_feeding:
            factors["feed"] = Factor(self.feed_kernel, dtype=dtype)
        return factors

    def step(self, memory: Memory, state: DecoderState, embedded: jax.Array) -> tuple[DecoderState, DecoderOutput]:
        """One step of search: embedded [B K E], state arrays [B K H]."""
        projected = self.cells[0].project(self.cells[0].input_factors(), embedded)
        state, hidden = recur(self.config, self.factors(memory), state, projected, {})
        output = read(self.config, self.factors(memory), hidden, {})
        return feed_back(self.config, state, output), output

    def __call__(
        self, memory: Memory, state: DecoderState, embedded: jax.Array, rng: jax.Array | None = None
    ) -> jax.Array:
        """The teacher-forced decoder: embedded [T B E] of `target_in` -> attentional vectors [T B H]."""
        config = self.config
        inputs = {"projected": self.cells[0].project(self.cells[0].input_factors(), embedded[:, :, None])}
        in_time, constant = self.dropout_masks(embedded.shape[0], embedded.shape[1], rng)
        constants = (self.factors(memory), constant)
        if config.input_feeding:
            _, attentional = scan(partial(fed_step, config), constants, state, {**inputs, **in_time})
            return attentional[:, :, 0]
        # Nothing is fed back: only the cells step through time, and all positions read the source at once.
        factors = constants[0]
        recurrent = {name: factors[name] for name in ("cells", "inputs")}
        output_mask = in_time.pop("attentional", None)  # [T B 1 H]
        _, hidden = scan(partial(unfed_step, config), (recurrent, constant), state, {**inputs, **in_time})
        drops = constant if output_mask is None else {"attentional": jnp.swapaxes(output_mask[:, :, 0], 0, 1)}
        output = read(config, factors, jnp.swapaxes(hidden[:, :, 0], 0, 1), drops)  # [B T H]
        return jnp.swapaxes(output.attentional, 0, 1)

    def dropout_masks(self, length: int, batch: int, rng: jax.Array | None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Masks that change with time [T B 1 ...] and masks that do not [B 1 ...]; none without a key."""
        config = self.config
        layer_rng, state_rng, output_rng = split(rng, 3)
        units, size, layers = config.decoder_units, attentional_size(config), config.decoder_layers
        times = () if config.variational_dropout else (length,)
        between = keep_mask(layer_rng, config.dropout, (*times, layers - 1, batch, 1, units)) if layers > 1 else None
        state = keep_mask(state_rng, config.state_dropout, (layers, batch, 1, units))
        output = keep_mask(output_rng, config.dropout, (*times, batch, 1, size))
        masks = {"between": between, "attentional": output}
        masks = {name: mask for name, mask in masks.items() if mask is not None}
        constant = {} if state is None else {"state": state}
        return ({}, {**masks, **constant}) if config.variational_dropout else (masks, constant)


def fed_step(
    config: Model, constants: Any, state: DecoderState, x: dict[str, jax.Array]
) -> tuple[DecoderState, jax.Array]:
    """One teacher-forced step with input feeding."""
    factors, drops = constants[0], {**constants[1], **x}
    state, hidden = recur(config, factors, state, drops.pop("projected"), drops)
    output = read(config, factors, hidden, drops)
    return feed_back(config, state, output), output.attentional


def unfed_step(
    config: Model, constants: Any, state: DecoderState, x: dict[str, jax.Array]
) -> tuple[DecoderState, jax.Array]:
    """One teacher-forced step of the cells alone."""
    factors, drops = constants[0], {**constants[1], **x}
    return recur(config, factors, state, drops.pop("projected"), drops)


def recur(
    config: Model, factors: dict[str, Any], state: DecoderState, projected: jax.Array, drops: dict[str, jax.Array]
) -> tuple[DecoderState, jax.Array]:
    """The stacked cells: projected [B K G] of the embedding -> the new state and the top hidden vector [B K H].

    drops: masks by name ("between" layers, "state", "attentional"); absent ones drop nothing.
    """
    cell = CELLS[config.cell]
    if config.input_feeding:
        projected = projected + factors["feed"](state.attentional)
    cells, below = [], None
    for layer in range(config.decoder_layers):
        if below is not None:
            mask = drops["between"][layer - 1] if "between" in drops else None
            projected = cell.project(factors["inputs"][layer - 1], drop(below, mask, config.dropout))
        keep = drops["state"][layer] if "state" in drops else None
        new = cell.step(
            factors["cells"][layer],
            state.cells[layer],
            projected,
            lambda hidden, keep=keep: drop(hidden, keep, config.state_dropout),
        )
        tap("state", **new._asdict())
        cells.append(new)
        below = new.hidden + below if below is not None and is_residual(config, layer) else new.hidden
    assert below is not None
    return state._replace(cells=tuple(cells)), below


def read(config: Model, factors: dict[str, Any], hidden: jax.Array, drops: dict[str, jax.Array]) -> DecoderOutput:
    """One look at the source: hidden [B Q H] -> attentional [B Q H] and weights [B Q S]."""
    if config.attention == "none":
        return DecoderOutput(drop(hidden, drops.get("attentional"), config.dropout), None)
    energies = ATTENTIONS[config.attention].energies(factors["attention"], hidden)  # [B Q S]
    weights, context = attend(energies, factors["values"], factors["mask"])  # [B Q S], [B Q D]
    tap("attention", query=hidden, energies=energies, weights=weights, context=context)
    tap("combine", hidden=hidden, context=context)
    attentional = jnp.tanh(factors["kernel"](jnp.concatenate([hidden, context], axis=-1)))  # [B Q H]
    return DecoderOutput(drop(attentional, drops.get("attentional"), config.dropout), weights)


def feed_back(config: Model, state: DecoderState, output: DecoderOutput) -> DecoderState:
    """The state with the attentional vector that the next step is fed."""
    return state._replace(attentional=output.attentional) if config.input_feeding else state


class Bridge(nn.Module):
    """Each decoder layer's first state, a dense layer of the encoder's final state (Bahdanau et al. 2015, A.2.2).

    hidden = tanh(W final_hidden + b); an LSTM's memory = W' final_memory + b', unbounded as memories are.
    """

    config: Model

    @nn.compact
    def __call__(self, finals: list[Any]) -> list[Any]:
        """States of [B D] for each layer -> states of [B H]."""
        units = self.config.decoder_units

        def dense(layer: int, name: str, final: jax.Array) -> jax.Array:
            projected = nn.Dense(units, name=f"{name}_{layer}", param_dtype=jnp.float32)(final)
            return jnp.tanh(projected) if name == "hidden" else projected

        return [
            type(final)(**{name: dense(layer, name, x) for name, x in final._asdict().items()})
            for layer, final in enumerate(finals)
        ]
