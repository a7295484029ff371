"""The modules beside the tests can be imported by name, and their recordings are fixtures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recordings import Recording, every_kind, make_recording


@pytest.fixture(params=every_kind)
def recording(request) -> Recording:
    return make_recording(request.param)


@pytest.fixture
def general() -> Recording:
    return make_recording("general")
