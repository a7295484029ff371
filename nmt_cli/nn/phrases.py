"""Phrases looked for in hypotheses while these grow: how far each is, token by token (Knuth, Morris & Pratt 1977)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from nmt_cli.batch import PAD


class Phrases(NamedTuple):
    """Up to P phrases a sentence, of up to L tokens.

    Progress in a phrase [B M P] int32, of M hypotheses of each sentence, is the length of its longest beginning that
    the hypothesis ends with.
    """

    ids: Array  # [B P L] int32, PAD after the end of each
    lengths: Array  # [B P] int32, 0 where there is no phrase
    borders: Array  # [B P L+1 L] bool: whether the first s tokens of the phrase end with its first l

    @classmethod
    def of(cls, ids: Array) -> Phrases:
        """ids: [B P L] int32, PAD after the end of each phrase."""
        longest = ids.shape[2]
        ends, starts, places = jnp.ogrid[: longest + 1, :longest, :longest]  # s, l, i: phrase[i] == phrase[s - l + i]
        same = ids[:, :, None, None, :] == ids[:, :, jnp.clip(ends - starts + places, 0, longest - 1)]
        borders = jnp.all(same | (places >= starts), axis=4) & (starts <= ends)[..., 0]
        return cls(ids, jnp.sum(ids != PAD, axis=2), borders)

    def read(self, progress: Array, tokens: Array) -> Array:
        """Progress after one more token [B M] of each hypothesis."""
        sentences, phrases = jnp.arange(len(self.ids))[:, None, None], jnp.arange(self.ids.shape[1])
        goes_on = self.borders[sentences, phrases, progress]  # [B M P L]
        fits = self.ids[:, None] == tokens[:, :, None, None]
        lengths = jnp.arange(1, self.ids.shape[2] + 1)
        return jnp.max(jnp.where(goes_on & fits, lengths, 0), axis=3).astype(jnp.int32)

    def read_once(self, progress: Array, tokens: Array) -> Array:
        """The same for phrases that need to occur only once: one that has occurred stays so."""
        return jnp.where(self.occurred(progress), progress, self.read(progress, tokens))

    def occurred(self, progress: Array) -> Array:
        """Which phrases the hypothesis ends with (or has had, with `read_once`); there is nothing in an empty one."""
        return progress >= self.lengths[:, None]

    def following(self, progress: Array) -> Array:
        """The token of each phrase that comes next; PAD where it is complete. [B M P]"""
        places = jnp.clip(progress, 0, self.ids.shape[2] - 1)
        sentences, phrases = jnp.arange(len(self.ids))[:, None, None], jnp.arange(self.ids.shape[1])
        return jnp.where(self.occurred(progress), PAD, self.ids[sentences, phrases, places])

    def completing(self, progress: Array) -> Array:
        """The last token of each phrase that lacks no other; PAD elsewhere. [B M P]"""
        return jnp.where(progress == self.lengths[:, None] - 1, self.following(progress), PAD)
