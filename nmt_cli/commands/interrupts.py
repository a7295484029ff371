"""Signals that end a training: noticed at once, obeyed where nothing is lost."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from nmt_cli.errors import Exit, UserError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interrupted(Exception):
    """A signal has come and the work is at a place where it can stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = Exit.INTERRUPTED if number == signal.SIGINT else Exit.TERMINATED


class Interrupts:
    """Inside its `with` block a first signal is remembered until `check`; a second one aborts at once."""

    def __enter__(self) -> Interrupts:
        self.received: int | None = None
        self.before: dict[int, Any] = {number: signal.signal(number, self.remember) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def remember(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self.received is not None:
            code = Interrupted(number).code
            raise UserError("stopped at the second signal, without saving", "the last checkpoint is kept", code)
        self.received = number

    def check(self) -> None:
        """Raise Interrupted when a signal has come."""
        if self.received is not None:
            raise Interrupted(self.received)
