"""One step of the decoder for each architecture, in the order of its equations.

An architecture is how its first cell comes by its new state, and what it reads of the source for that; the cells above
are the same for all. `step` is one step of all cells; `emit` makes what the output layer reads of it. These are pure
functions of their factors, the same in training and in search. `drops` are dropout masks by name ("between" layers,
"state", "attentional"), and of units that move on ("zoneout", by part of the state); absent ones drop nothing.

To add an architecture: its function, in `ARCHITECTURES` and in `sections.Model.decoder`, which returns the first cell's
new state and the reading, None where that is left to the top; what it needs of parameters and factors in
`decoder.Decoder`.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """All cells, and the look at the source: projected [B K G], the embedding's share of the first cell's gates."""
    bottom, reading = ARCHITECTURES[config.decoder](config, factors, state, projected, drops)
    cells, hidden = climb(config, factors, state, bottom, drops, shares_above(config, factors, reading))
    state = state._replace(cells=cells)
    if reading is None:
        reading = read(config, factors, hidden, state.time, state.coverage)
    elif config.decoder != "bahdanau":
        reading = reading._replace(hidden=hidden)
    return remember(config, factors, state, reading), reading


def remember(config: Model, factors: Factors, state: DecoderState, reading: Reading) -> DecoderState:
    """The state with what the next step is to know of this step's reading."""
    if config.decoder == "gnmt_v2":
        state = state._replace(attentional=reading.context)
    if state.time is not None:
        state = state._replace(time=state.time + 1)
    if state.coverage is not None:
        state = state._replace(coverage=state.coverage + reading.weights / factors["fertility"][:, None])
    return state


def feed_back(config: Model, state: DecoderState, attentional: jax.Array) -> DecoderState:
    """The state with the attentional vector that the next step is fed."""
    return state._replace(attentional=attentional) if config.input_feeding else state


def luong(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[Any, Reading | None]:
    """hidden = cells([y; attentional before], state); context = look(hidden) (Luong et al. 2015, section 3).

    Without attention hidden is all there is (Sutskever et al. 2014). With decoder = cho the context is the same at
    every step, and the first cell reads it as well (Cho et al. 2014, A.1.2).
    """
    if config.input_feeding:
        projected = projected + factors["feed"](state.attentional)
    if config.decoder == "cho":
        projected = projected + factors["gates"]
    return advance(config, factors, 0, state, projected, drops), None


def bahdanau(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[Any, Reading | None]:
    """context = look(hidden before); hidden = cells([y; context], state) (Bahdanau et al. 2015, A.2.2).

    As in the paper's output layer, the reading holds the hidden vector from before the step.
    """
    reading = read(config, factors, state.cells[-1].hidden, state.time, state.coverage)
    return advance(config, factors, 0, state, projected + factors["context"](reading.context), drops), reading


def gnmt(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[Any, Reading | None]:
    """context = look(the bottom's hidden before); every cell reads [below; context] (Wu et al. 2016, section 3)."""
    reading = read(config, factors, state.cells[0].hidden, state.time, state.coverage)
    return advance(config, factors, 0, state, projected + factors["context"](reading.context), drops), reading


def gnmt_v2(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[Any, Reading | None]:
    """bottom = cell([y; context before]); context = look(bottom); the cells above read [below; context].

    tensorflow/nmt, "gnmt_v2".
    """
    bottom = advance(config, factors, 0, state, projected + factors["feed"](state.attentional), drops)
    return bottom, read(config, factors, bottom.hidden, state.time, state.coverage)


def conditional(
    config: Model, factors: Factors, state: DecoderState, projected: jax.Array, drops: Drops
) -> tuple[Any, Reading | None]:
    """between = cell(y, state); context = look(between); hidden = cell'(context, between) (Sennrich et al. 2017, 2)."""
    cell = CELLS[config.cell]
    between = propose(config, factors, 0, state, projected, drops)
    tap("state", **between._asdict())
    reading = read(config, factors, between.hidden, state.time, state.coverage)
    from_context = cell.project(factors["transition_input"], reading.context)
    return settle(config, 0, state, cell.step(factors["transition"], between, from_context), drops), reading


def climb(
    config: Model, factors: Factors, state: DecoderState, bottom: Any, drops: Drops, shares: Sequence[Any]
) -> tuple[tuple[Any, ...], jax.Array]:
    """From the first cell's new state through the cells above: all new states, and the top hidden vector [B K H].

    shares: as of `shares_above`.
    """
    cells, below = [bottom], bottom.hidden
    for layer in range(1, config.decoder_layers):
        mask = drops["between"][layer - 1] if "between" in drops else None
        projected = CELLS[config.cell].project(factors["inputs"][layer - 1], drop(below, mask, config.dropout))
        new = advance(config, factors, layer, state, projected + shares[layer - 1], drops)
        cells.append(new)
        below = new.hidden + below if is_residual(config, layer) else new.hidden
    return tuple(cells), below


def shares_above(config: Model, factors: Factors, reading: Reading | None) -> Sequence[Any]:
    """The context's share of the gates of each cell above the first, [... G]; 0.0 where they do not read it."""
    above = config.decoder_layers - 1
    if above == 0 or not reads_context_above(config):
        return [0.0] * above
    assert reading is not None  # the first cell has looked at the source
    return jnp.split(factors["contexts"](reading.context), above, axis=-1)


def reads_context_above(config: Model) -> bool:
    """Whether the cells above the first read [below; context]."""
    return config.decoder in ("gnmt", "gnmt_v2")


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


def top_is_fed_back(config: Model) -> bool:
    """Whether a step needs what the one before it made above the first cell, be it by way of what it then read."""
    return config.input_feeding or config.decoder == "bahdanau" or (config.decoder == "luong" and config.coverage)


ARCHITECTURES: dict[str, Any] = {
    "luong": luong,
    "bahdanau": bahdanau,
    "cho": luong,
    "gnmt": gnmt,
    "gnmt_v2": gnmt_v2,
    "conditional": conditional,
}
