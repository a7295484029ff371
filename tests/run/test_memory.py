"""What a program takes and what is left, held against arrays of known sizes and made-up files of the system."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from nmt_cli.run import memory

MIB = 2**20


def test_a_program_takes_its_results_and_what_lies_between():
    x = jax.ShapeDtypeStruct((512, 1024), jnp.float32)  # 2 MiB
    program = jax.jit(lambda x: jnp.sort(x @ x.T, axis=0) @ x).lower(x).compile()  # 1 MiB between, more for the sort
    assert 2 * MIB + MIB <= memory.needed(program) < 8 * MIB


def test_a_result_in_the_place_of_an_argument_takes_nothing():
    x = jax.ShapeDtypeStruct((1024, 1024), jnp.float32)
    program = jax.jit(lambda x: x + 1.0, donate_argnums=0).lower(x).compile()
    assert memory.needed(program) < MIB


def test_a_backend_that_does_not_say_is_believed():
    assert memory.needed(SimpleNamespace(memory_analysis=lambda: None)) == 0


def test_an_accelerator_has_its_limit_less_what_is_in_use():
    statistics = {"bytes_limit": 100, "bytes_in_use": 30}
    assert memory.free(SimpleNamespace(platform="gpu", memory_stats=lambda: statistics)) == 70
    assert memory.free(SimpleNamespace(platform="tpu", memory_stats=lambda: None)) is None


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A processor's memory as files say it: of the machine, and of a group with a limit of `given`."""
    monkeypatch.setattr(memory, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:   5000 kB\n")

    def limited(given: str) -> int | None:
        (tmp_path / "memory.max").write_text(f"{given}\n")
        (tmp_path / "memory.current").write_text("1500000\n")
        (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 500000\n")
        return memory.free(jax.devices("cpu")[0])

    return limited


@pytest.mark.parametrize(("limit", "room"), [("max", 5000 * 1024), ("3000000", 2_000_000), ("99999999", 5000 * 1024)])
def test_a_processor_has_what_machine_and_container_leave(machine, limit, room):
    assert machine(limit) == room


def test_where_the_system_says_nothing_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMORY", tmp_path / "none")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.free(jax.devices("cpu")[0]) is None


@pytest.mark.parametrize(("size", "text"), [(3 * 2**29, "1.5 GiB"), (80.2 * MIB, "80 MiB"), (0, "0 MiB")])
def test_sizes_are_for_people(size, text):
    assert memory.describe(size) == text
