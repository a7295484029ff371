"""Loops of an update as CUDA graphs: many kernels for one launch, where a trial finds that right and faster.

Left to itself, XLA launches a recurrent step at a time from the host, which a GPU waits for. It can record whole loops
("command buffers"), but in some versions that has ended the process, beyond the reach of any `except` (openxla/xla,
pull request 35760). So each choice makes some updates of a small model in a process of its own before a training relies
on it. What came of it is kept for the next start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.config import Model, Train
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.training.programs import Updates
from nmt_cli.training.replicas import Replicas
from nmt_cli.training.state import initial_state

RECORDED = "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,CONDITIONAL,WHILE"  # no collectives
DEFAULT = "steps"
CHOICES: dict[str, dict[str, Any]] = {
    DEFAULT: {},  # what the compiler does when it is not told otherwise
    "loops": {"xla_gpu_enable_command_buffer": RECORDED},
    "unrolled": {"xla_gpu_enable_command_buffer": RECORDED, "xla_gpu_command_buffer_unroll_loops": True},
}
PATIENCE = 180  # seconds that a trial may take
GAIN = 1.05  # times as fast as the default that a choice must be
ROUNDS = 8  # of a trial, in each an update of every batch
VOCABULARY = 100


class Trial(NamedTuple):
    """What came of a choice."""

    losses: list[float]  # of each update
    seconds: float  # of the fastest round of updates


def compiler_options(folder: Path, note: Callable[[str], object]) -> dict[str, Any]:
    """The compiler's options for updates on the GPUs of this machine.

    folder: where the outcome of the trials is kept; only this user can write there. note: says a line to the user.
    """
    place, name = folder / "cuda-graphs.json", identity()
    known = read(place)
    choice = known.get(name)
    if choice not in CHOICES:
        note("trying CUDA graphs on this GPU, once: a minute or so ...")
        trials = {choice: run_trial(choice) for choice in CHOICES}
        choice = chosen(trials)
        if trials[DEFAULT]:  # or it was the machine, not the choice, that failed
            write(place, {**known, name: choice})
    note(f"CUDA graphs: {choice}")
    return CHOICES[choice]


def identity() -> str:
    """What the outcome depends on: the devices, and who compiles and drives them."""
    devices = jax.local_devices()
    platform = " ".join(devices[0].client.platform_version.split())
    return f"{len(devices)} x {devices[0].device_kind}, {platform}, jaxlib {version('jaxlib')}"


def read(place: Path) -> dict[str, str]:
    """The choice by what it depends on; none where nothing is kept, or it is damaged."""
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found = known.items() if isinstance(known, dict) else ()
    return {name: choice for name, choice in found if isinstance(choice, str)}


def write(place: Path, known: Mapping[str, str]) -> None:
    """Keep the choices. Where that fails, they are tried again next time."""
    new = place.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        new.write_text(json.dumps(known, indent=1), encoding="utf-8")
        new.replace(place)


def chosen(trials: Mapping[str, Trial | None]) -> str:
    """The fastest choice with the losses of the default; the default where nothing is clearly faster."""
    best, default = DEFAULT, trials[DEFAULT]
    least = default.seconds / GAIN if default else 0.0
    for choice, trial in trials.items():
        if default and trial and trial.seconds < least and np.allclose(trial.losses, default.losses, rtol=1e-2):
            best, least = choice, trial.seconds
    return best


def run_trial(choice: str, units: int = 512) -> Trial | None:
    """A choice in a process of its own; None where that does not end well."""
    command = [sys.executable, "-m", __name__, choice, str(units)]
    keep: dict[str, Any] = {
        "env": {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},  # this process has most of the memory
        "start_new_session": True,  # Ctrl-C is for this process, and says nothing of the choice
    }
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True, **keep)  # noqa: S603 (ourselves)
        return Trial(**json.loads(done.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return None


def trial(choice: str, units: int) -> Trial:
    """Updates of a model with attention and input feeding, of batches that lie in different places."""
    sizes = Model(embedding_size=units, encoder_units=units, decoder_units=units, attention_units=units)
    model = Seq2Seq(sizes, VOCABULARY, VOCABULARY, jnp.dtype("bfloat16"))
    train = Train(learning_rate=3e-3, warmup_steps=0)  # it learns at once, or a wrong update would not show
    replicas = Replicas(jax.local_devices())
    random, rng = np.random.default_rng(0), replicas.place(jax.random.key(0))
    ids, mask = random.integers(4, VOCABULARY, (3, 64, 24), np.int32), np.ones((64, 24), bool)
    batches = [replicas.place_batch(Batch(x, mask, x, x, mask)) for x in ids]
    params = jax.jit(partial(model.init, method="loss"))(rng, batches[0])["params"]
    state = replicas.place(initial_state(train, params))
    losses, seconds = [], []
    with Updates(model, train, replicas, CHOICES[choice]) as updates:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for batch in batches:
                state, report = updates(state, [batch], rng)
                losses.append(report.loss.smoothed)
            jax.block_until_ready(losses)
            seconds.append(time.perf_counter() - start)
    return Trial([float(loss) for loss in losses], min(seconds))


if __name__ == "__main__":
    print(json.dumps(trial(sys.argv[1], int(sys.argv[2]))._asdict()))  # noqa: T201
