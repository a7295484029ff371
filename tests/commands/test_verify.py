"""`nmt verify` names every file that is not as it was written."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from nmt_cli.config import Config, to_json
from nmt_cli.data.manifest import write_manifest
from nmt_cli.errors import Exit
from nmt_cli.run import checkpoint
from nmt_cli.run.directory import Run
from tests.faults.nmt import GOLDEN, call


@pytest.fixture
def model(tmp_path) -> Path:
    shutil.copytree(GOLDEN / "model", tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def run(tmp_path, model) -> Run:
    """A run with two checkpoints and a best model."""
    run = Run(tmp_path / "run")
    run.path.mkdir()
    run.write_config(Config())
    for step in (1, 2):
        checkpoint.save(run, step, {"kernel": np.ones((2, 2))}, {}, keep=2)
    shutil.copytree(model, run.best)
    return run


def test_an_intact_run_is_said_to_be_with_what_was_checked(run, capsys):
    assert call("verify", run.path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "config.json",
        "checkpoints/00000001",
        "checkpoints/00000002",
        "best",
    ]
    assert re.fullmatch(r"best: intact; 6 files, [\d.]+ kB, SHA-256 right", lines[3])
    assert all("intact" in line for line in lines)


def test_every_damaged_file_is_named(run, capsys):
    (run.best / "config.json").write_text("{}")
    (run.best / "card.json").unlink()
    os.truncate(run.checkpoints / "00000001" / "progress.json", 1)
    assert call("verify", run.path) == Exit.INTEGRITY
    out, err = capsys.readouterr()
    assert [line.split(";")[0] for line in out.splitlines()] == [
        "config.json: intact",
        "checkpoints/00000001: DAMAGED",
        "checkpoints/00000002: intact",
        "best: DAMAGED",
    ]
    for problem in ("best/config.json has 2 bytes", "best/card.json is missing", "00000001/progress.json has 1 bytes"):
        assert problem in err


def test_json_has_every_part(run, capsys):
    (run.best / "config.json").unlink()
    assert call("verify", run.path, "--json") == Exit.INTEGRITY
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["path"], found["intact"]) == ("run", str(run.path), False)
    assert [part["part"] for part in found["parts"]][-1] == "best"
    assert [len(part["problems"]) for part in found["parts"]] == [0, 0, 0, 1]


def test_a_model_and_a_data_directory_are_checked(model, tmp_path, capsys):
    (tmp_path / "text").write_text("un mot\n" * 9)
    assert call("prepare", tmp_path / "data", "-s", tmp_path / "text", "-t", tmp_path / "text", "-q") == 0
    for kind in ("model", "data"):
        assert call("verify", tmp_path / kind) == 0
        assert capsys.readouterr().out.startswith(f"{kind}: intact; ")


def test_a_checkpoint_that_is_none_is_said_although_its_files_are_right(run, capsys):
    (run.checkpoints / "00000002" / "progress.json").unlink()
    write_manifest(run.checkpoints / "00000002")
    assert call("verify", run.path) == Exit.INTEGRITY
    assert "does not list progress.json" in capsys.readouterr().err


def test_a_configuration_changed_by_hand_is_damage(run, capsys):
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace('"seed": 1', '"seed": 2'))
    assert call("verify", run.path) == Exit.INTEGRITY
    assert "config.json has changed since it was written" in capsys.readouterr().err


def test_a_configuration_without_checksum_is_said_to_have_none(run, capsys):
    run.config_file.write_text(to_json(Config()))
    assert call("verify", run.path) == 0
    assert "config.json: readable; it carries no checksum" in capsys.readouterr().out


def test_a_folder_without_manifest_is_incomplete(model, capsys):
    (model / "MANIFEST.json").unlink()
    assert call("verify", model) == Exit.INTEGRITY
    assert "MANIFEST.json is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere", "empty", "model/config.json"])
def test_another_path_is_refused(tmp_path, model, name):
    (tmp_path / "empty").mkdir()
    assert call("verify", tmp_path / name) == Exit.USAGE
