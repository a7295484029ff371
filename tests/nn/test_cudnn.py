"""Layers that cuDNN would run, by JAX's own plain form of that call, against those that are scanned."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from nmt_cli.config import Model
from nmt_cli.nn import cudnn
from tests.nn.small_models import cast, gradient, model, padded_batch, random_parameters

MODELS = {
    "encoder": model("lstm", "general", True, "dense", "none", 2, 1, residual_from=2),
    "encoder-forward": model("lstm", "general", True, "dense", "none", bidirectional=False),
    "decoder": model("lstm", "general", False, "dense", "none", 1, 3, residual_from=3),
    "reversed": model("lstm", "none", False, "last", "none", bidirectional=False, reverse_source=True),
    "decoder-zero": model("lstm", "none", False, "last", "none", 2, 2, bidirectional=False),
    "conditional": model("lstm", "additive", False, "dense", "none", 1, 2, decoder="conditional"),
    "gnmt": model("lstm", "additive", False, "dense", "none", 2, 3, decoder="gnmt", bidirectional_layers=1),
    "gnmt_v2": model("lstm", "normed_bahdanau", False, "zero", "none", 3, 3, decoder="gnmt_v2", residual_from=3),
}
CALLS = {
    "encoder": 2, "encoder-forward": 1, "reversed": 1,  # the encoder's layers, but not towards the beginning
    "decoder": 4, "decoder-zero": 4, "conditional": 2, "gnmt": 4, "gnmt_v2": 5,  # and the decoder's
}  # fmt: skip


def by_its_reference(x, hidden, memory, weights, lengths, *sizes):
    """What `rnn.lstm` computes, by the form of the same in plain JAX that JAX tests it against on a GPU."""
    input_size, units, layers, _, both = sizes
    unpacked = rnn.unpack_lstm_weights(weights, input_size, units, layers, both)
    return rnn.lstm_ref(x, hidden, memory, *unpacked, lengths, *sizes)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in ("conditional", "gnmt") else ()) for name in MODELS]
)
@pytest.mark.usefixtures("double")
def test_layers_by_cudnn_are_layers_that_are_scanned(name, monkeypatch):
    config, calls = dataclasses.replace(MODELS[name], dropout=0.3), []
    given = cast(random_parameters(config), jnp.float64), padded_batch(config), jax.random.key(3)
    scanned = gradient.__wrapped__(config)(*given)
    monkeypatch.setattr(rnn, "lstm", lambda *given: [calls.append(1), by_its_reference(*given)][1])
    monkeypatch.setattr(cudnn, "is_there", lambda: True)
    for one, other in zip(*map(jax.tree.leaves, (gradient.__wrapped__(config)(*given), scanned)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    assert len(calls) == CALLS[name]


def test_it_runs_what_it_can(monkeypatch):
    monkeypatch.setattr(cudnn, "is_there", lambda: True)
    training = jax.random.key(0)
    assert cudnn.runs(Model(), training)
    assert not cudnn.runs(Model(), None)
    for other in ({"cell": "gru"}, {"state_dropout": 0.1}, {"zoneout": 0.1}, {"memory_zoneout": 0.1}):
        assert not cudnn.runs(Model(**other), training)


def test_without_a_gpu_it_is_not_there():
    assert cudnn.is_there() == (jax.default_backend() == "gpu")
