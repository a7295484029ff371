"""Scans over time, differentiated so that weight gradients are one matrix product after the loop.

`jax.lax.scan`'s own transpose adds `x_t^T dy_t` to the weight's gradient at every step: a matrix product as large as
the weight and a pass over it, T times. Here a step multiplies only through `Factor`s. In training each product gets
a *tap*, a zero added to its result. Differentiating with respect to the taps gives dy_t for all t, and the gradient
is then one product over all T x B rows: dW = sum_t x_t^T dy_t. It holds for any step: cells, attention, input feeding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


@jax.tree_util.register_pytree_node_class
class Factor:
    """An array that stays the same over time and that steps multiply with: `factor(x) = einsum(spec, x, array)`.

    spec: an einsum of two operands, for example "...h,hg->...g" for a weight matrix, "bqs,bsd->bqd" for values.
    dtype: what both operands are rounded to; sums and results are float32. None: the array's own type.
    """

    def __init__(self, array: jax.Array, spec: str = "...h,hg->...g", dtype: Any = None) -> None:
        self.array = array
        self.spec = spec
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        return product(self.spec, *self.operands(x))

    def operands(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Both operands in the type they are multiplied in."""
        dtype = self.dtype or self.array.dtype
        return x.astype(dtype), self.array.astype(dtype)

    def rounded(self) -> Factor:
        """The same factor with its array rounded once, ahead of a loop."""
        return Factor(self.array.astype(self.dtype or self.array.dtype), self.spec, self.dtype)

    def tree_flatten(self) -> tuple[tuple[jax.Array], tuple[str, Any]]:
        return (self.array,), (self.spec, self.dtype)

    @classmethod
    def tree_unflatten(cls, static: tuple[str, Any], children: tuple[jax.Array]) -> Factor:
        return cls(children[0], *static)


class Tapped(Factor):
    """A factor that keeps what it was multiplied with and adds its tap to the result. It is called once in a step."""

    def __init__(self, factor: Factor, tap: jax.Array | None = None) -> None:
        super().__init__(factor.array, factor.spec, factor.dtype)
        self.tap = tap
        self.seen: jax.Array | None = None
        self.result: jax.Array | None = None

    def __call__(self, x: jax.Array) -> jax.Array:
        assert self.seen is None, "a factor is used once in a step"
        self.seen, array = self.operands(x)
        self.result = product(self.spec, self.seen, array)
        return self.result if self.tap is None else self.result + self.tap


def product(spec: str, x: jax.Array, y: jax.Array) -> jax.Array:
    """einsum with float32 (or wider) sums and result."""
    return jnp.einsum(spec, x, y, preferred_element_type=jnp.promote_types(x.dtype, jnp.float32))


def is_factor(node: Any) -> bool:
    return isinstance(node, Factor)


@partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def scan(step: Step, constants: Any, state: Any, inputs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """`jax.lax.scan` of `step(constants, state, input) -> (state, output)` over the leading (time) axis of `inputs`.

    constants: what every step reads: a pytree of Factors and of plain arrays (whose gradients accumulate in the loop).
    reverse: from the last input to the first; outputs keep the order of the inputs.
    Returns the last state and the outputs, stacked over time.
    """
    constants = jax.tree.map(lambda leaf: leaf.rounded() if is_factor(leaf) else leaf, constants, is_leaf=is_factor)
    return lax.scan(lambda state, x: step(constants, state, x), state, inputs, reverse=reverse)


def scan_forward(step: Step, constants: Any, state: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
    """The scan with taps, its pullback, and what each factor was multiplied with, stacked over time."""
    leaves, structure = jax.tree.flatten(constants, is_leaf=is_factor)
    factors = [leaf.rounded() for leaf in leaves if is_factor(leaf)]
    arrays = [leaf for leaf in leaves if not is_factor(leaf)]

    def tapped_step(arrays: list[jax.Array], taps: list[jax.Array | None], state: Any, x: Any) -> tuple[Any, Any]:
        tapped = [Tapped(factor, tap) for factor, tap in zip(factors, taps, strict=True)]
        rest, products = iter(arrays), iter(tapped)
        merged = [next(products) if is_factor(leaf) else next(rest) for leaf in leaves]
        state, output = step(jax.tree.unflatten(structure, merged), state, x)
        return state, (output, [t.seen for t in tapped], [t.result for t in tapped])

    def scanned(taps: list[jax.Array], arrays: list[jax.Array], state: Any, inputs: Any) -> tuple[Any, Any]:
        def body(state: Any, x: tuple[list[jax.Array], Any]) -> tuple[Any, Any]:
            state, (output, seen, _) = tapped_step(arrays, x[0], state, x[1])
            return state, (output, seen)

        state, (outputs, seen) = lax.scan(body, state, (taps, inputs), reverse=reverse)
        return (state, outputs), seen

    first = jax.tree.map(lambda x: x[0], inputs)
    length = jax.tree.leaves(inputs)[0].shape[0]
    _, (_, _, results) = jax.eval_shape(tapped_step, arrays, [None] * len(factors), state, first)
    taps = [jnp.zeros((length, *result.shape), result.dtype) for result in results]
    result, pullback, seen = jax.vjp(scanned, taps, arrays, state, inputs, has_aux=True)
    return result, (pullback, seen, constants)


def scan_backward(step: Step, reverse: bool, residuals: Any, gradient: Any) -> tuple[Any, Any, Any]:
    """Gradients of constants, initial state and inputs."""
    pullback, seen, constants = residuals
    taps, arrays, state, inputs = pullback(gradient)
    leaves, structure = jax.tree.flatten(constants, is_leaf=is_factor)
    rest, products = iter(arrays), iter(zip(seen, taps, strict=True))
    gradients = [factor_gradient(leaf, *next(products)) if is_factor(leaf) else next(rest) for leaf in leaves]
    return jax.tree.unflatten(structure, gradients), state, inputs


def factor_gradient(factor: Factor, seen: jax.Array, tap: jax.Array) -> Factor:
    """sum over time of x_t^T dy_t, as one product: seen [T ...], tap [T ...] -> like the factor's array."""
    operands, result = factor.spec.split("->")
    x, array = operands.split(",")
    tap = tap.astype(seen.dtype)
    if x.startswith("..."):  # a weight matrix: two axes, which keeps bfloat16 on the fast path of every backend
        seen, tap = seen.reshape(-1, seen.shape[-1]), tap.reshape(-1, tap.shape[-1])
        gradient = product("nh,ng->hg", seen, tap)
    else:
        gradient = product(f"t{x},t{result}->{array}", seen, tap)
    return Factor(gradient.astype(factor.array.dtype), factor.spec, factor.dtype)


scan.defvjp(scan_forward, scan_backward)
