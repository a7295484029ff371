"""Names for what passes through the model, for whoever wants to look at it.

A function of the model says `tap("gates", reset=reset, update=update)`; inside `with listen() as heard:` such calls
are kept in the order in which they come. Outside, and while a function is being compiled, a tap is nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax


class Tap(NamedTuple):
    """One thing heard, such as "gates" or "attention", and its values by name."""

    kind: str
    values: dict[str, Any]


_heard: ContextVar[list[Tap] | None] = ContextVar("heard", default=None)


def tap(kind: str, **values: Any) -> None:
    """Let values be heard, where somebody listens and they are numbers already (as under `jax.disable_jit`)."""
    heard = _heard.get()
    if heard is not None and not any(isinstance(value, jax.core.Tracer) for value in values.values()):
        heard.append(Tap(kind, values))


@contextmanager
def listen() -> Iterator[list[Tap]]:
    """The list that taps are appended to until the block ends."""
    heard: list[Tap] = []
    before = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(before)
