"""Update directions (optax, by name) and learning-rate schedules."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from nmt_cli.config import Train


def direction(train: Train) -> optax.GradientTransformation:
    """Gradients to update directions, before the learning rate and the minus sign."""
    b1, b2, epsilon = train.beta1, train.beta2, train.epsilon
    decay = optax.add_decayed_weights(train.weight_decay)
    directions: dict[str, Callable[[], optax.GradientTransformation]] = {
        "adam": lambda: optax.scale_by_adam(b1, b2, epsilon),
        "adamw": lambda: optax.chain(optax.scale_by_adam(b1, b2, epsilon), decay),
        "nadam": lambda: optax.scale_by_adam(b1, b2, epsilon, nesterov=True),
        "radam": lambda: optax.scale_by_radam(b1, b2, epsilon),
        "lion": lambda: optax.chain(optax.scale_by_lion(b1, b2), decay),
        "sgd": lambda: optax.trace(b1) if b1 > 0.0 else optax.identity(),
        "adadelta": lambda: optax.scale_by_adadelta(b2, epsilon),
        "adafactor": lambda: optax.chain(optax.scale_by_factored_rms(), optax.clip_by_block_rms(1.0)),
        "adagrad": lambda: optax.scale_by_rss(0.1, 1e-7),
        "rmsprop": lambda: optax.scale_by_rms(0.9, epsilon),
    }
    return directions[train.optimizer]()


def learning_rate(train: Train, step: jax.Array) -> jax.Array:
    """The rate of update number `step` (int32 [], from 0) -> float32 [].

    Warm-up rises in a straight line. inverse_sqrt: Vaswani et al. 2017, section 5.3, scaled to peak at the given rate.
    luong5, luong10, luong234: halvings after 1/2, 1/2 and 2/3 of the training, 5, 10 and 4 times (tensorflow/nmt).
    """
    now = (step + 1).astype(jnp.float32)
    warmup = float(max(train.warmup_steps, 1))
    rise = jnp.minimum(now / warmup, 1.0) if train.warmup_steps else jnp.float32(1.0)
    total = train.decay_steps or train.max_steps
    if train.schedule == "inverse_sqrt":
        after = jnp.sqrt(warmup / jnp.maximum(now, warmup))
    elif train.schedule == "cosine":
        share = jnp.clip((now - warmup) / max(total - warmup, 1.0), 0.0, 1.0)
        after = 0.5 * (1.0 + jnp.cos(jnp.pi * share))
    elif train.schedule.startswith("luong"):
        start, times = {"luong5": (1 / 2, 5), "luong10": (1 / 2, 10), "luong234": (2 / 3, 4)}[train.schedule]
        every = max(total * (1.0 - start) / times, 1.0)
        after = 0.5 ** jnp.maximum(jnp.floor((now - total * start) / every) + 1.0, 0.0)
    else:  # constant; plateau scales it from outside
        after = jnp.float32(1.0)
    return train.learning_rate * rise * after
