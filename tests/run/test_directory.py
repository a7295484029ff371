"""A run directory has one writer, a log without repeats, and says at once when it cannot be written."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nmt_cli.config import Config
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.directory import Run, provenance

HOLD = """
import sys, pathlib
from nmt_cli.run.directory import Run
with Run(pathlib.Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "new" / "run")


def hold(run: Run) -> "subprocess.Popen[str]":
    """A process that holds the lock until its stdin closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.fault(52)
def test_a_second_training_is_refused_naming_the_process(run: Run) -> None:
    with hold(run) as other:
        with pytest.raises(UserError, match=f"process {other.pid} on .* is training here") as refusal, run.locked():
            pass
        assert refusal.value.code == Exit.LOCKED
        assert run.holder() is not None
        assert str(other.pid) in str(run.holder())
        other.communicate()


@pytest.mark.fault(52)
def test_the_lock_of_a_killed_process_is_recovered(run: Run) -> None:
    with hold(run) as other:
        other.kill()
        other.communicate()
    assert str(other.pid) in run.lock_file.read_text()  # stale
    assert run.holder() is None
    with run.locked():
        assert json.loads(run.lock_file.read_text())["pid"] == os.getpid()


def test_the_lock_is_let_go_after_an_error(run: Run) -> None:
    with pytest.raises(KeyError), run.locked():
        raise KeyError
    with run.locked():
        assert run.holder() == f"process {os.getpid()} on {os.uname().nodename}"
    assert run.holder() is None


def test_a_lock_file_with_rubbish_is_recovered(run: Run) -> None:
    run.path.mkdir(parents=True)
    run.lock_file.write_bytes(b"\xff{{")
    with run.locked():
        assert str(os.getpid()) in str(run.holder())


UNPRIVILEGED = """
import os, pathlib, sys
from nmt_cli.errors import UserError
from nmt_cli.run.directory import Run
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
try:
    with Run(pathlib.Path(sys.argv[1])).locked():
        pass
except UserError as error:
    print(error)
    sys.exit(error.code)
"""


@pytest.mark.parametrize("name", ["", "new"])
@pytest.mark.fault(42)
def test_a_read_only_run_is_refused_at_once(name: str) -> None:
    # Not under tmp_path, whose parents another user may not enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", UNPRIVILEGED, str(Path(folder) / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        Path(folder).chmod(0o755)
    assert done.returncode == Exit.RESOURCE, done.stderr
    assert f"{folder}" in done.stdout
    assert "cannot write: Permission denied" in done.stdout


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as refusal, Run(tmp_path / "file" / "run").locked():
        pass
    assert refusal.value.code == Exit.RESOURCE


@pytest.mark.fault(42)
def test_a_run_removed_while_training_is_noticed_at_the_next_record(run: Run) -> None:
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot write") as refusal:
        run.log({"step": 1})
    assert refusal.value.code == Exit.RESOURCE


def test_records_come_back_in_order(run: Run) -> None:
    run.path.mkdir(parents=True)
    records = [{"step": 1, "loss": 2.5}, {"step": 2, "text": "où\u2028là"}]
    for record in records:
        run.log(record)
    assert run.metrics() == records


def test_numbers_that_are_not_finite_are_null_so_that_any_json_reader_goes_on(run: Run) -> None:
    run.path.mkdir(parents=True)
    run.log({"step": 1, "loss": float("nan"), "norm": float("inf")})
    assert run.metrics() == [{"step": 1, "loss": None, "norm": None}]


@pytest.mark.fault(56)
def test_after_a_resume_no_step_is_logged_twice(run: Run) -> None:
    run.path.mkdir(parents=True)
    for step in range(1, 8):
        run.log({"step": step})
    run.rewind_log(4, validated=4)
    for step in range(5, 8):
        run.log({"step": step})
    assert [record["step"] for record in run.metrics()] == list(range(1, 8))


def test_a_validation_that_the_checkpoint_does_not_know_of_is_forgotten(run: Run) -> None:
    run.path.mkdir(parents=True)
    records = [{"step": 2}, {"step": 2, "valid_loss": 1.0}, {"step": 4}, {"step": 4, "valid_loss": 0.5}]
    for record in records:
        run.log(record)
    run.rewind_log(4, validated=2)
    assert run.metrics() == records[:3]


def test_a_line_torn_by_a_crash_is_left_out_and_goes_at_the_rewind(run: Run) -> None:
    run.path.mkdir(parents=True)
    run.log({"step": 1})
    with run.metrics_file.open("a") as file:
        file.write('{"step": 2, "lo')
    assert [record["step"] for record in run.metrics()] == [1]
    run.rewind_log(5, validated=5)
    run.log({"step": 3})
    assert [record["step"] for record in run.metrics()] == [1, 3]


def test_a_run_without_log_has_no_metrics_and_rewinds(run: Run) -> None:
    run.rewind_log(3, validated=3)
    assert run.metrics() == []


def test_the_configuration_comes_back(run: Run) -> None:
    run.path.mkdir(parents=True)
    assert run.read_config() is None
    run.write_config(Config())
    assert run.read_config() == Config()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"model": {"cell": "tree"}}'])
def test_a_damaged_configuration_is_refused(run: Run, content: bytes) -> None:
    run.path.mkdir(parents=True)
    run.config_file.write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json") as refusal:
        run.read_config()
    assert refusal.value.code == Exit.INTEGRITY


def test_each_sitting_is_recorded(run: Run) -> None:
    run.path.mkdir(parents=True)
    run.record_sitting("nmt train data run", "cpu", "abc")
    run.record_sitting("nmt train data run", "cpu", "abc")
    first, second = run.sittings()
    assert first["command"] == second["command"] == "nmt train data run"
    assert first["data_hash"] == "abc"


@pytest.mark.parametrize("content", ["", "[]", '{"sittings": 3}', "null"])
def test_a_damaged_provenance_does_not_stop_the_training(run: Run, content: str) -> None:
    run.path.mkdir(parents=True)
    run.provenance_file.write_text(content)
    run.record_sitting("again", "cpu", "abc")
    assert [sitting["command"] for sitting in run.sittings()] == ["again"]


def test_provenance_names_versions_and_the_time_in_utc() -> None:
    facts = provenance("nmt train", "cpu", "abc")
    assert {"python", "nmt-cli", "jax", "numpy"} <= facts["versions"].keys()
    assert facts["started"].endswith("Z")
