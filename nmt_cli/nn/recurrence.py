"""Scans over time, differentiated so that weight gradients are one matrix product after the loop.

`jax.lax.scan`'s own transpose adds `x_t^T dy_t` to a weight's gradient at every step: a product as large as the weight
and a pass over it, T times; and it keeps every intermediate of every step. Here a step multiplies only through
`Factor`s. The forward pass keeps the carry and the results y_t of the products. The backward pass replays a step with
these results in place of the products, so only its elementwise part is computed again, and emits x_t and dy_t; the
weight gradient is then one product over all T x B rows: dW = sum_t x_t^T dy_t. It holds for any step: cells,
attention, input feeding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from nmt_cli.nn.products import as_bits, from_bits, gradient_of_array, gradient_of_x, multiply, operand

Step = Callable[[Any, Any, Any], tuple[Any, Any]]


@jax.tree_util.register_pytree_node_class
class Once:
    """A list of arrays as a pytree in which an array that stands there twice is one leaf, and is kept once.

    Where a step adds products and a projected input, all of them have the same gradient.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = arrays

    def tree_flatten(self) -> tuple[list[Any], tuple[int, ...]]:
        distinct = {id(array): array for array in self.arrays}
        places = {name: place for place, name in enumerate(distinct)}
        return list(distinct.values()), tuple(places[id(array)] for array in self.arrays)

    @classmethod
    def tree_unflatten(cls, places: tuple[int, ...], leaves: Sequence[Any]) -> Once:
        return cls([leaves[place] for place in places])


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
        return multiply(self.spec, *self.operands(x))

    def operands(self, x: jax.Array) -> tuple[Any, Any]:
        """Both operands in the type they are multiplied in."""
        dtype = self.dtype or self.array.dtype
        return operand(x, dtype, -1), operand(self.array, dtype, -2)

    def rounded(self) -> Factor:
        """The same factor with its array rounded once, ahead of a loop."""
        array: Any = operand(self.array, self.dtype or self.array.dtype, -2)
        return Factor(array, self.spec, self.dtype)

    def tree_flatten(self) -> tuple[tuple[jax.Array], tuple[str, Any]]:
        return (self.array,), (self.spec, self.dtype)

    @classmethod
    def tree_unflatten(cls, static: tuple[str, Any], children: tuple[jax.Array]) -> Factor:
        return cls(children[0], *static)


class Recorded(Factor):
    """A factor, used once in a step, that keeps what it was multiplied with and the result.

    Given the result of an earlier run, it returns that one instead of multiplying, with the product's gradient.
    """

    def __init__(self, factor: Factor, result: jax.Array | None = None) -> None:
        super().__init__(factor.array, factor.spec, factor.dtype)
        self.seen: jax.Array | None = None
        self.result = result

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.seen is not None:
            raise ValueError(f"the factor {self.spec} is used twice in a step")
        self.seen, array = self.operands(x)
        self.result = super().__call__(x) if self.result is None else replay(self.spec, self.seen, array, self.result)
        return self.result


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def replay(spec: str, x: jax.Array, array: jax.Array, result: jax.Array) -> jax.Array:
    """`result`, known to be `multiply(spec, x, array)`, with that product's gradient for x, and its own for result."""
    return result


def replay_backward(spec: str, operands: tuple[jax.Array, jax.Array], d_result: jax.Array) -> tuple[Any, ...]:
    x, array = operands
    return gradient_of_x(spec, array, d_result).astype(x.dtype), None, d_result


replay.defvjp(lambda spec, x, array, result: (result, (x, array)), replay_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0, 4))
def scan(step: Step, constants: Any, state: Any, inputs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """`jax.lax.scan` of `step(constants, state, input) -> (state, output)` over the leading (time) axis of `inputs`.

    constants: what every step reads: a pytree of Factors, each used once in a step, and of plain arrays (whose
    gradients accumulate in the loop). step must not close over arrays.
    reverse: from the last input to the first; outputs keep the order of the inputs.
    Returns the last state and the outputs, stacked over time.
    """
    constants = jax.tree.map(lambda leaf: leaf.rounded() if is_factor(leaf) else leaf, constants, is_leaf=is_factor)
    return lax.scan(lambda state, x: step(constants, state, x), state, inputs, reverse=reverse)


def scan_forward(step: Step, constants: Any, state: Any, inputs: Any, reverse: bool) -> tuple[Any, Any]:
    """The scan, and for each step the state it began with and the results of its products."""
    factors, arrays, merge = partition(constants, is_factor)
    rounded = [factor.rounded() for factor in factors]

    def body(state: Any, x: Any) -> tuple[Any, Any]:
        recorded = [Recorded(factor) for factor in rounded]
        new, output = step(merge(recorded, arrays), state, x)
        if unused := [factor.spec for factor in recorded if factor.seen is None]:
            raise ValueError(f"the factor {unused[0]} is not used in a step")
        return new, (output, state, [factor.result for factor in recorded])

    last, (outputs, states, results) = lax.scan(body, state, inputs, reverse=reverse)
    return (last, outputs), (constants, inputs, states, results)


def scan_backward(step: Step, reverse: bool, residuals: Any, gradient: Any) -> tuple[Any, Any, Any]:
    """Gradients of constants, initial state and inputs."""
    constants, inputs, states, results = residuals
    factors, arrays, merge = partition(constants, is_factor)
    rounded = [factor.rounded() for factor in factors]
    smooth, discrete, merge_arrays = partition(arrays, is_smooth)
    smooth_inputs, discrete_inputs, merge_inputs = partition(inputs, is_smooth)

    def body(carry: tuple[Any, Any], xs: Any) -> tuple[Any, Any]:
        (d_state, d_smooth), (x, state, results, d_output) = carry, xs
        smooth_x, discrete_x, _ = partition(x, is_smooth)

        def replayed(smooth: Any, results: Any, state: Any, smooth_x: Any) -> tuple[Any, Any]:
            recorded = [Recorded(factor, result) for factor, result in zip(rounded, results, strict=True)]
            constants = merge(recorded, merge_arrays(smooth, discrete))
            return step(constants, state, merge_inputs(smooth_x, discrete_x)), [factor.seen for factor in recorded]

        _, pullback, seen = jax.vjp(replayed, smooth, results, state, smooth_x, has_aux=True)
        d_smooth_t, d_results, d_state, d_x = pullback((d_state, d_output))
        types = {id(d): x.dtype for d, x in zip(d_results, seen, strict=True)}
        made = jax.tree.map(lambda d: d.astype(types.get(id(d), d.dtype)), Once([*d_results, *d_x]))
        return (d_state, jax.tree.map(jnp.add, d_smooth, d_smooth_t)), jax.tree.map(as_bits, (seen, made))

    d_last, d_outputs = gradient
    start = (d_last, jax.tree.map(jnp.zeros_like, smooth))
    steps = (inputs, states, results, d_outputs)
    (d_state, d_smooth), made = lax.scan(body, start, steps, reverse=not reverse)
    seen, gradients = jax.tree.map(from_bits, made)
    d_results, d_inputs = gradients.arrays[: len(seen)], gradients.arrays[len(seen) :]
    d_inputs = [d.astype(x.dtype) for d, x in zip(d_inputs, smooth_inputs, strict=True)]
    d_factors = [factor_gradient(*each) for each in zip(factors, seen, d_results, strict=True)]
    d_constants = merge(d_factors, merge_arrays(d_smooth, [None] * len(discrete)))
    return d_constants, d_state, merge_inputs(d_inputs, [None] * len(discrete_inputs))


def factor_gradient(factor: Factor, seen: jax.Array, d_result: jax.Array) -> Factor:
    """sum over time of x_t^T dy_t, as one product: seen [T ...], d_result [T ...] -> like the factor's array."""
    gradient = gradient_of_array(factor.spec, seen, d_result, over_time=True)
    return Factor(gradient.astype(factor.array.dtype), factor.spec, factor.dtype)


scan.defvjp(scan_forward, scan_backward)


def partition(tree: Any, chosen: Callable[[Any], bool]) -> tuple[list[Any], list[Any], Callable[..., Any]]:
    """The chosen leaves, the others, and the function that makes the tree of two such lists. Factors are leaves."""
    leaves, structure = jax.tree.flatten(tree, is_leaf=is_factor)
    picks = [chosen(leaf) for leaf in leaves]

    def merge(yes: list[Any], no: list[Any]) -> Any:
        yes_leaves, no_leaves = iter(yes), iter(no)
        return jax.tree.unflatten(structure, [next(yes_leaves) if pick else next(no_leaves) for pick in picks])

    yes = [leaf for leaf, pick in zip(leaves, picks, strict=True) if pick]
    return yes, [leaf for leaf, pick in zip(leaves, picks, strict=True) if not pick], merge


def is_factor(leaf: Any) -> bool:
    """Whether a leaf is a factor of the step's products."""
    return isinstance(leaf, Factor)


def is_smooth(leaf: jax.Array) -> bool:
    """Whether gradients flow into an array: not into masks and ids."""
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))
