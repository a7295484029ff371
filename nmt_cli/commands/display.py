"""What a person sees while something runs: a live line on a terminal, plain lines elsewhere, always on stderr."""

from __future__ import annotations

import sys
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


class Display:
    """Notes, and the progress of a training. Silent when quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.live = not quiet and self.console.is_terminal
        self.bar = Progress(
            SpinnerColumn(), MofNCompleteColumn(), BarColumn(bar_width=24), TimeRemainingColumn(),
            TextColumn("{task.description}"), console=self.console, disable=not self.live,
        )  # fmt: skip
        self.task: TaskID | None = None

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.bar.stop()

    def note(self, text: str) -> None:
        """One line, above the live one where there is one."""
        if self.quiet:
            return
        if self.live:
            self.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def advance(self, step: int, total: int, text: str, log: bool) -> None:
        """`step` of `total` updates are made. Where there is no live line, `text` is printed when `log` says so."""
        if self.live:
            if self.task is None:
                self.task = self.bar.add_task(text, total=total, completed=step)
            self.bar.update(self.task, completed=step, total=total, description=text)
        elif log:
            self.note(f"step {step:,} of {total:,}  {text}")
