"""A run directory: what lies where, who may write in it, and its log.

config.json        resolved configuration
provenance.json    one entry a sitting: versions, data, command, device, start
metrics.jsonl      one JSON object a logged step or validation
embeddings.json    what files of word vectors it began with, and how much of the text they cover; absent without
lock               held by the process that trains here
checkpoints/       see `nmt_cli.run.checkpoint`
best/  last/       publishable models, see `nmt_cli.run.model`
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nmt_cli import __version__
from nmt_cli.config import SEAL, Config, from_json, to_json
from nmt_cli.data.manifest import digest, write_durably
from nmt_cli.data.staging import writing
from nmt_cli.errors import Exit, UserError

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "sentencepiece", "sacrebleu", "safetensors")


@dataclass(frozen=True)
class Run:
    """A run directory at `path`, which need not exist yet."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def provenance_file(self) -> Path:
        return self.path / "provenance.json"

    @property
    def embeddings_file(self) -> Path:
        return self.path / "embeddings.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.path / "best"

    @property
    def last(self) -> Path:
        return self.path / "last"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the directory if need be and hold its lock; the system lets go of it when the process dies.

        Raises UserError: LOCKED naming the process that holds it, RESOURCE when nothing can be written here.
        """
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.lock_file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise locked_by(self.path, self.lock_file) from None
            with writing(self.path):
                # Whatever an earlier, dead process left in the file is stale: the lock is ours.
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
            yield
            os.ftruncate(handle, 0)  # Never unlinked: a second process may just have opened it.
        finally:
            os.close(handle)

    def holder(self) -> str | None:
        """The process that trains here, such as `process 71 on host`, or None."""
        try:
            handle = os.open(self.lock_file, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return describe_holder(self.lock_file)
        finally:
            os.close(handle)
        return None

    def write_config(self, config: Config) -> None:
        """Write the resolved configuration with its checksum. Raises UserError (RESOURCE)."""
        sections = json.loads(to_json(config))
        replace_text(self.config_file, json.dumps({**sections, SEAL: digest(sections)}, indent=2) + "\n")

    def read_config(self) -> Config | None:
        """The configuration of the run, or None for a new one. Raises UserError (INTEGRITY) when it is damaged."""
        try:
            text = self.config_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise UserError(f"{self.config_file}: damaged: {error}", code=Exit.INTEGRITY) from error
        try:
            config = from_json(text, where=f"{self.config_file}: ")
        except UserError as error:
            raise UserError(error.what, error.hint, Exit.INTEGRITY) from error
        sections = json.loads(text)
        if sections.pop(SEAL, None) not in (None, digest(sections)):  # None: of a version that wrote no checksum
            what = f"{self.config_file} has changed since it was written"
            raise UserError(what, "put the old one back; what may change is set with --set", Exit.INTEGRITY)
        return config

    def config_is_sealed(self) -> bool:
        """Whether a readable configuration carries its checksum."""
        return SEAL in json.loads(self.config_file.read_text(encoding="utf-8"))

    def write_embeddings(self, reports: Mapping[str, Any]) -> None:
        """Write what word vectors the run begins with, by side. Raises UserError (RESOURCE)."""
        replace_text(self.embeddings_file, json.dumps(reports, indent=2, ensure_ascii=False) + "\n")

    def read_embeddings(self) -> dict[str, dict[str, Any]]:
        """What `write_embeddings` wrote; empty when there is nothing readable."""
        try:
            reports = json.loads(self.embeddings_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {k: v for k, v in reports.items() if isinstance(v, dict)} if isinstance(reports, dict) else {}

    def record_sitting(self, command: str, device: str, data_hash: str) -> None:
        """Add what this process is, reads and runs on to `provenance.json`. Raises UserError (RESOURCE)."""
        sittings = [*self.sittings(), provenance(command, device, data_hash)]
        replace_text(self.provenance_file, json.dumps({"sittings": sittings}, indent=2) + "\n")

    def sittings(self) -> list[dict[str, Any]]:
        """What `record_sitting` wrote, oldest first; empty when there is nothing readable."""
        try:
            sittings = json.loads(self.provenance_file.read_text(encoding="utf-8"))["sittings"]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return [entry for entry in sittings if isinstance(entry, dict)] if isinstance(sittings, list) else []

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a record to `metrics.jsonl`; numbers that are not finite become null. Raises UserError (RESOURCE)."""
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        line = json.dumps(finite, ensure_ascii=False) + "\n"
        with writing(self.metrics_file), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(line)

    def metrics(self) -> list[dict[str, Any]]:
        """The records of `metrics.jsonl` in order; a line cut by a crash is left out."""
        try:
            lines = self.metrics_file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        return [record for record in map(parse_record, lines) if record is not None]

    def rewind_log(self, step: int, validated: int) -> None:
        """Forget records after `step`, validations after `validated`, and torn lines: training goes on from there.

        Raises UserError (RESOURCE).
        """
        if not self.metrics_file.exists():
            return
        kept = [r for r in self.metrics() if r.get("step", 0) <= (validated if "valid_loss" in r else step)]
        replace_text(self.metrics_file, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept))


def parse_record(line: bytes) -> dict[str, Any] | None:
    """A line of `metrics.jsonl`, or None when it is not a whole record."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def replace_text(path: Path, text: str) -> None:
    """Write a small file so that a crash leaves the old or the new one whole. Raises UserError (RESOURCE)."""
    with writing(path):
        write_durably(path, text.encode("utf-8"))


def locked_by(path: Path, lock_file: Path) -> UserError:
    holder = describe_holder(lock_file)
    return UserError(f"{path}: {holder} is training here", "wait for it, stop it, or choose another run", Exit.LOCKED)


def describe_holder(lock_file: Path) -> str:
    """Who wrote the lock file; it may be read in the instant before its holder has written it."""
    try:
        holder = json.loads(lock_file.read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def provenance(command: str, device: str, data_hash: str) -> dict[str, Any]:
    """What a later reader needs to do the same again: versions, data, command, device and the time in UTC."""
    return {
        "command": command,
        "device": device,
        "data_hash": data_hash,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "platform": platform.platform(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, this package and the libraries the numbers depend on, as installed."""
    found = {"python": platform.python_version(), "nmt-cli": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
