"""The decoder: its parameters, its first state, one step of search, and the teacher-forced scan of that same step."""

from __future__ import annotations

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn import cudnn
from nmt_cli.nn.architectures import (
    attentional_size,
    emit,
    feed_back,
    output_kind,
    read,
    reads_context_above,
    shares_above,
    step,
    top_is_fed_back,
)
from nmt_cli.nn.attention import ATTENTIONS, Position, value_factor
from nmt_cli.nn.bridge import Bridge
from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.dropout import drop, keep_mask, split
from nmt_cli.nn.encoder import is_residual
from nmt_cli.nn.initializers import Initial
from nmt_cli.nn.recurrence import Factor, scan
from nmt_cli.nn.teacher_forcing import Masks, bottom_step, cell_step, fed_step, of_layer, reading_step
from nmt_cli.nn.types import DecoderOutput, DecoderState, Memory, Reading
from nmt_cli.nn.zoneout import moving_masks


class Decoder(nn.Module):
    """Stacked cells that look at the annotations in the way of one of the architectures (architectures.py)."""

    config: Model
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config, initial, units = self.config, Initial.of(self.config), self.config.decoder_units
        cell = partial(CELLS[config.cell], units=units, dtype=self.dtype, initial=initial)
        sizes = [config.embedding_size] + [units] * (config.decoder_layers - 1)
        self.cells = [cell(size) for size in sizes]
        if config.attention != "none":
            self.attention = ATTENTIONS[config.attention](config, self.dtype)
        if config.attention_span == "local-p":
            self.position = Position(config, self.dtype)
        if config.decoder == "conditional":
            self.transition = cell(config.encoder_units)
        gates, readers = self.cells[0].gates, context_readers(config)
        if fed := fed_size(config):
            self.feed_kernel = self.param("feed_kernel", initial.matrix(gates), (fed, gates * units))
        if readers:
            shape = config.encoder_units, readers * gates * units
            self.context_kernel = self.param("context_kernel", initial.matrix(readers * gates), shape)
        if config.decoder == "cho":
            self.summary_kernel = self.param("summary_kernel", initial.matrix(), (config.encoder_units,) * 2)
        if output_kind(config) != "hidden":
            self.kernel = self.param("kernel", initial.matrix(), output_shape(config))
        if config.bridge == "dense":
            self.bridge = Bridge(config, self.dtype)

    def start(self, annotations: jax.Array, mask: jax.Array, finals: tuple[Any, ...]) -> tuple[Memory, DecoderState]:
        """Memory, and the state before the first step: annotations [B S D], mask [B S], a state of [B D] a layer.

        State arrays are [B 1 H]: one hypothesis for each sentence.
        """
        config, attended, summary = self.config, self.config.attention != "none", None
        keys = self.attention.keys(annotations) if attended else annotations[:, :, :0]
        if config.decoder == "cho":  # context = tanh(V final), which the decoder begins with too (Cho et al. 2014, A.1)
            summary = jnp.tanh(Factor(self.summary_kernel, dtype=self.dtype)(finals[-1].hidden))
            finals = (*finals[:-1], finals[-1]._replace(hidden=summary))
        state = DecoderState(
            cells=self.first_states(finals),
            attentional=jnp.zeros((len(mask), fed_size(config)), keys.dtype) if fed_size(config) else None,
            time=jnp.ones((len(mask),), keys.dtype) if config.attention_span == "local-m" else None,
            coverage=jnp.zeros(mask.shape, keys.dtype) if config.coverage else None,
        )
        memory = Memory(
            keys,
            self.attention.values(annotations) if config.attention == "multi_head" else annotations,
            mask,
            self.attention.fertility(annotations) if config.coverage else None,
            None if summary is None else summary[:, None],
        )
        return memory, jax.tree.map(lambda x: x[:, None], state)

    def first_states(self, finals: tuple[Any, ...]) -> tuple[Any, ...]:
        """The state of each layer before the first step, of the encoder's final states: [B D] -> [B H].

        A deeper encoder hands over its upper layers; a shallower one its last to all decoder layers above.
        """
        config = self.config
        finals = finals[max(0, len(finals) - config.decoder_layers) :]
        states = [finals[min(layer, len(finals) - 1)] for layer in range(config.decoder_layers)]
        if config.bridge == "zero":
            like = finals[0].hidden
            states = [self.cells[0].state(jnp.zeros((len(like), config.decoder_units), like.dtype)) for _ in states]
        elif config.bridge == "dense":
            states = self.bridge(states)
        return tuple(states)

    def cell_factors(self, memory: Memory) -> dict[str, Any]:
        """What the cells read at every step."""
        config, dtype = self.config, self.dtype
        factors: dict[str, Any] = {
            "cells": [cell.factors() for cell in self.cells],
            "inputs": [cell.input_factors() for cell in self.cells[1:]],
        }
        if fed_size(config):
            factors["feed"] = Factor(self.feed_kernel, dtype=dtype)
        if config.decoder == "cho":
            assert memory.summary is not None
            factors["gates"] = Factor(self.context_kernel, dtype=dtype)(memory.summary)
        elif context_readers(config):
            names = "context", "contexts"
            kernels = zip(names, self.context_kernels(), strict=True)
            factors |= {name: Factor(kernel, dtype=dtype) for name, kernel in kernels if kernel.shape[1]}
        if config.decoder == "conditional":
            factors["transition"] = self.transition.factors()
            factors["transition_input"] = self.transition.input_factors()
        return factors

    def context_kernels(self) -> list[jax.Array]:
        """Of the first cell [D G], and of those above side by side [D (L-1)*G]; without columns where none reads it."""
        config, width = self.config, self.context_kernel.shape[1]
        above = (config.decoder_layers - 1) * self.cells[0].gates * config.decoder_units
        return jnp.split(self.context_kernel, [width - above if reads_context_above(config) else width], axis=-1)

    def attention_factors(self, memory: Memory) -> dict[str, Any]:
        """What a look at the source reads."""
        config = self.config
        factors: dict[str, Any] = {}
        if config.attention != "none":
            factors["energies"] = self.attention.factors(memory.keys)
            factors["values"] = value_factor(config, memory.values, self.dtype)
            factors["mask"] = memory.mask
        if config.attention_span == "local-p":
            factors["position"] = self.position.factors()
        if config.coverage:
            factors["fertility"] = memory.fertility
        if config.decoder == "cho":
            factors["summary"] = memory.summary
        return factors

    def output_factors(self) -> dict[str, Any]:
        """What the attentional vector is made with."""
        return {} if output_kind(self.config) == "hidden" else {"kernel": Factor(self.kernel, dtype=self.dtype)}

    def projected(self, embedded: jax.Array) -> jax.Array:
        """The embedding's share of the first cell's gates: [... E] -> [... G] float32."""
        gates: jax.Array = self.cells[0].project(self.cells[0].input_factors(), embedded)
        return gates

    def step(self, memory: Memory, state: DecoderState, embedded: jax.Array) -> tuple[DecoderState, DecoderOutput]:
        """One step of search: embedded [B K E], state arrays [B K H]."""
        config = self.config
        projected = self.projected(embedded)
        factors = {**self.cell_factors(memory), **self.attention_factors(memory), **self.output_factors()}
        state, reading = step(config, factors, state, projected, {})
        attentional = emit(config, factors, reading, embedded, {})
        return feed_back(config, state, attentional), DecoderOutput(attentional, reading.weights)

    def __call__(
        self, memory: Memory, state: DecoderState, embedded: jax.Array, rng: jax.Array | None = None
    ) -> jax.Array:
        """The teacher-forced decoder: embedded [T B E] of `target_in` -> attentional vectors [T B H]."""
        config = self.config
        embedded = embedded[:, :, None]  # [T B 1 E]
        in_time, constant = self.dropout_masks(embedded.shape[0], embedded.shape[1], rng)
        output_mask = None if config.input_feeding else in_time.pop("attentional", None)  # [T B 1 H]
        cells, attention, output = self.cell_factors(memory), self.attention_factors(memory), self.output_factors()
        if top_is_fed_back(config):
            inputs = {"projected": self.projected(embedded), **in_time}
            if config.input_feeding:
                constants = ({**cells, **attention, **output}, constant)
                _, attentional = scan(partial(fed_step, config), constants, state, inputs)
                return attentional[:, :, 0]
            _, reading = scan(partial(reading_step, config), ({**cells, **attention}, constant), state, inputs)
        else:
            reading = self.layer_by_layer({**cells, **attention}, state, embedded, (in_time, constant), rng)
        # Nothing made of the reading is fed back, so it is made for all positions at once.
        reading = jax.tree.map(sentences_first, reading)  # [B T H]
        if reading.context is None:
            time = jnp.arange(1, len(embedded) + 1, dtype=reading.hidden.dtype)[None]  # [1 T]
            reading = read(config, attention, reading.hidden, time, None)
        drops = constant if output_mask is None else {"attentional": sentences_first(output_mask)}
        attentional = emit(config, output, reading, sentences_first(embedded), drops)  # [B T H]
        return jnp.swapaxes(attentional, 0, 1)

    def layer_by_layer(
        self, factors: dict[str, Any], state: DecoderState, embedded: jax.Array, masks: Masks, rng: jax.Array | None
    ) -> Reading:
        """Each cell over all of time before the one above: embedded [T B 1 E]
        -> the top hidden vectors [T B 1 H], with contexts [T B 1 D] where the first cell looks at the source.
        """
        config, between = self.config, {**masks[0], **masks[1]}.get("between")  # [... L-1 B 1 H]
        if config.decoder == "luong":
            reading = Reading(self.over_time(0, embedded, None, 0.0, state, masks, rng), None, None)
        else:
            reading = self.bottom_over_time(factors, state, embedded, masks)
        context = reading.context if reads_context_above(config) else None  # [T B 1 D]
        shares = shares_above(config, factors, reading)  # [T B 1 G]
        for layer in range(1, config.decoder_layers):
            below = reading.hidden
            mask = None if between is None else between[..., layer - 1, :, :, :]
            dropped, share = drop(below, mask, config.dropout), shares[layer - 1]
            hidden = self.over_time(layer, dropped, context, share, state, masks, rng)
            reading = reading._replace(hidden=hidden + below if is_residual(config, layer) else hidden)
        return reading

    def bottom_over_time(
        self, factors: dict[str, Any], state: DecoderState, embedded: jax.Array, masks: Masks
    ) -> Reading:
        """The first cell, and its look at the source: what both make of all of time, [T B 1 ...]."""
        own, drops = of_layer(0, masks)
        own["projected"] = self.projected(embedded)
        factors = {name: each for name, each in factors.items() if name not in ("inputs", "contexts")}
        factors["cells"] = factors["cells"][:1]
        state = state._replace(cells=state.cells[:1])
        _, reading = scan(partial(bottom_step, self.config), (factors, drops), state, own)
        return reading

    def over_time(
        self,
        layer: int,
        below: jax.Array,
        context: jax.Array | None,
        share: Any,
        state: DecoderState,
        masks: Masks,
        rng: jax.Array | None,
    ) -> jax.Array:
        """A cell by itself, whose inputs are multiplied ahead of the loop -> hidden vectors [T B 1 H].

        below: what the layer below it (or the embedding) gives it [T B 1 I]. context: [T B 1 D], where it reads that as
        well; share: the context's share of its gates.
        """
        cell, first = self.cells[layer], state.cells[layer]
        if cudnn.runs(self.config, rng):
            inputs, kernels = [below], [cell.input_kernel]
            if context is not None:
                inputs.append(context)
                kernels.append(jnp.split(self.context_kernels()[1], self.config.decoder_layers - 1, axis=-1)[layer - 1])
            weights = cudnn.Weights(jnp.concatenate(kernels), cell.kernel, cell.bias)
            seen = jnp.concatenate(inputs, axis=-1)[:, :, 0]  # [T B I]
            begin = jax.tree.map(lambda x: x[:, 0], first)
            ((_, hidden),) = cudnn.run([weights], seen, jnp.ones(seen.shape[:2], bool), [begin])
            return hidden[:, :, None]
        own, drops = of_layer(layer, masks)
        own["projected"] = cell.project(cell.input_factors(), below) + share
        _, hidden = scan(partial(cell_step, self.config), (cell.factors(), drops), first, own)
        return hidden

    def dropout_masks(self, length: int, batch: int, rng: jax.Array | None) -> Masks:
        """Masks that change with time [T ... B 1 H] and masks that do not [... B 1 H]; none without a key."""
        config = self.config
        layer_rng, state_rng, output_rng, zone_rng = split(rng, 4)
        units, size, layers = config.decoder_units, attentional_size(config), config.decoder_layers
        times = () if config.variational_dropout else (length,)
        above = (*times, layers - 1, batch, 1, units)
        between = keep_mask(layer_rng, config.dropout, above, rows=-3) if layers > 1 else None
        state = keep_mask(state_rng, config.state_dropout, (layers, batch, 1, units), rows=-3)
        output = keep_mask(output_rng, config.dropout, (*times, batch, 1, size), rows=-3)
        masks = {"between": between, "attentional": output}
        masks = {name: mask for name, mask in masks.items() if mask is not None}
        constant = {} if state is None else {"state": state}
        moving = moving_masks(config, zone_rng, (length, layers, batch, 1, units), rows=-3)
        zoned = {"zoneout": moving} if moving else {}
        return (zoned, {**masks, **constant}) if config.variational_dropout else ({**masks, **zoned}, constant)


def context_readers(config: Model) -> int:
    """How many layers' cells read the context besides the layer below."""
    layers = config.decoder_layers
    return {"bahdanau": 1, "cho": 1, "gnmt": layers, "gnmt_v2": layers - 1}.get(config.decoder, 0)


def fed_size(config: Model) -> int:
    """Size of what a step feeds into the next besides the cells' states: an attentional vector, a context, or 0."""
    if config.decoder == "gnmt_v2":
        return config.encoder_units
    return attentional_size(config) if config.input_feeding else 0


def output_shape(config: Model) -> tuple[int, int]:
    """Of the kernel that `emit` multiplies with."""
    seen, size = config.decoder_units + config.encoder_units, attentional_size(config)
    if output_kind(config) == "tanh":
        return seen, size
    return seen + config.embedding_size, 2 * size if output_kind(config) == "maxout" else size


def sentences_first(x: jax.Array) -> jax.Array:
    """[T B 1 H] -> [B T H]"""
    return jnp.swapaxes(x[:, :, 0], 0, 1)
