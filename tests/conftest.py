"""What every test can count on: a CPU, the same random examples each time, and real text where there is any."""

from __future__ import annotations

import os
import sys
from itertools import count
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.faults.tally"]

# Before anything imports jax, and for the commands that tests start as well.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests must not depend on what the machine's owner has set.
for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TYPER_USE_RICH"):
    os.environ.pop(name, None)

# Examples that compile take as long as they take, and CI sees the same ones every time.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("default")

# A process may have 65,530 mappings of memory on Linux, of which each compiled program takes some for good: 450 tests
# that compile used them up, and the next compilation ended the process.
TESTS_BETWEEN = 100
torn_down = count(1)

REAL_TEXT = Path(__file__).parent.parent / ".." / "shared" / "data"


def pytest_runtest_teardown() -> None:
    """Let go of compiled programs now and then."""
    if next(torn_down) % TESTS_BETWEEN == 0 and "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def real_text() -> Path:
    """The folder of real corpora, none of which is part of the project."""
    if not REAL_TEXT.is_dir():
        pytest.skip(f"no real text to measure on at {REAL_TEXT}")
    return REAL_TEXT.resolve()


@pytest.fixture
def write(tmp_path):
    """`write(name, content)` makes a file of text or bytes and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file
