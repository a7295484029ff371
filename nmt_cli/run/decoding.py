"""Batches of sentences through the search on the device, in few compiled shapes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli import config
from nmt_cli.batch import EOS, PAD
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.hypotheses import Hypotheses
from nmt_cli.nn.penalties import GNMT_OFFSET, Ranking
from nmt_cli.nn.sampling import Shape
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.device import Note, compile_aloud, one_core_each, out_of_memory, search_precision
from nmt_cli.run.programs import Chance, Demand, Plan, force_ids, translate_ids
from nmt_cli.run.reading import Sentence
from nmt_cli.run.request import (
    ENCODED,
    FEWEST,
    MOST_TOKENS,
    Request,
    longest_source,
    longest_translation,
    most_pieces,
    padded_length,
    row_count,
)
from nmt_cli.run.shortlist import Shortlist
from nmt_cli.run.traces import Program, compiled


class Decoding:
    """The search of one model, or of several together, and the programs compiled for it, by shape."""

    def __init__(self, members: Sequence[Seq2Seq], note: Note, shortlist: Shortlist | None = None) -> None:
        """members: read the same source vocabulary and write the same target vocabulary.

        note: is told when a shape takes long to compile. shortlist: for requests that want one.
        """
        self.note = note
        self.shortlist = shortlist
        self.members = tuple(members)
        self.compiled: dict[tuple[Any, ...], Any] = {}
        self.compiling = Lock()

    def run(self, parameters: Sequence[Any], group: Sequence[Sentence], request: Request) -> Hypotheses:
        """Search for one batch of at most `request.most`, in the smallest shape that holds it. Returns NumPy arrays.

        parameters: of each member.
        A sentence whose required phrases cannot all be had is translated without them.
        Raises UserError: DIVERGED where a model computes no numbers, RESOURCE where memory does not suffice.
        """
        plan = self.plan(group, request)
        found: Hypotheses = self.call(translate_ids, plan, parameters, self.demand(group, request))
        lost = [not np.isfinite(score) for score in found.scores[: len(group), 0]]
        hopeful = [
            sentence._replace(required=()) if gone else sentence for sentence, gone in zip(group, lost, strict=True)
        ]
        if hopeful != list(group):
            return self.run(parameters, hopeful, request)
        return finite(found, len(group))

    def score(
        self, parameters: Sequence[Any], group: Sequence[Sentence], targets: Sequence[Sequence[int]], request: Request
    ) -> Hypotheses:
        """What the search would think of these translations (ids without EOS), one for each sentence.

        Returns NumPy arrays, one hypothesis a sentence; the numbers are those that `run` gives to the same ids.
        Raises UserError as `run` does.
        """
        asked = request.search
        most = max(FEWEST, request.rows)  # nobody waits for a row: each has its own
        rows = row_count(len(group), most)
        source = padded_sources(group, rows, request)
        shortlist = None
        if asked.shortlist:
            assert self.shortlist is not None
            _, targets, shortlist = self.shortlist.narrow(group, rows, targets)
        target = padded([[*ids, EOS] for ids in targets], rows)
        lengths = in_rows([len(ids) + 1 for ids in targets], rows)
        plan = Plan(
            members=self.models(asked),
            average=asked.ensemble,
            steps=target.shape[1],
            rows=rows,
            width=request.width,
            n_best=1,
            with_weights=request.with_weights,
            encoded=encoded_at_once(),
        )
        arrays = source, target, lengths, ranking(asked), shortlist
        return finite(self.call(force_ids, plan, parameters, *arrays), len(group))

    def demand(self, group: Sequence[Sentence], request: Request) -> Demand:
        """What is asked of a batch, as arrays, with shortlists where they are wanted."""
        if not request.search.shortlist:
            return demand(group, request)
        assert self.shortlist is not None  # or the translator had refused the request
        narrowed = self.shortlist.narrow(group, request.sentence_count(group))
        return demand(narrowed.sentences, request)._replace(shortlist=narrowed.own)

    def plan(self, group: Sequence[Sentence], request: Request) -> Plan:
        """What the program for a batch is made for."""
        asked = request.search
        extra = max(most_pieces(sentence, asked) - longest_translation(len(sentence.ids), asked) for sentence in group)
        longest = longest_translation(request.source_shape(longest_source(group)), asked)
        return Plan(
            members=self.models(asked),
            average=asked.ensemble,
            steps=longest + (padded_length(extra) if extra else 0) + 1,
            rows=request.rows,
            width=request.width,
            n_best=request.n_best,
            with_weights=request.with_weights,
            encoded=encoded_at_once(),
            groups=asked.groups,
            top_k=asked.top_k,
            no_repeat=asked.no_repeat,
        )

    def models(self, asked: config.Search) -> tuple[Seq2Seq, ...]:
        """The members, multiplying what is asked for."""
        precision = search_precision(jax.default_backend()) if asked.precision == "auto" else asked.precision
        return tuple(member.clone(dtype=jnp.dtype(precision)) for member in self.members)

    def call(self, function: Program, plan: Plan, parameters: Sequence[Any], *arguments: Any) -> Hypotheses:
        """What a program finds, which is compiled first where these shapes are new."""
        leaves, structure = jax.tree.flatten(arguments)
        rows, length = leaves[0].shape
        shape = (function, plan, structure, *(leaf.shape for leaf in leaves))
        try:
            with self.compiling:  # batches of one shape that come together wait for one program
                if shape not in self.compiled:
                    what = f"{rows} x {length} pieces, {plan.width} hypotheses of each"
                    options = one_core_each(jax.default_backend())
                    make = partial(compiled, function, (parameters, *arguments), plan, options)
                    self.compiled[shape] = compile_aloud(make, what, self.note)
            return Hypotheses(*jax.device_get(self.compiled[shape](parameters, *arguments)))
        except jax.errors.JaxRuntimeError as error:
            when, hint = f"while translating {rows} lines at a time", f"try --batch-size {max(rows // 2, 1)}"
            raise out_of_memory(error, when, hint) from error


def encoded_at_once() -> int:
    """Sentences at a time, at most; an accelerator has room for all."""
    return ENCODED if jax.default_backend() == "cpu" else MOST_TOKENS


def demand(group: Sequence[Sentence], request: Request) -> Demand:
    """What is asked of a batch, as arrays."""
    asked = request.search
    rows = request.sentence_count(group)
    most = in_rows([most_pieces(sentence, asked) for sentence in group], rows)
    return Demand(
        source=padded_sources(group, rows, request),
        ranking=ranking(asked),
        max_lengths=most,
        min_lengths=np.minimum(most, np.int32(asked.min_output)) if asked.min_output else None,
        prefix=padded([s.prefix for s in group], rows) if any(s.prefix for s in group) else None,
        required=phrases([sentence.required for sentence in group], rows),
        forbidden=phrases([sentence.forbidden for sentence in group], rows),
        strength=number(asked.diversity) if asked.groups > 1 else None,
        chance=None if asked.method == "beam" else chance(group, rows, asked),
    )


def ranking(asked: config.Search) -> Ranking:
    """How hypotheses are ranked."""
    average = asked.normalization == "average"
    return Ranking(
        alpha=number(1.0 if average else asked.length_penalty),
        offset=number(0.0 if average else GNMT_OFFSET),
        beta=number(asked.coverage_penalty) if asked.coverage_penalty else None,
    )


def chance(group: Sequence[Sentence], rows: int, asked: config.Search) -> Chance:
    """What samples follow from: the seed and the sentence itself, so that equal lines have equal samples."""
    sums = [zlib.crc32(np.asarray(sentence.ids, "<i4").tobytes()) for sentence in group]
    shape = Shape(number(asked.temperature), number(asked.top_p) if asked.top_p < 1 else None)
    return Chance(np.uint32(asked.seed), in_rows(sums, rows, np.uint32), shape)


def number(value: float) -> Any:
    """A setting as the device has it: changing it compiles nothing anew."""
    return np.float32(value)


def phrases(asked: Sequence[Sequence[Sequence[int]]], rows: int) -> np.ndarray | None:
    """Phrases of each sentence as one array [B P L], or None where there are none. P is a power of two."""
    most = max(map(len, asked))
    if most == 0:
        return None
    longest = max(len(phrase) for own in asked for phrase in own)
    ids = np.full((rows, 1 << (most - 1).bit_length(), padded_length(longest)), PAD, np.int32)
    for row, own in enumerate(asked):
        for place, phrase in enumerate(own):
            ids[row, place, : len(phrase)] = phrase
    return ids


def padded_sources(group: Sequence[Sentence], rows: int, request: Request) -> np.ndarray:
    """[C S] int32"""
    return padded([sentence.ids for sentence in group], rows, request.source_shape(longest_source(group)))


def padded(sequences: Sequence[Sequence[int]], rows: int, length: int | None = None) -> np.ndarray:
    """Ids as one array, PAD elsewhere, of this length or of that of the smallest shape that holds them."""
    ids = np.full((rows, length or padded_length(max(map(len, sequences)))), PAD, np.int32)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return ids


def in_rows(values: Sequence[int], rows: int, dtype: Any = np.int32) -> np.ndarray:
    """A number for each sentence, and 0 for the fillers after them."""
    return np.array([*values, *[0] * (rows - len(values))], dtype)


def finite(found: Hypotheses, count: int) -> Hypotheses:
    """What was found, or UserError where a model computes no numbers."""
    if not np.isfinite(found.scores[:count, 0]).all():
        raise UserError(
            "the model computes scores that are not numbers", "train it again, or use another", Exit.DIVERGED
        )
    return found
