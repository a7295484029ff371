"""Trains the same model on one device and on several, and prints how far apart they end.

    XLA_FLAGS=--xla_force_host_platform_device_count=3 python several_devices.py bigrams '{}' '{"accumulate": 2}'

For 2 devices, 3, and so on: the largest differences of loss, of parameters and of their moving average.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.config import Model, Train
from nmt_cli.nn.dropout import drop, keep_mask
from nmt_cli.nn.loss import Loss
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.training.programs import Updates
from nmt_cli.training.replicas import Replicas
from nmt_cli.training.state import TrainState, initial_state

VOCABULARY = 11
ROWS = 12  # what 2, 3 and 4 divide, so that nothing is padded


@dataclasses.dataclass(frozen=True)
class Bigrams:
    """A model that compiles in an instant: the next target piece from the last one, with dropout."""

    def init(self, rng: Any, batch: Batch, *, method: str) -> dict[str, Any]:
        return {"params": {"table": jax.random.normal(rng, (VOCABULARY, VOCABULARY))}}

    def apply(self, variables: Any, batch: Batch, smoothing: float = 0.0, rng: Any = None, *, method: str) -> Loss:
        hidden = variables["params"]["table"][batch.target_in]  # [B T V]
        hidden = drop(hidden, keep_mask(rng, 0.3, hidden.shape, rows=0), 0.3)
        losses = -jnp.take_along_axis(jax.nn.log_softmax(hidden), batch.target_out[..., None], -1)[..., 0]
        total = jnp.where(batch.target_mask, losses, 0.0).sum()
        return Loss(total, total, batch.target_mask.sum().astype(jnp.float32))


def model_of(options: dict[str, Any]) -> Any:
    """Of 8 units, or bigrams without options."""
    sizes = {"embedding_size": 8, "encoder_units": 8, "decoder_units": 8, "attention_units": 8, "dropout": 0.3}
    return Seq2Seq(Model(**{**sizes, **options}), VOCABULARY, VOCABULARY) if options else Bigrams()


def batch_of(seed: int, rows: int) -> Batch:
    """Random sentences of random lengths."""
    random = np.random.default_rng(seed)
    ids = random.integers(4, VOCABULARY, (3, rows, 5)).astype(np.int32)
    masks = np.arange(5) < random.integers(1, 6, (2, rows, 1))
    return Batch(ids[0], masks[0], ids[1], ids[2], masks[1])


def trained(model: Any, train: Train, replicas: Replicas, rows: int) -> tuple[TrainState, list[float]]:
    """The state after three updates, and the losses."""
    params = jax.jit(partial(model.init, method="loss"))(jax.random.key(1), batch_of(0, rows))["params"]
    state, rng = replicas.place((initial_state(train, params), jax.random.key(2)))
    losses = []
    with Updates(model, train, replicas) as updates:
        for step in range(3):
            batches = [batch_of(10 * step + part, rows) for part in range(train.accumulate)]
            state, report = updates(state, [replicas.place_batch(batch) for batch in batches], rng)
            losses.append(float(report.loss.log_loss / report.loss.tokens))
    return replicas.one(state), losses


def furthest(tree: Any, other: Any) -> float:
    """The largest difference of two trees of arrays."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return max((float(jnp.abs(x - y).max()) for x, y in pairs), default=0.0)


def main(options: str, settings: str, rows: str) -> None:
    model = model_of(json.loads(options))
    train = Train(**{"epsilon": 1e-3, "warmup_steps": 0, "schedule": "constant", **json.loads(settings)})
    alone, losses = trained(model, train, Replicas(), int(rows))
    for count in range(2, jax.local_device_count() + 1):
        together, others = trained(model, train, Replicas(jax.local_devices()[:count]), int(rows))
        apart = [furthest(getattr(alone, part), getattr(together, part)) for part in ("params", "average")]
        print(json.dumps([furthest(losses, others), *apart]))


if __name__ == "__main__":
    main(*sys.argv[1:])
