"""Numerics are proved in float64."""

from __future__ import annotations

import jax
import pytest


@pytest.fixture
def double():
    """float64 within the test."""
    with jax.enable_x64(True):
        yield
