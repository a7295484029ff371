"""A folder that appears complete or not at all: written under another name beside its place, then renamed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt_cli.data.manifest import sync


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A folder for the time of the block; what a killed process left under its name is removed first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new, empty folder that takes the place of `folder` when the block ends, and vanishes when it fails.

    A process killed between the two renames leaves the previous content beside its place; the next call puts it back.
    """
    folder = folder.resolve()  # through symbolic links: the folder is replaced, not the link
    previous = beside(folder, "previous")
    put_back(previous, folder)
    with temporary(beside(folder, "unfinished")) as unfinished:
        yield unfinished
        try:
            if folder.exists():
                folder.rename(previous)
            unfinished.rename(folder)
            sync(folder.parent)
        finally:
            put_back(previous, folder)


def put_back(previous: Path, folder: Path) -> None:
    """Undo a replacement that did not come to its end, or remove what it has replaced."""
    if previous.exists() and not folder.exists():
        previous.rename(folder)
    elif previous.exists():
        shutil.rmtree(previous)


def beside(folder: Path, purpose: str) -> Path:
    """A hidden name on the same disk."""
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.{purpose}")
