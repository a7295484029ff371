"""Batches of sentences through the search on the device, in few compiled shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli import config
from nmt_cli.batch import PAD
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.search import Hypotheses, search
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.device import Note, compile_aloud, out_of_memory
from nmt_cli.run.reading import Sentence

FEW = 8  # lines for which there is a shape between one line and a full batch
SHORTEST_SHAPE = 8  # pieces


class Request(NamedTuple):
    """How lines are to be translated."""

    search: config.Search
    n_best: int
    with_weights: bool


class Decoding:
    """The search of one model, and the programs compiled for it, by shape."""

    def __init__(self, seq2seq: Seq2Seq, note: Note) -> None:
        """note: is told when a shape takes long to compile."""
        self.note = note
        self.decode = jax.jit(
            partial(translate_ids, seq2seq), static_argnames=("steps", "beam", "n_best", "with_weights")
        )
        self.compiled: dict[tuple[int, ...], Any] = {}

    def run(self, parameters: Any, group: Sequence[Sentence], request: Request) -> Hypotheses:
        """Search for one batch, in the smallest shape that holds it. Returns NumPy arrays."""
        asked, n_best, with_weights = request
        rows = row_count(len(group), asked.batch_size)
        length = padded_length(max(len(sentence.ids) for sentence in group), asked.max_length + 1)
        source = np.full((rows, length), PAD, np.int32)
        mask = np.zeros((rows, length), bool)
        max_lengths = np.zeros(rows, np.int32)
        for row, sentence in enumerate(group):
            source[row, : len(sentence.ids)] = sentence.ids
            mask[row, : len(sentence.ids)] = True
            max_lengths[row] = longest_translation(len(sentence.ids), asked)
        arguments = (parameters, source, mask, max_lengths, jnp.float32(asked.length_penalty))
        steps = longest_translation(length, asked) + 1
        shape = (rows, length, steps, asked.beam, n_best, with_weights)
        try:
            if shape not in self.compiled:
                what = f"{rows} x {length} pieces, beam {asked.beam}"
                static = {"steps": steps, "beam": asked.beam, "n_best": n_best, "with_weights": with_weights}
                self.compiled[shape] = compile_aloud(self.decode, *arguments, what=what, note=self.note, **static)
            found: Hypotheses = jax.device_get(self.compiled[shape](*arguments))
        except jax.errors.JaxRuntimeError as error:
            when, hint = f"while translating {rows} lines at a time", f"try --batch-size {max(rows // 2, 1)}"
            raise out_of_memory(error, when, hint) from error
        if not np.isfinite(found.scores[: len(group), 0]).all():
            raise UserError(
                "the model computes scores that are not numbers", "train it again, or use another", Exit.DIVERGED
            )
        return found


def translate_ids(
    seq2seq: Seq2Seq, parameters: Any, source: jax.Array, mask: jax.Array, max_lengths: jax.Array, alpha: jax.Array,
    *, steps: int, beam: int, n_best: int, with_weights: bool,
) -> Hypotheses:  # fmt: skip
    """Encode a batch and search. source: [B S] int32, mask: [B S] bool; the rest as in `search`."""
    memory, state = seq2seq.apply({"params": parameters}, source, mask, method="encode")

    def step(state: Any, tokens: jax.Array) -> Any:
        return seq2seq.apply({"params": parameters}, memory, state, tokens, method="step")

    return search(
        step, state, max_lengths, steps=steps, beam=beam, n_best=n_best, alpha=alpha, with_weights=with_weights
    )


def longest_translation(length: int, search: config.Search) -> int:
    """Most pieces in the translation of a source of this length, both without EOS but the source's counted."""
    return math.ceil(search.max_ratio * (length - 1)) + 10


def row_count(lines: int, batch_size: int) -> int:
    """Rows of the smallest shape that holds this many lines: one, a few, or all."""
    return min(rows for rows in (1, FEW, batch_size) if rows >= lines and rows <= batch_size)


def padded_length(length: int, most: int) -> int:
    """The length a source is padded to: 8, 16, 24, 32, 48, 64, 96, 128 ... but not above `most`."""
    shape = SHORTEST_SHAPE
    while shape < length:
        power = 1 << (shape.bit_length() - 1)
        shape = power * 2 if shape > power or shape == SHORTEST_SHAPE else power * 3 // 2
    return min(shape, most)
