"""The scan with weight gradients outside the loop, against autodiff of `jax.lax.scan`."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.recurrence import Factor, scan

B, Q, S, H = 2, 2, 3, 4


def constants_of(seed=0):
    """Weights, keys and values of attention, a plain vector and a mask."""
    rng = np.random.default_rng(seed)
    shapes = {"weight": (H, H), "transposed": (H, H), "keys": (B, S, H), "values": (B, S, H), "bias": (H,)}
    arrays = {name: jnp.asarray(rng.normal(size=shape)) for name, shape in shapes.items()}
    return {**arrays, "mask": jnp.array([[True, True, False], [True, True, True]])}


SPECS = {
    "weight": "...h,hg->...g",
    "transposed": "...h,gh->...g",
    "keys": "bqa,bsa->bqs",
    "values": "bqs,bsd->bqd",
}


def factored(constants, dtype=None):
    return {name: Factor(x, SPECS[name], dtype) if name in SPECS else x for name, x in constants.items()}


def multiply(constants, name, x):
    """The product, whether the constant is a factor or an array."""
    constant = constants[name]
    return constant(x) if isinstance(constant, Factor) else jnp.einsum(SPECS[name], x, constant)


def step(constants, state, inputs):
    """A small attention decoder that stands still where the sentence has ended."""
    hidden, total = state
    x, real = inputs
    new = jnp.tanh(x + multiply(constants, "weight", hidden) + constants["bias"])
    energies = jnp.where(constants["mask"][:, None], multiply(constants, "keys", new), -1e9)
    context = multiply(constants, "values", jax.nn.softmax(energies))
    new = jnp.where(real[:, None, None], jnp.sin(multiply(constants, "transposed", context)) + new, hidden)
    return (new, total + new.sum(-1)), {"context": context, "hidden": new * constants["bias"]}


def problem(length, seed=1):
    """Constants, first state and inputs; sentences of different lengths."""
    rng = np.random.default_rng(seed)
    state = jnp.asarray(rng.normal(size=(B, Q, H))), jnp.asarray(rng.normal(size=(B, Q)))
    real = jnp.arange(length)[:, None] < jnp.array([length, 1])
    return constants_of(), state, (jnp.asarray(rng.normal(size=(length, B, Q, H))), real)


def weighed(results):
    """A number in which every entry of the results has its own weight."""
    rng = np.random.default_rng(3)
    return sum((leaf * rng.normal(size=leaf.shape)).sum() for leaf in jax.tree.leaves(results))


def by_scan(dtype, reverse, constants, state, inputs):
    return scan(step, factored(constants, dtype), state, inputs, reverse)


def by_lax(reverse, constants, state, inputs):
    return jax.lax.scan(lambda state, x: step(constants, state, x), state, inputs, reverse=reverse)


def gradients_of(run, length):
    """Gradients of all float arrays among constants, first state and inputs."""
    constants, state, (x, real) = problem(length)
    mask = constants.pop("mask")

    def value(constants, state, x):
        return weighed(run({**constants, "mask": mask}, state, (x, real)))

    return jax.jit(jax.grad(value, argnums=(0, 1, 2)))(constants, state, x)


cases = pytest.mark.parametrize(("length", "reverse"), [(5, False), (5, True), (1, True)])


@cases
@pytest.mark.usefixtures("double")
def test_states_and_outputs_equal_those_of_lax_scan(length, reverse):
    results = (jax.jit(run)(*problem(length)) for run in (partial(by_scan, None, reverse), partial(by_lax, reverse)))
    for found, wanted in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@cases
@pytest.mark.usefixtures("double")
def test_all_gradients_equal_those_of_lax_scan(length, reverse):
    runs = partial(by_scan, None, reverse), partial(by_lax, reverse)
    found, wanted = (jax.tree_util.tree_leaves_with_path(gradients_of(run, length)) for run in runs)
    for (path, a), (_, b) in zip(found, wanted, strict=True):
        assert b.any(), path
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=jax.tree_util.keystr(path))


@pytest.mark.usefixtures("double")
def test_the_gradient_of_a_factor_equals_finite_differences():
    constants, state, inputs = problem(4)
    direction, width = np.random.default_rng(4).normal(size=(H, H)), 1e-5
    value = jax.jit(lambda weight: weighed(by_scan(None, True, {**constants, "weight": weight}, state, inputs)))
    slope = (
        (value(constants["weight"] + width * direction) - value(constants["weight"] - width * direction)) / 2 / width
    )
    gradient = jax.jit(jax.grad(value))(constants["weight"])
    assert (gradient * direction).sum() == pytest.approx(float(slope), rel=1e-8)


@pytest.mark.usefixtures("double")
def test_differentiating_changes_no_value():
    args = problem(4)
    primal = jax.jit(partial(by_scan, None, False))(*args)
    constants, state, inputs = args
    traced = jax.jit(lambda state: jax.vjp(lambda s: by_scan(None, False, constants, s, inputs), state)[0])(state)
    for found, wanted in zip(jax.tree.leaves(traced), jax.tree.leaves(primal), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-14)


def test_bfloat16_factors_keep_gradients_close_to_float32():
    found, wanted = (gradients_of(partial(by_scan, dtype, False), 5) for dtype in (jnp.bfloat16, jnp.float32))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == jnp.float32
        assert jnp.linalg.norm(a - b) < 0.03 * jnp.linalg.norm(b)


def sums(constants, state, x):
    """A step that adds two products and its input, as the gates of a decoder with input feeding are."""
    state = jnp.tanh(constants["first"](state) + constants["second"](jnp.sin(state)) + x)
    return state, state


def test_a_gradient_of_many_addends_is_kept_once():
    constants = {name: Factor(jnp.eye(H)) for name in ("first", "second")}

    def value(constants, inputs):
        return weighed(scan(sums, constants, jnp.ones((B, H)), inputs))

    program = jax.make_jaxpr(jax.grad(value, argnums=(0, 1)))(constants, jnp.ones((3, B, H)))
    backward = [equation for equation in program.eqns if equation.primitive.name == "scan"][-1]
    stacks = [variable for variable in backward.outvars if variable.aval.shape == (3, B, H)]
    assert len(stacks) == 3  # what each product was made of, and one gradient for both and for the input


@pytest.mark.usefixtures("double")
def test_gradients_of_addends_equal_those_of_lax_scan():
    weights = dict(zip(("first", "second"), np.random.default_rng(5).normal(size=(2, H, H)), strict=True))
    inputs = jnp.asarray(np.random.default_rng(6).normal(size=(3, B, H)))

    def value(run, weights, inputs):
        return weighed(run({name: Factor(jnp.asarray(array)) for name, array in weights.items()}, inputs))

    def ours(constants, inputs):
        return scan(sums, constants, jnp.ones((B, H)), inputs)

    def plain(constants, inputs):
        return jax.lax.scan(partial(sums, constants), jnp.ones((B, H)), inputs)

    found, wanted = (jax.jit(jax.grad(partial(value, run), argnums=(0, 1)))(weights, inputs) for run in (ours, plain))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def times(names, constants, state, x):
    """A step that multiplies with the named factors, one after the other."""
    for name in names:
        state = constants[name](state) + x
    return state, state


@pytest.mark.parametrize(
    ("names", "message"), [(("used", "used"), "is used twice in a step"), ((), "is not used in a step")]
)
def test_a_factor_not_used_exactly_once_in_a_step_is_refused_when_differentiated(names, message):
    constants = {"used": Factor(jnp.eye(H))}

    def value(constants):
        return weighed(scan(partial(times, names), constants, jnp.ones((B, H)), jnp.ones((3, B, H))))

    with pytest.raises(ValueError, match=message):
        jax.jit(jax.grad(value))(constants)


@pytest.mark.usefixtures("double")
def test_a_plain_array_not_used_in_a_step_has_no_gradient():
    def value(idle):
        constants = {"used": Factor(jnp.eye(H)), "idle": idle}
        return weighed(scan(partial(times, ("used",)), constants, jnp.ones((B, H)), jnp.ones((3, B, H))))

    np.testing.assert_array_equal(jax.jit(jax.grad(value))(jnp.ones(3)), np.zeros(3))


def test_without_factors_it_is_a_plain_scan():
    def value(bias):
        return scan(lambda b, state, x: (state * b + x, state), bias, jnp.ones(H), jnp.ones((3, H)))[0].sum()

    assert jax.jit(jax.grad(value))(jnp.float32(2.0)) == pytest.approx(H * (3 * 4 + 2 * 2 + 1))
