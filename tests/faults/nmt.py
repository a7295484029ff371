"""The `nmt` command for these tests: in this process, where it is fast, or in one of its own, where that matters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nmt_cli import cli

GOLDEN = Path(__file__).parent.parent / "golden"


def call(*arguments: object) -> int:
    """Run `nmt ARGUMENTS` in this process; returns the exit code. What is no `SystemExit` is a crash, and passes."""
    before = sys.argv
    sys.argv = ["nmt", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv = before
    return 0


def start(
    *arguments: object, stdin: bytes = b"", program: str = "", before: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `nmt ARGUMENTS` in a process of its own to its end.

    program: Python to run instead of the plain command line. before: a command that is given this one to run.
    environment: variables to set besides those there are.
    """
    command = [*before, sys.executable, *(["-c", program] if program else ["-m", "nmt_cli"]), *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, env={**os.environ, **environment}, timeout=600, check=False
    )
