"""TensorBoard's files hold the numbers of the log."""

from __future__ import annotations

import math
import sys
import time

import pytest

from nmt_cli.errors import UserError
from nmt_cli.run.events import Events


def scalars(folder) -> list[tuple[int, str, float]]:
    """(step, name, value) of every event in the files of a folder, oldest file first."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content, place = path.read_bytes(), 0
        while place < len(content):  # length [8], its checksum [4], the event, its checksum [4]
            length = int.from_bytes(content[place : place + 8], "little")
            event = Event.FromString(content[place + 12 : place + 12 + length])
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
            place += length + 16
    return found


def soon(folder, count: int) -> list[tuple[int, str, float]]:
    """The events, once there are `count`: the writer has a thread of its own."""
    deadline = time.monotonic() + 10
    while len(found := scalars(folder)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_the_numbers_of_each_record_are_written_at_once(tmp_path):
    pytest.importorskip("tensorboardX", reason="an extra: pip install 'nmt-cli[tensorboard]'")
    events = Events(tmp_path / "tensorboard")
    events.write({"step": 4, "loss": 2.5, "skipped": 1, "note": "no number"})
    assert soon(tmp_path / "tensorboard", 2) == [(4, "loss", 2.5), (4, "skipped", 1.0)]
    events.write({"step": 8, "loss": math.nan, "valid_bleu": 30.0})
    assert soon(tmp_path / "tensorboard", 3)[2:] == [(8, "valid_bleu", 30.0)]


def test_nothing_is_written_before_there_is_a_record(tmp_path):
    pytest.importorskip("tensorboardX", reason="an extra: pip install 'nmt-cli[tensorboard]'")
    Events(tmp_path / "tensorboard")
    assert not (tmp_path / "tensorboard").exists()


def test_without_tensorboardx_the_user_learns_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError) as refused:
        Events(tmp_path)
    assert "tensorboardX" in refused.value.what
    assert "pip install 'nmt-cli[tensorboard]'" in refused.value.hint
