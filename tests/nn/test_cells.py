"""Each cell's step and its run over a sentence, against the papers' equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.recurrence import scan
from tests.nn import reference

B, I, H, T = 3, 2, 4, 5  # noqa: E741
every_cell = pytest.mark.parametrize("name", list(CELLS))
precisions = pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-5)])


def random_cell(name, seed=0):
    """The module and random float64 parameters."""
    cell = CELLS[name](I, H)
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), method="factors"))["params"]
    rng = np.random.default_rng(seed)
    return cell, {key: rng.normal(size=leaf.shape) for key, leaf in shapes.items()}


def random_state(name):
    rng = np.random.default_rng(1)
    return {key: rng.normal(size=(B, H)) for key in reference.empty_state(name, H)}


def stepped(name, parameters, state, inputs, dtype, over_time):
    """The state after one input [B I], or the states after each of [T B I]."""
    cell = CELLS[name](I, H, dtype)
    parameters = {key: jnp.asarray(leaf, dtype) for key, leaf in parameters.items()}

    def call(module, state, inputs):
        projected, factors = module.project(module.input_factors(), inputs), module.factors()
        if not over_time:
            return module.step(factors, state, projected)
        return scan(lambda f, s, x: (module.step(f, s, x),) * 2, factors, state, projected)[1]

    start = type(cell.state(jnp.zeros((B, H))))(**{key: jnp.asarray(leaf, dtype) for key, leaf in state.items()})
    return jax.jit(lambda p, s, x: cell.apply({"params": p}, s, x, method=call))(
        parameters, start, jnp.asarray(inputs, dtype)
    )


@every_cell
@precisions
def test_a_step_equals_the_equations(name, dtype, tolerance):
    _, parameters = random_cell(name)
    state, inputs = random_state(name), np.random.default_rng(2).normal(size=(B, I))
    with jax.enable_x64(dtype == jnp.float64):
        found = stepped(name, parameters, state, inputs, dtype, over_time=False)._asdict()
    for row in range(B):
        before = {key: leaf[row] for key, leaf in state.items()}
        for key, wanted in reference.CELLS[name](parameters, before, inputs[row]).items():
            np.testing.assert_allclose(found[key][row], wanted, rtol=tolerance, atol=tolerance)


@every_cell
@precisions
def test_a_sentence_equals_the_equations(name, dtype, tolerance):
    _, parameters = random_cell(name)
    inputs = np.random.default_rng(2).normal(size=(T, B, I))
    zeros = {key: np.zeros((B, H)) for key in random_state(name)}
    with jax.enable_x64(dtype == jnp.float64):
        found = stepped(name, parameters, zeros, inputs, dtype, over_time=True)._asdict()
    for row in range(B):
        for time, state in enumerate(reference.run(name, parameters, inputs[:, row])):
            for key, wanted in state.items():
                np.testing.assert_allclose(found[key][time, row], wanted, rtol=tolerance, atol=tolerance)


@every_cell
def test_a_state_made_of_a_hidden_vector_has_nothing_else_in_it(name):
    state = CELLS[name].state(jnp.ones((B, H)))._asdict()
    assert state.pop("hidden").all()
    assert not any(leaf.any() for leaf in state.values())
