"""One step of the decoder for each architecture, in the order of its equations.

`step` takes an architecture's step; `emit` makes what the output layer reads of it. Both are pure functions of their
factors, the same in training and in search. `drops` are dropout masks by name ("between" layers, "state",
"attentional"), and of units that move on ("zoneout", by part of the state); absent ones drop nothing.

To add an architecture: its function, in `ARCHITECTURES` and in `sections.Model.decoder`; what it needs of parameters
and factors in `decoder.Decoder`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn.attention import look
from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.dropout import drop
from nmt_cli.nn.encoder import is_residual
from nmt_cli.nn.taps import tap
from nmt_cli.nn.types import DecoderState, Reading
from nmt_cli.nn.zoneout import zone

Factors = dict[str, Any]
Drops = dict[str, Any]


def step(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, Reading]:
    """The architecture's step: projected [B K G], the embedding's share of the first cell's gates."""
    state, reading = ARCHITECTURES[config.decoder](config, factors, state, projected, drops)
    if state.time is not None:
        state = state._replace(time=state.time + 1)
    if state.coverage is not None:
        state = state._replace(coverage=state.coverage + reading.weights / factors["fertility"][:, None])
    return state, reading


def luong(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, Reading]:
    """hidden = cells([y; attentional before], state); context = look(hidden) (Luong et al. 2015, section 3).

    Without attention hidden is all there is (Sutskever et al. 2014). With decoder = cho the context is the same at
    every step, and the first cell reads it as well (Cho et al. 2014, A.1.2).
    """
    state, hidden = recur(config, factors, state, projected, drops)
    return state, read(config, factors, hidden, state.time, state.coverage)


def bahdanau(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, Reading]:
    """context = look(hidden before); hidden = cells([y; context], state) (Bahdanau et al. 2015, A.2.2).

    As in the paper's output layer, the reading holds the hidden vector from before the step.
    """
    reading = read(config, factors, state.cells[-1].hidden, state.time, state.coverage)
    projected = projected + factors["context"](reading.context)
    state, _ = recur(config, factors, state, projected, drops)
    return state, reading


def gnmt(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, Reading]:
    """context = look(the bottom's hidden before); every cell reads [below; context] (Wu et al. 2016, section 3)."""
    reading = read(config, factors, state.cells[0].hidden, state.time, state.coverage)
    first, *above = jnp.split(factors["context"](reading.context), config.decoder_layers, axis=-1)
    bottom = advance(config, factors, 0, state, projected + first, drops)
    state, hidden = climb(config, factors, state, bottom, drops, above)
    return state, reading._replace(hidden=hidden)


def gnmt_v2(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, Reading]:
    """bottom = cell([y; context before]); context = look(bottom); the cells above read [below; context].

    tensorflow/nmt, "gnmt_v2".
    """
    projected = projected + factors["feed"](state.attentional)
    bottom = advance(config, factors, 0, state, projected, drops)
    reading = read(config, factors, bottom.hidden, state.time, state.coverage)
    above = jnp.split(factors["context"](reading.context), config.decoder_layers - 1, axis=-1)
    state, hidden = climb(config, factors, state, bottom, drops, above)
    return state._replace(attentional=reading.context), reading._replace(hidden=hidden)


def conditional(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, Reading]:
    """between = cell(y, state); context = look(between); hidden = cell'(context, between) (Sennrich et al. 2017, 2)."""
    cell = CELLS[config.cell]
    between = propose(config, factors, 0, state, projected, drops)
    tap("state", **between._asdict())
    reading = read(config, factors, between.hidden, state.time, state.coverage)
    from_context = cell.project(factors["transition_input"], reading.context)
    bottom = settle(config, 0, state, cell.step(factors["transition"], between, from_context), drops)
    state, hidden = climb(config, factors, state, bottom, drops)
    return state, reading._replace(hidden=hidden)


def recur(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[DecoderState, jax.Array]:
    """The stacked cells, and whatever else the first of them reads: the new state and the top hidden vector [B K H]."""
    if config.input_feeding:
        projected = projected + factors["feed"](state.attentional)
    if config.decoder == "cho":
        projected = projected + factors["gates"]
    return climb(config, factors, state, advance(config, factors, 0, state, projected, drops), drops)


def climb(
    config: Model, factors: Factors, state: DecoderState, bottom: Any, drops: Drops, contexts: Any = None
) -> tuple[DecoderState, jax.Array]:
    """From the first cell's new state through the cells above: the new state and the top hidden vector [B K H].

    contexts: the context's share of each of these cells' gates, where they read it.
    """
    cells, below = [bottom], bottom.hidden
    for layer in range(1, config.decoder_layers):
        mask = drops["between"][layer - 1] if "between" in drops else None
        projected = CELLS[config.cell].project(factors["inputs"][layer - 1], drop(below, mask, config.dropout))
        if contexts is not None:
            projected = projected + contexts[layer - 1]
        new = advance(config, factors, layer, state, projected, drops)
        cells.append(new)
        below = new.hidden + below if is_residual(config, layer) else new.hidden
    return state._replace(cells=tuple(cells)), below


def advance(
    config: Model, factors: Factors, layer: int, state: DecoderState, projected: jax.Array, drops: Drops
) -> Any:
    """The new state of one cell."""
    return settle(config, layer, state, propose(config, factors, layer, state, projected, drops), drops)


def propose(
    config: Model, factors: Factors, layer: int, state: DecoderState, projected: jax.Array, drops: Drops
) -> Any:
    """What a cell makes of its state."""
    keep = drops["state"][layer] if "state" in drops else None
    return CELLS[config.cell].step(
        factors["cells"][layer],
        state.cells[layer],
        projected,
        lambda hidden: drop(hidden, keep, config.state_dropout),
    )


def settle(config: Model, layer: int, state: DecoderState, new: Any, drops: Drops) -> Any:
    """The new state of a cell, less what zoneout keeps of the one before."""
    moving = {part: masks[layer] for part, masks in drops.get("zoneout", {}).items()}
    new = zone(config, state.cells[layer], new, moving)
    tap("state", **new._asdict())
    return new


def read(
    config: Model, factors: Factors, hidden: jax.Array, time: jax.Array | None, coverage: jax.Array | None
) -> Reading:
    """One look at the source with the query hidden [B Q H]."""
    if config.decoder == "cho":
        summary = factors["summary"]  # [B 1 D]
        return Reading(hidden, jnp.broadcast_to(summary, (*hidden.shape[:2], summary.shape[-1])), None)
    if config.attention == "none":
        return Reading(hidden, None, None)
    weights, context = look(config, factors, hidden, time, coverage)  # [B Q S], [B Q D]
    return Reading(hidden, context, weights)


def emit(config: Model, factors: Factors, reading: Reading, embedded: jax.Array | None, drops: Drops) -> jax.Array:
    """What the output layer reads: [B Q H], embedded [B Q E] of the token before (None for Luong's)
    -> attentional [B Q H].

    hidden: the hidden vector itself.
    tanh: tanh(W [hidden; context]) (Luong et al. 2015, equation 5).
    maxout: max of each pair in W [hidden; y; context] (Bahdanau et al. 2015, A.2.2; Cho et al. 2014, A.1.2).
    deep: tanh(W [hidden; y; context]) (Pascanu et al. 2014; Sennrich et al. 2017, section 2).
    """
    kind = output_kind(config)
    if kind == "hidden":
        attentional = reading.hidden
    else:
        assert reading.context is not None  # without attention the kind is "hidden"
        seen = {"hidden": reading.hidden}
        if kind != "tanh":
            assert embedded is not None
            seen["embedded"] = embedded
        seen["context"] = reading.context
        tap("combine", **seen)
        attentional = factors["kernel"](jnp.concatenate(list(seen.values()), axis=-1))
        attentional = jnp.maximum(*jnp.split(attentional, 2, axis=-1)) if kind == "maxout" else jnp.tanh(attentional)
    return drop(attentional, drops.get("attentional"), config.dropout)


def output_kind(config: Model) -> str:
    """How `emit` makes the attentional vector."""
    if config.decoder == "luong":
        return "hidden" if config.attention == "none" else "tanh"
    return {"bahdanau": "maxout", "cho": "maxout", "conditional": "deep"}.get(config.decoder, "hidden")


def attentional_size(config: Model) -> int:
    """Size of what the output layer reads: an embedding's where the two are tied, else the decoder's."""
    untied = config.tied_embeddings == "none"
    return config.decoder_units if untied or output_kind(config) == "hidden" else config.embedding_size


def reads_in_time(config: Model) -> bool:
    """Whether a step needs what the one before read of the source, so that reading cannot wait for the loop's end."""
    return config.coverage or config.decoder not in ("luong", "cho")


ARCHITECTURES: dict[str, Any] = {
    "luong": luong,
    "bahdanau": bahdanau,
    "cho": luong,
    "gnmt": gnmt,
    "gnmt_v2": gnmt_v2,
    "conditional": conditional,
}
