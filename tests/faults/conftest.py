from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from nmt_cli.run.device import configure


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> str:
    """Where compiled programs are kept for all tests here."""
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module", autouse=True)
def own_cache(cache) -> Iterator[None]:
    """Keep out of the user's cache; leave JAX as it was."""
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache", "jax_compilation_cache_max_size")
    before = {name: getattr(sys.modules["jax"].config, name) for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", cache)
        yield
    configure(**before)
