"""Attention: energies of every annotation for a query; softmax makes weights; the weighted sum is the context.

To add an attention: a Flax module with `keys` (what is computed of the annotations once per sentence), `factors`
(what every step reads) and a static `energies(factors, query)`; then name it in `ATTENTIONS` and in
`config.Model.attention`. Queries are [B Q H]: Q is 1 in a training loop, K hypotheses in search, T target positions
where nothing is fed back.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.nn.initializers import uniform
from nmt_cli.nn.products import batched
from nmt_cli.nn.recurrence import Factor
from nmt_cli.nn.types import Memory


class General(nn.Module):
    """energy = query^T W annotation (Luong et al. 2015, equation 8, "general").

    W annotation is the key: one product per sentence instead of one per step.
    """

    query_size: int
    annotation_size: int
    units: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.kernel = self.param("kernel", uniform(), (self.annotation_size, self.query_size))

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> [B S H] float32."""
        return Factor(self.kernel, dtype=self.dtype)(annotations)

    def factors(self, keys: jax.Array) -> dict[str, Any]:
        """What `energies` reads."""
        return {"keys": Factor(keys, "bqa,bsa->bqs", batched(self.dtype))}

    @staticmethod
    def energies(factors: dict[str, Any], query: jax.Array) -> jax.Array:
        """[B Q H] -> [B Q S] float32."""
        return factors["keys"](query)


class Additive(nn.Module):
    """energy = v^T tanh(W query + U annotation) (Bahdanau et al. 2015, appendix A.1.2). U annotation is the key."""

    query_size: int
    annotation_size: int
    units: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        self.query_kernel = self.param("query_kernel", uniform(), (self.query_size, self.units))
        self.key_kernel = self.param("key_kernel", uniform(), (self.annotation_size, self.units))
        self.bias = self.param("bias", nn.initializers.zeros_init(), (self.units,))
        self.vector = self.param("vector", nn.initializers.normal(self.units**-0.5), (self.units,))

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> [B S A] float32."""
        return Factor(self.key_kernel, dtype=self.dtype)(annotations) + self.bias

    def factors(self, keys: jax.Array) -> dict[str, Any]:
        """What `energies` reads."""
        return {"query": Factor(self.query_kernel, dtype=self.dtype), "keys": keys, "vector": self.vector}

    @staticmethod
    def energies(factors: dict[str, Any], query: jax.Array) -> jax.Array:
        """[B Q H] -> [B Q S] float32."""
        return additive_energies(factors["query"](query), factors["keys"], factors["vector"])


@jax.checkpoint  # the tanh is [B Q S A]: cheaper to compute again in the backward pass than to keep for every step
def additive_energies(query: jax.Array, keys: jax.Array, vector: jax.Array) -> jax.Array:
    """sum over A of vector * tanh(query + keys): [B Q A], [B S A], [A] -> [B Q S]."""
    return jnp.sum(jnp.tanh(query[:, :, None] + keys[:, None]) * vector, axis=-1)


def attend(energies: jax.Array, values: Factor, mask: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weights [B Q S] and context [B Q D]: softmax over the real source tokens, and the weighted sum of values.

    energies: [B Q S]; mask: [B S] bool. A row of the mask without any real token gives weights of zero.
    """
    mask = mask[:, None]  # [B 1 S]
    weights = jax.nn.softmax(jnp.where(mask, energies, jnp.finfo(energies.dtype).min), axis=-1)
    weights = jnp.where(mask, weights, 0.0)  # [B Q S]
    return weights, values(weights)


def value_factor(memory: Memory, dtype: Any) -> Factor:
    """The annotations as the factor that `attend` multiplies weights with."""
    return Factor(memory.values, "bqs,bsd->bqd", batched(dtype))


ATTENTIONS: dict[str, Any] = {"general": General, "additive": Additive}
