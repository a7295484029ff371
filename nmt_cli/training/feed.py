"""What coming updates are made from, made ahead of them by a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Feed(Generic[Item]):
    """`feed(step)` is `make(step)`, made before it is asked for where steps are asked for in their order.

    make: follows from the step alone, so that nothing of a feed need be remembered for a resumption. It runs in a
    thread of its own, never twice at a time; what it raises is raised by the step that it was for.
    Left as a context, nothing more is made.
    """

    def __init__(self, make: Callable[[int], Item], ahead: int = 2) -> None:
        self.make, self.ahead = make, ahead
        self.coming: dict[int, Future[Item]] = {}
        self.waited = self.told = 0.0  # seconds that steps have waited for, and how many of them have been told of
        self.thread = ThreadPoolExecutor(1, "feed")

    def __enter__(self) -> Feed[Item]:
        return self

    def __exit__(self, *error: object) -> None:
        self.thread.shutdown(cancel_futures=True)

    def take_wait(self) -> float:
        """Seconds that steps have waited for since this was last asked."""
        since, self.told = self.waited - self.told, self.waited
        return since

    def __call__(self, step: int) -> Item:
        for coming in range(step, step + 1 + self.ahead):
            if coming not in self.coming:
                self.coming[coming] = self.thread.submit(self.make, coming)
        start = time.monotonic()
        item = self.coming.pop(step).result()
        self.waited += time.monotonic() - start
        return item
