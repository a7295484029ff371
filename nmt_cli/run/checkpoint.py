"""Checkpoints of a training: the newest one that is whole is found again after any crash.

    checkpoints/00000500/state/         the arrays, by Orbax
    checkpoints/00000500/arrays.json    path, shape and dtype of every leaf of the state
    checkpoints/00000500/progress.json  step and whatever else the training wants back
    checkpoints/00000500/MANIFEST.json  SHA-256 and size of every file: the commit record, written last

A save works in a hidden folder that gets its final name when everything in it is on the disk. So a folder with a final
name was once whole; if it no longer verifies, something else has damaged it, and it is never deleted, only set aside.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt_cli.data.manifest import MANIFEST, sync, verify_manifest, write_manifest
from nmt_cli.data.staging import writing
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.directory import Run

FINAL_NAME = re.compile(r"\d{8,}")
FILES = {"arrays.json", "progress.json"}  # beside those of Orbax
SAVING, REMOVING = ".saving-", ".removing-"  # folders of our own that a crash may leave behind


def save(run: Run, step: int, state: Any, progress: Mapping[str, Any], keep: int) -> Path:
    """Write a checkpoint of `state`, a pytree of arrays and numbers; it is on the disk when this returns.

    progress: what JSON can hold, given back by `restore`.
    keep: checkpoints to keep, this one included; older ones are removed.
    A step that is already saved and whole is left as it is.
    Raises UserError (RESOURCE), with nothing left of this one and earlier ones untouched.
    """
    from nmt_cli.run import arrays  # Loads jax and orbax, which `nmt info` does without.

    final = run.checkpoints / f"{step:08d}"
    remove_leftovers(run)
    if final.exists() and damage(final) is None:
        return final
    temporary = run.checkpoints / f"{SAVING}{final.name}"
    try:
        with writing(temporary):
            temporary.mkdir()
            arrays.write(temporary, state)
            (temporary / "progress.json").write_text(json.dumps({"step": step, **progress}, indent=2) + "\n")
            write_manifest(temporary)
            set_aside(run, step)
            temporary.rename(final)
            sync(run.checkpoints)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    with writing(run.checkpoints):
        for old in [path for path in saved(run) if int(path.name) <= step and is_committed(path)][:-keep]:
            remove(old)
    return final


def restore(run: Run, like: Any, *, strict: bool = False) -> tuple[int, Any, dict[str, Any]] | None:
    """Step, state and progress of the newest checkpoint that verifies, or None when there is none at all.

    like: a pytree of arrays, numbers or `jax.ShapeDtypeStruct`; the state comes back in its structure, bit for bit,
    and on its shardings.
    strict: refuse a damaged newest checkpoint instead of going back to the one before with a warning.
    Raises UserError (INTEGRITY) when no checkpoint verifies, or when paths, shapes or dtypes differ from `like`.
    """
    from nmt_cli.run import arrays

    passed_over: list[str] = []
    for folder in reversed(saved(run)):
        problem = damage(folder)
        if problem is None:
            for warning in passed_over:
                warn(f"{warning}\n  going back to step {int(folder.name)}")
            progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
            return int(progress.pop("step")), arrays.read(folder, like), progress
        passed_over.append(problem)
        if strict:
            hint = "without --strict the newest checkpoint that is whole is used"
            raise UserError(problem, hint, Exit.INTEGRITY)
    if passed_over:
        what = "no checkpoint is whole:\n  " + "\n  ".join(passed_over)
        hint = f"copy a whole one to {run.checkpoints}, or train in a new run directory; nothing has been deleted"
        raise UserError(what, hint, Exit.INTEGRITY)
    return None


def saved(run: Run) -> list[Path]:
    """Every folder with a checkpoint's final name, whole or not, by step: never by time, which may jump."""
    try:
        entries = list(run.checkpoints.iterdir())
    except FileNotFoundError:
        return []
    return sorted((e for e in entries if FINAL_NAME.fullmatch(e.name) and e.is_dir()), key=lambda e: int(e.name))


def is_committed(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint, in words, or None when every byte is as it was written."""
    if not is_committed(folder):
        return f"{folder}: incomplete: it has no {MANIFEST} (half copied?)"
    try:
        listed = verify_manifest(folder)
    except UserError as error:
        return error.what
    missing = FILES - set(listed["files"])
    return f"{folder}: incomplete: {MANIFEST} does not list {', '.join(sorted(missing))}" if missing else None


def remove_leftovers(run: Run) -> None:
    """Delete what killed saves and removals of ours left behind; nothing else has such names."""
    with writing(run.checkpoints):
        run.checkpoints.mkdir(exist_ok=True)  # Not its parent: a run that was removed does not come back.
        sync(run.path)
        for entry in list(run.checkpoints.iterdir()):
            if entry.name.startswith((SAVING, REMOVING)):
                shutil.rmtree(entry)


def remove(folder: Path) -> None:
    """Delete a checkpoint; killed in between, it leaves no half of one under a final name."""
    doomed = folder.with_name(f"{REMOVING}{folder.name}")
    folder.rename(doomed)
    shutil.rmtree(doomed)


def set_aside(run: Run, step: int) -> None:
    """Rename damaged checkpoints from `step` on, which `restore` has passed over, so that they are not met again."""
    for folder in saved(run):
        if int(folder.name) >= step and damage(folder) is not None:
            aside = folder.with_name(f"{folder.name}.damaged")
            number = 1
            while aside.exists():
                number += 1
                aside = folder.with_name(f"{folder.name}.damaged-{number}")
            folder.rename(aside)
            warn(f"{folder} is damaged; renamed to {aside.name}")


def warn(text: str) -> None:
    sys.stderr.write(f"nmt: warning: {text}\n")
