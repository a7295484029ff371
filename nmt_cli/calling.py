"""How a command is run, and what becomes of what goes wrong in it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nmt_cli.errors import Exit, UserError


def call(command: str, given: dict[str, Any]) -> None:
    """Load `nmt_cli.commands.<command>` and run it.

    Errors are caught here and not around `app()`, because Typer turns a closed pipe into exit code 1.
    """
    with exit_codes():
        importlib.import_module(f"nmt_cli.commands.{command}").run(**given)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what went wrong into a message on stderr and an exit code."""
    try:
        yield
        sys.stdout.flush()
        return
    except UserError as error:
        code = error.code
        sys.stderr.write(f"nmt: {error}\n")
    except BrokenPipeError:
        code = Exit.CLOSED_PIPE
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except OSError as error:  # where files are written, data/staging.py names them: nameless, it is stdout
        code = Exit.RESOURCE
        sys.stderr.write(f"nmt: {error.strerror or error}: {error.filename or 'stdout'}\n")
    flush_or_discard_stdout()
    sys.exit(code)


def flush_or_discard_stdout() -> None:
    """Write out what stdout still holds. Where that fails, drop it: Python would complain about it again at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
