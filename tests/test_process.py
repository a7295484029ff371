"""The allocator that a process starts with, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nmt_cli.process import TUNABLES, keep_memory


@pytest.fixture
def started(monkeypatch):
    """The environments that processes were started with, in place of starting them."""
    environments = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: environments.append(environment))
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return environments


def test_the_process_starts_again_with_all_settings_and_then_no_more(started, monkeypatch):
    keep_memory()
    [environment] = started
    assert environment["GLIBC_TUNABLES"].split(":") == [
        f"glibc.malloc.{key}={value}" for key, value in TUNABLES.items()
    ]
    monkeypatch.setenv("GLIBC_TUNABLES", environment["GLIBC_TUNABLES"])
    keep_memory()
    assert len(started) == 1


def test_a_setting_of_ones_own_is_kept(started, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")
    keep_memory()
    settings = started[0]["GLIBC_TUNABLES"].split(":")
    assert settings[0] == "glibc.malloc.hugetlb=0"
    assert sum("hugetlb" in setting for setting in settings) == 1


def test_where_there_is_no_such_allocator_nothing_happens(started, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_memory()
    assert not started


def test_a_process_that_leaves_at_once_has_written_all_and_done_what_it_registered():
    program = (
        "import atexit; from nmt_cli.process import leave; atexit.register(print, 'end'); print('x' * 99999); leave(5)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (5, "x" * 99999 + "\nend\n", "")
