"""How far a command is: a moving bar on a terminal, a line now and then where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

SECONDS = 10.0  # between lines
STRIDE = 1000  # items between looks at the clock


def track(items: Iterable[Item], label: str, total: int | None = None, quiet: bool = False) -> Iterator[Item]:
    """The items, while stderr says how many have passed; total: how many there will be, if that is known."""
    if quiet:
        yield from items
    elif sys.stderr.isatty():
        yield from draw_bar(items, label, total)
    else:
        yield from print_lines(items, label, total)


def draw_bar(items: Iterable[Item], label: str, total: int | None) -> Iterator[Item]:
    """A bar with a count, a speed and the time left."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.completed:,.0f}"),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        passed = 0
        for passed, item in enumerate(items, start=1):
            yield item
            if passed % STRIDE == 0:
                bar.update(task, completed=passed)
        bar.update(task, completed=passed)


def print_lines(items: Iterable[Item], label: str, total: int | None) -> Iterator[Item]:
    """A line every `SECONDS`."""
    of_total = f" of {total:,}" if total is not None else ""
    last = time.monotonic()
    for passed, item in enumerate(items, start=1):
        yield item
        if passed % STRIDE == 0 and time.monotonic() - last > SECONDS:
            last = time.monotonic()
            print(f"{label}: {passed:,}{of_total}", file=sys.stderr)
