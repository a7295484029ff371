"""The configuration of a run: made for a new one, kept for a resumed one, and what may not change in between."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nmt_cli.config import Config, Sections, check_combinations, load_recipe, parse_overrides, resolve
from nmt_cli.data.store import Prepared
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.checkpoint import saved
from nmt_cli.run.device import fast_precision
from nmt_cli.run.directory import Run

# What a resumed run may set anew: it changes when training stops or what is reported, not the updates themselves.
MAY_CHANGE = {
    *("train.max_steps", "train.max_minutes", "train.patience", "train.log_every", "train.save_every", "train.keep"),
    *("train.eval_every", "train.eval_lines", "train.metric"),
}


def settle(run: Run, data: Prepared, recipe: str | None, overrides: Sequence[str], platform: str) -> Config:
    """The resolved configuration of the run, written into it.

    Of a new run: defaults for the corpus, the recipe, the overrides. Of one that is there: its own, with what the
    recipe and the overrides set. The section [data] is what the data was prepared with; a recipe's is left aside.
    Raises UserError (USAGE) that lists what cannot change in a run that has begun.
    """
    asked = load_recipe(recipe) if recipe else {}
    asked.pop("data", None)
    check_data_overrides(data, overrides)
    begun = run.read_config()
    if begun is None and saved(run):
        what = f"{run.config_file} is missing, but the run has checkpoints"
        raise UserError(what, "put it back, or train in a new run directory", Exit.INTEGRITY)
    for sitting in run.sittings():
        refuse_other_data(run, data, sitting.get("data_hash"))
    if begun is None:
        sections = {**asked, "data": dataclasses.asdict(data.config.data)}
        config = resolve(sections, overrides, data.pair_count)
        if config.train.precision == "auto":
            config = overlay(config, {"train": {"precision": fast_precision(platform)}})
    else:
        config = overlay(begun, asked, parse_overrides(overrides))
        if config.train.precision == "auto":
            config = overlay(config, {"train": {"precision": begun.train.precision}})
        refuse_changes(run, begun, config)
    run.write_config(config)
    return config


def refuse_other_data(run: Run, data: Prepared, begun_with: str | None) -> None:
    """Raise UserError when the run has begun with data of another hash."""
    if begun_with != data.hash:
        what = f"{run.path} has begun with other data than what is now in {data.directory}"
        raise UserError(what, "give the data it began with, or train in a new run directory")


def check_data_overrides(data: Prepared, overrides: Sequence[str]) -> None:
    """Refuse to set what was fixed when the data was prepared."""
    prepared = dataclasses.asdict(data.config.data)
    for key, value in parse_overrides(overrides).get("data", {}).items():
        if prepared[key] != value:
            what = f"data.{key} = {value!r}, but {data.directory} was prepared with {prepared[key]!r}"
            raise UserError(what, "prepare again: nmt prepare")


def overlay(config: Config, *layers: Sections) -> Config:
    """The configuration with some options replaced."""
    for layer in layers:
        sections: dict[str, Any] = {
            name: dataclasses.replace(getattr(config, name), **values) for name, values in layer.items()
        }
        config = dataclasses.replace(config, **sections)
    check_combinations(config)
    return config


def refuse_changes(run: Run, old: Config, new: Config) -> None:
    """Raise UserError that lists every change which would make the resumed run another one."""
    changes = [
        f"{section}.{key}: {before!r} -> {after!r}"
        for section in ("data", "model", "train")
        for key, before in dataclasses.asdict(getattr(old, section)).items()
        if (after := getattr(getattr(new, section), key)) != before and f"{section}.{key}" not in MAY_CHANGE
    ]
    if changes:
        what = f"{run.path} has begun with other settings:\n  " + "\n  ".join(changes)
        raise UserError(what, "leave these as they are, or train in a new run directory")
