"""What `nmt train` makes updates from: batches, programs for their shapes, and the memory they take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from nmt_cli.batch import Batch
from nmt_cli.commands.display import Display
from nmt_cli.config import Train
from nmt_cli.data.batching import Batches, Bucket, blank, buckets
from nmt_cli.data.bpe_dropout import BpeDropout
from nmt_cli.data.store import Prepared
from nmt_cli.errors import Exit, UserError
from nmt_cli.run import memory
from nmt_cli.run.device import compiler_options, kept_programs, out_of_memory, training_devices
from nmt_cli.training import cuda_graphs
from nmt_cli.training.programs import Updates
from nmt_cli.training.replicas import Replicas
from nmt_cli.training.state import TrainState


def make_batches(data: Prepared, settings: Train, display: Display) -> Batches:
    """The training batches of every epoch."""
    rate, dropout = settings.bpe_dropout, None
    if rate:
        dropout = BpeDropout(data.train, data.tokenizers(), rate, data.hash, settings.seed)
        display.note(f"BPE dropout {rate:g}: {dropout}")
    shapes = buckets(*lengths(data.train, dropout), settings.batch_tokens, settings.max_shapes)
    return Batches(data.train, shapes, data.hash, settings.seed, dropout=dropout)


def lengths(pairs: Any, dropout: BpeDropout | None) -> tuple[Any, Any]:
    """How long the sides of each pair may be, [N] and [N], in pieces without EOS."""
    room = dropout.room if dropout else pairs
    return room.source_lengths, room.target_lengths


def gather(display: Display) -> Replicas:
    """The devices that train, more than one where the machine has them."""
    replicas = Replicas(training_devices())
    if replicas.count > 1:
        display.note(f"the rows of each batch are shared among {replicas.count} devices")
    return replicas


def make_feeder(batches: Batches, settings: Train, replicas: Replicas) -> Callable[[int], list[Batch]]:
    """What makes the batches of an update, by its number, and puts them where it will be made."""

    def make(step: int) -> list[Batch]:
        return [replicas.place_batch(batch) for batch in next_batches(batches, step, settings.accumulate)]

    return make


def next_batches(batches: Batches, step: int, accumulate: int) -> list[Batch]:
    """The batches of an update: where the data stands follows from the step alone."""
    numbers = range(step * accumulate, (step + 1) * accumulate)
    return [batches.batch(*divmod(number, len(batches))) for number in numbers]


def update_options(settings: Train, display: Display) -> dict[str, Any]:
    """The compiler's options for updates on the device."""
    platform, kept = jax.default_backend(), kept_programs()
    options = compiler_options(platform)
    if platform == "gpu" and settings.cuda_graphs == "auto" and kept:
        options |= cuda_graphs.compiler_options(kept, display.note)
    return options


def compile_all(
    updates: Updates, batches: Batches, state: TrainState, rng: jax.Array, settings: Train, display: Display
) -> None:
    """Compile the largest shape, see that it fits, and have a thread compile the others, those needed first ahead."""

    def ask(bucket: Bucket) -> Any:
        return updates.ask(state, updates.replicas.place_batch(blank(bucket)), rng)

    def needed(shapes: Sequence[Bucket]) -> int:
        largest = max(shapes, key=lambda shape: shape.rows * (shape.source_length + shape.target_length))
        kept = 0 if settings.accumulate == 1 else size_of(state.params)  # the sum of gradients so far
        return kept + memory.needed(ask(largest).result())

    share = batches.useful_share()
    display.note(f"compiling {len(batches.buckets)} shapes of batches; {share:.0%} of their tokens are text")
    need, free = needed(batches.buckets), memory.free(jax.tree.leaves(state)[0].devices().pop())
    if free is not None and need > free:
        tokens = settings.batch_tokens // 2
        sides = lengths(batches.pairs, batches.dropout)
        while tokens >= 16 and needed(buckets(*sides, tokens, settings.max_shapes)) > free:
            tokens //= 2
        raise too_large(settings, need, free, tokens)
    left = "" if free is None else f"; {memory.describe(free)} are free"
    display.note(f"memory: {memory.describe(size_of(state))} of state, {memory.describe(need)} for an update{left}")
    first = int(state.step) * settings.accumulate
    for bucket in batches.upcoming(*divmod(first, len(batches))):
        ask(bucket)


def size_of(tree: Any) -> int:
    """Bytes of all arrays of a tree."""
    return sum(array.nbytes for array in jax.tree.leaves(tree))


def too_large(settings: Train, need: int, free: int, tokens: int) -> UserError:
    """The refusal of batches that do not fit into the memory; tokens: the batch_tokens that do, or below 16."""
    needs, has = memory.describe(need), memory.describe(free)
    what = f"an update with train.batch_tokens = {settings.batch_tokens} needs {needs} of memory, and {has} are free"
    hint = smaller(settings, tokens) if tokens >= 16 else "a smaller model, or a machine with more memory"
    return UserError(what, hint, Exit.RESOURCE)


def not_enough_memory(error: Exception, settings: Train) -> Exception:
    """What to raise for an error of the device."""
    hint = smaller(settings, max(settings.batch_tokens // 2, 16))
    return out_of_memory(error, f"with train.batch_tokens = {settings.batch_tokens}", hint)


def smaller(settings: Train, tokens: int) -> str:
    """A hint at smaller batches that make updates of the same size."""
    accumulate = -(-settings.batch_tokens * settings.accumulate // tokens)
    return f"in a new run: --set train.batch_tokens={tokens} --set train.accumulate={accumulate}"
