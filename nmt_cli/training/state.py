"""Everything of a training that changes, as one pytree: what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from nmt_cli.config import Train
from nmt_cli.training.optimizer import direction

Params = Any


class TrainState(NamedTuple):
    """Arrays only, float32 unless stated."""

    step: jax.Array  # [] int32: updates made
    params: Params
    optimizer: Any  # the state of optax
    average: Params | None  # moving average of the parameters; None without ema_decay
    rate_scale: jax.Array  # []: what `plateau` has multiplied the learning rate with
    skipped: jax.Array  # [] int32: updates left out because of a non-finite loss or gradient
    skipped_in_row: jax.Array  # [] int32: the last of them, without a good one between
    frozen: dict[str, jax.Array] | None = None  # bool [V] by table: rows that stay as they began; None without any

    @property
    def for_translation(self) -> Params:
        """The parameters that translate: the moving average where there is one."""
        return self.params if self.average is None else self.average


def initial_state(train: Train, params: Params, vectors: Mapping[str, tuple[Any, Any]] | None = None) -> TrainState:
    """The state before the first update.

    vectors: ids [N] and rows [N E] that embedding tables begin with, by the names of the tables among the parameters.
    """
    vectors = vectors or {}
    params = {**params, **{name: params[name].at[ids].set(rows) for name, (ids, rows) in vectors.items()}}
    frozen = {name: jnp.zeros(len(params[name]), bool).at[ids].set(True) for name, (ids, _) in vectors.items()}
    return TrainState(
        step=jnp.int32(0),
        params=params,
        optimizer=direction(train).init(params),
        average=jax.tree.map(jnp.copy, params) if train.ema_decay else None,
        rate_scale=jnp.float32(1.0),
        skipped=jnp.int32(0),
        skipped_in_row=jnp.int32(0),
        frozen=frozen if train.freeze_embeddings else None,
    )
