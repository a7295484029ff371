"""Zoneout (Krueger et al. 2017): units of a cell's state that stay as they were a step before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn.dropout import keep_mask, kept_share, split


def rates(config: Model) -> dict[str, float]:
    """How likely the units of each part of a state are to stay; parts that never do are left out."""
    parts = {"hidden": config.zoneout, "memory": config.memory_zoneout}
    return {part: rate for part, rate in parts.items() if rate}


def moving_masks(config: Model, rng: jax.Array | None, shape: tuple[int, ...], rows: int = -2) -> dict[str, jax.Array]:
    """For each part, a bool mask of this shape that is True for units that move on; none without a key.

    rows: which axis of the shape counts the rows of the batch.
    """
    chances = rates(config)
    masks = {
        part: keep_mask(key, rate, shape, rows)
        for (part, rate), key in zip(chances.items(), split(rng, len(chances)), strict=True)
    }
    return {part: mask for part, mask in masks.items() if mask is not None}


def zone(config: Model, before: Any, new: Any, moving: Mapping[str, jax.Array]) -> Any:
    """The state of which some units stay: part = d * part before + (1 - d) * part new (equations 5 and 6).

    before, new: a cell's states of [... H]. moving: masks of [... H]; without one, as in translating, the expected
    value takes the place of the draw.
    """
    parts = {}
    for part, rate in rates(config).items():
        old, fresh, mask = getattr(before, part), getattr(new, part), moving.get(part)
        parts[part] = old + kept_share(rate) * (fresh - old) if mask is None else jnp.where(mask, fresh, old)
    return new._replace(**parts)
