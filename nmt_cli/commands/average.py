"""`nmt average`: the mean of a run's last checkpoints as a model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from nmt_cli.commands.notes import no_note, note
from nmt_cli.errors import UserError
from nmt_cli.run.averaging import choose, save_average
from nmt_cli.run.directory import Run, provenance


def run(run_directory: Path, output: Path | None, last: int | None, step: list[int], force: bool, quiet: bool) -> None:
    """Average the chosen checkpoints into a model folder. Raises UserError where there is one already."""
    say = no_note if quiet else note
    if step and last is not None:
        raise UserError("--step and --last exclude each other", "give one of them")
    training = Run(run_directory)
    folders = choose(training, last, step)
    folder = output if output is not None else run_directory / "average"
    if folder.exists() and not force:
        raise UserError(f"{folder} is there already", "give another folder with -o, or --force to replace it")
    if folder.exists() and not (folder / "model.safetensors").is_file():
        raise UserError(f"{folder} is there and is not a model: it will not be replaced", "give another folder with -o")
    sittings = training.sittings()
    data_hash = str(sittings[-1].get("data_hash", "")) if sittings else ""
    save_average(training, folders, folder, provenance(shlex.join(sys.argv), "cpu", data_hash))
    steps = ", ".join(f"{int(each.name):,}" for each in folders)
    say(f"averaged the checkpoints of {len(folders)} steps ({steps}) into {folder}")
    say(f"next: nmt translate {shlex.quote(str(folder))}")
