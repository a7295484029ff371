"""Reading and working ahead: as many lines as are there, at once when there is one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from nmt_cli.run.reading import Line

Item = TypeVar("Item", bound=str | Line)
Given = TypeVar("Given")
Made = TypeVar("Made")

QUIET = 0.01  # seconds without another line after which no more are waited for
HEAVY = 1000  # characters that count as a line more, so that long lines do not fill the memory


def take_what_is_there(lines: Iterable[Item], most: int) -> Iterator[list[Item]]:
    """Lines in lists of 1 to `most`, none held back: a list ends when no further line has come for a moment.

    A thread reads `lines`, at most `most` ahead of what has been taken. What `lines` raises is raised here, after the
    lines before it. A line of many characters counts as several.
    """
    arrived = Arrivals[Item](most)
    abandoned = threading.Event()
    threading.Thread(target=read_into, args=(lines, arrived, abandoned), daemon=True).start()
    try:
        end: BaseException | None = None
        more = True
        while more:
            taken: list[Item] = []
            weighs = 0
            while more and weighs < most:
                try:
                    item = arrived.get(timeout=QUIET if taken else None)
                except queue.Empty:
                    break
                if item is None or isinstance(item, BaseException):
                    more, end = False, item
                else:
                    taken.append(item)
                    weighs += weight(item)
            if taken:
                yield taken
        if end is not None:
            raise end
    finally:
        abandoned.set()


def overlapping(make: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """`make(item)` for each item, in order; one is begun as soon as it is there, while the one before is being made.

    What `items` raises is raised here, after what was made of the items before it.
    """
    begun: queue.Queue[Future[Made] | BaseException | None] = queue.Queue(1)
    abandoned = threading.Event()
    workers = ThreadPoolExecutor(2)
    try:
        futures = (workers.submit(make, item) for item in items)
        threading.Thread(target=read_into, args=(futures, begun, abandoned), daemon=True).start()
        while (future := begun.get()) is not None:
            if isinstance(future, BaseException):
                raise future
            yield future.result()
    finally:
        abandoned.set()
        workers.shutdown(wait=False, cancel_futures=True)


class Arrivals(queue.Queue[Any], Generic[Item]):
    """A queue of lines, None at their end or what was raised there, that is full by their weight."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.held = 0

    def _qsize(self) -> int:
        return self.held

    def _put(self, item: Item | BaseException | None) -> None:
        super()._put(item)
        self.held += weight(item)

    def _get(self) -> Item | BaseException | None:
        item: Item | BaseException | None = super()._get()
        self.held -= weight(item)
        return item


def weight(item: str | Line | BaseException | None) -> int:
    """How much of the room for lines an item takes."""
    text = item.text if isinstance(item, Line) else item
    return 1 + len(text) // HEAVY if isinstance(text, str) else 1


def read_into(items: Iterable[Given], arrived: queue.Queue[Any], abandoned: threading.Event) -> None:
    """Put items, then None or what was raised, until nobody takes them any more."""

    def put(item: Given | BaseException | None) -> None:
        while not abandoned.is_set():
            with suppress(queue.Full):
                arrived.put(item, timeout=0.2)
                break

    try:
        for item in items:
            put(item)
            if abandoned.is_set():
                return
    except BaseException as error:
        put(error)
    else:
        put(None)
