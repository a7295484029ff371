"""The mean of checkpoints is a model like any other, and says what it is made of."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from nmt_cli import cli, config
from nmt_cli.data.tokenizer import Tokenizer, save_tokenizers
from nmt_cli.errors import Exit, UserError
from nmt_cli.run import checkpoint
from nmt_cli.run.averaging import choose, mean
from nmt_cli.run.directory import Run
from nmt_cli.run.model import flatten, load_model, save_model


def parameters(value: float) -> dict:
    return {"encoder": {"kernel": np.full((2, 3), value, np.float32)}, "bias": np.arange(4, dtype=np.float32) * value}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run with checkpoints of three steps, whose parameters are 1, 2 and 6 times something."""
    run = Run(tmp_path_factory.mktemp("trained") / "run")
    run.path.mkdir()
    settings = config.Config(data=config.Data(tokenizer="word"))
    run.write_config(settings)
    run.record_sitting("nmt train data run", "cpu", "abc")
    for step, value in ((100, 1.0), (200, 2.0), (300, 6.0)):
        state = {"params": parameters(value), "optimizer": {"mu": parameters(9.0)}, "step": np.int32(step)}
        checkpoint.save(run, step, state, {}, keep=3)
    tokenizer = Tokenizer.train("word", ["le chat"], 10)
    files = save_tokenizers(run.path.parent, tokenizer, tokenizer)
    save_model(run.best, parameters(2.0), settings, (tokenizer.size, tokenizer.size), files, {"data": {"pairs": 7}})
    return run.path


@pytest.fixture
def run(trained, tmp_path) -> Run:
    shutil.copytree(trained, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture
def nmt(monkeypatch, capfd):
    """Runs `nmt ARGUMENTS` in this process: (exit code, stderr)."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["nmt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capfd.readouterr().err

    return call


def test_the_mean_is_that_of_the_parameters_and_of_nothing_else(run):
    found = mean(choose(run, None, []))
    assert found.keys() == {"encoder/kernel", "bias"}
    for path, array in flatten(parameters(3.0)).items():
        np.testing.assert_array_equal(found[path], array)
        assert found[path].dtype == np.float32


def test_the_moving_average_counts_where_there_is_one(run):
    state = {"params": parameters(1.0), "average": parameters(5.0)}
    folder = checkpoint.save(run, 400, state, {}, keep=1)
    np.testing.assert_array_equal(mean([folder])["bias"], parameters(5.0)["bias"])


@pytest.mark.parametrize(
    ("last", "steps", "chosen"), [(None, [], [100, 200, 300]), (2, [], [200, 300]), (None, [300, 100, 300], [100, 300])]
)
def test_checkpoints_are_chosen_by_number_or_by_step(run, last, steps, chosen):
    assert [int(folder.name) for folder in choose(run, last, steps)] == chosen


@pytest.mark.parametrize(("last", "steps"), [(4, []), (None, [150])])
def test_what_is_not_there_is_refused_with_what_is(run, last, steps):
    with pytest.raises(UserError, match="100, 200, 300") as raised:
        choose(run, last, steps)
        assert raised.value.code == Exit.USAGE


def test_a_damaged_checkpoint_is_refused(run):
    path = next(path for path in (run.checkpoints / "00000200" / "state").rglob("*") if path.stat().st_size > 9)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="00000200") as raised:
        choose(run, None, [])
    assert raised.value.code == Exit.INTEGRITY


def test_checkpoints_of_two_models_are_refused(run):
    checkpoint.save(run, 400, {"params": {"bias": np.zeros(3)}}, {}, keep=4)
    with pytest.raises(UserError, match="not of the same model") as raised:
        mean(choose(run, None, []))
    assert raised.value.code == Exit.INTEGRITY


def test_the_command_writes_a_model_that_says_what_it_is(run, nmt):
    code, err = nmt("average", run.path, "--last", 2)
    assert code == 0
    assert "checkpoints of 2 steps (200, 300)" in err
    model = load_model(run.path / "average")
    np.testing.assert_array_equal(model.parameters["bias"], parameters(4.0)["bias"])
    assert (model.card["step"], model.card["data"]) == (300, {"pairs": 7})
    provenance = model.card["provenance"]
    assert (provenance["averaged_steps"], provenance["data_hash"]) == ("200, 300", "abc")
    assert nmt("info", run.path / "average", "--json")[0] == 0
    assert "200, 300" in (run.path / "average" / "README.md").read_text()


def test_a_model_is_replaced_only_where_that_is_wished(run, nmt):
    assert nmt("average", run.path)[0] == 0
    card = run.path / "average" / "card.json"
    code, err = nmt("average", run.path, "--step", 100)
    assert (code, "--force" in err) == (Exit.USAGE, True)
    assert json.loads(card.read_text())["provenance"]["averaged_steps"] == "100, 200, 300"
    assert nmt("average", run.path, "--step", 100, "--force")[0] == 0
    assert json.loads(card.read_text())["provenance"]["averaged_steps"] == "100"


def test_what_is_no_model_is_never_replaced(run, nmt):
    code, err = nmt("average", run.path, "-o", run.path, "--force")
    assert (code, "will not be replaced" in err) == (Exit.USAGE, True)
    assert run.config_file.is_file()


def test_a_directory_without_checkpoints_is_refused(tmp_path, nmt):
    code, err = nmt("average", tmp_path)
    assert (code, "no checkpoints" in err) == (Exit.USAGE, True)
    assert nmt("average", tmp_path, "--last", 1, "--step", 2)[0] == Exit.USAGE
