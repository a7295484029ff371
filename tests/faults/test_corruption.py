"""Every file of a data directory, a run and a model, damaged in every way: nothing of it is ever loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nmt_cli.config import Config
from nmt_cli.data.store import open_data
from nmt_cli.errors import Exit, UserError
from nmt_cli.run import checkpoint
from nmt_cli.run.directory import Run
from nmt_cli.run.model import load_model
from nmt_cli.run.verification import examine
from tests.faults.nmt import GOLDEN, call

# What is told of a run but never read to train or to translate carries no checksum.
LOGS = {"metrics.jsonl", "provenance.json", "lock"}


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "flip": flipped,
    "truncate": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "delete": lambda content: None,
    "append": lambda content: content + b"\0",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    """A data directory, a model, and a run with two checkpoints and both models."""
    home = tmp_path_factory.mktemp("corruption")
    (home / "text").write_text("".join(f"une phrase {n} {'mot ' * (n % 5)}\n" for n in range(60)))
    assert call("prepare", home / "data", "-s", home / "text", "-t", home / "text", "-q") == 0
    shutil.copytree(GOLDEN / "model", home / "model")
    run = Run(home / "run")
    run.path.mkdir()
    run.write_config(Config())
    run.record_sitting("nmt train", "cpu", "hash")
    run.log({"step": 2, "loss": 1.0})
    run.lock_file.touch()
    for step in (1, 2):
        state = {"kernel": np.random.default_rng(step).normal(size=(8, 8)), "step": np.asarray(step)}
        checkpoint.save(run, step, state, {}, keep=2)
    for folder in (run.best, run.last):
        shutil.copytree(GOLDEN / "model", folder)
    return {"data": home / "data", "run": run.path, "model": home / "model"}


def load_run(path: Path) -> None:
    """Everything that training and translating read of a run. Raises UserError."""
    run = Run(path)
    if run.read_config() is None:
        raise UserError("config.json is missing", code=Exit.INTEGRITY)  # see run/settings.py
    for folder in checkpoint.saved(run):
        if problem := checkpoint.damage(folder):
            raise UserError(problem, code=Exit.INTEGRITY)
    for folder in (run.best, run.last):
        load_model(folder)


LOADS: dict[str, Callable[[Path], object]] = {"data": open_data, "run": load_run, "model": load_model}


@contextmanager
def written(contents: dict[Path, bytes | None]) -> Iterator[None]:
    """Files with other contents, or without a file, for the time of the block."""
    before = {path: path.read_bytes() for path in contents}
    try:
        for path, content in contents.items():
            path.unlink()
            if content is not None:
                path.write_bytes(content)
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def cases(folder: Path) -> Iterator[tuple[str, dict[Path, bytes | None]]]:
    """Each file damaged in each way that changes it, and swapped with the next that differs."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in LOGS)
    for place, path in enumerate(files):
        content = path.read_bytes()
        for name, damage in DAMAGE.items():
            if content or name == "append":
                yield f"{name} {path.relative_to(folder)}", {path: damage(content)}
        others = [other for other in [*files[place + 1 :], *files[:place]] if other.read_bytes() != content]
        yield f"swap {path.relative_to(folder)}", {path: others[0].read_bytes(), others[0]: content}


@pytest.mark.fault(43, 44, 45, 46)
def test_every_damage_to_every_file_is_noticed_by_who_loads_it_and_by_verify(places, figure):
    found = []
    for kind, folder in places.items():
        LOADS[kind](folder)
        assert examine(folder).problems == []
        for name, contents in cases(folder):
            with written(contents):
                problems, refused = examine(folder).problems, False
                try:
                    LOADS[kind](folder)
                except UserError as error:
                    refused = error.code in (Exit.INTEGRITY, Exit.USAGE)
            is_named = any(path.name in problem for path in contents for problem in problems)
            found.append((kind, name, refused and is_named))
        LOADS[kind](folder)
    assert len(found) > 200
    assert [case for case in found if not case[2]] == []
    figure("corruption matrix", f"{sum(seen for *_, seen in found)} of {len(found)} damages detected")


@pytest.mark.fault(44, 45)
@pytest.mark.parametrize(
    ("kind", "file", "command"),
    [
        ("data", "train.source.ids", ["train", "{}", "{}/../new", "-q"]),
        ("data", "tokenizer.joint.model", ["train", "{}", "{}/../new", "-q"]),
        ("model", "model.safetensors", ["translate", "{}", "/dev/null", "-q"]),
        ("model", "tokenizer.joint.model", ["translate", "{}", "/dev/null", "-q"]),
        ("run", "best/model.safetensors", ["eval", "{}", "-s", "{}/config.json", "-r", "{}/config.json", "-q"]),
    ],
)
def test_the_commands_refuse_a_flipped_bit(places, capfd, kind, file, command):
    path = places[kind] / file
    with written({path: flipped(path.read_bytes())}):
        assert call(*(part.format(places[kind]) for part in command)) == Exit.INTEGRITY
    out, err = capfd.readouterr()
    assert out == ""
    assert Path(file).name in err
