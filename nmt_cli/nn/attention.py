"""Attention: energies of every annotation for a query; softmax makes weights; the weighted sum is the context.

To add an attention: a Flax module of the configuration with `keys` (what is computed of the annotations once per
sentence), `factors` (what every step reads) and a static `energies(factors, query)`; then name it in `ATTENTIONS` and
in `sections.Model.attention`. Queries are [B Q H]: Q is 1 in a training loop, K hypotheses in search, T target
positions where nothing is fed back.
"""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn.initializers import Initial
from nmt_cli.nn.products import batched
from nmt_cli.nn.recurrence import Factor
from nmt_cli.nn.sums import softmax, total
from nmt_cli.nn.taps import tap


class Dot(nn.Module):
    """energy = query^T annotation (Luong et al. 2015, section 3.1, "dot"); both are of one size."""

    config: Model
    dtype: Any = jnp.float32

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> the same."""
        return annotations

    def factors(self, keys: jax.Array) -> dict[str, Any]:
        """What `energies` reads."""
        return {"keys": Factor(keys, "bqa,bsa->bqs", batched(self.dtype))}

    @staticmethod
    def energies(factors: dict[str, Any], query: jax.Array) -> jax.Array:
        """[B Q H] -> [B Q S] float32."""
        return factors["keys"](query)


class General(Dot):
    """energy = query^T W annotation (Luong et al. 2015, section 3.1, "general").

    W annotation is the key: one product per sentence instead of one per step.
    """

    def setup(self) -> None:
        config = self.config
        self.kernel = self.param("kernel", Initial.of(config).matrix(), (config.encoder_units, config.decoder_units))

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> [B S H] float32."""
        return Factor(self.kernel, dtype=self.dtype)(annotations)


class ScaledLuong(General):
    """energy = g query^T W annotation with a learned number g (tensorflow/nmt, "scaled_luong")."""

    def setup(self) -> None:
        super().setup()
        self.scale = self.param("scale", nn.initializers.ones_init(), (1,))

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> [B S H] float32, g in it."""
        return super().keys(annotations) * self.scale


class Location(nn.Module):
    """energies = W query: a place is looked at whatever stands there (Luong et al. 2015, equation 8, "location").

    The end of a source that is longer than `attention_positions` is not seen (section 3.1).
    """

    config: Model
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config, matrix = self.config, Initial.of(self.config).matrix()
        self.kernel = self.param("kernel", matrix, (config.decoder_units, config.attention_positions))

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> [B S 0]: nothing is asked of the annotations but how many there are."""
        return annotations[:, :, :0]

    def factors(self, keys: jax.Array) -> dict[str, Any]:
        """What `energies` reads."""
        length, known = keys.shape[1], self.config.attention_positions
        kernel = jnp.pad(self.kernel[:, :length], ((0, 0), (0, max(0, length - known))))
        return {"kernel": Factor(kernel, dtype=self.dtype), "seen": jnp.arange(length) < known}

    @staticmethod
    def energies(factors: dict[str, Any], query: jax.Array) -> jax.Array:
        """[B Q H] -> [B Q S] float32."""
        energies = factors["kernel"](query)
        return jnp.where(factors["seen"], energies, jnp.finfo(energies.dtype).min)


class Additive(nn.Module):
    """energy = v^T tanh(W query + U annotation + b) (Bahdanau et al. 2015, A.1.2). U annotation + b is the key.

    With coverage: v^T tanh(W query + U annotation + b + V coverage) (Tu et al. 2016, section 3.2.1), where coverage is
    the weight that the annotation has been given so far, divided by its fertility.
    """

    biased: ClassVar[bool] = True
    config: Model
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config, zeros = self.config, nn.initializers.zeros_init()
        units, matrix = config.attention_units, Initial.of(config).matrix()
        self.query_kernel = self.param("query_kernel", matrix, (config.decoder_units, units))
        self.key_kernel = self.param("key_kernel", matrix, (config.encoder_units, units))
        self.bias = self.param("bias", zeros, (units,)) if self.biased else None
        self.vector = self.param("vector", nn.initializers.normal(units**-0.5), (units,))
        if config.coverage:
            self.coverage_vector = self.param("coverage_vector", nn.initializers.normal(0.1), (units,))
            self.fertility_kernel = self.param("fertility_kernel", matrix, (config.encoder_units, 1))

    def keys(self, annotations: jax.Array) -> jax.Array:
        """[B S D] -> [B S A] float32."""
        keys = Factor(self.key_kernel, dtype=self.dtype)(annotations)
        return keys if self.bias is None else keys + self.bias

    def factors(self, keys: jax.Array) -> dict[str, Any]:
        """What `energies` reads."""
        factors = {"query": Factor(self.query_kernel, dtype=self.dtype), "keys": keys, "vector": self.scorer()}
        return {**factors, "coverage": self.coverage_vector} if self.config.coverage else factors

    def scorer(self) -> jax.Array:
        """v [A] of the equation, or [N A/N] for N heads."""
        return self.vector

    def fertility(self, annotations: jax.Array) -> jax.Array:
        """How many target tokens a source token makes, at most two: [B S D] -> [B S] (Tu et al. 2016)."""
        return 2.0 * jax.nn.sigmoid(Factor(self.fertility_kernel, dtype=self.dtype)(annotations)[:, :, 0])

    @staticmethod
    def energies(factors: dict[str, Any], query: jax.Array, coverage: jax.Array | None = None) -> jax.Array:
        """[B Q H], coverage [B Q S] -> [B Q S] float32, or [B N Q S] for N heads."""
        keys = factors["keys"][:, None]  # [B 1 S A]
        if coverage is not None:
            keys = keys + coverage[..., None] * factors["coverage"]  # [B Q S A]
        return additive_energies(factors["query"](query), keys, factors["vector"])


class Concat(Additive):
    """energy = v^T tanh(W [query; annotation]) (Luong et al. 2015, section 3.1, "concat"): additive without a bias."""

    biased: ClassVar[bool] = False


class NormedBahdanau(Additive):
    """energy = g v^T / |v| tanh(W query + U annotation + b): weight normalisation (Salimans & Kingma 2016, equation 2).

    g is a learned number that begins at 1 / sqrt(A) (tensorflow/nmt, "normed_bahdanau").
    """

    def setup(self) -> None:
        super().setup()
        begin = nn.initializers.constant(self.config.attention_units**-0.5)
        self.scale = self.param("scale", begin, (1,))

    def scorer(self) -> jax.Array:
        """g v / |v|, [A]."""
        return self.scale * self.vector / jnp.sqrt(jnp.sum(self.vector**2))


class MultiHead(Additive):
    """N additive attentions side by side, each with A/N hidden units and D/N of the values (Chen et al. 2018, 4.1).

    context = [softmax(energies_1) V_1 annotations; ...; softmax(energies_N) V_N annotations]
    """

    def setup(self) -> None:
        super().setup()
        matrix, units = Initial.of(self.config).matrix(), self.config.encoder_units
        self.value_kernel = self.param("value_kernel", matrix, (units, units))

    def values(self, annotations: jax.Array) -> jax.Array:
        """V annotations: [B S D] -> [B S D] float32."""
        return Factor(self.value_kernel, dtype=self.dtype)(annotations)

    def scorer(self) -> jax.Array:
        """[N A/N]."""
        return self.vector.reshape(self.config.attention_heads, -1)


@jax.checkpoint  # the tanh is [B Q S A]: cheaper to compute again in the backward pass than to keep for every step
def additive_energies(query: jax.Array, keys: jax.Array, vector: jax.Array) -> jax.Array:
    """sum over A of vector * tanh(query + keys): [B Q A], [B 1|Q S A], [A] -> [B Q S]; [N A/N] -> [B N Q S]."""
    hidden = jnp.tanh(query[:, :, None] + keys)  # [B Q S A]
    if vector.ndim == 1:
        return total(hidden * vector)[..., 0]
    heads = hidden.reshape(*hidden.shape[:-1], *vector.shape)  # [B Q S N A/N]
    return jnp.moveaxis(total(heads * vector)[..., 0], -1, 1)


class Position(nn.Module):
    """position = S sigmoid(v^T tanh(W query)) for a source of S tokens (Luong et al. 2015, equation 9, local-p)."""

    config: Model
    dtype: Any = jnp.float32

    def setup(self) -> None:
        units = self.config.decoder_units
        self.kernel = self.param("kernel", Initial.of(self.config).matrix(), (units, units))
        self.vector = self.param("vector", nn.initializers.normal(units**-0.5), (units,))

    def factors(self) -> dict[str, Any]:
        """What `position` reads."""
        return {"kernel": Factor(self.kernel, dtype=self.dtype), "vector": self.vector}

    @staticmethod
    def position(factors: dict[str, Any], query: jax.Array, lengths: jax.Array) -> jax.Array:
        """[B Q H], [B 1] -> [B Q] float32, counted from 1."""
        return lengths * jax.nn.sigmoid(total(jnp.tanh(factors["kernel"](query)) * factors["vector"])[..., 0])


def look(
    config: Model, factors: dict[str, Any], query: jax.Array, time: jax.Array | None, coverage: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """One look at the source: query [B Q H] -> weights [B Q S] (the mean over heads), context [B Q D].

    time: [B Q] float32, of the token to come, counted from 1, for local-m. coverage: [B Q S], where there is one.
    """
    covered = () if coverage is None else (coverage,)
    energies = ATTENTIONS[config.attention].energies(factors["energies"], query, *covered)  # [B Q S] or [B N Q S]
    mask, scale = factors["mask"][:, None], None  # [B 1 S]
    if coverage is not None:
        tap("coverage", coverage=coverage)
    if config.attention_span != "global":
        mask, scale = window(config, factors, query, mask, time)  # [B Q S]
    if energies.ndim == 3:
        weights, context = attend(energies, factors["values"], mask, scale)
        tap("attention", query=query, energies=energies, weights=weights, context=context)
        return weights, context
    scale = None if scale is None else scale[:, None]
    weights, context = attend(energies, factors["values"], mask[:, None], scale)  # [B N Q S], [B Q N D/N]
    context = context.reshape(*context.shape[:2], -1)
    by_query = {"energies": jnp.moveaxis(energies, 1, 2), "weights": jnp.moveaxis(weights, 1, 2)}  # [B Q N S]
    tap("attention", query=query, **by_query, context=context)
    return jnp.mean(weights, axis=1), context


def window(
    config: Model, factors: dict[str, Any], query: jax.Array, mask: jax.Array, time: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """The tokens around the position that is looked at, and what their weights are multiplied with (local-p): [B Q S].

    local-m: the position is the time step (Luong et al. 2015, section 3.2), but never beyond the last token.
    local-p: it is predicted; weights fall off as a Gaussian of deviation half the window's reach (equation 10).
    """
    lengths = jnp.sum(mask, axis=-1).astype(query.dtype)  # [B 1]
    if config.attention_span == "local-m":
        assert time is not None
        position = jnp.minimum(time, lengths)
    else:
        position = Position.position(factors["position"], query, lengths)  # [B Q]
    distance = jnp.arange(1, mask.shape[-1] + 1) - position[:, :, None]  # [B Q S]
    near = mask & (jnp.abs(distance) <= config.attention_window)
    scale = None if config.attention_span == "local-m" else jnp.exp(-2.0 * (distance / config.attention_window) ** 2)
    tap("window", position=position, window=near if scale is None else near * scale)
    return near, scale


def attend(
    energies: jax.Array, values: Factor, mask: jax.Array, scale: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Weights [B Q S] and context [B Q D]: softmax over the tokens in the mask, and the weighted sum of values.

    energies: [B Q S] (or [B N Q S] and context [B Q N D/N]); mask: bool; scale: what weights are multiplied with.
    A row of the mask without any token gives weights of zero.
    """
    weights = softmax(jnp.where(mask, energies, jnp.finfo(energies.dtype).min))
    weights = jnp.where(mask, weights if scale is None else weights * scale, 0.0)
    return weights, values(weights)


def value_factor(config: Model, values: jax.Array, dtype: Any) -> Factor:
    """The values [B S D] as the factor that `attend` multiplies weights with."""
    if config.attention != "multi_head":
        return Factor(values, "bqs,bsd->bqd", batched(dtype))
    return Factor(values.reshape(*values.shape[:2], config.attention_heads, -1), "bnqs,bsnd->bqnd", batched(dtype))


ATTENTIONS: dict[str, Any] = {
    "dot": Dot,
    "general": General,
    "concat": Concat,
    "location": Location,
    "scaled_luong": ScaledLuong,
    "additive": Additive,
    "normed_bahdanau": NormedBahdanau,
    "multi_head": MultiHead,
}
