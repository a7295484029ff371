"""What a user sees when something is wrong: a sentence, a way out and an exit code, never a traceback."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every `nmt` command."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2  # a wrong option, recipe or configuration
    DATA = 3  # text that cannot be used as it is
    INTEGRITY = 4  # a file that is not what its manifest says, or not what it claims to be
    RESOURCE = 5  # device, disk or memory
    LOCKED = 6  # another process works in the run directory
    DIVERGED = 7  # the loss is no longer a number
    INTERRUPTED = 130  # SIGINT, after saving
    TERMINATED = 143  # SIGTERM, after saving
    CLOSED_PIPE = 141  # the reader of stdout went away


class UserError(Exception):
    """An error its reader can act on.

    what: what is wrong and where (`file:line`, option, array path).
    hint: what to do next, or "".
    code: the exit code the command ends with.
    """

    def __init__(self, what: str, hint: str = "", code: Exit = Exit.USAGE) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.what}\n  {self.hint}" if self.hint else self.what
