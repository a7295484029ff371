"""Training on all devices of a machine: each has the whole state and some of the rows of every batch.

Gradients and counts are summed over the devices once, after the backward pass; then each makes the same update. On one
device nothing of this is in the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as Axes

from nmt_cli.batch import Batch
from nmt_cli.nn.rows import ROWS

Tree = TypeVar("Tree")

EVERYWHERE, BY_ROWS = Axes(), Axes(ROWS)


class Replicas:
    """The devices that train together."""

    def __init__(self, devices: Sequence[jax.Device] = ()) -> None:
        """devices: none for the one that JAX computes on when it is not told otherwise."""
        self.count = max(len(devices), 1)
        self.mesh = Mesh(np.array(devices), (ROWS,)) if self.count > 1 else None

    def place(self, tree: Tree) -> Tree:
        """The arrays, on every device."""
        placed: Tree = jax.device_put(tree, None if self.mesh is None else NamedSharding(self.mesh, EVERYWHERE))
        return placed

    def place_batch(self, batch: Batch) -> Batch:
        """The batch, its rows shared among the devices; rows without text make their number a multiple."""
        sharding, more = None, -len(batch.source) % self.count
        if self.mesh is not None:
            sharding = NamedSharding(self.mesh, BY_ROWS)
            batch = Batch(*(np.pad(array, ((0, more), (0, 0))) for array in batch))  # ids of PAD, masks of False
        placed: Batch = jax.device_put(batch, sharding)
        return placed

    def one(self, tree: Tree) -> Tree:
        """The first device's copy of arrays that are on every device."""
        return tree if self.mesh is None else jax.tree.map(lambda array: array.addressable_data(0), tree)

    def jit(self, function: Callable[..., Any], arguments: Sequence[Axes], donate: tuple[int, ...] = ()) -> Any:
        """The compiled function: of each device's part of its arguments, with results that are the same everywhere.

        arguments: where each argument lies, EVERYWHERE or BY_ROWS. donate: arguments whose memory it may use.
        """
        if self.mesh is None:
            return jax.jit(function, donate_argnums=donate)
        places = tuple(arguments)
        # That results are the same everywhere is not checked, because scans begin with zeros of no device's own.
        shared = jax.shard_map(function, mesh=self.mesh, in_specs=places, out_specs=EVERYWHERE, check_vma=False)
        shardings = [NamedSharding(self.mesh, axes) for axes in places]
        return jax.jit(shared, in_shardings=shardings, donate_argnums=donate)
