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


class DecoderState(NamedTuple):
    """The recurrent carry of the decoder."""

    cells: tuple[Any, ...]  # one cell state a layer, arrays of [B K H] float32
    attentional: jax.Array | None  # [B K H] float32: the last attentional vector, fed back; None without input feeding


class DecoderOutput(NamedTuple):
    """What one decoder step makes."""

    attentional: jax.Array  # [B K H] float32: what the output layer reads
    weights: jax.Array | None  # [B K S] float32: attention weights, zero at padding; None without attention
