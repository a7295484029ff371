"""Text in, text out: what `nmt translate`, `nmt eval` and validation stand on, and the Python API.

`Translator.load("run").translate(["Bonjour !"])[0].text` is a translation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli import config
from nmt_cli.batch import EOS, PAD
from nmt_cli.data.lines import clean_output, is_blank
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.search import Hypotheses, search
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.device import Note, compile_aloud, select_device, use_compile_cache
from nmt_cli.run.lookahead import take_what_is_there
from nmt_cli.run.model import flatten, load_model
from nmt_cli.run.shapes import Shape, check
from nmt_cli.run.translation import CUT, EMPTY, LIMIT, Hypothesis, Translation

LOOK_AHEAD = 16  # batches of a stream that are sorted by length together
FEW = 8  # lines for which there is a shape between one line and a full batch
LONGEST_PIECE = 64  # characters of a line that are read for each piece that may be translated
SHORTEST_SHAPE = 8  # pieces


class Request(NamedTuple):
    """How lines are to be translated."""

    search: config.Search
    n_best: int
    with_weights: bool


class Sentence(NamedTuple):
    """A line that has something to translate."""

    line: int  # its place in the input
    ids: list[int]  # with EOS
    was_cut: bool


class Translator:
    """A model with its tokenizers, ready to translate.

    A line of nothing but white space or invisible characters has an empty translation. A line longer than
    `search.max_length` pieces (or than 64 times as many characters) is translated up to there and flagged CUT.
    Output is one line, whatever the model produced. A translation does not depend on the lines beside it.
    """

    def __init__(
        self,
        seq2seq: Seq2Seq,
        parameters: Any,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        defaults: config.Search,
        note: Note = lambda text: None,
    ) -> None:
        """note: is told when a shape takes long to compile. `parameters` may be replaced at any time."""
        self.seq2seq = seq2seq
        self.parameters = parameters
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.defaults = defaults
        self.note = note
        self.decode = jax.jit(
            partial(translate_ids, seq2seq), static_argnames=("steps", "beam", "n_best", "with_weights")
        )
        self.compiled: dict[tuple[int, ...], Any] = {}

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", note: Note = lambda text: None) -> Translator:
        """The translator in a run or a model folder, on a device (see `select_device`).

        Raises UserError: INTEGRITY for a damaged model, RESOURCE where the device is missing.
        """
        note(f"device: {select_device(device)}")
        use_compile_cache(note)
        model = load_model(Path(path))
        source, target = model.source_tokenizer, model.target_tokenizer
        seq2seq = Seq2Seq(model.config.model, source.size, target.size)
        check_parameters(model.parameters, seq2seq, model.path)
        return cls(seq2seq, jax.device_put(model.parameters), source, target, model.config.search, note)

    def translate(
        self,
        lines: Sequence[str],
        beam: int | None = None,
        n_best: int = 1,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        with_weights: bool = False,
    ) -> list[Translation]:
        """The translation of every line, in the order of the lines.

        beam, length_penalty, batch_size: as in the section [search] of the configuration, which holds where None.
        n_best: hypotheses for each line, at most `beam`.
        with_weights: keep the attention weights.
        Raises UserError when an option is out of its range.
        """
        request = self.request(beam, n_best, length_penalty, batch_size, with_weights)
        return self.translate_lines(lines, request)

    def translate_stream(
        self,
        lines: Iterable[str],
        beam: int | None = None,
        n_best: int = 1,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        with_weights: bool = False,
    ) -> Iterator[Translation]:
        """Translations in the order of the lines, as the lines come: none waits for a line that is not there yet.

        Options as in `translate`. Lines that are there already are translated together, sorted by length.
        """
        request = self.request(beam, n_best, length_penalty, batch_size, with_weights)
        groups = take_what_is_there(lines, LOOK_AHEAD * request.search.batch_size)
        return (translation for group in groups for translation in self.translate_lines(group, request))

    def request(
        self, beam: int | None, n_best: int, length_penalty: float | None, batch_size: int | None, with_weights: bool
    ) -> Request:
        """Options checked, with the model's own where None. Raises UserError."""
        given = {"beam": beam, "length_penalty": length_penalty, "batch_size": batch_size}
        sections = config.from_sections({"search": {key: value for key, value in given.items() if value is not None}})
        chosen = dataclasses.replace(self.defaults, **sections["search"])
        if not 1 <= n_best <= chosen.beam:
            raise UserError(f"{n_best} hypotheses for each line need a beam at least as wide", f"try --beam {n_best}")
        return Request(chosen, n_best, with_weights)

    def translate_lines(self, lines: Sequence[str], request: Request) -> list[Translation]:
        """The translation of every line."""
        translations = [Translation(flags=(EMPTY,))] * len(lines)
        for group in grouped(self.read(lines, request.search.max_length), request.search.batch_size):
            found = self.run(group, request)
            for row, sentence in enumerate(group):
                translations[sentence.line] = self.write(sentence, row, found, request.search)
        return translations

    def read(self, lines: Sequence[str], most: int) -> list[Sentence]:
        """The lines that have something in them, as the ids that the model reads, at most so many and EOS."""
        present = [line for line, text in enumerate(lines) if not is_blank(text)]
        longest = most * LONGEST_PIECE
        encoded = self.source_tokenizer.encode([lines[line][:longest] for line in present])
        return [
            Sentence(line, [*ids[:most], EOS], was_cut=len(ids) > most or len(lines[line]) > longest)
            for line, ids in zip(present, encoded, strict=True)
            if ids
        ]

    def run(self, group: Sequence[Sentence], request: Request) -> Hypotheses:
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
        arguments = (self.parameters, source, mask, max_lengths, jnp.float32(asked.length_penalty))
        steps = longest_translation(length, asked) + 1
        shape = (rows, length, steps, asked.beam, n_best, with_weights)
        try:
            if shape not in self.compiled:
                what = f"{rows} x {length} pieces, beam {asked.beam}"
                static = {"steps": steps, "beam": asked.beam, "n_best": n_best, "with_weights": with_weights}
                self.compiled[shape] = compile_aloud(self.decode, *arguments, what=what, note=self.note, **static)
            found: Hypotheses = jax.device_get(self.compiled[shape](*arguments))
        except jax.errors.JaxRuntimeError as error:
            raise out_of_memory(error, rows) from error
        if not np.isfinite(found.scores[: len(group), 0]).all():
            raise UserError(
                "the model computes scores that are not numbers", "train it again, or use another", Exit.DIVERGED
            )
        return found

    def write(self, sentence: Sentence, row: int, found: Hypotheses, search: config.Search) -> Translation:
        """One row of what search found, as text."""
        hypotheses = tuple(
            self.hypothesis(row, n, found, len(sentence.ids))
            for n in range(found.ids.shape[1])
            if found.lengths[row, n] > 0
        )
        at_limit = len(hypotheses[0].tokens) >= longest_translation(len(sentence.ids), search)
        flags = [flag for flag, raised in ((CUT, sentence.was_cut), (LIMIT, at_limit)) if raised]
        return Translation(tuple(map(self.source_tokenizer.piece, sentence.ids)), hypotheses, tuple(flags))

    def hypothesis(self, row: int, n: int, found: Hypotheses, source_length: int) -> Hypothesis:
        """The n-th hypothesis of a row, as text."""
        length = int(found.lengths[row, n])
        ids = found.ids[row, n, : length - 1].tolist()
        return Hypothesis(
            text=clean_output(self.target_tokenizer.decode(ids)),
            score=float(found.scores[row, n]),
            tokens=tuple(map(self.target_tokenizer.piece, ids)),
            log_probs=tuple(found.log_probs[row, n, :length].tolist()),
            weights=None if found.weights is None else np.asarray(found.weights[row, n, :length, :source_length]),
        )


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


def check_parameters(parameters: Any, seq2seq: Seq2Seq, where: Path) -> None:
    """Raise UserError (INTEGRITY) that lists what differs from the parameters that the configuration asks for."""
    ids, mask = jnp.zeros((1, 1), jnp.int32), jnp.ones((1, 1), bool)
    made = jax.eval_shape(partial(seq2seq.init, method=first_step), jax.random.key(0), ids, mask)
    expected, found = (
        {path: Shape(array.shape) for path, array in flatten(tree).items()} for tree in (made["params"], parameters)
    )
    check(str(where), found, expected, "its files do not belong together: copy the model again")


def first_step(seq2seq: Seq2Seq, source: jax.Array, mask: jax.Array) -> Any:
    """All that translating computes, once."""
    return seq2seq.step(*seq2seq.encode(source, mask), jnp.zeros((len(source), 1), jnp.int32))


def longest_translation(length: int, search: config.Search) -> int:
    """Most pieces in the translation of a source of this length, both without EOS but the source's counted."""
    return math.ceil(search.max_ratio * (length - 1)) + 10


def grouped(sentences: Sequence[Sentence], batch_size: int) -> list[list[Sentence]]:
    """Batches of sentences of like length, the longest first."""
    ordered = sorted(sentences, key=lambda sentence: -len(sentence.ids))
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


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


def out_of_memory(error: Exception, rows: int) -> Exception:
    """What to raise for an error of the device: with the way out when it is memory, else as it is."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return error
    return UserError(
        f"out of memory while translating {rows} lines at a time",
        f"try --batch-size {max(rows // 2, 1)}",
        Exit.RESOURCE,
    )
