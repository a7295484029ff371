"""A folder that appears complete or not at all: written under another name beside its place, then renamed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt_cli.data.manifest import sync
from nmt_cli.errors import Exit, UserError


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A folder for the time of the block; what a killed process left in it is removed first.

    It is locked against other processes; the system lets go of the lock when the process dies.
    Raises UserError (LOCKED) when another process works in it.
    """
    handle = lock(folder)
    try:
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def lock(folder: Path) -> int:
    """Make a folder if need be and lock it; returns the handle that holds the lock. Raises UserError (LOCKED)."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have removed the folder between the two calls: its lock would guard nothing.
            if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            what = f"another process is making {folder.parent / folder.name.removeprefix('.').rpartition('.')[0]}"
            raise UserError(what, "wait for it, stop it, or choose another name", Exit.LOCKED) from None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write into UserError (RESOURCE) that names `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or path}: cannot write: {error.strerror or error}",
            "check that the directory exists and may be written, and that the disk has room",
            Exit.RESOURCE,
        ) from error


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
