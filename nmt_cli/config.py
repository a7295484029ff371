"""Recipes and configurations: how they are read, laid over each other and checked; the options are in sections.py.

A recipe is TOML with the sections `[data]`, `[model]`, `[train]` and `[search]`. A `Config` is what comes out when
the defaults, the defaults for the size of the corpus, the recipe and `--set section.key=value` are laid over each
other, in that order. It is written as `config.json` into data directories, runs and models.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from nmt_cli.combinations import refusals, searching
from nmt_cli.errors import UserError
from nmt_cli.options import check_value, nearest
from nmt_cli.sections import Data, Model, Search, Train

__all__ = ["Data", "Model", "Search", "Train"]  # the sections of a configuration, used through this file

Sections = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Config:
    """A resolved configuration: what a run does, completely."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    search: Search = field(default_factory=Search)


SEAL = "digest"  # beside the sections of a run's config.json: their checksum, see run/directory.py
SECTIONS: dict[str, type] = {"data": Data, "model": Model, "train": Train, "search": Search}


def defaults_for(pairs: int) -> Sections:
    """The defaults that depend on how many sentence pairs there are.

    Small corpora want few pieces, a small model and much dropout (Sennrich & Zhang 2019, section 3).
    """
    if pairs < 20_000:
        units, vocabulary_size, dropout, steps = 256, 2000, 0.3, 4000
    elif pairs < 500_000:
        units, vocabulary_size, dropout, steps = 512, 8000, 0.3, 10_000
    else:
        units, vocabulary_size, dropout, steps = 1024, 16_000, 0.2, 100_000
    sizes = dict.fromkeys(("embedding_size", "encoder_units", "decoder_units", "attention_units"), units)
    return {
        "data": {"vocabulary_size": vocabulary_size},
        "model": {**sizes, "dropout": dropout},
        "train": {"max_steps": steps},
    }


def resolve(recipe: Sections | None = None, overrides: Iterable[str] = (), pairs: int | None = None) -> Config:
    """Lay defaults, size defaults, recipe and `section.key=value` overrides over each other and check the result.

    pairs: sentence pairs in the corpus; None leaves the size-dependent defaults out.
    Raises UserError naming the option, its range and the nearest known name.
    """
    sections: Sections = {name: {} for name in SECTIONS}
    layers = [defaults_for(pairs) if pairs is not None else {}, recipe or {}, parse_overrides(overrides)]
    for layer in layers:
        for name, values in layer.items():
            sections[name].update(values)
    config = Config(**{name: SECTIONS[name](**values) for name, values in from_sections(sections).items()})
    check_combinations(config)
    return config


def parse_overrides(overrides: Iterable[str]) -> Sections:
    """`section.key=value` strings, each value read as TOML (a bare word is a string)."""
    sections: Sections = {}
    for override in overrides:
        path, equals, text = override.partition("=")
        section, dot, key = path.strip().partition(".")
        if not equals or not dot:
            raise UserError(f"--set {override!r} is not section.key=value", "for example --set model.dropout=0.3")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            value = text.strip()
        sections.setdefault(section, {})[key] = value
    return from_sections(sections)


def search_settings(given: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Settings of the search from options of the command line, where they are not None, and from `--set`.

    Raises UserError for settings of other sections.
    """
    sections = parse_overrides(overrides)
    for name in sections.keys() - {"search"}:
        raise UserError(f"--set {name}.{next(iter(sections[name]))} cannot change a model", "set search.KEY=VALUE only")
    return {**sections.get("search", {}), **{name: value for name, value in given.items() if value is not None}}


def from_sections(sections: object, where: str = "") -> Sections:
    """Check names, types and ranges; ints become floats where floats are meant.

    where: the file they come from, for messages.
    """
    checked: Sections = {}
    if not isinstance(sections, Mapping):
        raise UserError(f"{where}not a configuration", "see recipes/ for examples")
    for name, values in sections.items():
        if name not in SECTIONS:
            raise UserError(f"{where}unknown section [{name}]", nearest(name, SECTIONS))
        if not isinstance(values, Mapping):
            raise UserError(f"{where}[{name}] must be a section of key = value lines")
        known = {f.name: f for f in dataclasses.fields(SECTIONS[name])}
        for key in values:
            if key not in known:
                raise UserError(f"{where}unknown option {name}.{key}", nearest(key, known))
        checked[name] = {
            key: check_value(f"{where}{name}.{key}", known[key], types_of(name)[key], value)
            for key, value in values.items()
        }
    return checked


@cache
def types_of(section: str) -> dict[str, Any]:
    """The type of each option of a section."""
    return get_type_hints(SECTIONS[section])


def check_combinations(config: Config) -> None:
    """Refuse what cannot work together. Raises UserError with the fix."""
    refuse(refusals(config))


def check_search(search: Search, model: Model) -> None:
    """Refuse what cannot work together when a model translates. Raises UserError with the fix."""
    refuse(searching(search, model))


def refuse(refusals: Iterable[tuple[bool, str, str]]) -> None:
    """Raise UserError for the first of these that is so."""
    for refused, what, fix in refusals:
        if refused:
            raise UserError(what, fix)


def recipe_folder() -> Path:
    """Where the shipped recipes are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def load_recipe(name: str) -> Sections:
    """The checked sections of a TOML file, of a `config.json`, or of a shipped recipe by its name.

    Raises UserError with the file and line of what is wrong.
    """
    path = Path(name)
    if not path.is_file():
        path = recipe_folder() / f"{name}.toml"
    if not path.is_file():
        shipped = sorted(p.stem for p in recipe_folder().glob("*.toml"))
        raise UserError(f"there is no recipe {name!r}", f"give a TOML file or one of: {', '.join(shipped)}")
    try:
        text = path.read_text(encoding="utf-8")
        sections = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a readable recipe: {error}", "see recipes/ for examples") from error
    if isinstance(sections, dict) and path.suffix == ".json":
        sections.pop(SEAL, None)
    return from_sections(sections, where=f"{path}: ")


def to_json(config: Config) -> str:
    """The configuration as indented JSON with a newline at its end."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, where: str = "") -> Config:
    """The configuration `to_json` wrote. Raises UserError when it is not one."""
    try:
        sections = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError itself for numbers of thousands of digits
        raise UserError(f"{where}not JSON: {error}") from error
    if isinstance(sections, dict):
        sections.pop(SEAL, None)
    checked = from_sections(sections, where)
    config = Config(**{name: SECTIONS[name](**values) for name, values in checked.items()})
    check_combinations(config)
    return config
