"""Products of 8-bit integers, which search multiplies where a processor has tiles for them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.nn.products import LARGEST, operand, product

SHAPES = ("...h,hg->...g", (6, 40), (40, 24), 0), ("vh,nh->vn", (24, 40), (6, 40), 1)  # spec, operands, array's axis


def numbers(*shape):
    return np.random.default_rng(0).normal(scale=3.0, size=shape).astype(np.float32)


@jax.jit
def integers(x):
    return operand(x, jnp.int8, -1)


def multiplied(spec, axis):
    return jax.jit(lambda x, y: product(spec, operand(x, jnp.int8, -1), operand(y, jnp.int8, axis)))


def by_numpy(x, axis):
    """The integers of float64 and their scales."""
    scales = np.abs(x.astype(np.float64)).max(axis, keepdims=True) / LARGEST
    return np.round(x / scales), scales


def test_numbers_come_back_within_half_a_scale():
    x = numbers(5, 33) * np.array([1e-6, 1.0, 0.0, 1e6, 3.0], np.float32)[:, None]
    found = integers(x)
    back = np.asarray(found.integers, np.float64) * np.asarray(found.scales, np.float64)
    assert (np.abs(back - x) <= 0.5001 * np.abs(x).max(1, keepdims=True) / LARGEST).all()
    assert (np.abs(np.asarray(found.integers)).max(1) == [127, 127, 0, 127, 127]).all()


@pytest.mark.parametrize(("spec", "one", "other", "axis"), SHAPES)
def test_a_product_is_that_of_the_integers_times_the_scales(spec, one, other, axis):
    x, y = numbers(*one), numbers(*other)
    expected = np.einsum(spec, *(a * b for a, b in (by_numpy(x, -1), by_numpy(y, axis))))
    np.testing.assert_allclose(multiplied(spec, axis)(x, y), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.fault(58)
def test_no_row_changes_a_bit_of_another():
    x, y = numbers(64, 40), numbers(40, 24)
    multiply = multiplied("...h,hg->...g", 0)
    together = np.asarray(multiply(x, y))
    for rows in (4, 7, 16):  # search has four at least
        np.testing.assert_array_equal(multiply(x[:rows], y), together[:rows])


def test_what_is_no_number_stays_none():
    x = numbers(3, 40)
    x[1, 7] = np.nan
    found = np.asarray(multiplied("...h,hg->...g", 0)(x, numbers(40, 24)))
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[[0, 2]]).all()
