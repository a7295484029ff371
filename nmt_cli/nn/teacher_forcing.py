"""The steps of the decoder's loops in training, where the words that it is fed are known.

Each is a step for `recurrence.scan`: of (factors, masks that stay the same), a state, and what comes in time (the first
cell's share of the embedding, "projected", and masks).
"""

from __future__ import annotations

from typing import Any

import jax

from nmt_cli.config import Model
from nmt_cli.nn.architectures import ARCHITECTURES, advance, emit, feed_back, remember, step
from nmt_cli.nn.types import DecoderState, Reading

Masks = tuple[dict[str, Any], dict[str, Any]]  # by name: those that change with time, and those that do not


def fed_step(
    config: Model, constants: Any, state: DecoderState, x: dict[str, jax.Array]
) -> tuple[DecoderState, jax.Array]:
    """One teacher-forced step whose attentional vector is fed back."""
    factors, drops = constants[0], {**constants[1], **x}
    state, reading = step(config, factors, state, drops.pop("projected"), drops)
    attentional = emit(config, factors, reading, None, drops)
    return feed_back(config, state, attentional), attentional


def reading_step(
    config: Model, constants: Any, state: DecoderState, x: dict[str, jax.Array]
) -> tuple[DecoderState, Reading]:
    """One teacher-forced step up to the hidden vector and the context."""
    factors, drops = constants[0], {**constants[1], **x}
    state, reading = step(config, factors, state, drops.pop("projected"), drops)
    return state, reading._replace(weights=None)


def bottom_step(
    config: Model, constants: Any, state: DecoderState, x: dict[str, jax.Array]
) -> tuple[DecoderState, Reading]:
    """One teacher-forced step of the first cell, and what it reads of the source."""
    factors, drops = constants[0], {**constants[1], **x}
    bottom, reading = ARCHITECTURES[config.decoder](config, factors, state, drops.pop("projected"), drops)
    state = state._replace(cells=(bottom,))
    if reading is not None:
        state = remember(config, factors, state, reading)
    return state, Reading(bottom.hidden, None if reading is None else reading.context, None)


def cell_step(config: Model, constants: Any, state: Any, x: dict[str, jax.Array]) -> tuple[Any, jax.Array]:
    """One teacher-forced step of a cell by itself."""
    factors, drops = constants[0], {**constants[1], **x}
    alone = DecoderState(cells=(state,), attentional=None)
    new = advance(config, {"cells": [factors]}, 0, alone, drops.pop("projected"), drops)
    return new, new.hidden


def of_layer(layer: int, masks: Masks) -> Masks:
    """The masks within one layer, as if there were no other."""
    (in_time, constant), only = masks, slice(layer, layer + 1)
    moving = {part: mask[:, only] for part, mask in in_time.get("zoneout", {}).items()}
    return {"zoneout": moving} if moving else {}, {"state": constant["state"][only]} if "state" in constant else {}
