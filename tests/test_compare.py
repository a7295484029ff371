"""The comparison of recipes: what it measures, what it writes into README.md, and that it goes on where it was."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPT = Path(__file__).parent.parent / "recipes" / "compare.py"
SMALL = [
    *(f"model.{name}=8" for name in ("embedding_size", "encoder_units", "decoder_units", "attention_units")),
    *("model.encoder_layers=1", "model.decoder_layers=1", "train.log_every=1", "train.max_shapes=2"),
]
MARKED = (
    "# Head\n<!-- compare: table -->\nold\n<!-- compare: end -->\n<!-- compare: plot -->\n<!-- compare: end -->\ntail\n"
)


@pytest.fixture(scope="module")
def compare() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.fixture
def result(compare):
    def make(recipe, bleu, pair="de-en", seed=1, updates=100, minutes=2.0):
        facts = (
            {},
            "python recipes/compare.py train",
            "test",
            bleu,
            "tok:13a",
            1_500_000,
            2000.0,
            minutes,
            "cpu, 2 cores",
        )
        return compare.Result(pair, recipe, updates, seed, *facts)

    return make


def test_a_row_has_the_mean_and_the_deviation_of_its_seeds(compare, result):
    runs = [result("bahdanau2015", 30.0, minutes=1.0), result("bahdanau2015", 34.0, seed=2, minutes=3.0)]
    (row,) = list(compare.rows(runs))[2:]
    assert row == "| [bahdanau2015](bahdanau2015.toml) | 32.0 ± 2.8 | 2 | 100 | 1.5 M | 2,000 | 2 |"


def test_runs_of_another_length_are_another_row(compare, result):
    assert len(list(compare.rows([result("rnmt", 30.0), result("rnmt", 40.0, updates=200)]))) == 2 + 2


def test_a_run_that_diverged_is_told_and_not_averaged(compare):
    assert compare.scores([None, 20.0]) == "20.0, 1 diverged"
    assert compare.scores([None]) == "1 diverged"


def test_every_pair_has_a_table_with_its_test_set_signature_and_command(compare, result):
    text = compare.table([result("rnmt", 30.0), result("rnmt", 40.0, pair="fr-en")])
    assert text.count("| recipe |") == 2
    for told in ("**de-en**", "**fr-en**", "test set test", "`tok:13a`", "on cpu, 2 cores", "compare.py train"):
        assert told in text


def test_the_command_told_makes_the_whole_table_and_names_no_folder(compare):
    pair = ["--pair", "de-en", "/home/me/data", "/home/me/test.de", "/home/me/test.en"]
    options = ["--recipes", "rnmt", "--updates", "9", "--set", "model.dropout=0", "--runs", "/home/me/runs"]
    told = compare.told(compare.arguments().parse_args(["train", *pair, *options]))
    assert told == (
        "python recipes/compare.py train --pair de-en data test.de test.en --updates 9 --seeds 1 --set model.dropout=0"
    )


def test_only_its_own_section_of_the_readme_is_written(compare, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(MARKED)
    compare.write_section("table", "new", readme)
    assert readme.read_text() == MARKED.replace("old", "new")


def test_a_readme_without_markers_is_left_alone(compare, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("mine")
    with pytest.raises(SystemExit, match="are missing"):
        compare.write_section("table", "new", readme)
    assert readme.read_text() == "mine"


def test_the_shipped_readme_has_both_sections(compare, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(compare.README.read_text(encoding="utf-8"), encoding="utf-8")
    for section in ("table", "plot"):
        compare.write_section(section, f"new {section}", readme)
    assert all(f"new {section}" in readme.read_text(encoding="utf-8") for section in ("table", "plot"))


@pytest.mark.slow
def test_recipes_are_trained_scored_and_not_trained_again(tmp_path):
    source, target, readme = tmp_path / "train.fr", tmp_path / "train.en", tmp_path / "README.md"
    source.write_text("un chat noir\nle chien dort\nune maison blanche\n" * 20)
    target.write_text("a black cat\nthe dog sleeps\na white house\n" * 20)
    readme.write_text(MARKED)
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)}
    sides = ["--source", source, "--target", target, "--valid-source", source, "--valid-target", target]
    prepare = [sys.executable, "-m", "nmt_cli", "prepare", tmp_path / "data", *sides]
    subprocess.run([*prepare, "--set", "data.tokenizer=word"], check=True, env=environment)
    pair = ["--pair", "fr-en", tmp_path / "data", source, target]
    recipes = ["--recipes", "bahdanau2015", "cho2014"]
    written_to = ["--readme", readme, "--runs", tmp_path / "runs"]
    small = [part for setting in SMALL for part in ("--set", setting)]

    def run():
        command = [sys.executable, SCRIPT, "train", *pair, *recipes, "--updates", "2", *written_to, *small]
        return subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stderr

    assert run().count("$ nmt train") == 2
    written = readme.read_text()
    assert "[bahdanau2015]" in written
    assert "[cho2014]" in written
    assert str(tmp_path) not in written
    results = tmp_path / "runs" / "fr-en"
    kept = {recipe: json.loads((results / f"{recipe}.2.1.json").read_text()) for recipe in ("bahdanau2015", "cho2014")}
    assert all(result["parameters"] > 0 for result in kept.values())
    assert all(result["tokens_per_second"] > 0 for result in kept.values())
    assert "$ nmt" not in run()
    assert readme.read_text() == written
    command = [sys.executable, SCRIPT, "speed", *pair, *recipes[:2], *written_to]
    subprocess.run(command, check=True, env=environment)
    assert readme.read_text() != written
    again = {recipe: json.loads((results / f"{recipe}.2.1.json").read_text()) for recipe in kept}
    assert again["bahdanau2015"]["tokens_per_second"] != kept["bahdanau2015"]["tokens_per_second"]
    assert again["cho2014"] == kept["cho2014"]
