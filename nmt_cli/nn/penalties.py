"""What ranks hypotheses: their log-probability, the length it is divided by, and what of the source was left out."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

GNMT_OFFSET = 5.0
LEAST_COVERAGE = 1e-4  # of a source token; where a model looks at one not at all, the logarithm would be infinite


class Ranking(NamedTuple):
    """score = log_prob / length_penalty + coverage_penalty (Wu et al. 2016, equation 14).

    alpha, offset: of `length_penalty`. Offset 0 and alpha 1 is the average over the tokens.
    beta: of `coverage_penalty`; None for none, which then costs nothing.
    """

    alpha: Array | float = 0.0
    offset: Array | float = GNMT_OFFSET
    beta: Array | float | None = None

    def scores(self, log_probs: Array, lengths: Array, coverage: Array | None, mask: Array | None) -> Array:
        """What finished hypotheses are ranked by. [B K] float32

        log_probs: [B K] float32. lengths: int32, EOS included, any shape that fits [B K].
        coverage: [B K S] float32, sum of attention weights; mask: [B S] bool, the source tokens that are to be
        covered. Both are None without a coverage penalty.
        """
        scores = log_probs / length_penalty(lengths, self.alpha, self.offset)
        if self.beta is None or mask is None or coverage is None:
            return scores
        return scores + self.beta * coverage_penalty(coverage, mask)

    def reachable(self, log_probs: Array, longest: Array) -> Array:
        """The highest score that anything that begins so can have. [B K] float32

        log_probs: [B K] float32, of live hypotheses. longest: [B] int32, of any, EOS included.
        A log-probability can only fall from here, the penalty that divides it only grow up to the longest length,
        and the coverage penalty is never above zero.
        """
        return log_probs / length_penalty(longest[:, None], self.alpha, self.offset)


def length_penalty(lengths: Array, alpha: float | Array, offset: float | Array = GNMT_OFFSET) -> Array:
    """Wu et al. 2016, equation 14: ((5 + |Y|) / 6) ** alpha, with EOS counted in |Y|. Any shape, float32.

    offset: in place of the 5, and the 6 is one more.
    """
    return ((offset + lengths.astype(jnp.float32)) / (offset + 1.0)) ** alpha


def coverage_penalty(coverage: Array, mask: Array) -> Array:
    """Wu et al. 2016, equation 14: the sum over the source of log(min(coverage, 1)), never above 0. [B K] float32

    coverage: [B K S] float32, attention each source token has had. mask: [B S] bool.
    """
    covered = jnp.log(jnp.clip(coverage, LEAST_COVERAGE, 1.0))
    return jnp.sum(jnp.where(mask[:, None], covered, 0.0), axis=2)
