"""The modules beside the tests can be imported by name, and their recordings are fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recordings import KINDS, Recording, make_recording


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items):
    """On one process: recordings take seconds each, and every process would make its own."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("recordings"))


@pytest.fixture(params=KINDS)
def recording(request) -> Recording:
    return make_recording(request.param)


@pytest.fixture
def general() -> Recording:
    return make_recording("general")
