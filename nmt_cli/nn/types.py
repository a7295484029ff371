"""The shapes that travel between encoder, attention, decoder and search.

Axes: B sentences, S source tokens, T target tokens, K hypotheses of a sentence (1 in training), E embedding,
H decoder units, D annotation size, A size of attention keys, V vocabulary, L layers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax


class Memory(NamedTuple):
    """What the decoder reads of the source. Constant over target time, never repeated over hypotheses."""

    keys: jax.Array  # [B S A] float32: what queries are compared with
    values: jax.Array  # [B S D] float32: the annotations
    mask: jax.Array  # [B S] bool: True for real tokens
    fertility: jax.Array | None = None  # [B S] float32: target tokens a source token makes; None without coverage
    summary: jax.Array | None = (
        None  # [B 1 D] float32: the one context vector of the source; None but for Cho's decoder
    )


class DecoderState(NamedTuple):
    """The recurrent carry of the decoder."""

    cells: tuple[Any, ...]  # one cell state a layer, arrays of [B K H] float32
    attentional: (
        jax.Array | None
    )  # [B K H] float32: the last attentional vector (gnmt_v2: context), where it is fed back
    time: jax.Array | None = None  # [B K] float32: number of the token to come, from 1; None without local-m attention
    coverage: jax.Array | None = None  # [B K S] float32: attention so far over fertility; None without coverage


class Reading(NamedTuple):
    """What a decoder step knows when it makes its output."""

    hidden: jax.Array  # [B K H] float32
    context: jax.Array | None  # [B K D] float32; None without attention
    weights: jax.Array | None  # [B K S] float32: attention weights, zero at padding; None without attention


class DecoderOutput(NamedTuple):
    """What one decoder step makes."""

    attentional: jax.Array  # [B K H] float32: what the output layer reads
    weights: jax.Array | None  # [B K S] float32: attention weights, zero at padding; None without attention
