"""What a run is trained with: made for a new one, kept for a resumed one, and what may change in between."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from nmt_cli import config
from nmt_cli.config import Config
from nmt_cli.errors import Exit, UserError
from nmt_cli.run import device, settings
from nmt_cli.run.device import fast_precision, search_precision
from nmt_cli.run.directory import Run
from nmt_cli.run.settings import MAY_CHANGE, settle


class SomeData:
    """As much of prepared data as settings look at."""

    directory = Path("some/data")
    pair_count = 600_000

    def __init__(self, hash: str = "a" * 64, **options: Any) -> None:
        self.hash = hash
        self.config = Config(data=config.Data(**options))


@pytest.fixture
def run(tmp_path) -> Run:
    """The directory of a run that has not begun."""
    return Run(tmp_path)


@pytest.fixture
def begun(run) -> Run:
    """A run that has begun, with `recipe` and overrides left at what they were."""
    settle(run, SomeData(), None, ["model.dropout=0.1", "train.max_steps=70", "train.precision=float32"], "cpu")
    run.record_sitting("nmt train", "cpu", "a" * 64)
    return run


def refusal(run: Run, *overrides: str, recipe: str | None = None, data: Any = None) -> str:
    """What the user reads; the configuration of the run is as it was."""
    before = run.config_file.read_bytes() if run.config_file.exists() else None
    with pytest.raises(UserError) as refused:
        settle(run, data or SomeData(), recipe, overrides, "cpu")
    assert refused.value.code == Exit.USAGE
    assert (run.config_file.read_bytes() if run.config_file.exists() else None) == before
    return str(refused.value)


def test_a_new_run_has_the_defaults_for_its_corpus_and_what_was_set(run):
    settled = settle(run, SomeData(), None, ["train.seed=5"], "cpu")
    assert settled.model.decoder_units == 1024  # for 600,000 pairs
    assert settled.train.seed == 5
    assert run.read_config() == settled


def test_an_override_wins_over_the_recipe(run, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[train]\nseed = 3\nmax_steps = 8\n")
    settled = settle(run, SomeData(), str(recipe), ["train.seed=5"], "cpu")
    assert (settled.train.seed, settled.train.max_steps) == (5, 8)


def test_text_is_treated_as_the_data_was_prepared_and_not_as_the_recipe_says(run, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[data]\ntokenizer = "char"\n')
    assert settle(run, SomeData(lowercase=True), str(recipe), [], "cpu").data == config.Data(lowercase=True)


def test_an_override_of_what_the_data_was_prepared_with_is_refused(run):
    message = refusal(run, "data.lowercase=true")
    assert "data.lowercase = True" in message
    assert "prepared with False" in message
    assert "nmt prepare" in message


def test_an_override_that_says_what_the_data_is_anyway_is_no_harm(run):
    assert settle(run, SomeData(lowercase=True), None, ["data.lowercase=true"], "cpu").data.lowercase


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_accelerators_train_in_bfloat16_unless_told_otherwise(run, platform):
    assert settle(run, SomeData(), None, [], platform).train.precision == "bfloat16"


def test_a_precision_that_was_asked_for_is_kept(run):
    assert settle(run, SomeData(), None, ["train.precision=float32"], "gpu").train.precision == "float32"


@pytest.mark.parametrize(
    ("flags", "in_training", "in_search"),
    [
        ("fpu sse avx512f", "float32", "float32"),
        ("fpu avx512_bf16", "bfloat16", "bfloat16"),
        ("fpu amx_bf16 amx_tile", "bfloat16", "bfloat16"),
        ("fpu amx_bf16 amx_tile amx_int8", "bfloat16", "int8"),
    ],
)
def test_processors_multiply_what_they_multiply_fastest(tmp_path, monkeypatch, flags, in_training, in_search):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(device, "Path", lambda _: tmp_path / "cpuinfo")
    assert (fast_precision("cpu"), search_precision("cpu")) == (in_training, in_search)
    assert search_precision("gpu") == "bfloat16"


def test_a_processor_that_nothing_is_known_of_trains_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "Path", lambda _: tmp_path / "nothing")
    assert fast_precision("cpu") == "float32"


def test_a_resumed_run_keeps_what_it_began_with(begun):
    before = begun.read_config()
    assert settle(begun, SomeData(), None, [], "gpu") == before
    assert before.model.dropout == 0.1


NEW_VALUES = {int: 77, float: 7.5, str: "loss"}


@pytest.mark.parametrize("name", sorted(MAY_CHANGE))
@pytest.mark.fault(48)
def test_what_says_when_to_stop_and_what_to_report_may_change(begun, name):
    section, key = name.split(".")
    value = NEW_VALUES[type(getattr(getattr(Config(), section), key))]
    settled = settle(begun, SomeData(), None, [f"{name}={value}"], "cpu")
    assert getattr(getattr(settled, section), key) == value
    assert begun.read_config() == settled


def test_the_search_may_change(begun):
    assert settle(begun, SomeData(), None, ["search.beam=9"], "cpu").search.beam == 9


@pytest.mark.parametrize(
    "change",
    [
        *("model.dropout=0.3", "model.decoder_units=12", "train.seed=9", "train.batch_tokens=99"),
        *("train.learning_rate=1", "train.optimizer=sgd", "train.ema_decay=0.5", "train.precision=bfloat16"),
    ],
)
@pytest.mark.fault(48)
def test_what_would_make_it_another_training_is_refused_by_name(begun, change):
    name, _, value = change.partition("=")
    message = refusal(begun, change)
    assert f"{name}: " in message
    assert value in message
    assert "new run directory" in message


def test_a_refusal_lists_every_change(begun):
    message = refusal(begun, "model.dropout=0.3", "train.seed=9", "train.max_steps=9")
    assert "model.dropout: 0.1 -> 0.3" in message
    assert "train.seed: 1 -> 9" in message
    assert "max_steps" not in message


def test_what_a_recipe_changes_is_refused_as_well(begun, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[model]\ndropout = 0.4\n")
    assert "model.dropout: 0.1 -> 0.4" in refusal(begun, recipe=str(recipe))


def test_precision_auto_stays_what_it_has_become(begun):
    assert settle(begun, SomeData(), None, ["train.precision=auto"], "gpu").train.precision == "float32"


@pytest.mark.fault(48)
def test_other_data_is_refused(begun):
    message = refusal(begun, data=SomeData("b" * 64))
    assert "other data" in message
    assert "some/data" in message


def test_combinations_are_checked_again_when_something_changes():
    old = dataclasses.replace(Config(), model=config.Model(encoder_units=8, decoder_units=8, bridge="last"))
    with pytest.raises(UserError, match="bridge"):
        settings.overlay(old, {"model": {"decoder_units": 16}})
