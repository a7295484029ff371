"""The arrays of a training state on disk, by Orbax.

The state is flattened to a dictionary from path to array first. Orbax then needs to know nothing of the optimizer's
named tuples, and a state of another shape, which Orbax restores without complaint, can be refused path by path.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from nmt_cli.errors import Exit, UserError
from nmt_cli.run.shapes import Shape, check

INDEX = "arrays.json"
STATE = "state"


def write(folder: Path, state: Any) -> None:
    """Write every leaf of `state` under `folder`. Raises OSError when the disk refuses."""
    leaves = flatten(state)
    index = {path: {"shape": shape_of(leaf).shape, "dtype": shape_of(leaf).dtype} for path, leaf in leaves.items()}
    for path, leaf in leaves.items():
        if is_random_key(leaf):
            index[path]["impl"] = str(jax.random.key_impl(leaf))
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    stored = {path: storable(leaf) for path, leaf in leaves.items() if is_stored(leaf)}
    ask_for_room(folder, sum(leaf.nbytes for leaf in stored.values()))
    with quiet(), ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        try:
            checkpointer.save((folder / STATE).absolute(), args=ocp.args.StandardSave(stored))
        except ValueError as error:
            # TensorStore reports a full disk as a ValueError with the system's error number in its text.
            if "os_error_code" not in str(error):
                raise
            raise OSError(None, str(error).splitlines()[0], str(folder / STATE)) from error


def read(folder: Path, like: Any) -> Any:
    """The state that `write` wrote, in the structure of `like`, bit for bit.

    like: leaves are arrays, numbers or `jax.ShapeDtypeStruct`; they decide what comes back: a NumPy
    array for a NumPy array, a number for a number, otherwise a device array, with the sharding there is.
    Raises UserError (INTEGRITY) that lists every path, shape and dtype in which the two differ.
    """
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    leaves = flatten(like)
    found = {path: Shape(tuple(entry["shape"]), entry["dtype"]) for path, entry in index.items()}
    expected = {path: shape_of(leaf) for path, leaf in leaves.items()}
    check(str(folder), found, expected, "use the configuration this run was started with, or a new run directory")
    targets = {path: target(leaf) for path, leaf in leaves.items() if is_stored(leaf)}
    with quiet(), ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
        try:
            stored = checkpointer.restore((folder / STATE).absolute(), args=ocp.args.StandardRestore(targets))
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise unreadable(folder, error) from error
    restored = [rebuilt(leaf, stored.get(path), index[path].get("impl")) for path, leaf in leaves.items()]
    return jax.tree.unflatten(jax.tree.structure(like), restored)


def read_under(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The arrays of a state whose paths begin with `name/`, by the rest of their path; none of the others is read.

    Raises UserError (INTEGRITY) when Orbax cannot read them.
    """
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    wanted = {path: entry for path, entry in index.items() if path.startswith(f"{name}/")}
    targets = {path: np.broadcast_to(np.zeros((), e["dtype"]), e["shape"]) for path, e in wanted.items()}
    if not targets:
        return {}
    asked = ocp.args.PyTreeRestore(targets, ocp.checkpoint_utils.construct_restore_args(targets), partial_restore=True)
    with quiet(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
        try:
            stored = checkpointer.restore((folder / STATE).absolute(), args=asked)
        except (ValueError, KeyError, FileNotFoundError) as error:
            raise unreadable(folder, error) from error
    return {path.removeprefix(f"{name}/"): np.asarray(array) for path, array in stored.items()}


def unreadable(folder: Path, error: Exception) -> UserError:
    what = f"{folder}: Orbax cannot read it: {str(error).splitlines()[0]}"
    return UserError(what, "it may come from another version of orbax-checkpoint", Exit.INTEGRITY)


def ask_for_room(folder: Path, size: int) -> None:
    """Raise OSError when `size` bytes do not fit: Orbax would find out late, with tracebacks from its threads."""
    if hasattr(os, "posix_fallocate"):
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))


def flatten(tree: Any) -> dict[str, Any]:
    """Leaves by their path, such as `params/encoder/kernel`, in the order of the tree."""
    pairs, _ = jax.tree_util.tree_flatten_with_path(tree)
    leaves = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in pairs}
    if len(leaves) != len(pairs):
        raise ValueError("two leaves of the state have the same path")
    return leaves


def is_number(leaf: Any) -> bool:
    return isinstance(leaf, bool | int | float | np.generic)


def is_random_key(leaf: Any) -> bool:
    return not is_number(leaf) and bool(jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def is_stored(leaf: Any) -> bool:
    """Whether Orbax gets the leaf: it refuses arrays without elements, which shape and dtype say all about."""
    return is_number(leaf) or leaf.size > 0


def shape_of(leaf: Any) -> Shape:
    """Shape and dtype of an array, a number, or a description of an array."""
    leaf = np.asarray(leaf) if is_number(leaf) else leaf
    return Shape(tuple(leaf.shape), str(leaf.dtype))


def storable(leaf: Any) -> Any:
    """The leaf as Orbax takes it: numbers as arrays without axes, random keys as their bits."""
    if is_number(leaf):
        return np.asarray(leaf)
    return jax.random.key_data(leaf) if is_random_key(leaf) else leaf


def target(leaf: Any) -> Any:
    """What Orbax shall make of a leaf: shape, dtype, and the devices it goes to."""
    if is_number(leaf) or isinstance(leaf, np.ndarray):
        return np.asarray(leaf)
    if is_random_key(leaf):
        leaf = jax.eval_shape(jax.random.key_data, leaf)
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def rebuilt(leaf: Any, stored: Any, impl: str | None) -> Any:
    """A leaf of the kind that `leaf` is, from what `storable` made of it."""
    if stored is None:
        kind = np if isinstance(leaf, np.ndarray) else jax.numpy
        return kind.zeros(leaf.shape, leaf.dtype)
    if is_number(leaf):
        return type(leaf)(stored[()])
    return jax.random.wrap_key_data(stored, impl=impl) if is_random_key(leaf) else stored


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Orbax from logging: what matters comes back as an exception, and is said once."""
    logger = logging.getLogger("absl")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was_disabled
