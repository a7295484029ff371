"""The compiled programs of updates: one for each shape of batch, compiled while others run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from nmt_cli.batch import Batch
from nmt_cli.config import Train
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.training.replicas import BY_ROWS, EVERYWHERE, Replicas
from nmt_cli.training.state import TrainState
from nmt_cli.training.step import StepReport, part_of_update, update, whole_update


class Updates:
    """`updates(state, batches, rng) -> (state, report)`: one update from `train.accumulate` batches.

    `state` is consumed; state and batches lie where `replicas` places them. One thread compiles, each shape once and in
    the order in which they were asked for: side by side they took twice as long on two cores (measured). Left as a
    context, it compiles nothing more.
    """

    def __init__(
        self,
        model: Seq2Seq,
        train: Train,
        replicas: Replicas | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """options: of the compiler."""
        self.replicas = replicas or Replicas()
        self.options = dict(options or {})
        places = (EVERYWHERE, BY_ROWS, EVERYWHERE)
        self.whole = self.replicas.jit(partial(whole_update, model, train), places, donate=(0,))
        self.part = self.replicas.jit(partial(part_of_update, model, train), (*places, EVERYWHERE, EVERYWHERE))
        self.add = jax.jit(lambda x, y: jax.tree.map(jnp.add, x, y), donate_argnums=0)
        self.finish = jax.jit(lambda state, total: update(train, state, *total), donate_argnums=0)
        self.accumulate = train.accumulate
        self.programs: dict[tuple[int, ...], Future[Any]] = {}
        self.seconds: list[float] = []  # that each took to compile
        self.thread = ThreadPoolExecutor(1, "compile")

    def __enter__(self) -> Updates:
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.shutdown(cancel_futures=True)

    def ask(self, state: TrainState, batch: Batch, rng: jax.Array) -> Future[Any]:
        """The program for batches of this shape, which is compiled when its turn comes."""
        shape = (*batch.source.shape, batch.target_in.shape[1])
        if shape not in self.programs:
            function = self.whole if self.accumulate == 1 else self.part
            arguments = (state, batch, rng) if self.accumulate == 1 else (state.params, batch, rng, state.step, 0)
            outlines = jax.eval_shape(lambda *arrays: arrays, *arguments)  # the arrays may be gone by then
            self.programs[shape] = self.thread.submit(self.compile, function, outlines)
        return self.programs[shape]

    def compile(self, function: Any, outlines: Sequence[Any]) -> Any:
        """The compiled function, on the clock."""
        start = time.monotonic()
        program = function.lower(*outlines).compile(self.options)
        self.seconds.append(time.monotonic() - start)
        return program

    def program(self, state: TrainState, batch: Batch, rng: jax.Array) -> Any:
        """The compiled program for a batch of this shape, waited for."""
        return self.ask(state, batch, rng).result()

    def __call__(self, state: TrainState, batches: Sequence[Batch], rng: jax.Array) -> tuple[TrainState, StepReport]:
        if self.accumulate == 1:
            result: tuple[TrainState, StepReport] = self.program(state, batches[0], rng)(state, batches[0], rng)
        else:
            total = None
            for index, batch in enumerate(batches):
                part = self.program(state, batch, rng)(state.params, batch, rng, state.step, index)
                total = part if total is None else self.add(total, part)
            result = self.finish(state, total)
        return result
