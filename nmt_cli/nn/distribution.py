"""What a model thinks of every piece that may come next, laid out as a processor computes it fastest."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.nn.top import pick, table_depth


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Distribution:
    """log_prob = logit - normalizer, for the V pieces after each of N = B*K hypotheses.

    Pieces come first, in X blocks of D, where X*D may be above V: so the hypotheses are what products, sums and maxima
    do side by side, and the K best are found with nothing written but the logits (for 160 hypotheses and 5,000 pieces
    1.45 ms from the output layer's product on, where log-probabilities [B K V] took 2.3; one core, bfloat16).
    """

    logits: Array  # [X D N] float32, -inf where there is no piece
    normalizers: Array  # [B K] float32, log of the sum of all exp
    size: int = field(metadata={"static": True})  # V

    @classmethod
    def of_logits(cls, logits: Array, rows: int, size: int) -> Distribution:
        """logits: [X D N], of B = `rows` sentences and `size` pieces."""
        # In two stages, which the compiler would make one of were both maxima, or both sums: a maximum with another
        # pass over all logits, and a sum whose order depends on the number of hypotheses.
        highest = -jnp.min(-jnp.max(logits, axis=1), axis=0)  # [N]
        powers = jnp.sum(jnp.exp(logits - highest), axis=1)  # [X N]
        sums = jnp.einsum("xn,x->n", powers, jnp.ones(len(powers)), precision="highest")
        return cls(logits, (highest + jnp.log(sums)).reshape(rows, -1), size)

    @classmethod
    def of(cls, log_probs: Array) -> Distribution:
        """log_probs: [B K V] float32, normalised."""
        rows, width, size = log_probs.shape
        depth = table_depth(size)
        by_piece = jnp.moveaxis(log_probs, 2, 0).reshape(size, rows * width)
        padded = jnp.pad(by_piece, ((0, -size % depth), (0, 0)), constant_values=-jnp.inf)
        return cls(padded.reshape(-1, depth, rows * width), jnp.zeros((rows, width), jnp.float32), size)

    def log_probs(self) -> Array:
        """[B K V] float32"""
        return self.by_sentence() - self.normalizers[:, :, None]

    def by_sentence(self) -> Array:
        """The logits as [B K V] float32."""
        by_piece = self.logits.reshape(-1, *self.normalizers.shape)[: self.size]
        return jnp.moveaxis(by_piece, 0, 2)

    def of_taken(self, taken: Array) -> Array:
        """Log-probabilities of continuations, each as parent * V + token: [B K] -> [B K]."""
        parents, tokens = jnp.divmod(taken, self.size)
        blocks, places = jnp.divmod(tokens, self.logits.shape[1])
        return self.logits[blocks, places, self.columns(parents)] - pick(self.normalizers, parents)

    def best(self, before: Array, first: Array, others: Array) -> tuple[Array, Array]:
        """The K best continuations of each sentence: totals [B K], and parent * V + token [B K].

        before: [B K], log-probability of each hypothesis. What may come next: first [B D] bool, of the first block's
        pieces; others [B] bool, whether any of the other blocks' may.
        The K best stand in the K blocks with the highest best piece.
        """
        (blocks, depth, _), (rows, width) = self.logits.shape, self.normalizers.shape
        beginning = jnp.where(first, 0.0, -jnp.inf)  # [B D]
        other = jnp.where(others, 0.0, -jnp.inf)  # [B]
        of_first = self.logits[0].reshape(depth, rows, width) + beginning.T[:, :, None]
        of_others = jnp.max(self.logits, axis=1)[1:].reshape(-1, rows, width) + other[:, None]
        highest = jnp.concatenate([jnp.max(of_first, axis=0)[None], of_others])  # [X B K]
        totals = before + (highest - self.normalizers)
        _, chosen = lax.top_k(jnp.moveaxis(totals, 0, 2).reshape(rows, -1), width)
        parents, block = jnp.divmod(chosen, blocks)  # [B K]
        logits = self.logits[block, :, self.columns(parents)]  # [B K D]
        logits = logits + jnp.where((block == 0)[:, :, None], beginning[:, None], other[:, None, None])
        totals = pick(before, parents)[:, :, None] + (logits - pick(self.normalizers, parents)[:, :, None])
        best, places = lax.top_k(totals.reshape(rows, -1), width)
        tokens = jnp.minimum(block[:, :, None] * depth + jnp.arange(depth), self.size - 1)
        return best, pick((parents[:, :, None] * self.size + tokens).reshape(rows, -1), places)

    def columns(self, slots: Array) -> Array:
        """Which of the N hypotheses stand in these slots [B K] of their sentences."""
        rows, width = slots.shape
        return jnp.arange(rows)[:, None] * width + slots
