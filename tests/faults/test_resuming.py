"""`nmt train` on what it finds in its run: damage, half a copy, another model; and on a disk that takes no more."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt_cli.commands import train
from nmt_cli.errors import Exit
from nmt_cli.run import checkpoint
from nmt_cli.run.directory import Run
from tests.faults.nmt import call, start
from tests.faults.training import OPTIONS, digest, logged, prepare, standing


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return prepare(tmp_path_factory.mktemp("resuming"), "data", seed=0)


@pytest.fixture(scope="module")
def uninterrupted(data) -> Path:
    """A run with checkpoints of steps 24 and 30, its last; not to be changed."""
    run = data.parent / "uninterrupted"
    assert call("train", data, run, *OPTIONS, "--quiet") == 0
    return run


@pytest.fixture
def run(uninterrupted, tmp_path) -> Path:
    """A copy of the uninterrupted run."""
    return shutil.copytree(uninterrupted, tmp_path / "run")


def newest(run: Path) -> Path:
    return checkpoint.saved(Run(run))[-1]


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def flip(folder: Path) -> None:
    file = max((folder / "state").rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def half_copied(folder: Path) -> None:
    shutil.rmtree(folder / "state")
    (folder / "MANIFEST.json").unlink()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a bit flipped": flip,
    "truncated": lambda folder: os.truncate(folder / "arrays.json", 99),
    "emptied": lambda folder: os.truncate(folder / "progress.json", 0),
    "a file missing": lambda folder: next((folder / "state").rglob("d/*")).unlink(),
    "half copied": half_copied,
}


@pytest.mark.fault(43, 44, 46)
@pytest.mark.parametrize(
    "damage", [d if d == "half copied" else pytest.param(d, marks=pytest.mark.slow) for d in DAMAGE]
)
def test_training_goes_back_to_the_checkpoint_before_a_damaged_one_and_ends_the_same(
    damage, data, run, uninterrupted, capfd
):
    DAMAGE[damage](newest(run))
    before = sorted(newest(run).rglob("*"))
    assert call("train", data, run, *OPTIONS) == 0
    err = capfd.readouterr().err
    assert f"nmt: warning: {newest(run)}" in err
    assert "going back to step 24" in err
    assert (digest(run), standing(run), logged(run)) == tuple(f(uninterrupted) for f in (digest, standing, logged))
    aside = newest(run).with_name("00000030.damaged")
    assert sorted(path.relative_to(aside) for path in aside.rglob("*")) == [p.relative_to(newest(run)) for p in before]


@pytest.mark.fault(43, 44, 46)
@pytest.mark.parametrize("damage", DAMAGE)
def test_strict_training_refuses_a_damaged_checkpoint_and_touches_nothing(damage, data, run, capfd):
    DAMAGE[damage](newest(run))
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if "checkpoints" in path.parts}
    assert call("train", data, run, *OPTIONS, "--strict") == Exit.INTEGRITY
    assert f"{newest(run)}" in capfd.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if "checkpoints" in path.parts} == before


@pytest.mark.fault(46)
def test_a_run_of_which_only_half_a_checkpoint_was_copied_never_starts_afresh(data, run, capfd):
    shutil.rmtree(run / "checkpoints" / "00000024")
    half_copied(newest(run))
    assert call("train", data, run, *OPTIONS) == Exit.INTEGRITY
    assert "incomplete" in capfd.readouterr().err
    assert names(run) == ["00000030"]


@pytest.mark.fault(47)
@pytest.mark.slow
def test_the_checkpoints_of_another_model_are_refused_with_what_differs(data, run, tmp_path, capfd):
    wider = [*OPTIONS, "--set", "model.decoder_units=16", "--max-steps", 2, "--quiet"]
    assert call("train", data, tmp_path / "wider", *wider) == 0
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(tmp_path / "wider" / "checkpoints", run / "checkpoints")
    assert call("train", data, run, *OPTIONS) == Exit.INTEGRITY
    err = capfd.readouterr().err
    assert "arrays differ" in err
    assert "should be float32[" in err
    assert names(run) == ["00000002"]


@pytest.mark.fault(42)
def test_a_run_removed_while_it_trains_is_noticed_and_does_not_come_back(data, tmp_path, monkeypatch, capfd):
    whole, run = train.Updates.__call__, tmp_path / "run"

    def removing(updates: object, state: Any, batches: object, rng: object) -> object:
        if int(state.step) == 2:
            shutil.rmtree(run)
        return whole(updates, state, batches, rng)

    monkeypatch.setattr(train.Updates, "__call__", removing)
    assert call("train", data, run, *OPTIONS) == Exit.RESOURCE
    assert f"{run / 'metrics.jsonl'}: cannot write: No such file or directory" in capfd.readouterr().err
    assert not run.exists()


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (MOST, resource.RLIM_INFINITY))
from nmt_cli.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.fault(41)
@pytest.mark.parametrize("limit", [4_000, 9_000])
def test_training_on_a_full_disk_is_refused_and_goes_on_when_there_is_room(data, tmp_path, uninterrupted, limit):
    run = tmp_path / "run"
    assert call("train", data, run, *OPTIONS, "--max-steps", 8, "--quiet") == 0
    before = names(run)
    done = start("train", data, run, *OPTIONS, "--quiet", program=FULL.replace("MOST", str(limit)))
    assert done.returncode == Exit.RESOURCE
    assert re.search(rb"cannot write: .*File too large", done.stderr)
    assert b"Traceback" not in done.stderr
    assert names(run) == before
    assert list(run.rglob(".*")) == []
    assert call("train", data, run, *OPTIONS, "--quiet") == 0
    # The best model may be another: the first sitting ended in a validation of its own.
    (_, *ended), (_, *expected) = digest(run).items(), digest(uninterrupted).items()
    assert ended == expected
