"""Killed at random moments and at every call of the system: nothing that was saved is lost, nothing comes out other."""

from __future__ import annotations

import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nmt_cli.run.checkpoint import restore, save
from nmt_cli.run.directory import Run
from nmt_cli.run.model import load_model
from tests.faults.nmt import GOLDEN, call
from tests.faults.training import OPTIONS, digest, logged, prepare, sets, standing, started

RUNS = 100
# As much as fits of what a kill may hit; a checkpoint or a validation takes far longer than the updates between them.
OFTEN = {"max_steps": 24, "save_every": 2, "eval_every": 6, "log_every": 1}


def moment(run: Path, said: str) -> str:
    """What a training was about when it was killed, by what it has left and said."""
    if "compiling" not in said:
        return "starting"
    if not (run / "metrics.jsonl").exists():  # with the first update
        return "compiling"
    hidden = [path for folder in (run, run / "checkpoints") for path in folder.glob(".*")]
    return "saving" if hidden else "in between"


def killed(run: Path, seconds: float, *arguments: object) -> str | None:
    """What a training was about when it was killed after so long; None when it had come to its end before."""
    with started(*arguments) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        said = process.communicate()[1]
    assert process.returncode in (0, -signal.SIGKILL), said
    return moment(run, said) if process.returncode else None


@pytest.mark.slow
@pytest.mark.fault(36, 37, 56)
def test_a_hundred_runs_killed_at_random_moments_end_as_one_that_was_not(tmp_path, figure):
    """Each run is a process killed with SIGKILL, at a moment drawn between its start and its end, and resumed.

    Every fourth is killed again as it resumes; one that came to its end before the kill is not counted.
    """
    data, chance, kills, same = prepare(tmp_path, "data", seed=0), random.Random(0), Counter[str](), []
    options = ["train", data, tmp_path / "whole", *OPTIONS, *sets("train", OFTEN)]
    with started(*options) as process:  # what it compiles, later ones find
        assert process.wait(600) == 0
    expected = digest(tmp_path / "whole"), standing(tmp_path / "whole"), logged(tmp_path / "whole")
    options[2] = run = tmp_path / "run"
    seconds = took(run, options)
    while len(same) < RUNS:
        shutil.rmtree(run)
        times = 2 if len(same) % 4 == 3 else 1
        moments = [killed(run, chance.uniform(0, seconds), *options) for _ in range(times)]
        if moments[0] is None:
            continue
        kills.update(filter(None, moments))
        assert call(*options, "--quiet") == 0
        same.append((digest(run), standing(run), logged(run)) == expected)
    listed = ", ".join(f"{count} {what}" for what, count in kills.most_common())
    figure("random SIGKILLs", f"{sum(same)} of {RUNS} resumed runs end with the same SHA-256 "
                              f"({kills.total()} kills: {listed})")  # fmt: skip
    assert all(same)
    assert kills.keys() == {"starting", "compiling", "saving", "in between"}


def took(run: Path, options: list[object]) -> float:
    """Seconds of a run from its start to its end."""
    began = time.monotonic()
    assert killed(run, 600, *options) is None
    return time.monotonic() - began


def killed_at_every_call(kind: str, start: Path) -> list[Path]:
    """What kills at each system call of a save that changes the disk have left of a run; the last save came to its end.

    kind: of save, see `killed_saves.py`. Threads of a save race, so that the n-th call is not always the same one.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("calls are traced by ptrace")
    folder = start.with_name("killed")
    subprocess.run([sys.executable, "-m", "tests.faults.killed_saves", kind, start, folder], check=True, timeout=1800)
    return sorted(folder.iterdir())


@pytest.mark.slow
@pytest.mark.fault(37)
def test_killed_at_any_system_call_of_a_save_the_old_or_the_new_checkpoint_loads(tmp_path, figure):
    like = {"kernel": np.zeros((8, 8)), "step": np.asarray(0)}
    start = Run(tmp_path / "start")
    start.path.mkdir()
    for step in (1, 2):
        save(start, step, like, {}, keep=2)
    steps = []
    for folder in (found := killed_at_every_call("checkpoint", start.path)):
        run = Run(folder)
        step, state, _ = restore(run, like, strict=True) or pytest.fail(f"{folder}: from scratch")
        assert (step, int(state["step"])) in ((2, 0), (3, 3))
        steps.append(step)
        save(run, 4, like, {}, keep=1)
        assert [path.name for path in run.checkpoints.iterdir()] == ["00000004"], folder
    assert len(steps) > 80
    assert set(steps) == {2, 3}
    kills = len(found) - 1
    figure("kill at every system call of the save of a checkpoint", f"{kills} of {kills} leave one to load")


@pytest.mark.slow
@pytest.mark.fault(37)
def test_killed_at_any_system_call_of_a_save_the_old_or_the_new_model_loads(tmp_path, figure):
    shutil.copytree(GOLDEN / "model", tmp_path / "start" / "best")
    old = load_model(GOLDEN / "model").parameters["output_bias"]
    factors = []
    for folder in (found := killed_at_every_call("model", tmp_path / "start")):
        bias = load_model(folder).parameters["output_bias"]
        factors.append(next(factor for factor in (1, 2) if (bias == factor * old).all()))
    assert len(factors) > 25
    assert factors == sorted(factors)
    assert set(factors) == {1, 2}
    kills = len(found) - 1
    figure("kill at every system call of the save of a model", f"{kills} of {kills} leave one to load")
