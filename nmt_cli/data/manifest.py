"""MANIFEST.json: the size and SHA-256 of every file in a folder, written last, so that it is the commit record.

A folder with a manifest that verifies is complete and unchanged. One without a manifest was never finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn

from nmt_cli.errors import Exit, UserError

MANIFEST = "MANIFEST.json"
FORMAT = 1
LARGEST_MANIFEST = 16 * 2**20  # bytes; what a hostile folder can make us read before we look at it


def write_manifest(folder: Path, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Describe every file under a folder, make all of it durable, and return the manifest.

    extra: more JSON to keep under `"extra"`.
    Files and directories are fsynced before the manifest appears under its name. Raises OSError when that fails.
    """
    temporary_name(folder / MANIFEST).unlink(missing_ok=True)  # left by a killed process
    files = {}
    for path in sorted(walk(folder)):
        if path != folder / MANIFEST:
            files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
            sync(path)
    for directory in [path for path in folder.rglob("*") if path.is_dir()]:
        sync(directory)
    body = {"format": FORMAT, "files": files, "extra": dict(extra or {})}
    write_durably(folder / MANIFEST, json.dumps({**body, "digest": digest(body)}, indent=1).encode())
    return body


def verify_manifest(folder: Path, contents: bool = True) -> dict[str, Any]:
    """The manifest of a folder, `{"format", "files", "extra"}`, after checking every file against it.

    contents: False compares sizes only and reads no file.
    Raises UserError (INTEGRITY) naming the file that is missing, cut short, changed, or not allowed: an absolute path,
    one with `..`, a symbolic link, anything but a plain file. Files that the manifest does not list are left alone.
    """
    body = read_manifest(folder)
    for name, entry in body["files"].items():
        check_file(folder, name, entry, contents)
    return body


def check_file(folder: Path, name: str, entry: Mapping[str, Any], contents: bool = True) -> None:
    """Hold one listed file against its entry in the manifest. Raises UserError (INTEGRITY), see `verify_manifest`."""
    path = checked_path(folder, name)
    size = path.stat().st_size
    if size != entry["bytes"]:
        refuse(path, f"has {size:,} bytes instead of {entry['bytes']:,}")
    if contents and hash_file(path) != entry["sha256"]:
        refuse(path, "has changed since it was written: its SHA-256 is another")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest as it was written, itself checked, nothing else. Raises UserError (INTEGRITY)."""
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        refuse(path, "is missing: the folder is incomplete, or not one that nmt wrote")
    if path.stat().st_size > LARGEST_MANIFEST:
        refuse(path, f"is larger than any manifest ({LARGEST_MANIFEST:,} bytes)")
    try:
        body = json.loads(path.read_bytes())
        is_whole = isinstance(body, dict) and body.pop("digest", None) == digest(body) and is_well_formed(body)
    except (ValueError, RecursionError):
        refuse(path, "is not readable JSON")
    if not is_whole:
        refuse(path, "is damaged")
    if body["format"] != FORMAT:
        refuse(path, f"has format {body['format']}; this version of nmt reads format {FORMAT}")
    manifest: dict[str, Any] = body
    return manifest


def is_well_formed(body: dict[str, Any]) -> bool:
    """Whether a manifest has the parts that a manifest has."""
    files = body.get("files")
    return (
        set(body) == {"format", "files", "extra"}
        and isinstance(files, dict)
        and isinstance(body["extra"], dict)
        and all(isinstance(entry, dict) and set(entry) == {"bytes", "sha256"} for entry in files.values())
        and all(type(entry["bytes"]) is int and type(entry["sha256"]) is str for entry in files.values())
    )


def digest(content: Any) -> str:
    """The SHA-256 of JSON-able content, in hexadecimal, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_path(folder: Path, name: str) -> Path:
    """The path of a listed file, which lies inside the folder and is a plain file, links not followed."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or "\0" in name:
        refuse(folder / MANIFEST, f"lists {name[:80]!r}, which is not a path inside the folder")
    path = folder
    for part in parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            refuse(folder / name, "is missing")
        except (OSError, ValueError):  # too long for the system, or with characters that no file name has
            refuse(folder / MANIFEST, f"lists {name[:80]!r}, which cannot be the name of a file")
        if stat.S_ISLNK(mode):
            refuse(path, "is a symbolic link")
    if not stat.S_ISREG(mode):
        refuse(path, "is not a plain file")
    return path


def refuse(path: Path, problem: str) -> NoReturn:
    """Raise the error that says what is wrong with a file."""
    raise UserError(f"{path} {problem}", "copy the folder again, or make it anew", Exit.INTEGRITY)


def walk(folder: Path) -> Iterator[Path]:
    """Every file under a folder; symbolic links and special files are not allowed there."""
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            if not stat.S_ISREG(mode):
                refuse(path, "is not a plain file")
            yield path


def write_durably(path: Path, content: bytes) -> None:
    """Put a file in place at once and for good: temporary name, fsync, rename, fsync of the directory."""
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            flush(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def temporary_name(path: Path) -> Path:
    """Where a file is written before it gets its name."""
    return path.with_name(path.name + ".tmp")


def flush(file: BinaryIO) -> None:
    """Hand a file's content to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Hand a finished file, or the names in a directory, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
