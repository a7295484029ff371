"""Batches of sentences through the search on the device, in few compiled shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli import config
from nmt_cli.batch import EOS, PAD
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.ensemble import Ensemble
from nmt_cli.nn.forced_scoring import score_ids
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
    """The search of one model, or of several together, and the programs compiled for it, by shape."""

    def __init__(self, members: Sequence[Seq2Seq], note: Note) -> None:
        """members: read the same source vocabulary and write the same target vocabulary.

        note: is told when a shape takes long to compile.
        """
        self.note = note
        self.members = tuple(members)
        asked = ("members", "average", "with_weights")
        self.decode = jax.jit(translate_ids, static_argnames=(*asked, "steps", "beam", "n_best"))
        self.force = jax.jit(force_ids, static_argnames=asked)
        self.compiled: dict[tuple[Any, ...], Any] = {}

    def run(self, parameters: Sequence[Any], group: Sequence[Sentence], request: Request) -> Hypotheses:
        """Search for one batch, in the smallest shape that holds it. Returns NumPy arrays.

        parameters: of each member.
        """
        asked, n_best, with_weights = request
        source = padded(
            [sentence.ids for sentence in group], row_count(len(group), asked.batch_size), asked.max_length + 1
        )
        rows, length = source.shape
        max_lengths = np.zeros(rows, np.int32)
        max_lengths[: len(group)] = [longest_translation(len(sentence.ids), asked) for sentence in group]
        steps = longest_translation(length, asked) + 1
        static = {"steps": steps, "beam": asked.beam, "n_best": n_best, "with_weights": with_weights}
        arguments = (parameters, source, max_lengths, jnp.float32(asked.length_penalty))
        return self.finite(self.call(self.decode, arguments, asked, static), len(group))

    def score(
        self,
        parameters: Sequence[Any],
        group: Sequence[Sentence],
        targets: Sequence[Sequence[int]],
        request: Request,
    ) -> Hypotheses:
        """What the search would think of these translations (ids without EOS), one for each sentence.

        Returns NumPy arrays, one hypothesis a sentence; the numbers are those that `run` gives to the same ids.
        """
        asked = request.search
        rows = row_count(len(group), asked.batch_size)
        source = padded([sentence.ids for sentence in group], rows, asked.max_length + 1)
        target = padded([[*ids, EOS] for ids in targets], rows)
        lengths = np.zeros(rows, np.int32)
        lengths[: len(group)] = [len(ids) + 1 for ids in targets]
        arguments = (parameters, source, target, lengths, jnp.float32(asked.length_penalty))
        return self.finite(self.call(self.force, arguments, asked, {"with_weights": request.with_weights}), len(group))

    def call(self, function: Any, arguments: tuple[Any, ...], asked: config.Search, static: dict[str, Any]) -> Any:
        """The result of a compiled function, compiled first where these shapes are new. arguments[1] is the source."""
        static = {**static, "members": self.members, "average": asked.ensemble}
        rows, length = arguments[1].shape
        shape = (function, *(array.shape for array in arguments[1:]), *static.values())
        try:
            if shape not in self.compiled:
                what = f"{rows} x {length} pieces, beam {asked.beam}"
                self.compiled[shape] = compile_aloud(function, *arguments, what=what, note=self.note, **static)
            return jax.device_get(self.compiled[shape](*arguments))
        except jax.errors.JaxRuntimeError as error:
            when, hint = f"while translating {rows} lines at a time", f"try --batch-size {max(rows // 2, 1)}"
            raise out_of_memory(error, when, hint) from error

    @staticmethod
    def finite(found: Hypotheses, count: int) -> Hypotheses:
        """What was found, or UserError where a model computes no numbers."""
        if not np.isfinite(found.scores[:count, 0]).all():
            raise UserError(
                "the model computes scores that are not numbers", "train it again, or use another", Exit.DIVERGED
            )
        return found


def translate_ids(
    parameters: Sequence[Any], source: jax.Array, max_lengths: jax.Array, alpha: jax.Array,
    *, members: tuple[Seq2Seq, ...], average: str, steps: int, beam: int, n_best: int, with_weights: bool,
) -> Hypotheses:  # fmt: skip
    """Encode a batch and search. source: [B S] int32; the rest as in `search`."""
    step, state = begin(Ensemble(members, average), parameters, source)
    return search(
        step, state, max_lengths, steps=steps, beam=beam, n_best=n_best, alpha=alpha, with_weights=with_weights
    )


def force_ids(
    parameters: Sequence[Any], source: jax.Array, targets: jax.Array, lengths: jax.Array, alpha: jax.Array,
    *, members: tuple[Seq2Seq, ...], average: str, with_weights: bool,
) -> Hypotheses:  # fmt: skip
    """Encode a batch and score its translations. source: [B S] int32; the rest as in `score_ids`."""
    step, state = begin(Ensemble(members, average), parameters, source)
    return score_ids(step, state, targets, lengths, alpha=alpha, with_weights=with_weights)


def begin(model: Ensemble, parameters: Sequence[Any], source: jax.Array) -> tuple[Any, Any]:
    """The step function and the first state of a batch [B S]."""
    memories, state = model.encode(parameters, source, source != PAD)

    def step(state: Any, tokens: jax.Array) -> Any:
        return model.step(parameters, memories, state, tokens)

    return step, state


def padded(sequences: Sequence[Sequence[int]], rows: int, most: int | None = None) -> np.ndarray:
    """Ids as one array, PAD elsewhere, in the smallest shape that holds them; its length is at most `most`."""
    longest = max(map(len, sequences))
    ids = np.full((rows, padded_length(longest, most)), PAD, np.int32)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return ids


def longest_translation(length: int, search: config.Search) -> int:
    """Most pieces in the translation of a source of this length, both without EOS but the source's counted."""
    return math.ceil(search.max_ratio * (length - 1)) + 10


def row_count(lines: int, batch_size: int) -> int:
    """Rows of the smallest shape that holds this many lines: one, a few, or all."""
    return min(rows for rows in (1, FEW, batch_size) if rows >= lines and rows <= batch_size)


def padded_length(length: int, most: int | None = None) -> int:
    """The length a sequence is padded to: 8, 16, 24, 32, 48, 64, 96, 128 ... but not above `most`."""
    shape = SHORTEST_SHAPE
    while shape < length:
        power = 1 << (shape.bit_length() - 1)
        shape = power * 2 if shape > power or shape == SHORTEST_SHAPE else power * 3 // 2
    return shape if most is None else min(shape, most)
