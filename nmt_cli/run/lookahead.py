"""Reading ahead: as many lines as are there, at once when there is one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress

QUIET = 0.01  # seconds without another line after which no more are waited for


def take_what_is_there(lines: Iterable[str], most: int) -> Iterator[list[str]]:
    """Lines in lists of 1 to `most`, none held back: a list ends when no further line has come for a moment.

    A thread reads `lines`, at most `most` ahead of what has been taken. What `lines` raises is raised here, after the
    lines before it.
    """
    arrived: queue.Queue[str | BaseException | None] = queue.Queue(most)
    abandoned = threading.Event()
    threading.Thread(target=read_into, args=(lines, arrived, abandoned), daemon=True).start()
    try:
        end: BaseException | None = None
        more = True
        while more:
            taken: list[str] = []
            while more and len(taken) < most:
                try:
                    item = arrived.get(timeout=QUIET if taken else None)
                except queue.Empty:
                    break
                if isinstance(item, str):
                    taken.append(item)
                else:
                    more, end = False, item
            if taken:
                yield taken
        if end is not None:
            raise end
    finally:
        abandoned.set()


def read_into(
    lines: Iterable[str], arrived: queue.Queue[str | BaseException | None], abandoned: threading.Event
) -> None:
    """Put lines, then None or what was raised, until nobody takes them any more."""

    def put(item: str | BaseException | None) -> None:
        while not abandoned.is_set():
            with suppress(queue.Full):
                arrived.put(item, timeout=0.2)
                break

    try:
        for line in lines:
            put(line)
            if abandoned.is_set():
                return
    except BaseException as error:
        put(error)
    else:
        put(None)
