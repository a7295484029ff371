"""What a person sees while something runs: a live line on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from nmt_cli.data.tally import excerpt

BLINK = 0.2  # seconds between two looks of the live line
LONGEST_LINE = 1000  # characters; validation text may hold anything


class Display:
    """Notes, and the progress of a training. Silent when quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.live = not quiet and self.console.is_terminal
        self.bar = Progress(
            SpinnerColumn(), MofNCompleteColumn(), BarColumn(bar_width=24), TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False), console=self.console, disable=not self.live,
        )  # fmt: skip
        self.task: TaskID | None = None
        self.shown = 0.0

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.bar.stop()

    def note(self, text: str) -> None:
        """Lines above the live one, where there is one. Control characters cannot steer the terminal."""
        if self.quiet:
            return
        for line in text.split("\n"):
            shown = excerpt(line, LONGEST_LINE)
            if self.live:
                self.console.print(shown, markup=False)
            else:
                print(shown, file=sys.stderr, flush=True)

    def is_due(self) -> bool:
        """Whether there is a live line, and it has stood still for long enough to be drawn again."""
        return self.live and time.monotonic() - self.shown > BLINK

    def draw(self, step: int, total: int, text: str) -> None:
        """The live line: `step` of `total` updates are made."""
        if self.task is None:
            self.task = self.bar.add_task(text, total=total, completed=step)
        self.bar.update(self.task, completed=step, total=total, description=text)
        self.shown = time.monotonic()

    def log(self, step: int, total: int, text: str) -> None:
        """The live line, or a line of its own where there is none."""
        if self.live:
            self.draw(step, total, text)
        else:
            self.note(f"step {step:,} of {total:,}  {text}")
