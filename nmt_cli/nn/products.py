"""Matrix products with rounded operands and float32 sums, on the fast path of every backend."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint

LARGEST = 127.0  # of the integers that numbers are rounded to


class Integers(NamedTuple):
    """Numbers as 8-bit integers: numbers = integers * scales, within half a scale."""

    integers: jax.Array  # int8
    scales: jax.Array  # float32, of length 1 along the axis that products sum over


Operand = jax.Array | Integers


def operand(x: Operand, dtype: Any, axis: int) -> Operand:
    """x as it is multiplied where products sum over `axis`: rounded to a type.

    int8: what is summed up has a scale of its own, by its largest number. So a row's integers do not depend on the
    rows beside it; and neither does its sum, for sums of integers are exact.
    """
    if isinstance(x, Integers):
        return x
    if dtype != jnp.int8:
        return x.astype(dtype)
    largest = jnp.maximum(jnp.max(jnp.abs(x), axis, keepdims=True), jnp.finfo(jnp.float32).tiny * LARGEST)
    return Integers(jnp.round(x * (LARGEST / largest)).astype(jnp.int8), largest * (1.0 / LARGEST))


def product(spec: str, x: Operand, y: Operand) -> jax.Array:
    """einsum with float32 (or wider) sums and result; both operands are integers, or none is."""
    if isinstance(x, Integers):
        assert isinstance(y, Integers)
        sums = jnp.einsum(spec, x.integers, y.integers, preferred_element_type=jnp.int32)
        return sums.astype(jnp.float32) * jnp.einsum(spec, x.scales, y.scales)
    assert not isinstance(y, Integers)
    return jnp.einsum(spec, x, y, preferred_element_type=jnp.promote_types(x.dtype, jnp.float32))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def multiply(spec: str, x: Operand, array: Operand) -> jax.Array:
    """`product`, whose gradients are rounded like its operands and take the fast path as well."""
    return product(spec, x, array)


def multiply_backward(spec: str, operands: tuple[jax.Array, jax.Array], d_result: jax.Array) -> tuple[Any, Any]:
    x, array = operands
    d_x = gradient_of_x(spec, array, d_result).astype(x.dtype)
    return d_x, gradient_of_array(spec, x, d_result.astype(x.dtype)).astype(array.dtype)


multiply.defvjp(lambda spec, x, array: (product(spec, x, array), (x, array)), multiply_backward)


def gradient_of_x(spec: str, array: jax.Array, d_result: jax.Array) -> jax.Array:
    """The product's gradient for its first operand, float32."""
    operands, result = spec.split("->")
    x, axes = operands.split(",")
    return product(f"{result},{axes}->{x}", d_result.astype(array.dtype), array)


def gradient_of_array(spec: str, x: jax.Array, d_result: jax.Array, over_time: bool = False) -> jax.Array:
    """The product's gradient for its second operand, float32; over_time: summed over a leading axis of time."""
    operands, result = spec.split("->")
    x_axes, axes = operands.split(",")
    if x_axes.startswith("..."):  # a weight matrix
        x, d_result = x.reshape(-1, x.shape[-1]), d_result.reshape(-1, d_result.shape[-1])
        return sum_of_outer(x, d_result) if axes == x_axes[3:] + result[3:] else sum_of_outer(d_result, x)
    time = "t" if over_time else ""
    return product(f"{time}{x_axes},{time}{result}->{axes}", x, d_result)


def sum_of_outer(x: jax.Array, y: jax.Array) -> jax.Array:
    """sum over rows of x_n y_n^T, the gradient of a weight matrix: [N H], [N G] -> [H G].

    The CPU's bfloat16 product wants its left operand in rows along the result; left to itself, the compiler makes
    a float32 product of it, 5 times as slow with AMX (measured, jaxlib 0.10.2). So the transpose is laid out in memory;
    and so is the result, or a transpose of it would be folded into the product, which then fails when it runs.
    """
    if x.dtype == jnp.bfloat16 and jax.default_backend() == "cpu":
        return in_rows(product("hn,ng->hg", in_rows(x.T), y))
    return product("nh,ng->hg", x, y)


def in_rows(x: jax.Array) -> jax.Array:
    """The matrix, laid out in memory row by row."""
    return with_layout_constraint(x, Layout(major_to_minor=(0, 1)))


def rounded(x: jax.Array, dtype: Any) -> jax.Array:
    """x in another type, to the nearest, ties to even.

    From float32 to bfloat16 on the CPU by way of integers: twice as fast as the compiler's conversion (jaxlib 0.10.2).
    """
    if x.dtype == jnp.float32 and dtype == jnp.bfloat16 and jax.default_backend() == "cpu":
        bits = lax.bitcast_convert_type(x, jnp.uint32)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return lax.bitcast_convert_type(nearest.astype(jnp.uint16), jnp.bfloat16)
    return x.astype(dtype)


def batched(dtype: Any) -> Any:
    """What to round the operands of a product per sentence to: on the CPU these are fastest in float32 (by 10 %)."""
    if jax.default_backend() == "cpu" and dtype in (jnp.bfloat16, jnp.int8):
        return jnp.float32
    return jnp.bfloat16 if dtype == jnp.int8 else dtype


def as_bits(x: jax.Array) -> jax.Array:
    """bfloat16 as uint16: the CPU compiler converts a whole stack of bfloat16 at every step that writes to it."""
    return lax.bitcast_convert_type(x, jnp.uint16) if x.dtype == jnp.bfloat16 else x


def from_bits(x: jax.Array) -> jax.Array:
    """The reverse of `as_bits`."""
    return lax.bitcast_convert_type(x, jnp.bfloat16) if x.dtype == jnp.uint16 else x
