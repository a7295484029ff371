"""What `nmt verify` knows of a path: which of its files are as they were written, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt_cli.data.manifest import check_file, read_manifest
from nmt_cli.errors import UserError
from nmt_cli.run import checkpoint
from nmt_cli.run.directory import Run
from nmt_cli.run.model import siblings
from nmt_cli.run.report import kind_of


@dataclass
class Part:
    """A folder with a manifest, or a file that holds its own checksum, after the check."""

    path: Path
    files: int = 0  # held against their checksums
    bytes: int = 0  # in these files
    problems: list[str] = field(default_factory=list)


@dataclass
class Examination:
    """All parts of a data directory, a run or a model."""

    kind: str  # data, run or model
    path: Path
    parts: list[Part]

    @property
    def problems(self) -> list[str]:
        """What is wrong, a sentence for each file."""
        return [problem for part in self.parts for problem in part.problems]

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it; paths are relative to `path`."""
        parts = [
            {"part": part.path.relative_to(self.path).as_posix(), "files": part.files, "bytes": part.bytes}
            | {"problems": part.problems}
            for part in self.parts
        ]
        return {"kind": self.kind, "path": str(self.path), "parts": parts, "intact": not self.problems}


def examine(path: Path) -> Examination:
    """Read every byte at a path and hold it against its checksum; a problem with one file does not hide the next.

    Raises UserError (USAGE) when the path is no data directory, run or model.
    """
    kind = kind_of(path)
    return Examination(kind, path, list(examine_run(Run(path))) if kind == "run" else [examine_folder(path)])


def examine_folder(folder: Path) -> Part:
    """Hold every file that the manifest of a folder lists against it."""
    part = Part(folder)
    try:
        listed = read_manifest(folder)["files"]
    except UserError as error:
        part.problems.append(error.what)
        return part
    for name, entry in listed.items():
        try:
            check_file(folder, name, entry)
        except UserError as error:
            part.problems.append(error.what)
        except OSError as error:
            part.problems.append(f"{error.filename}: {error.strerror}")
        else:
            part.files, part.bytes = part.files + 1, part.bytes + entry["bytes"]
    return part


def examine_run(run: Run) -> Iterator[Part]:
    """The configuration, every checkpoint and both models of a run."""
    yield examine_config(run)
    for folder in checkpoint.saved(run):
        part = examine_folder(folder)
        # Files all as the manifest says, and yet not a checkpoint.
        if not part.problems and (problem := checkpoint.damage(folder)):
            part.problems.append(problem)
        yield part
    for place in (run.best, run.last):
        folder = place if place.exists() else siblings(place)[1]
        if folder.exists():
            yield examine_folder(folder)


def examine_config(run: Run) -> Part:
    """A run's config.json, which holds its own checksum; those of the first versions have none."""
    part = Part(run.config_file)
    try:
        if run.read_config() is None:
            part.problems.append(f"{run.config_file} is missing")
        elif run.config_is_sealed():
            part.files, part.bytes = 1, run.config_file.stat().st_size
    except UserError as error:
        part.problems.append(error.what)
    return part
