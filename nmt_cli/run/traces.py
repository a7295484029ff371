"""What JAX traced of a program, kept between processes beside what it compiled of it.

JAX finds a compiled program again by what it traced, and tracing and lowering a search takes three times as long as
loading it: for a file of 10,000 lines that was half of all the time. A trace has a name that follows from all that it
was made of, this package's code included, and is checked when it is read. Where compiled programs are not kept, traces
are not either.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax import export

from nmt_cli.run.device import kept_programs

MOST = 500  # traces that are kept, of about 60 kB each; what was used least recently goes first
DIGEST = hashlib.sha256().digest_size

SETTINGS = (  # of JAX, which a trace follows from too
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
)

Program = Callable[..., Any]


def compiled(
    function: Program, arguments: Sequence[Any], plan: Any, options: dict[str, Any] | None = None
) -> Callable[..., list[jax.Array]]:
    """`function(*arguments, plan=plan)` as a compiled program for arguments of these shapes, which gives the leaves of
    the result.

    plan: what else the program follows from; its repr says all of it. options: of the compiler.
    """
    leaves, structure = jax.tree.flatten(tuple(arguments))

    def flat(*leaves: Any) -> list[Any]:
        return jax.tree.leaves(function(*jax.tree.unflatten(structure, leaves), plan=plan))

    place = folder()
    if place is None:
        traced = flat
    else:
        path = place / name(function, leaves, structure, plan)
        exported = read(path)
        if exported is None:
            exported = export.export(jax.jit(flat))(*leaves)
            write(path, exported.serialize())
        traced = exported.call
    made = jax.jit(traced, compiler_options=options).lower(*leaves).compile()
    return lambda *arguments: made(*jax.tree.leaves(arguments))


def folder() -> Path | None:
    """Where traces are kept, if they are."""
    kept = kept_programs()
    return kept / "traced" if kept else None


def name(function: Program, leaves: Sequence[Any], structure: Any, plan: Any) -> str:
    """What a trace is called: a digest of all that it is made of."""
    shapes = [(leaf.shape, str(leaf.dtype)) for leaf in leaves]
    versions = [(library, version(library)) for library in ("jax", "jaxlib", "flax")]
    settings = [getattr(jax.config, setting) for setting in SETTINGS]
    what = jax.default_backend(), versions, settings, code(), function.__qualname__, str(structure), shapes, repr(plan)
    return hashlib.sha256(repr(what).encode()).hexdigest()


@cache
def code() -> str:
    """A digest of this package's code."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(path: Path) -> export.Exported | None:
    """The trace in a file; None where there is none, or it is damaged."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    digest, trace = content[:DIGEST], bytearray(content[DIGEST:])
    return export.deserialize(trace) if hashlib.sha256(trace).digest() == digest else None


def write(path: Path, trace: bytearray) -> None:
    """Keep a trace, and drop the oldest beyond so many. What cannot be written is traced again next time."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(hashlib.sha256(trace).digest() + trace)
        partial.replace(path)
        by_age = sorted(path.parent.iterdir(), key=lambda kept: -kept.stat().st_mtime)
        for kept in by_age[MOST:]:
            kept.unlink()
