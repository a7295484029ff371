"""The one type that text processing and the model share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jax
    import numpy as np

    Array = np.ndarray | jax.Array

# Special ids, the first four of every vocabulary.
PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")


class Batch(NamedTuple):
    """Padded sentence pairs. Ids are int32, masks are bool and True for real tokens.

    Whatever stands at a masked position changes nothing.
    """

    source: Array  # [B S] x1..xn EOS
    source_mask: Array  # [B S]
    target_in: Array  # [B T] BOS y1..yn
    target_out: Array  # [B T] y1..yn EOS
    target_mask: Array  # [B T]
