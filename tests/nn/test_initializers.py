"""How parameters begin."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.initializers import Initial, embedding, orthogonal, uniform

KEY = jax.random.key(3)


@pytest.mark.parametrize("gates", [3, 4])
def test_the_recurrent_matrix_of_each_gate_is_orthogonal(gates):
    units = 16
    kernel = jax.jit(lambda key: orthogonal(gates)(key, (units, gates * units)))(KEY)
    blocks = np.split(np.asarray(kernel), gates, axis=1)
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, np.eye(units), atol=1e-5)
    assert all(not np.allclose(blocks[0], block, atol=0.1) for block in blocks[1:])


@pytest.mark.parametrize("name", list(CELLS))
def test_cells_begin_orthogonal_with_open_forget_gates(name):
    units = 8
    cell = CELLS[name](5, units)
    parameters = jax.jit(lambda key: cell.init(key, method="factors"))(KEY)["params"]
    for block in np.split(np.asarray(parameters["kernel"]), cell.gates, axis=1):
        np.testing.assert_allclose(block.T @ block, np.eye(units), atol=1e-5)
    forget = [1.0 if name.startswith("lstm") and units <= i < 2 * units else 0.0 for i in range(cell.gates * units)]
    np.testing.assert_array_equal(parameters["bias"], forget)


def test_embeddings_have_rows_of_about_unit_length():
    table = jax.jit(lambda key: embedding()(key, (1000, 64)))(KEY)
    assert jnp.square(table).sum(-1).mean() == pytest.approx(1.0, rel=0.02)
    assert table.mean() == pytest.approx(0.0, abs=0.002)


def test_matrices_begin_uniform_with_the_variance_of_glorot():
    kernel = jax.jit(lambda key: uniform()(key, (300, 500)))(KEY)
    assert kernel.var() == pytest.approx(2 / (300 + 500), rel=0.02)
    assert jnp.abs(kernel).max() == pytest.approx((6 / 800) ** 0.5, rel=0.01)


@pytest.mark.parametrize(("kind", "deviation"), [("uniform", 0.08 / 3**0.5), ("normal", 0.08)])
def test_matrices_and_embeddings_begin_in_the_range_of_the_configuration(kind, deviation):
    initial = Initial(kind, 0.08)
    for drawn in (initial.matrix(4), initial.table()):
        assert jax.jit(lambda key, drawn=drawn: drawn(key, (200, 400)))(KEY).std() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(("kind", "is_orthogonal"), [("glorot", True), ("normal", True), ("uniform", False)])
def test_recurrent_matrices_are_orthogonal_unless_all_are_uniform(kind, is_orthogonal):
    kernel = jax.jit(lambda key: Initial(kind, 0.08).recurrent(3)(key, (8, 24)))(KEY)
    assert np.allclose(kernel[:, :8].T @ kernel[:, :8], np.eye(8), atol=1e-5) == is_orthogonal


def test_the_forget_gate_begins_as_open_as_the_configuration_says():
    bias = Initial(forget=2.5).lstm_bias()(KEY, (8,))
    np.testing.assert_array_equal(bias, [0.0, 0.0, 2.5, 2.5, 0.0, 0.0, 0.0, 0.0])
