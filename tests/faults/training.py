"""A training of seconds through the real command: its text, its options, and what it ended in."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nmt_cli.run import arrays, checkpoint
from nmt_cli.run.directory import Run
from tests.faults.nmt import call

WORDS = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit")
MODEL = {"embedding_size": 8, "encoder_units": 8, "decoder_units": 8, "cell": "gru", "bidirectional": "false"}
TRAIN = {
    "precision": "float32",
    "batch_tokens": 80,
    "warmup_steps": 5,
    "learning_rate": 0.02,
    "max_steps": 30,
    "eval_every": 10,
    "save_every": 6,
    "log_every": 4,
    "eval_lines": 8,
}


def sets(section: str, options: dict[str, Any]) -> list[str]:
    """The options as `--set` arguments."""
    return [part for key, value in options.items() for part in ("--set", f"{section}.{key}={value}")]


OPTIONS = [*sets("model", MODEL), *sets("train", TRAIN), *sets("search", {"beam": 1})]


def prepare(home: Path, name: str, seed: int, with_valid: bool = True, pairs: int = 96) -> Path:
    """Data of sentences of four words, to be translated into capitals: every batch has one shape."""
    chance = random.Random(seed)
    folder = home / f"{name}-text"
    folder.mkdir()
    for part, count in [("train", pairs), ("valid", 8)]:
        lines = [" ".join(chance.choices(WORDS, k=4)) for _ in range(count)]
        (folder / f"{part}.fr").write_text("".join(f"{line}\n" for line in lines))
        (folder / f"{part}.en").write_text("".join(f"{line.upper()}\n" for line in lines))
    held_out = ["--valid-source", folder / "valid.fr", "--valid-target", folder / "valid.en"] if with_valid else []
    files = ["-s", folder / "train.fr", "-t", folder / "train.en", *held_out]
    assert call("prepare", home / name, *files, "--set", "data.tokenizer=word", "--quiet") == 0
    return home / name


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`nmt ARGUMENTS` in a process of its own, which does not outlive the test."""
    command = [sys.executable, "-m", "nmt_cli", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def digest(run: Path) -> dict[str, str]:
    """SHA-256 of the published models and of every array of the last checkpoint."""
    models = {name: (run / name / "model.safetensors").read_bytes() for name in ("best", "last")}
    folder = checkpoint.saved(Run(run))[-1]
    index = json.loads((folder / arrays.INDEX).read_text())
    state = arrays.read(folder, {path: np.zeros(of["shape"], of["dtype"]) for path, of in index.items()})
    content = {**models, **{f"{folder.name}/{path}": array.tobytes() for path, array in state.items()}}
    return {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}


def standing(run: Path) -> dict[str, Any]:
    """What the last checkpoint remembers, but for the time it took."""
    progress = json.loads((checkpoint.saved(Run(run))[-1] / "progress.json").read_text())
    return {name: value for name, value in progress.items() if name != "minutes"}


def logged(run: Path) -> Counter[tuple[int, bool]]:
    """How often each step was logged, updates and validations (True) apart."""
    return Counter((record["step"], "valid_loss" in record) for record in Run(run).metrics())
