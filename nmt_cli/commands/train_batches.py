"""The batches of `nmt train`, and the programs compiled for their shapes."""

from __future__ import annotations

import time

import jax
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.commands.display import Display
from nmt_cli.commands.interrupts import Interrupts
from nmt_cli.config import Train
from nmt_cli.data.batching import Batches, Bucket, buckets
from nmt_cli.data.bpe_dropout import BpeDropout
from nmt_cli.data.store import Prepared
from nmt_cli.training.state import TrainState
from nmt_cli.training.step import Updates


def make_batches(data: Prepared, settings: Train, display: Display) -> Batches:
    """The training batches of every epoch."""
    rate, dropout = settings.bpe_dropout, None
    if rate:
        dropout = BpeDropout(data.train, data.tokenizers(), rate, data.hash, settings.seed)
        display.note(f"BPE dropout {rate:g}: {dropout}")
    room = dropout.room if dropout else data.train
    shapes = buckets(room.source_lengths, room.target_lengths, settings.batch_tokens, settings.max_shapes)
    return Batches(data.train, shapes, data.hash, settings.seed, dropout=dropout)


def next_batches(batches: Batches, step: int, accumulate: int) -> list[Batch]:
    """The batches of an update: where the data stands follows from the step alone."""
    numbers = range(step * accumulate, (step + 1) * accumulate)
    return [batches.batch(*divmod(number, len(batches))) for number in numbers]


def compile_all(
    updates: Updates, batches: Batches, state: TrainState, rng: jax.Array, interrupts: Interrupts, display: Display
) -> None:
    """Compile every shape ahead of the first step, so that none stops the training later."""
    start, share = time.monotonic(), batches.useful_share()
    display.note(f"compiling {len(batches.buckets)} shapes of batches; {share:.0%} of their tokens are text")
    for bucket in batches.buckets:  # one after the other: side by side they took twice as long on two cores
        interrupts.check()
        updates.program(state, blank_batch(bucket), rng)
    display.note(f"compiled in {time.monotonic() - start:.1f} s")


def blank_batch(bucket: Bucket) -> Batch:
    """A batch of this shape without any text."""
    source = np.zeros((bucket.rows, bucket.source_length), np.int32)
    target = np.zeros((bucket.rows, bucket.target_length), np.int32)
    return Batch(source, source > 0, target, target, target > 0)
