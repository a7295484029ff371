"""Text in, text out: what `nmt translate`, `nmt eval` and validation stand on, and the Python API.

`Translator.load("run").translate(["Bonjour !"])[0].text` is a translation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from nmt_cli import config
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.errors import UserError
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.decoding import Decoding, Request
from nmt_cli.run.device import Note, select_device, use_compile_cache
from nmt_cli.run.lookahead import take_what_is_there
from nmt_cli.run.model import flatten, load_model
from nmt_cli.run.reading import grouped, read
from nmt_cli.run.shapes import Shape, check
from nmt_cli.run.translation import EMPTY, Translation
from nmt_cli.run.writing import write

LOOK_AHEAD = 16  # batches of a stream that are sorted by length together


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
        self.decoding = Decoding([seq2seq], note)

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
        self, lines: Sequence[str], n_best: int = 1, with_weights: bool = False, **search: Any
    ) -> list[Translation]:
        """The translation of every line, in the order of the lines.

        n_best: hypotheses for each line, at most `beam`.
        with_weights: keep the attention weights.
        search: settings of the section [search] of the configuration, as `beam=5`; the model's own where None.
        Raises UserError when one is unknown or out of its range.
        """
        return self.translate_lines(lines, self.request(n_best, with_weights, **search))

    def translate_stream(
        self, lines: Iterable[str], n_best: int = 1, with_weights: bool = False, **search: Any
    ) -> Iterator[Translation]:
        """Translations in the order of the lines, as the lines come: none waits for a line that is not there yet.

        Options as in `translate`. Lines that are there already are translated together, sorted by length.
        """
        request = self.request(n_best, with_weights, **search)
        groups = take_what_is_there(lines, LOOK_AHEAD * request.search.batch_size)
        return (translation for group in groups for translation in self.translate_lines(group, request))

    def request(self, n_best: int = 1, with_weights: bool = False, **search: Any) -> Request:
        """Options as in `translate`, checked, with the model's own where None. Raises UserError."""
        given = {name: value for name, value in search.items() if value is not None}
        chosen = dataclasses.replace(self.defaults, **config.from_sections({"search": given})["search"])
        if not 1 <= n_best <= chosen.beam:
            raise UserError(f"{n_best} hypotheses for each line need a beam at least as wide", f"try --beam {n_best}")
        return Request(chosen, n_best, with_weights)

    def translate_lines(self, lines: Sequence[str], request: Request) -> list[Translation]:
        """The translation of every line."""
        translations = [Translation(flags=(EMPTY,))] * len(lines)
        source, target, search = self.source_tokenizer, self.target_tokenizer, request.search
        for group in grouped(read(source, lines, search.max_length), search.batch_size):
            found = self.decoding.run([self.parameters], group, request)
            for row, sentence in enumerate(group):
                translations[sentence.line] = write(source, target, sentence, row, found, search)
        return translations


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
