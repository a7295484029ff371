"""Where results go: stdout, or a file that appears when it is complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nmt_cli.errors import Exit, UserError

Write = Callable[[str], None]


@contextmanager
def open_output(path: Path) -> Iterator[Write]:
    """A function that writes text as UTF-8 and flushes it; `-` is stdout.

    A file is written as PATH.partial and renamed at the end: what stands at PATH is always complete. When something
    goes wrong the lines so far stay in PATH.partial.
    Raises UserError (RESOURCE) when it cannot be written; a closed pipe stays BrokenPipeError.
    """
    if str(path) == "-":
        yield writer(sys.stdout.buffer, "stdout")
        return
    special = path.exists() and not path.is_file()  # a device or a named pipe
    partial = path if special else path.with_name(path.name + ".partial")
    with reported(str(partial)):
        stream = partial.open("wb", buffering=0)
    with stream:
        yield writer(stream, str(partial))
    if not special:
        with reported(str(path)):
            partial.replace(path)


def writer(stream: BinaryIO, name: str) -> Write:
    """Write and flush all of a text, or raise."""

    def write(text: str) -> None:
        with reported(name):
            rest = memoryview(text.encode("utf-8", "replace"))
            while rest:
                rest = rest[stream.write(rest) :]
            stream.flush()

    return write


@contextmanager
def reported(name: str) -> Iterator[None]:
    """Turn a failure to write into UserError (RESOURCE)."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if name == "stdout":  # Python flushes stdout once more at exit, and would complain once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UserError(f"cannot write to {name}: {error.strerror}", "is the disk full?", Exit.RESOURCE) from error
