"""`nmt train` through the real command line: killed, stopped, resumed, refused, ended; with a model of 8 units."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nmt_cli.commands import train, train_batches
from nmt_cli.commands.display import Display
from nmt_cli.data.store import open_data
from nmt_cli.errors import Exit
from nmt_cli.run import arrays, checkpoint
from nmt_cli.run.device import configure
from nmt_cli.run.directory import Run
from nmt_cli.run.model import load_model
from tests.faults.nmt import call
from tests.faults.training import OPTIONS, digest, logged, prepare, sets, standing, started

# What else must come back at a resume.
EXACT = {"accumulate": 2, "ema_decay": 0.9, "scheduled_sampling": "linear", "sampling_steps": 20}

# Programs of a training beside those of its updates: parameters, validation, conversions of numbers.
MOST_OTHER_PROGRAMS = 40

Result = tuple[int, str, str]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory) -> Iterator[Path]:
    """A folder with a cache of what has been compiled, for all tests here; JAX is left as it was."""
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache", "jax_compilation_cache_max_size")
    before = {name: getattr(sys.modules["jax"].config, name) for name in names}
    home = tmp_path_factory.mktemp("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        yield home
    configure(**before)


@pytest.fixture(scope="module")
def data(home) -> Path:
    return prepare(home, "data", seed=0)


@pytest.fixture(scope="module")
def uninterrupted(home, data) -> Path:
    """A run that nothing has happened to, not to be changed."""
    assert call("train", data, home / "uninterrupted", *OPTIONS) == 0
    return home / "uninterrupted"


@pytest.fixture
def run(tmp_path) -> Path:
    """Where a run is to be."""
    return tmp_path / "run"


@pytest.fixture
def ended(uninterrupted, run) -> Path:
    """A copy of the uninterrupted run."""
    shutil.copytree(uninterrupted, run)
    return run


@pytest.fixture
def nmt(capfd) -> Callable[..., Result]:
    """Runs `nmt ARGUMENTS` in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        code = call(*arguments)
        return (code, *capfd.readouterr())

    return run


def in_the_past(result: Any) -> Future[Any]:
    """A future that has come."""
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def wait_for_step(run: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Return when the log of the run has come to a step."""
    until = time.monotonic() + 300
    while not any(record["step"] >= step for record in Run(run).metrics()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def flat_parameters(run: Path) -> dict[str, np.ndarray]:
    """The arrays of the last model, by their paths."""
    return {path: np.asarray(array) for path, array in arrays.flatten(load_model(run / "last").parameters).items()}


def validations(run: Path) -> list[dict[str, Any]]:
    return [record for record in Run(run).metrics() if "valid_loss" in record]


def updates_logged(run: Path) -> list[dict[str, Any]]:
    return [record for record in Run(run).metrics() if "loss" in record]


def assert_nothing_is_logged_twice(run: Path) -> None:
    kinds = logged(run)
    assert [kind for kind, count in kinds.items() if count > 1] == []
    assert [kind for kind in kinds if not kind[1]] == [(step, False) for step in (*range(4, 30, 4), 30)]
    assert [kind for kind in kinds if kind[1]] == [(step, True) for step in (10, 20, 30)]


def test_a_run_ends_with_models_a_log_and_a_word_on_what_to_do_next(uninterrupted, data, nmt, run):
    code, out, err = nmt("train", data, run, *OPTIONS)
    assert (code, out) == (0, "")
    assert err.splitlines()[-1].startswith("finished at step 30 (train.max_steps = 30; best at step ")
    assert err.endswith(f"Next: nmt translate {run}\n")
    assert_nothing_is_logged_twice(run)
    assert updates_logged(run)[-1]["loss"] < updates_logged(run)[0]["loss"]
    assert digest(run) == digest(uninterrupted)


@pytest.mark.parametrize(
    "options",
    [pytest.param({}, id="plain"), pytest.param(EXACT, id="accumulated, averaged, sampled", marks=pytest.mark.slow)],
)
@pytest.mark.fault(36, 51, 56)
def test_killed_and_resumed_it_ends_as_if_nothing_had_happened(options, uninterrupted, data, home, run, nmt):
    arguments = ["train", data, run, *OPTIONS, *sets("train", options)]
    expected = uninterrupted
    if options:
        expected = home / "exact"
        assert call("train", data, expected, *arguments[3:]) == 0
    with started(*arguments) as process:
        wait_for_step(run, random.randrange(4, 22), process)
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.saved(Run(run))[-1:] != [run / "checkpoints" / "00000030"], "the kill came too late to matter"
    assert nmt(*arguments)[0] == 0
    assert digest(run) == digest(expected)
    assert standing(run) == standing(expected)
    assert_nothing_is_logged_twice(run)


@pytest.mark.fault(36, 56)
def test_killed_before_its_first_checkpoint_it_begins_anew_with_an_empty_log(uninterrupted, data, run, nmt):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "save", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            call("train", data, run, *OPTIONS)
    assert updates_logged(run)
    assert nmt("train", data, run, *OPTIONS)[0] == 0
    assert digest(run) == digest(uninterrupted)
    assert_nothing_is_logged_twice(run)


@pytest.mark.fault(39)
def test_sigterm_saves_the_step_it_came_in(uninterrupted, data, run, nmt):
    with started("train", data, run, *OPTIONS, "--quiet") as process:
        wait_for_step(run, 4, process)
        process.terminate()
        out, err = process.communicate()
    assert (process.returncode, out) == (Exit.TERMINATED, "")
    step = int(checkpoint.saved(Run(run))[-1].name)
    assert err == (
        f"nmt: stopped by SIGTERM after step {step}, which is saved\n  the same command goes on from there\n"
    )
    code, _, err = nmt("train", data, run, *OPTIONS)
    assert code == 0
    assert f"going on from step {step} of {run}" in err
    assert digest(run) == digest(uninterrupted)


@pytest.mark.parametrize(
    ("place", "name", "number", "code", "saved"),
    [
        (train.Updates, "__call__", signal.SIGINT, 130, 1),
        (train.Validator, "translate", signal.SIGINT, 130, 10),
        (train.checkpoint, "save", signal.SIGTERM, 143, 6),
        (train, "judge", signal.SIGUSR1, 143, 10),
    ],
    ids=["update", "validation", "saving", "publishing"],
)
@pytest.mark.fault(39, 40, 56)
def test_a_signal_is_obeyed_wherever_it_comes(place, name, number, code, saved, uninterrupted, data, run, nmt):
    whole, raised = getattr(place, name), []

    def interrupted(*arguments: Any) -> Any:
        if not raised:  # a second one would abort
            raised.append(number)
            signal.raise_signal(number)
        return whole(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, interrupted)
        assert nmt("train", data, run, *OPTIONS)[0] == code
    assert checkpoint.saved(Run(run))[-1].name == f"{saved:08d}"
    assert nmt("train", data, run, *OPTIONS)[0] == 0
    assert digest(run) == digest(uninterrupted)
    assert standing(run) == standing(uninterrupted)
    assert_nothing_is_logged_twice(run)


@pytest.mark.fault(40)
def test_a_signal_before_the_first_update_leaves_a_run_that_starts_again(data, run, nmt, monkeypatch):
    whole = train.compile_all
    monkeypatch.setattr(train, "compile_all", lambda *given: (signal.raise_signal(signal.SIGINT), whole(*given)))
    code, _, err = nmt("train", data, run, *OPTIONS, "--quiet")
    assert code == Exit.INTERRUPTED
    assert "before the first update" in err
    assert checkpoint.saved(Run(run)) == []


@pytest.mark.fault(39)
def test_a_second_signal_aborts_without_saving(data, run, nmt, monkeypatch):
    whole = train.Updates.__call__

    def interrupted_twice(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        return whole(*arguments)

    monkeypatch.setattr(train.Updates, "__call__", interrupted_twice)
    code, _, err = nmt("train", data, run, *OPTIONS, "--quiet")
    assert code == Exit.TERMINATED
    assert "second signal" in err
    assert checkpoint.saved(Run(run)) == []


@pytest.mark.fault(50)
def test_a_finished_run_is_left_as_it_is(ended, data, nmt):
    before, log = digest(ended), (ended / "metrics.jsonl").read_bytes()
    code, _, err = nmt("train", data, ended, *OPTIONS)
    assert code == 0
    assert "finished at step 30" in err
    assert "compiling" not in err
    assert digest(ended) == before
    assert (ended / "metrics.jsonl").read_bytes() == log


@pytest.mark.fault(48)
def test_a_finished_run_goes_on_when_told_to(ended, data, nmt):
    code, _, err = nmt("train", data, ended, "--max-steps", 34)
    assert code == 0
    assert "going on from step 30" in err
    assert "finished at step 34" in err
    assert load_model(ended / "last").card["step"] == 34
    assert Run(ended).read_config().train.max_steps == 34


@pytest.mark.fault(48)
def test_other_data_is_refused(ended, home, nmt):
    before = {path.name: path.read_bytes() for path in ended.glob("*.json*")}
    code, _, err = nmt("train", prepare(home, "other", seed=1), ended)
    assert code == Exit.USAGE
    assert "other data" in err
    assert {path.name: path.read_bytes() for path in ended.glob("*.json*")} == before


@pytest.mark.fault(48)
def test_another_model_is_refused_by_name(ended, data, nmt):
    code, _, err = nmt("train", data, ended, *OPTIONS, "--set", "model.decoder_units=16")
    assert code == Exit.USAGE
    assert "model.decoder_units: 8 -> 16" in err


@pytest.mark.fault(52)
def test_a_second_training_in_the_run_is_refused(ended, data, nmt):
    with Run(ended).locked():
        code, _, err = nmt("train", data, ended, *OPTIONS)
    assert code == Exit.LOCKED
    assert f"process {os.getpid()} on" in err


def test_the_best_model_is_the_one_with_the_best_score(uninterrupted):
    def rank(record: dict[str, Any]) -> tuple[float, float]:
        return record["valid_bleu"], -record["valid_loss"]

    best = max(validations(uninterrupted), key=rank)
    card = load_model(uninterrupted / "best").card
    assert card["step"] == best["step"]
    scores = {score["metric"]: score for score in card["scores"]}
    assert scores["bleu"]["value"] == best["valid_bleu"]
    assert scores["chrf"]["value"] == best["valid_chrf"]
    assert "tok:13a" in scores["bleu"]["signature"]
    assert card["provenance"]["device"] == "cpu"


@pytest.mark.slow
def test_the_best_model_stays_when_later_ones_are_worse(data, run, nmt):
    options = {"learning_rate": 1e-12, "max_steps": 4, "eval_every": 2}
    assert nmt("train", data, run, *OPTIONS, *sets("train", options))[0] == 0
    assert load_model(run / "best").card["step"] == 2
    assert load_model(run / "last").card["step"] == 4


@pytest.mark.slow
def test_the_averaged_parameters_are_published(data, run, nmt):
    assert nmt("train", data, run, *OPTIONS, *sets("train", {"ema_decay": 0.5, "max_steps": 6}))[0] == 0
    folder = checkpoint.saved(Run(run))[-1]
    index = json.loads((folder / arrays.INDEX).read_text())
    state = arrays.read(folder, {path: np.zeros(of["shape"], of["dtype"]) for path, of in index.items()})
    published = load_model(run / "last").parameters["output_bias"]
    assert (published == state["average/output_bias"]).all()
    assert (published != state["params/output_bias"]).any()


def test_training_stops_when_validation_stalls(data, run, nmt):
    options = {"learning_rate": 1e-12, "eval_every": 2, "patience": 2}
    code, _, err = nmt("train", data, run, *OPTIONS, *sets("train", options))
    assert code == 0
    assert "finished at step 6 (no gain in 2 validations; best at step 2)" in err
    assert [record["step"] for record in validations(run)] == [2, 4, 6]


@pytest.mark.slow
def test_a_plateau_lowers_the_rate_each_time_patience_runs_out(data, run, nmt):
    options = {"learning_rate": 1e-12, "warmup_steps": 0, "schedule": "plateau", "plateau_patience": 1}
    often = {"max_steps": 12, "eval_every": 2, "log_every": 2}
    assert nmt("train", data, run, *OPTIONS, *sets("train", {**options, **often}))[0] == 0
    rates = [record["learning_rate"] for record in updates_logged(run)]
    assert rates == pytest.approx([1e-12, 1e-12, 1e-12, 5e-13, 5e-13, 2.5e-13])


def test_without_a_validation_set_the_last_model_is_kept(home, run, nmt):
    data = prepare(home, "unmeasured", seed=0, with_valid=False, pairs=16)  # too few to hold any out
    code, _, err = nmt("train", data, run, *OPTIONS, "--max-steps", 8)
    assert code == 0
    assert "no validation pairs" in err
    assert not (run / "best").exists()
    assert load_model(run).card["step"] == 8
    assert validations(run) == []


def test_quiet_is_silent(data, run, nmt):
    assert nmt("train", data, run, *OPTIONS, "--quiet", "--max-steps", 4) == (0, "", "")


@pytest.mark.fault(54)
@pytest.mark.slow
def test_a_training_that_no_longer_makes_numbers_ends_and_harms_nothing(ended, data, nmt):
    before = digest(ended)
    config = Run(ended).read_config()
    Run(ended).write_config(dataclasses.replace(config, train=dataclasses.replace(config.train, learning_rate=1e30)))
    code, _, err = nmt("train", data, ended, "--max-steps", 90, "--set", "train.keep=1")
    assert code == Exit.DIVERGED
    assert "not been a number for" in err
    assert "learning_rate" in err
    after = digest(ended)
    assert {name: sum for name, sum in after.items() if name != "last"} == {
        name: sum for name, sum in before.items() if name != "last"
    }
    assert any(record["skipped"] >= train.HOPELESS for record in updates_logged(ended))


@pytest.mark.fault(53)
def test_one_update_that_is_no_number_is_left_out_and_named(data, run, nmt, monkeypatch):
    update = train.Updates.__call__

    def poisoned(self: Any, state: Any, batches: Any, rng: Any) -> Any:
        if int(state.step) != 5:
            return update(self, state, batches, rng)
        kept = state.params["output_bias"]
        state, report = update(
            self, state._replace(params={**state.params, "output_bias": kept + np.nan}), batches, rng
        )
        return state._replace(params={**state.params, "output_bias": kept}), report

    monkeypatch.setattr(train.Updates, "__call__", poisoned)
    code, _, err = nmt("train", data, run, *OPTIONS, "--max-steps", 12)
    assert code == 0
    assert "not a number: update 6" in err
    assert [record["skipped"] for record in updates_logged(run)] == [0, 1, 1]
    assert all(record["loss"] > 0 for record in updates_logged(run))


@pytest.mark.slow
def test_the_time_of_all_sittings_is_counted_to_the_last_validation(data, run, nmt, monkeypatch):
    whole = train.Validator.__call__

    def slow(self: Any, *arguments: Any) -> Any:
        time.sleep(0.3)
        return whole(self, *arguments)

    monkeypatch.setattr(train.Validator, "__call__", slow)
    for steps in (4, 8):
        assert nmt("train", data, run, *OPTIONS, "--max-steps", steps)[0] == 0
    minutes = json.loads((checkpoint.saved(Run(run))[-1] / "progress.json").read_text())["minutes"]
    assert 0.6 / 60 < minutes < 1.0


def test_training_stops_after_so_many_minutes(data, run, nmt):
    code, _, err = nmt("train", data, run, *OPTIONS, "--max-minutes", 0.0001)
    assert code == 0
    assert "(train.max_minutes = 0.0001" in err
    assert load_model(run / "last").card["step"] < 30


@pytest.mark.fault(50, 59)
@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(6, id="at an epoch's end"),
        pytest.param(7, id="in epoch 2", marks=pytest.mark.slow),
        pytest.param(29, id="before the last step", marks=pytest.mark.slow),
    ],
)
def test_stopped_anywhere_it_ends_in_the_same_parameters(stop, uninterrupted, data, run, nmt):
    prepared = open_data(data)
    assert len(train.make_batches(prepared, Run(uninterrupted).read_config().train, Display(quiet=True))) == 6
    assert nmt("train", data, run, *OPTIONS, "--max-steps", stop)[0] == 0
    assert nmt("train", data, run, *OPTIONS)[0] == 0
    assert digest(run)["last"] == digest(uninterrupted)["last"]


@pytest.mark.slow
@pytest.mark.fault(51)
def test_patience_plateau_and_best_score_are_taken_up_after_a_resume(data, run, nmt, tmp_path):
    options = {"learning_rate": 1e-12, "warmup_steps": 0, "schedule": "plateau", "plateau_patience": 1, "patience": 5}
    often = {"max_steps": 20, "eval_every": 2, "log_every": 2, "save_every": 2}
    arguments = [*OPTIONS, *sets("train", {**options, **often})]
    assert nmt("train", data, tmp_path / "whole", *arguments)[0] == 0
    for step in (4, 8, 20):
        assert nmt("train", data, run, *arguments, "--max-steps", step)[0] == 0
    rates = [record["learning_rate"] for record in updates_logged(run)]
    assert rates == [record["learning_rate"] for record in updates_logged(tmp_path / "whole")]
    assert standing(run) == {**standing(tmp_path / "whole"), "stalls": 5}
    assert load_model(run / "best").card["step"] == load_model(tmp_path / "whole" / "best").card["step"]


@pytest.mark.slow
@pytest.mark.fault(49)
def test_another_number_of_devices_makes_no_difference(uninterrupted, data, run, nmt, monkeypatch):
    assert nmt("train", data, run, *OPTIONS, "--max-steps", 15)[0] == 0
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    with started("train", data, run, *OPTIONS) as process:
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, "")
    assert "shared among 2 devices" in err
    ours, theirs = (flat_parameters(model) for model in (run, uninterrupted))
    for name in theirs:  # sums are of other parts, so not bit for bit
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4)
    assert validations(run)[-1]["valid_loss"] == pytest.approx(validations(uninterrupted)[-1]["valid_loss"], rel=1e-4)


@pytest.mark.fault(55)
def test_out_of_memory_is_refused_with_what_to_set(data, run, nmt, monkeypatch):
    def exhausted(*arguments: Any) -> Any:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")

    monkeypatch.setattr(train.Updates, "__call__", exhausted)
    code, _, err = nmt("train", data, run, *OPTIONS, "--quiet")
    assert code == Exit.RESOURCE
    assert "out of memory with train.batch_tokens = 80" in err
    assert "--set train.batch_tokens=40 --set train.accumulate=2" in err


@pytest.mark.fault(55)
@pytest.mark.parametrize(
    ("free", "left", "hint"),
    [
        (500_000, "0 MiB", "--set train.batch_tokens=20 --set train.accumulate=4"),
        (2_000_000, "2 MiB", "--set train.batch_tokens=40 --set train.accumulate=2"),
        (1000, "0 MiB", "a smaller model"),
    ],
)
def test_batches_that_will_not_fit_are_refused_before_the_first_update(free, left, hint, data, run, nmt, monkeypatch):
    needed = {80: 3_000_000, 40: 1_000_000, 20: 400_000}  # bytes, by the target tokens of the largest batch
    monkeypatch.setattr(train.Updates, "ask", lambda self, state, batch, rng: in_the_past(batch.target_in.size))
    monkeypatch.setattr(train_batches.memory, "needed", lambda program: needed[program])
    monkeypatch.setattr(train_batches.memory, "free", lambda device: free)
    code, _, err = nmt("train", data, run, *OPTIONS)
    assert code == Exit.RESOURCE
    assert f"an update with train.batch_tokens = 80 needs 3 MiB of memory, and {left} are free" in err
    assert hint in err
    assert checkpoint.saved(Run(run)) == []


def test_memory_compiling_and_waiting_are_told(data, run, nmt):
    _, _, err = nmt("train", data, run, *OPTIONS, "--max-steps", 8)
    assert re.search(r"^memory: \d+ MiB of state, \d+ MiB for an update; [\d.]+ [GM]iB are free$", err, re.MULTILINE)
    assert re.search(r"^compiled 1 shape in [\d.]+ s; [\d.]+% of the time was spent waiting for", err, re.MULTILINE)
    assert all(0 <= record["waiting_for_data"] <= 1 for record in updates_logged(run))


@pytest.mark.slow
def test_no_more_is_compiled_than_there_are_shapes(home, run, nmt):
    data = prepare(home, "lengths", seed=2, words=(2, 5, 12))
    compiled: list[str] = []

    def count(event: str, seconds: float, **more: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(threading.current_thread().name)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        assert nmt("train", data, run, *OPTIONS, "--set", "train.max_shapes=3", "--max-steps", 12)[0] == 0
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert sum(name.startswith("compile") for name in compiled) == 3
    assert len(compiled) <= 3 + MOST_OTHER_PROGRAMS


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([("un", "one")], id="one pair"),
        pytest.param([("un", "un")] * 40, id="one token", marks=pytest.mark.slow),
        pytest.param([("a b", "c d")] * 40, id="identical lines", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_the_smallest_corpora_train_and_translate(tmp_path, nmt, pairs):
    for side in (0, 1):
        (tmp_path / f"{side}").write_text("".join(f"{pair[side]}\n" for pair in pairs))
    assert nmt("prepare", tmp_path / "data", "-s", tmp_path / "0", "-t", tmp_path / "1", "-q")[0] == 0
    assert nmt("train", tmp_path / "data", tmp_path / "run", *OPTIONS, "--max-steps", 2)[0] == 0
    code, out, _ = nmt("translate", tmp_path / "run", tmp_path / "0", "-q")
    assert (code, out.count("\n")) == (0, len(pairs))


@pytest.mark.fault(48)
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_configuration_that_was_changed_by_hand_or_lost_is_refused(ended, data, nmt, damage):
    text = (ended / "config.json").read_text()
    (ended / "config.json").unlink()
    if damage == "changed":
        (ended / "config.json").write_text(text.replace('"learning_rate": 0.02', '"learning_rate": 0.03'))
    before = digest(ended)
    code, _, err = nmt("train", data, ended, "--max-steps", 40)
    assert (code, "config.json" in err) == (Exit.INTEGRITY, True)
    assert digest(ended) == before
