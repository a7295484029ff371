"""Rows of a batch that several devices share: each has some of them, and all draw the same random numbers.

What is computed here is the same on one device as without this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
from jax import lax

Tree = TypeVar("Tree")

ROWS = "rows"  # the axis of a mesh of devices along which the rows of a batch lie


def devices_sharing() -> int:
    """How many devices share the batch of the program that is being traced."""
    return jax.sharding.get_abstract_mesh().shape.get(ROWS, 1)


def summed_over_devices(tree: Tree) -> Tree:
    """Sums of the devices' arrays; the compiler makes one reduction of small ones."""
    return tree if devices_sharing() == 1 else lax.psum(tree, ROWS)


def of_our_rows(draw: Callable[[tuple[int, ...]], jax.Array], shape: tuple[int, ...], axis: int) -> jax.Array:
    """`draw(shape)`, where `axis` counts rows: this device's part of what is drawn for the rows of all devices.

    So a row's numbers do not depend on how many devices share the batch, where these divide its rows.
    """
    devices = devices_sharing()
    if devices == 1:
        return draw(shape)
    axis %= len(shape)
    drawn = draw((*shape[:axis], devices * shape[axis], *shape[axis + 1 :]))
    return lax.dynamic_slice_in_dim(drawn, lax.axis_index(ROWS) * shape[axis], shape[axis], axis)
