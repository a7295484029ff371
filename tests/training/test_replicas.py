"""Several devices make the update that one would make."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nmt_cli.batch import Batch
from nmt_cli.training.replicas import Replicas

PROGRAM = Path(__file__).parent / "several_devices.py"
EVERYTHING = {"accumulate": 2, "ema_decay": 0.9, "scheduled_sampling": "linear", "sampling_steps": 4}


def differences(devices: int, model: dict[str, Any], train: dict[str, Any], rows: int) -> list[list[float]]:
    """Of loss, parameters and average, between one device and 2, 3, ... devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    paths = os.pathsep.join([str(PROGRAM.parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, PROGRAM, json.dumps(model), json.dumps(train), str(rows)],
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_devices_that_share_a_batch_update_as_one_does():
    found = differences(3, {}, {"accumulate": 2, "ema_decay": 0.9}, rows=12)
    assert len(found) == 2
    assert np.max(found) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "train"),
    [
        pytest.param({"attention": "general"}, {}, id="reference"),
        pytest.param({"attention": "general"}, EVERYTHING, id="accumulated, averaged, sampled"),
        pytest.param(
            {"decoder": "gnmt_v2", "attention": "additive", "input_feeding": False, "decoder_layers": 2,
             "encoder_layers": 2, "zoneout": 0.2, "memory_zoneout": 0.1, "cell": "lstm"},
            {},
            id="layers, zoneout",
        ),
        pytest.param(
            {"cell": "gru", "variational_dropout": True, "state_dropout": 0.3, "source_word_dropout": 0.2,
             "target_word_dropout": 0.2},
            {},
            id="variational, of states and words",
        ),
    ],
)  # fmt: skip
def test_every_random_number_is_drawn_as_on_one_device(model, train):
    assert np.max(differences(2, model, train, rows=12)) < 1e-6


@pytest.mark.slow
def test_rows_that_the_devices_do_not_divide_are_made_up_with_empty_ones():
    without_dropout = {"dropout": 0.0, "attention": "general"}  # other shapes draw other numbers
    assert np.max(differences(3, without_dropout, {"accumulate": 2}, rows=7)) < 1e-6


def test_on_one_device_nothing_is_shared_or_padded():
    batch = Batch(*np.ones((5, 3, 2), np.int32))
    replicas = Replicas(jax.local_devices()[:1])
    assert [array.shape for array in replicas.place_batch(batch)] == [(3, 2)] * 5
    assert replicas.one(batch) is batch
    program = replicas.jit(lambda x: x + 1, ()).lower(np.int32(1)).as_text()
    assert "sharding" not in program
