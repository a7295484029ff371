"""The process that a command runs in."""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

# huge pages; what is freed is kept for the next time; large blocks too come from what is kept, not from the system
TUNABLES = {"hugetlb": 1, "trim_threshold": 1 << 40, "mmap_max": 0, "arena_max": 1}


def keep_memory() -> None:
    """Start this process again with an allocator that keeps the memory it has, in huge pages, if it is not so already.

    An update allocates and frees some hundred MB, and so does a batch that is translated. Had from the system page by
    page, that cost a fifth of the time of training, and in huge pages that are handed back after each update still a
    tenth (measured).
    The GNU C library reads the setting when a process starts, so there is no later moment.
    """
    name, given = "GLIBC_TUNABLES", os.environ.get("GLIBC_TUNABLES", "")
    settings = [f"glibc.malloc.{key}={value}" for key, value in TUNABLES.items() if f"glibc.malloc.{key}=" not in given]
    if sys.platform == "linux" and settings:
        tunables = ":".join(filter(None, [given, *settings]))
        os.execve(sys.executable, sys.orig_argv, {**os.environ, name: tunables})  # noqa: S606 (ourselves)


def leave(code: int) -> NoReturn:
    """End this process with an exit code, at once.

    Left to itself, Python takes down all that a translation has loaded piece by piece, while whoever reads the pipe
    waits for its end: 0.35 s (measured).
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
