"""Several models as one: at every step their distributions over the same target vocabulary are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.seq2seq import Seq2Seq, Words


class Ensemble(NamedTuple):
    """Models that read the same source ids and write the same target ids. Of one model it is that model.

    average: "probabilities", or "log_probabilities" (their geometric mean, normalised).
    """

    members: tuple[Seq2Seq, ...]
    average: str = "probabilities"

    def encode(self, parameters: Sequence[Any], source: Array, mask: Array) -> tuple[Any, Any]:
        """source [B S] int32, mask [B S] bool -> memory and first state (leaves [B 1 ...]) of each member."""
        encoded = [
            member.apply({"params": own}, source, mask, method="encode")
            for member, own in zip(self.members, parameters, strict=True)
        ]
        return tuple(memory for memory, _ in encoded), tuple(state for _, state in encoded)

    def words(self, parameters: Sequence[Any]) -> list[Words]:
        """Of each member, as `Seq2Seq.words`."""
        found: list[Any] = [
            member.apply({"params": own}, method="words") for member, own in zip(self.members, parameters, strict=True)
        ]
        return found

    def step(
        self,
        parameters: Sequence[Any],
        words: Sequence[Words],
        memories: Any,
        states: Any,
        tokens: Array,
        shortlist: Array | None = None,
    ) -> tuple[Any, Distribution, Array]:
        """As `Seq2Seq.step`: tokens [B K] -> states, distribution, weights [B K S], both averaged."""
        stepped = [
            member.apply({"params": own}, memory, state, tokens, words, shortlist, method="step")
            for member, own, words, memory, state in zip(self.members, parameters, words, memories, states, strict=True)
        ]
        new_states, distributions, weights = zip(*stepped, strict=True)
        if len(self.members) == 1:
            return new_states, distributions[0], weights[0]
        log_probs = jnp.stack([distribution.log_probs() for distribution in distributions])
        return new_states, Distribution.of(mean(log_probs, self.average)), self.mean_weights(weights)

    def mean_weights(self, weights: Sequence[Array]) -> Array:
        """Mean over the members that have attention; zeros where none has. [B K S]"""
        attending = [
            own for own, member in zip(weights, self.members, strict=True) if member.config.attention != "none"
        ]
        return jnp.mean(jnp.stack(attending or weights), axis=0)


def mean(log_probs: Array, average: str) -> Array:
    """Log of the mean distribution: [members B K V] -> [B K V]."""
    if average == "probabilities":
        return jax.nn.logsumexp(log_probs, axis=0) - jnp.log(float(len(log_probs)))
    return jax.nn.log_softmax(jnp.mean(log_probs, axis=0))
