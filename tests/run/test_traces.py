"""Traces of programs that are kept: what they are found by, and what happens to damaged ones."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from nmt_cli.run import traces
from nmt_cli.run.device import configure

ARGUMENTS = ({"a": np.arange(3.0, dtype=np.float32)}, np.float32(2.0))


class Counted:
    """A function that counts how often it is traced."""

    def __init__(self):
        self.__qualname__ = "counted"
        self.times = 0

    def __call__(self, tree, factor, *, plan):
        self.times += 1
        return {"scaled": tree["a"] * factor + plan, "plan": tree["a"] * 0 + plan}


@pytest.fixture
def kept(tmp_path):
    """The folder of traces, in a cache of the test's own."""
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache")
    before = {name: getattr(jax.config, name) for name in names}
    configure(jax_compilation_cache_dir=str(tmp_path), jax_enable_compilation_cache=True)
    yield tmp_path / "traced"
    configure(**before)


def results(function, plan=1, arguments=ARGUMENTS):
    return [leaf.tolist() for leaf in traces.compiled(function, arguments, plan)(*arguments)]


def test_a_program_is_traced_once_for_all_processes(kept):
    first, second = Counted(), Counted()
    assert results(first) == results(second) == [[1, 1, 1], [1, 3, 5]]
    assert (first.times, second.times) == (1, 0)
    assert len(list(kept.iterdir())) == 1


def test_another_plan_shape_setting_or_code_is_another_trace(kept, monkeypatch):
    results(Counted())
    assert results(Counted(), plan=2) == [[2, 2, 2], [2, 4, 6]]
    longer = ({"a": np.ones(5, np.float32)}, np.float32(3.0))
    assert results(Counted(), arguments=longer) == [[1] * 5, [4] * 5]
    monkeypatch.setattr(traces, "code", lambda: "changed")
    changed = Counted()
    results(changed)
    with jax.default_matmul_precision("highest"):
        results(changed)
    assert changed.times == 2
    assert len(list(kept.iterdir())) == 5


@pytest.mark.parametrize("damage", [lambda b: b[:-7], lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:], lambda b: b""])
def test_a_damaged_trace_is_made_anew(kept, damage):
    expected = results(Counted())
    (path,) = kept.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    again, after = Counted(), Counted()
    assert results(again) == results(after) == expected
    assert (again.times, after.times) == (1, 0)


def test_where_programs_are_not_kept_traces_are_not_either(kept):
    configure(jax_enable_compilation_cache=False)
    function = Counted()
    assert results(function) == results(function) == [[1, 1, 1], [1, 3, 5]]
    assert function.times == 2
    assert not kept.exists()


def test_a_folder_that_cannot_be_written_does_no_harm(kept):
    kept.write_text("not a folder")
    assert results(Counted()) == [[1, 1, 1], [1, 3, 5]]


def test_what_was_used_least_recently_goes_first(kept, monkeypatch):
    monkeypatch.setattr(traces, "MOST", 2)
    for plan in range(4):
        results(Counted(), plan)
    assert len(list(kept.iterdir())) == 2
    last = Counted()
    results(last, 3)
    assert last.times == 0
