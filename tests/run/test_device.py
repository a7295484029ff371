"""The device asked for or none; a cache that others could have written to is not used."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import jax
import pytest

from nmt_cli.errors import Exit, UserError
from nmt_cli.run import device


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A place for the cache, and JAX's options as they were afterwards."""
    names = [
        "jax_compilation_cache_dir",
        "jax_enable_compilation_cache",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
        "jax_compilation_cache_max_size",
    ]
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    yield tmp_path / "nmt-cli" / "compiled"
    device.configure(**before)


def test_the_processor_is_always_there():
    assert device.select_device("cpu") == "cpu"


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is an accelerator here")
@pytest.mark.parametrize("name", ["gpu", "tpu"])
@pytest.mark.fault(60)
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(UserError, match=f"there is no {name}") as raised:
        device.select_device(name)
    assert raised.value.code == Exit.RESOURCE
    assert "--device cpu" in raised.value.hint


def test_the_cache_is_private_and_used(cache):
    warnings = []
    assert device.use_compile_cache(warnings.append) == cache
    assert cache.stat().st_mode & 0o777 == 0o700
    assert jax.config.jax_compilation_cache_dir == str(cache)
    assert warnings == []


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
@pytest.mark.fault(63)
def test_a_cache_that_others_can_write_is_not_used(cache, mode):
    cache.mkdir(parents=True)
    cache.chmod(mode)
    warnings = []
    assert device.use_compile_cache(warnings.append) is None
    assert "others can write" in warnings[0]
    assert not jax.config.jax_enable_compilation_cache


@pytest.mark.fault(63)
def test_a_cache_of_another_user_is_not_used(cache, monkeypatch):
    cache.mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    warnings = []
    assert device.use_compile_cache(warnings.append) is None
    assert "another user" in warnings[0]


@pytest.mark.fault(63)
def test_a_cache_that_is_a_link_is_not_used(cache, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    cache.parent.mkdir()
    cache.symlink_to(tmp_path / "elsewhere")
    warnings = []
    assert device.use_compile_cache(warnings.append) is None
    assert "not a directory" in warnings[0]


def test_a_cache_that_cannot_be_made_is_done_without(cache, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    warnings = []
    assert device.use_compile_cache(warnings.append) is None
    assert "compiled programs are not kept" in warnings[0]


def test_compiled_programs_are_found_again_by_the_next_process(tmp_path):
    program = (
        "from nmt_cli.run import device; import jax, jax.numpy as jnp;"
        "device.use_compile_cache(print); device.configure(jax_persistent_cache_min_compile_time_secs=0.0);"
        "jax.jit(lambda x: x * 3)(jnp.ones(5)).block_until_ready()"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert result.stdout == ""
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "nmt-cli" / "compiled").glob("*-cache"))


def test_compiling_is_said_when_it_takes_long(monkeypatch):
    def slow():
        time.sleep(0.3)
        return "a program"

    monkeypatch.setattr(device, "PATIENCE", 0.1)
    notes = []
    assert device.compile_aloud(slow, "3 numbers", notes.append) == "a program"
    assert notes[0] == "compiling for 3 numbers ..."
    assert notes[1].startswith("compiled for 3 numbers in 0.")


def test_compiling_is_not_said_when_it_is_quick():
    notes = []
    device.compile_aloud(lambda: "a program", "3 numbers", notes.append)
    assert notes == []


@pytest.mark.parametrize(
    ("platform", "tiles", "width"), [("cpu", True, 512), ("cpu", False, None), ("gpu", True, None)]
)
def test_whole_registers_are_used_where_they_are_fast(platform, tiles, width, monkeypatch):
    monkeypatch.setattr(device, "processor_has", lambda feature: tiles)
    for options in (device.compiler_options(platform), device.one_core_each(platform)):
        assert options.get("xla_cpu_prefer_vector_width") == width
