"""After any crash, damage or full disk the newest whole checkpoint is found, and never another model's."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nmt_cli.errors import Exit, UserError
from nmt_cli.run import checkpoint
from nmt_cli.run.checkpoint import restore, save, saved
from nmt_cli.run.directory import Run


class State(NamedTuple):
    parameters: Any
    optimizer: Any
    step: Any


def state_of(seed: int, hidden: int = 4) -> State:
    """A small training state with every kind of leaf that one may have."""
    rng = np.random.default_rng(seed)
    parameters = {
        "encoder": {"kernel": jnp.asarray(rng.normal(size=(3, hidden)), jnp.float32)},
        "decoder": {"bias": jnp.asarray(rng.normal(size=(hidden,)), jnp.bfloat16)},
    }
    chain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3), optax.ema(0.9))
    return State(parameters, chain.init(parameters), jnp.asarray(seed, jnp.int32))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def assert_same_bits(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for have, want in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert type(have) is type(want)
        assert np.asarray(have).dtype == np.asarray(want).dtype
        assert np.asarray(have).tobytes() == np.asarray(want).tobytes()


def test_a_state_comes_back_bit_for_bit_in_its_structure(run: Run) -> None:
    save(run, 7, state_of(7), {"epoch": 2, "best": 31.25}, keep=2)
    step, state, progress = restore(run, state_of(0)) or pytest.fail("nothing restored")
    assert (step, progress) == (7, {"epoch": 2, "best": 31.25})
    assert_same_bits(state, state_of(7))


def test_an_abstract_state_is_enough_to_restore(run: Run) -> None:
    save(run, 7, state_of(7), {}, keep=2)
    like = jax.eval_shape(lambda: state_of(0))
    assert_same_bits((restore(run, like) or pytest.fail("nothing restored"))[1], state_of(7))


@pytest.mark.parametrize(
    "leaf",
    [
        np.float64(0.1) * np.ones(2),
        np.array([np.nan, -0.0, np.inf], np.float32),
        np.arange(5, dtype=np.uint16),
        np.zeros((0, 3), np.float32),
        jnp.zeros((2, 0), jnp.bfloat16),
        jnp.asarray([1e-40, -0.0], jnp.float16),
        jnp.asarray([True, False]),
        jnp.asarray(2**31 - 1),
        2**40,
        0.1,
        True,
        np.int64(-3),
    ],
    ids=lambda leaf: f"{type(leaf).__name__}-{getattr(leaf, 'dtype', '')}{getattr(leaf, 'shape', '')}",
)
def test_every_kind_of_leaf_keeps_its_type_and_bits(run: Run, leaf: Any) -> None:
    state = {"leaf": leaf, "step": 1}
    save(run, 1, state, {}, keep=1)
    assert_same_bits((restore(run, state) or pytest.fail("nothing restored"))[1], state)


def test_random_keys_draw_the_same_after_a_restore(run: Run) -> None:
    rng = {
        "typed": jax.random.key(3),
        "raw": jax.random.key_data(jax.random.key(4)),
        "rbg": jax.random.key(5, impl="rbg"),
    }
    save(run, 1, rng, {}, keep=1)
    for like in (rng, jax.eval_shape(lambda: rng)):
        state = (restore(run, like) or pytest.fail("nothing restored"))[1]
        assert jax.random.bits(state["typed"]) == jax.random.bits(rng["typed"])
        assert jax.random.bits(state["rbg"]) == jax.random.bits(rng["rbg"])
        assert_same_bits(state["raw"], rng["raw"])


def test_a_run_without_checkpoints_restores_nothing(run: Run) -> None:
    assert restore(run, state_of(0)) is None


@pytest.mark.fault(57)
def test_the_last_are_kept_by_step_not_by_time(run: Run) -> None:
    for step in (9, 10, 99, 100):
        save(run, step, state_of(step), {}, keep=2)
    os.utime(run.checkpoints / "00000099", (4e9, 4e9))  # a clock that jumped
    assert [folder.name for folder in saved(run)] == ["00000099", "00000100"]
    assert restored_step(run) == 100


def test_saving_a_step_again_leaves_the_whole_one(run: Run) -> None:
    save(run, 5, state_of(5), {}, keep=1)
    before = (run.checkpoints / "00000005" / "MANIFEST.json").read_bytes()
    save(run, 5, state_of(5), {}, keep=1)
    assert (run.checkpoints / "00000005" / "MANIFEST.json").read_bytes() == before


def restored_step(run: Run, *, strict: bool = False) -> int:
    return (restore(run, state_of(0), strict=strict) or pytest.fail("nothing restored"))[0]


def largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(folder: Path) -> None:
    file = max((folder / "state").rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "bit flipped": flip,
    "truncated": lambda folder: os.truncate(largest(folder), 10),
    "emptied": lambda folder: os.truncate(largest(folder), 0),
    "file missing": lambda folder: largest(folder).unlink(),
    "progress changed": lambda folder: (folder / "progress.json").write_text('{"step": 3}'),
    "manifest missing": lambda folder: (folder / "MANIFEST.json").unlink(),
    "manifest emptied": lambda folder: os.truncate(folder / "MANIFEST.json", 0),
    "manifest cut": lambda folder: os.truncate(folder / "MANIFEST.json", 99),
    "half copied": lambda folder: (shutil.rmtree(folder / "state"), (folder / "MANIFEST.json").unlink()),
    "link": lambda folder: ((folder / "progress.json").unlink(), (folder / "progress.json").symlink_to("/etc/passwd")),
}


@pytest.fixture(params=DAMAGE)
def damaged(request: pytest.FixtureRequest, run: Run) -> Run:
    """A run with a whole checkpoint at step 1 and a damaged one at step 2."""
    for step in (1, 2):
        save(run, step, state_of(step), {}, keep=2)
    DAMAGE[request.param](run.checkpoints / "00000002")
    return run


@pytest.mark.fault(43, 44)
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(damaged: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert restored_step(damaged) == 1
    captured = capsys.readouterr()
    assert "warning" in captured.err
    assert "00000002" in captured.err
    assert "back to step 1" in captured.err
    assert captured.out == ""


@pytest.mark.fault(43, 44)
def test_strict_refuses_a_damaged_checkpoint(damaged: Run) -> None:
    with pytest.raises(UserError, match="00000002") as refusal:
        restored_step(damaged, strict=True)
    assert refusal.value.code == Exit.INTEGRITY


@pytest.mark.fault(37, 46)
def test_without_any_whole_checkpoint_training_never_starts_afresh(damaged: Run) -> None:
    shutil.rmtree(damaged.checkpoints / "00000001")
    with pytest.raises(UserError, match="no checkpoint is whole") as refusal:
        restored_step(damaged)
    assert refusal.value.code == Exit.INTEGRITY
    assert (damaged.checkpoints / "00000002").exists()


@pytest.mark.fault(43, 46)
def test_a_damaged_checkpoint_is_set_aside_and_never_deleted(damaged: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in (damaged.checkpoints / "00000002").rglob("*"))
    for step in (2, 3, 4):
        save(damaged, step, state_of(step), {}, keep=1)
    assert "renamed to 00000002.damaged" in capsys.readouterr().err
    aside = damaged.checkpoints / "00000002.damaged"
    assert sorted(path.name for path in aside.rglob("*")) == before
    assert restored_step(damaged) == 4


@pytest.mark.fault(46)
def test_an_incomplete_copy_says_so_and_stays(run: Run) -> None:
    (run.checkpoints / "00000042").mkdir(parents=True)
    with pytest.raises(UserError, match="incomplete"):
        restored_step(run)
    save(run, 1, state_of(1), {}, keep=1)
    assert any(path.name.startswith("00000042") for path in run.checkpoints.iterdir())


@pytest.mark.fault(47)
def test_another_architecture_is_refused_path_by_path(run: Run) -> None:
    save(run, 1, {"kernel": jnp.zeros((3, 4)), "old": jnp.zeros(2), "bias": jnp.zeros(3)}, {}, keep=1)
    like = {"kernel": jnp.zeros((4, 3)), "new": jnp.zeros(2), "bias": jnp.zeros(3, jnp.bfloat16)}
    with pytest.raises(UserError) as refusal:
        restore(run, like)
    message = refusal.value.what
    assert refusal.value.code == Exit.INTEGRITY
    assert "4 arrays differ" in message
    assert "kernel: float32[3, 4], should be float32[4, 3]" in message
    assert "bias: float32[3], should be bfloat16[3]" in message
    assert "old: float32[2] is not part" in message
    assert "new: missing, should be float32[2]" in message


def test_many_differences_are_counted_and_the_first_ten_listed(run: Run) -> None:
    save(run, 1, {f"layer{n:02}": jnp.zeros(1) for n in range(25)}, {}, keep=1)
    with pytest.raises(UserError, match="25 arrays differ") as refusal:
        restore(run, {f"layer{n:02}": jnp.zeros(2) for n in range(25)})
    assert refusal.value.what.count("should be") == 10
    assert "and 15 more" in refusal.value.what


@pytest.mark.fault(37)
def test_leftovers_of_killed_saves_go_at_the_next(run: Run) -> None:
    for name in (".saving-00000003", ".removing-00000001", "mine"):
        (run.checkpoints / name / "state").mkdir(parents=True)
    save(run, 4, state_of(4), {}, keep=1)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["00000004", "mine"]


@pytest.mark.fault(42)
def test_a_run_that_was_removed_is_refused_at_once_and_does_not_come_back(run: Run) -> None:
    run.path.rmdir()
    with pytest.raises(UserError, match="cannot write") as refusal:
        save(run, 1, state_of(1), {}, keep=1)
    assert refusal.value.code == Exit.RESOURCE
    assert not run.path.exists()


def test_orbax_logs_nothing(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    save(run, 1, state_of(1), {}, keep=1)
    restored_step(run)
    assert capfd.readouterr() == ("", "")


# The children below are processes of their own, with NumPy states: they start no threads before they fork.
CHILD = """
import builtins, io, os, resource, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import numpy as np
from nmt_cli.errors import UserError
from nmt_cli.run import arrays
from nmt_cli.run.checkpoint import save
from nmt_cli.run.directory import Run

def state_of(step, size=8):
    return {"kernel": np.random.default_rng(step).normal(size=(size, size)), "step": np.asarray(step)}
"""

FULL_DISK = (
    CHILD
    + """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save(Run(Path(sys.argv[1])), 2, state_of(2, 300), {}, keep=1)
    except UserError as error:
        print(limit, int(error.code), error.what)
"""
)


@pytest.mark.fault(41)
def test_a_full_disk_is_refused_and_leaves_the_earlier_checkpoint(run: Run) -> None:
    save(run, 1, state_of(1), {}, keep=1)
    limits = [0, 100, 5_000, 200_000, 719_000]  # bytes in a file; the state has 720,008
    command = [sys.executable, "-c", FULL_DISK, str(run.path), *map(str, limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for limit, line in zip(limits, done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{limit} {int(Exit.RESOURCE)} ")
        assert "File too large" in line
        assert "00000002" in line
    assert [path.name for path in run.checkpoints.iterdir()] == ["00000001"]
    assert restored_step(run) == 1


@pytest.mark.fault(41)
def test_a_disk_that_fills_while_orbax_writes_is_refused_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ValueError("OUT_OF_RANGE: Failed to write 9 bytes: No space left on device [os_error_code='28']\nmore")

    save(run, 1, state_of(1), {}, keep=1)
    monkeypatch.setattr("orbax.checkpoint.Checkpointer.save", refuse)
    with pytest.raises(UserError, match="No space left on device") as refusal:
        save(run, 2, state_of(2), {}, keep=1)
    assert refusal.value.code == Exit.RESOURCE
    assert [path.name for path in run.checkpoints.iterdir()] == ["00000001"]


CRASHES = (
    CHILD
    + """
run, first, stride = Run(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
os.environ["JAX_PLATFORMS"] = "cpu"
CALLS = ["open", "write", "pwrite", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir"]

def crash_at(n):
    left = n
    def wrap(call):
        def counted(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(9)
            return call(*args, **kwargs)
        return counted
    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name)))
    builtins.open = io.open = wrap(builtins.open)

import shutil
n = first
while True:
    shutil.rmtree(run.path, ignore_errors=True)
    shutil.copytree(sys.argv[4], run.path)
    child = os.fork()
    if child == 0:
        crash_at(n)
        save(run, 3, state_of(3), {}, keep=1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 9):
        sys.exit(f"call {n}: exit code {code}")
    copy = run.path.with_name(f"crashed-{n:04}")
    shutil.copytree(run.path, copy)
    if code == 0:
        break
    n += stride
print(n)
"""
)


def crashed_at_every(stride: int, folder: Path) -> list[Path]:
    """Runs in which a save of step 3, after steps 1 and 2, died at its first call, and every `stride`-th from there."""
    start = Run(folder / "start")
    start.path.mkdir()
    state = {"kernel": np.zeros((8, 8)), "step": np.asarray(0)}
    for step in (1, 2):
        save(start, step, state, {}, keep=2)
    command = [sys.executable, "-c", CRASHES, str(folder / "run"), "1", str(stride), str(start.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(folder.glob("crashed-*"))


def assert_all_survive(crashed: list[Path]) -> None:
    like = {"kernel": np.zeros((8, 8)), "step": np.asarray(0)}
    steps = []
    for folder in crashed:
        run = Run(folder)
        step, state, _ = restore(run, like, strict=True) or pytest.fail(f"{folder}: from scratch")
        steps.append(step)
        assert step in (2, 3)
        assert state["step"] == (3 if step == 3 else 0)
        save(run, 4, like, {}, keep=1)
        assert [path.name for path in run.checkpoints.iterdir()] == ["00000004"], folder
    assert steps == sorted(steps)
    assert set(steps) == {2, 3}


@pytest.mark.fault(37)
def test_a_crash_at_some_calls_of_a_save_leaves_the_old_or_the_new_checkpoint(tmp_path: Path) -> None:
    crashed = crashed_at_every(29, tmp_path)
    assert len(crashed) >= 4
    assert_all_survive(crashed)


@pytest.mark.fault(38)
def test_writes_lost_before_they_reached_the_disk_make_the_step_before_win(run: Run) -> None:
    for step in (1, 2):
        save(run, step, state_of(step), {}, keep=2)
    for file in (run.checkpoints / "00000002" / "state").rglob("*"):
        if file.is_file():
            file.write_bytes(bytes(file.stat().st_size))  # the size is there, the content never came
    assert restored_step(run) == 1


@pytest.mark.fault(38)
def test_the_manifest_is_written_after_everything_is_on_the_disk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = save(run, 1, state_of(1), {}, keep=1)
    temporary = str(folder.with_name(".saving-00000001"))
    files = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    commit = next(n for n, path in enumerate(synced) if "MANIFEST" in path)
    before = set(synced[:commit])
    assert {f"{temporary}/{name}" for name in files if name != "MANIFEST.json"} <= before
    assert synced[-1] == str(run.checkpoints)


def test_progress_is_readable_json(run: Run) -> None:
    folder = save(run, 12, state_of(1), {"epoch": 3}, keep=1)
    assert json.loads((folder / "progress.json").read_text()) == {"step": 12, "epoch": 3}
    assert checkpoint.damage(folder) is None
