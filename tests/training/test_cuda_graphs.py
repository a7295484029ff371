"""A choice is made by what trials in other processes show; one that dies there costs nothing but the choice."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import jax
import pytest

from nmt_cli.commands import train_batches
from nmt_cli.config import Train
from nmt_cli.training import cuda_graphs
from nmt_cli.training.cuda_graphs import CHOICES, Trial, chosen, compiler_options, run_trial

DEFAULT = Trial([10.0, 8.0], 1.0)
LOOPS_ARE_FASTER = """[ "$3" = loops ] && seconds=0.5 || seconds=1.0; echo '{"losses": [1.0], "seconds": '$seconds'}'"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Have trials run this shell script instead of Python."""

    def put(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


@pytest.mark.parametrize(
    ("loops", "unrolled", "best"),
    [
        (Trial([10.0, 8.0], 0.8), Trial([10.0, 8.0], 0.7), "unrolled"),
        (Trial([10.0, 8.001], 0.6), Trial([10.0, 8.0], 0.7), "loops"),
        (Trial([10.0, 8.0], 0.98), Trial([10.0, 8.0], 1.5), "steps"),
        (None, Trial([10.0, 8.0], 0.7), "unrolled"),
        (None, None, "steps"),
    ],
)
def test_the_fastest_is_chosen_where_it_is_clearly_faster(loops, unrolled, best):
    assert chosen({"steps": DEFAULT, "loops": loops, "unrolled": unrolled}) == best


@pytest.mark.parametrize("losses", [[10.0, 8.5], [10.0, float("nan")]])
def test_a_choice_with_other_losses_is_not_chosen(losses):
    assert chosen({"steps": DEFAULT, "loops": Trial(losses, 0.1), "unrolled": None}) == "steps"


def test_where_the_default_fails_it_stays_the_default():
    assert chosen({"steps": None, "loops": DEFAULT, "unrolled": DEFAULT}) == "steps"


@pytest.mark.parametrize(
    "script", ["kill -ABRT $$", "kill -SEGV $$", "exit 1", "echo gibberish", "echo '{}'", "sleep 9"]
)
def test_a_trial_that_does_not_end_well_is_none(program, monkeypatch, script):
    monkeypatch.setattr(cuda_graphs, "PATIENCE", 0.5)
    program(script)
    assert run_trial("loops") is None


def test_what_came_of_the_trials_is_kept(program, tmp_path):
    program(LOOPS_ARE_FASTER)
    notes = []
    assert compiler_options(tmp_path, notes.append) == CHOICES["loops"]
    program("exit 1")
    assert compiler_options(tmp_path, notes.append) == CHOICES["loops"]
    assert [line for line in notes if "trying" in line] == notes[:1]


def test_a_device_of_another_kind_is_tried_anew(program, tmp_path, monkeypatch):
    program(LOOPS_ARE_FASTER)
    compiler_options(tmp_path, str)
    program("exit 1")
    monkeypatch.setattr(cuda_graphs, "identity", lambda: "another")
    assert compiler_options(tmp_path, str) == {}


@pytest.mark.parametrize("content", ["", "[]", '{"a": ', '{"%s": "gone"}', '{"%s": []}'])
def test_a_damaged_record_is_made_anew(program, tmp_path, content):
    program(LOOPS_ARE_FASTER)
    place = tmp_path / "cuda-graphs.json"
    place.write_text(content.replace("%s", cuda_graphs.identity()))
    assert compiler_options(tmp_path, str) == CHOICES["loops"]
    assert cuda_graphs.read(place)[cuda_graphs.identity()] == "loops"


def test_a_machine_on_which_nothing_runs_is_tried_again(program, tmp_path):
    program("exit 1")
    assert compiler_options(tmp_path, str) == {}
    program(LOOPS_ARE_FASTER)
    assert compiler_options(tmp_path, str) == CHOICES["loops"]


def test_a_folder_that_cannot_be_written_keeps_nothing(program, tmp_path):
    program(LOOPS_ARE_FASTER)
    assert compiler_options(tmp_path / "missing", str) == CHOICES["loops"]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is an accelerator here")
@pytest.mark.parametrize("choice", ["loops", "unrolled"])
@pytest.mark.slow
def test_a_choice_that_says_nothing_to_this_device_changes_nothing(choice):
    assert run_trial(choice, units=4).losses == run_trial("steps", units=4).losses


@pytest.mark.slow
def test_a_trial_learns_enough_to_show_wrong_updates():
    losses = run_trial("steps").losses
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("platform", "setting", "kept", "asked"),
    [
        ("gpu", "auto", True, True),
        ("gpu", "off", True, False),
        ("gpu", "auto", False, False),
        ("tpu", "auto", True, False),
    ],
)
def test_trials_are_for_gpus_and_where_their_outcome_is_kept(tmp_path, monkeypatch, platform, setting, kept, asked):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    monkeypatch.setattr(train_batches, "kept_programs", lambda: tmp_path if kept else None)
    monkeypatch.setattr(cuda_graphs, "compiler_options", lambda folder, note: {"folder": folder})
    options = train_batches.update_options(Train(cuda_graphs=setting), SimpleNamespace(note=str))
    assert options == ({"folder": tmp_path} if asked else {})
