"""One update: gradients of a batch, clipping, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from nmt_cli.batch import Batch
from nmt_cli.config import Train
from nmt_cli.nn.loss import Loss
from nmt_cli.nn.rows import summed_over_devices
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.training.optimizer import direction, learning_rate
from nmt_cli.training.scheduled_sampling import sampled_inputs, teacher_share
from nmt_cli.training.state import Params, TrainState


class StepReport(NamedTuple):
    """What one update says of itself; float32 []."""

    loss: Loss
    gradient_norm: jax.Array  # before clipping
    learning_rate: jax.Array


def batch_gradients(
    model: Seq2Seq, train: Train, params: Params, batch: Batch, rng: jax.Array, step: jax.Array
) -> tuple[Params, Loss]:
    """Gradient of the summed loss of a batch, and the sums."""
    if train.scheduled_sampling != "none":
        rng, sampling_rng = jax.random.split(rng)
        fed = sampled_inputs(model, params, batch, teacher_share(train, step), sampling_rng)
        batch = batch._replace(target_in=fed)

    def summed(params: Params) -> tuple[jax.Array, Loss]:
        loss: Any = model.apply({"params": params}, batch, train.label_smoothing, rng, method="loss")
        return loss.smoothed, loss

    gradients, loss = jax.grad(summed, has_aux=True)(params)
    return gradients, loss


def update(train: Train, state: TrainState, gradients: Params, loss: Loss) -> tuple[TrainState, StepReport]:
    """Apply the gradient of a summed loss. A non-finite one changes nothing but the counters."""
    tokens = jnp.maximum(loss.tokens, 1.0)
    gradients = but_for(state.frozen, gradients)
    norm = optax.tree.norm(gradients) / tokens
    clip = jnp.minimum(1.0, train.clip_norm / jnp.maximum(norm, 1e-12)) if train.clip_norm else jnp.float32(1.0)
    rate = learning_rate(train, state.step) * state.rate_scale
    finite = jnp.isfinite(norm) & jnp.isfinite(loss.smoothed)

    def apply(_: None) -> tuple[Params, Any, Params | None]:
        scaled = jax.tree.map(lambda g: g * (clip / tokens), gradients)
        directions, optimizer = direction(train).update(scaled, state.optimizer, state.params)
        directions = but_for(state.frozen, directions)  # weight decay moves what has no gradient
        params = jax.tree.map(lambda p, d: p - rate * d, state.params, directions)
        average = state.average
        if average is not None:
            average = jax.tree.map(lambda a, p: a + (1.0 - ema_decay(train, state.step)) * (p - a), average, params)
        return params, optimizer, average

    def keep(_: None) -> tuple[Params, Any, Params | None]:
        return state.params, state.optimizer, state.average

    params, optimizer, average = jax.lax.cond(finite, apply, keep, None)
    state = TrainState(
        step=state.step + 1,
        params=params,
        optimizer=optimizer,
        average=average,
        rate_scale=state.rate_scale,
        skipped=state.skipped + ~finite,
        skipped_in_row=jnp.where(finite, 0, state.skipped_in_row + 1),
        frozen=state.frozen,
    )
    return state, StepReport(loss, norm, rate)


def but_for(frozen: dict[str, jax.Array] | None, changes: Params) -> Params:
    """Changes of the parameters, with zeros for rows that stay as they are."""
    rows = frozen or {}
    return {**changes, **{name: jnp.where(stays[:, None], 0.0, changes[name]) for name, stays in rows.items()}}


def ema_decay(train: Train, step: jax.Array) -> jax.Array:
    """The average forgets fast at first, so that it does not drag the initial parameters along."""
    now = step.astype(jnp.float32)
    return jnp.minimum(train.ema_decay, (1.0 + now) / (10.0 + now))


def whole_update(
    model: Seq2Seq, train: Train, state: TrainState, batch: Batch, rng: jax.Array
) -> tuple[TrainState, StepReport]:
    """An update from one batch."""
    return update(train, state, *part_of_update(model, train, state.params, batch, rng, state.step, 0))


def part_of_update(
    model: Seq2Seq, train: Train, params: Params, batch: Batch, rng: jax.Array, step: jax.Array, index: int | jax.Array
) -> tuple[Params, Loss]:
    """The gradient of one batch of an update; its random numbers follow from the step and its place in the update."""
    rng = jax.random.fold_in(jax.random.fold_in(rng, step), index)
    return summed_over_devices(batch_gradients(model, train, params, batch, rng, step))


def make_loss(model: Seq2Seq) -> Callable[[Params, Batch], Loss]:
    """`loss(params, batch) -> Loss` for validation: no dropout, no smoothing; compiled once for each shape."""
    return jax.jit(lambda params, batch: model.apply({"params": params}, batch, method="loss"))
