"""Optimizers go downhill; schedules are held against plain NumPy formulas, through jit."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nmt_cli.config import Train
from nmt_cli.training.optimizer import direction, learning_rate

OPTIMIZERS = get_args(get_type_hints(Train)["optimizer"])
SCHEDULES = get_args(get_type_hints(Train)["schedule"])
START = {"kernel": np.linspace(-2.0, 2.0, 12, dtype=np.float32).reshape(3, 4), "bias": np.float32([3.0, -3.0])}
STEPS = np.array([0, 1, 7, 9, 10, 11, 49, 50, 66, 74, 98, 99, 150])


def train(**options: Any) -> Train:
    return Train(**{"learning_rate": 0.25, "warmup_steps": 10, "max_steps": 100, "clip_norm": 0.0, **options})


def quadratic(params: Any) -> jax.Array:
    return 0.5 * optax.tree.norm(params) ** 2


def rates(settings: Train) -> np.ndarray:
    """The rate of each update of STEPS."""
    compiled = jax.jit(lambda step: learning_rate(settings, step))
    return np.array([compiled(jnp.int32(step)) for step in STEPS])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_goes_downhill_in_every_coordinate(optimizer):
    transformation = direction(train(optimizer=optimizer))
    step = jax.jit(
        lambda params: transformation.update(jax.grad(quadratic)(params), transformation.init(params), params)
    )
    directions, _ = step(START)
    for name, start in START.items():
        assert np.isfinite(directions[name]).all()
        np.testing.assert_array_equal(np.sign(directions[name]), np.sign(start))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_hundred_steps_come_near_the_minimum(optimizer):
    # Adadelta finds its own step size, beginning with the root of epsilon; 1.0 is its natural rate.
    rate, options = (1.0, {"epsilon": 1e-4}) if optimizer == "adadelta" else (0.05, {})
    transformation = direction(train(optimizer=optimizer, **options))

    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        directions, state = transformation.update(jax.grad(quadratic)(params), state, params)
        return (jax.tree.map(lambda p, d: p - rate * d, params, directions), state), None

    (params, _), _ = jax.lax.scan(step, (START, transformation.init(START)), length=100)
    assert quadratic(params) < 0.5 * quadratic(START)


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_weight_decay_pulls_towards_zero_where_there_is_no_gradient(optimizer):
    transformation = direction(train(optimizer=optimizer, weight_decay=0.1))
    still = jax.tree.map(jnp.zeros_like, START)
    directions, _ = transformation.update(still, transformation.init(START), START)
    np.testing.assert_allclose(directions["bias"], 0.1 * START["bias"], rtol=1e-6)


def test_adam_does_not_decay_weights():
    transformation = direction(train(optimizer="adam", weight_decay=0.1))
    still = jax.tree.map(jnp.zeros_like, START)
    directions, _ = transformation.update(still, transformation.init(START), START)
    assert not directions["bias"].any()


def test_sgd_without_momentum_is_the_gradient_and_with_momentum_remembers_it():
    gradient = {"bias": jnp.float32([1.0, -2.0])}
    for beta1, expected in [(0.0, 1.0), (0.9, 1.9)]:
        transformation = direction(train(optimizer="sgd", beta1=beta1))
        state = transformation.init(gradient)
        for _ in range(2):
            directions, state = transformation.update(gradient, state)
        np.testing.assert_allclose(directions["bias"], expected * gradient["bias"], rtol=1e-6)


def test_adadelta_is_that_of_the_paper():
    transformation = direction(train(optimizer="adadelta", beta2=0.95, epsilon=1e-6))
    update = jax.jit(transformation.update)
    state, squares, deltas = transformation.init(START), 0.0, 0.0
    for scale in (1.0, -0.5, 3.0):
        gradient = {name: np.float32(scale) * leaf for name, leaf in START.items()}
        directions, state = update(gradient, state, START)
        g = gradient["bias"].astype(np.float64)  # Zeiler 2012, algorithm 1
        squares = 0.95 * squares + 0.05 * g**2
        delta = np.sqrt(deltas + 1e-6) / np.sqrt(squares + 1e-6) * g
        deltas = 0.95 * deltas + 0.05 * delta**2
        np.testing.assert_allclose(directions["bias"], delta, rtol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_rises_in_a_straight_line_to_its_peak(schedule):
    expected = 0.25 * np.minimum((STEPS + 1) / 10, 1.0)
    rising = STEPS < 10
    np.testing.assert_allclose(rates(train(schedule=schedule))[rising], expected[rising], rtol=1e-6)


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_a_constant_rate_stays_at_its_peak(schedule):
    np.testing.assert_array_equal(rates(train(schedule=schedule, warmup_steps=0)), np.float32(0.25))


def test_inverse_sqrt_falls_with_the_root_of_the_update_after_warm_up():
    now = STEPS + 1
    expected = 0.25 * np.minimum(now / 10, np.sqrt(10 / now))  # Vaswani et al. 2017, equation 3, scaled
    np.testing.assert_allclose(rates(train(schedule="inverse_sqrt")), expected, rtol=1e-6)


def test_inverse_sqrt_without_warm_up_starts_at_its_peak():
    expected = 0.25 / np.sqrt(STEPS + 1)
    np.testing.assert_allclose(rates(train(schedule="inverse_sqrt", warmup_steps=0)), expected, rtol=1e-6)


@pytest.mark.parametrize(("decay_steps", "total"), [(0, 100), (60, 60)])
def test_cosine_reaches_zero_at_the_end_and_stays_there(decay_steps, total):
    now = STEPS + 1
    share = np.clip((now - 10) / (total - 10), 0.0, 1.0)
    expected = 0.25 * np.minimum(now / 10, 1.0) * 0.5 * (1.0 + np.cos(np.pi * share))
    actual = rates(train(schedule="cosine", decay_steps=decay_steps))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "halvings"),
    [
        ("luong5", {49: 1, 50: 1, 66: 2, 98: 5, 150: 11}),
        ("luong10", {48: 0, 49: 1, 54: 2, 98: 10}),
        ("luong234", {65: 0, 66: 1, 73: 1, 74: 2, 98: 4}),
    ],
)
def test_luong_decays_halve_the_rate_so_many_times(schedule, halvings):
    compiled = jax.jit(lambda step: learning_rate(train(schedule=schedule), step))
    found = {step: float(-np.log2(compiled(jnp.int32(step)) / 0.25)) for step in halvings}
    assert found == pytest.approx(halvings)
