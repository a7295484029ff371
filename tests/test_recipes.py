"""Every shipped recipe resolves, says what it is for, and is in the table of results."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.testing import CliRunner

from nmt_cli import calling, cli
from nmt_cli.config import load_recipe, recipe_folder, resolve

RECIPES = sorted(path.stem for path in recipe_folder().glob("*.toml"))
HEADINGS = ["Data", "Command", "Hardware", "Time", "Score"]


def head_of(recipe: str) -> str:
    """The comment at the top of a recipe, without its hashes."""
    lines = (recipe_folder() / f"{recipe}.toml").read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:end])


def entries_of(recipe: str) -> dict[str, str]:
    """The head's entries by heading."""
    parts = re.split(rf"^({'|'.join(HEADINGS)}):\s+", head_of(recipe), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands_of(recipe: str) -> list[list[str]]:
    """The command lines of a head, each without its `nmt`."""
    lines = re.split(r"^\s*nmt ", entries_of(recipe)["Command"], flags=re.MULTILINE)[1:]
    return [shlex.split(line) for line in lines]


def test_recipes_are_shipped():
    assert set(RECIPES) >= {"multi30k-fr-en", "multi30k-de-en", "iwslt"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_resolves(recipe):
    resolve(load_recipe(recipe))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("pairs", [100, 30_000, 1_000_000])
def test_a_recipe_resolves_for_corpora_of_any_size(recipe, pairs):
    resolve(load_recipe(recipe), pairs=pairs)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_begins_with_what_it_is(recipe):
    assert re.match(r"[A-Z].{20,}\.\n", head_of(recipe))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_states_data_command_hardware_time_and_score(recipe):
    assert list(entries_of(recipe)) == HEADINGS
    assert all(entry.strip() for entry in entries_of(recipe).values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_commands_of_a_recipe_are_understood(recipe, monkeypatch):
    ran = []
    monkeypatch.setattr(calling, "call", lambda command, given: ran.append(command))
    for command in commands_of(recipe):
        outcome = CliRunner().invoke(cli.app, command)
        assert outcome.exit_code == 0, outcome.output
    assert ran


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_readme_leads_to_the_recipe(recipe):
    assert f"[{recipe}]({recipe}.toml)" in (recipe_folder() / "README.md").read_text(encoding="utf-8")
