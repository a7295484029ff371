"""The mean of a run's checkpoints as a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nmt_cli.data.lexicon import model_files
from nmt_cli.data.manifest import verify_manifest
from nmt_cli.errors import Exit, UserError
from nmt_cli.run import checkpoint
from nmt_cli.run.directory import Run
from nmt_cli.run.model import CARD, find_model, read_card, save_model, unflatten


def choose(run: Run, last: int | None, steps: Sequence[int]) -> list[Path]:
    """The checkpoints of these steps, or the last so many (None: all there are), each checked against its manifest.

    Raises UserError: USAGE naming the steps there are, INTEGRITY for a damaged one.
    """
    folders = {int(folder.name): folder for folder in checkpoint.saved(run)}
    if not folders:
        raise UserError(f"{run.path}: there are no checkpoints in this run", "give the directory of a training")
    there = f"its checkpoints are of the steps {', '.join(map(str, folders))}"
    if missing := [step for step in steps if step not in folders]:
        raise UserError(f"{run.path}: there is no checkpoint of step {missing[0]}", there)
    if last is not None and last > len(folders):
        more = "train.keep says how many a training keeps"
        raise UserError(f"{run.path}: {last} checkpoints are asked for, {len(folders)} are there", f"{there}; {more}")
    chosen = [folders[step] for step in sorted(set(steps))] or list(folders.values())[-(last or len(folders)) :]
    for folder in chosen:
        if problem := checkpoint.damage(folder):
            hint = "choose others with --step; `nmt train` goes on from the newest that is whole"
            raise UserError(problem, hint, Exit.INTEGRITY)
    return chosen


def mean(folders: Sequence[Path]) -> dict[str, np.ndarray]:
    """The mean of the parameters in checkpoints, by path, float32; summed as float64, in the order of the steps.

    Of a checkpoint that has a moving average of them, it is that which counts: it is what translates.
    Raises UserError (INTEGRITY) when they are not of one model.
    """
    from nmt_cli.run import arrays  # Orbax takes seconds to load, and a mistake in the arguments should not wait for it

    total: dict[str, np.ndarray] = {}
    for folder in folders:
        found = arrays.read_under(folder, "average") or arrays.read_under(folder, "params")
        if not found or (total and shapes_of(found) != shapes_of(total)):
            raise UserError(f"{folder}: it is not of the same model as {folders[0]}", code=Exit.INTEGRITY)
        total = {path: array + total.get(path, np.zeros((), np.float64)) for path, array in found.items()}
    return {path: (array / len(folders)).astype(np.float32) for path, array in total.items()}


def shapes_of(parameters: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {path: array.shape for path, array in parameters.items()}


def save_average(run: Run, folders: Sequence[Path], output: Path, sitting: Mapping[str, Any]) -> None:
    """Write the mean of checkpoints as a model folder, with what made it in its card.

    sitting: see `nmt_cli.run.directory.provenance`. Raises UserError: INTEGRITY where the run is damaged, RESOURCE
    where the folder cannot be written.
    """
    config = run.read_config()
    if config is None:
        raise UserError(f"{run.path}: it has no config.json", "give the directory of a training", Exit.INTEGRITY)
    model = find_model(run.path)
    verify_manifest(model)
    known = read_card(model / CARD)
    steps = [int(folder.name) for folder in folders]
    card: dict[str, Any] = {
        **{name: known[name] for name in ("source_language", "target_language", "data") if name in known},
        "step": steps[-1],
        "provenance": {**sitting, "averaged_steps": ", ".join(map(str, steps))},
    }
    parameters = unflatten(mean(folders), run.checkpoints)
    save_model(output, parameters, config, (known["source_size"], known["target_size"]), model_files(model), card)
