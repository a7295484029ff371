"""Text in, text out: what `nmt translate`, `nmt eval` and validation stand on, and the Python API.

`Translator.load("run").translate(["Bonjour !"])[0].text` is a translation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from nmt_cli import config
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.errors import UserError
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.decoding import Decoding
from nmt_cli.run.device import Note, batches_at_once, select_device, use_compile_cache
from nmt_cli.run.forcing import Forcing
from nmt_cli.run.joining import Part, join
from nmt_cli.run.lookahead import overlapping, take_what_is_there
from nmt_cli.run.model import Model, flatten, load_model
from nmt_cli.run.reading import Line, Sentence, grouped, read
from nmt_cli.run.request import Request
from nmt_cli.run.shapes import Shape, check
from nmt_cli.run.shortlist import Shortlist
from nmt_cli.run.translation import Translation
from nmt_cli.run.writing import Writer

LOOK_AHEAD = 64  # batches of a stream that are sorted by length together


class Translator:
    """A model with its tokenizers, or several models that translate together, ready to translate.

    A line of nothing but white space or invisible characters has an empty translation. A line longer than
    `search.max_length` pieces is translated in parts (see `nmt_cli.run.splitting`) and flagged SPLIT.
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
        others: Sequence[tuple[Seq2Seq, Any]] = (),
        shortlist: Shortlist | None = None,
    ) -> None:
        """note: is told when a shape takes long to compile. `parameters` may be replaced at any time.

        others: further models and their parameters, with the same vocabularies; their probabilities are averaged.
        shortlist: what may be written, for `search.shortlist`.
        """
        self.seq2seq = seq2seq
        self.parameters = parameters
        self.source_tokenizer = source_tokenizer
        self.target_tokenizer = target_tokenizer
        self.defaults = defaults
        self.others = others
        self.decoding = Decoding([seq2seq, *(member for member, _ in others)], note, shortlist)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        note: Note = lambda text: None,
        beside: Sequence[str | Path] = (),
    ) -> Translator:
        """The translator in a run or a model folder, on a device (see `select_device`).

        beside: further ones that translate together with it; their vocabularies must be the same.
        Raises UserError: INTEGRITY for a damaged model, RESOURCE where the device is missing, USAGE for models that do
        not go together.
        """
        note(f"device: {select_device(device)}")
        use_compile_cache(note)
        models = [load_model(Path(each)) for each in (path, *beside)]
        first, *others = models
        for other in others:
            check_vocabularies(first, other)
        (seq2seq, parameters), *members = map(member_of, models)
        source, target = first.source_tokenizer, first.target_tokenizer
        lexicons = [model.lexicon for model in models if model.lexicon is not None]
        shortlist = Shortlist(lexicons, target.size) if len(lexicons) == len(models) else None
        return cls(seq2seq, parameters, source, target, first.config.search, note, members, shortlist)

    def translate(
        self,
        lines: Sequence[str | Line],
        n_best: int = 1,
        with_weights: bool = False,
        unknown: Mapping[str, str] | None = None,
        **search: Any,
    ) -> list[Translation]:
        """The translation of every line, in the order of the lines.

        n_best: hypotheses for each line, at most `beam`; fewer where a text was found in several spellings.
        with_weights: keep the attention weights, and say which words belong together.
        unknown: a dictionary for unknown pieces (see `nmt_cli.run.writing.Writer`); empty, it has them copied.
        search: settings of the section [search] of the configuration, as `beam=5`; the model's own where None.
        Raises UserError when one is unknown or out of its range.
        """
        request = self.request(n_best, with_weights, unknown, **search)
        return list(self.translate_groups([lines], request, unknown))

    def translate_stream(
        self,
        lines: Iterable[str | Line],
        n_best: int = 1,
        with_weights: bool = False,
        unknown: Mapping[str, str] | None = None,
        **search: Any,
    ) -> Iterator[Translation]:
        """Translations in the order of the lines, as the lines come: none waits for a line that is not there yet.

        Options as in `translate`. Lines that are there already are translated together, sorted by length.
        """
        request = self.request(n_best, with_weights, unknown, **search)
        groups = take_what_is_there(lines, LOOK_AHEAD * request.search.batch_size)
        return self.translate_groups(groups, request, unknown)

    def translate_groups(
        self, groups: Iterable[Sequence[str | Line]], request: Request, unknown: Mapping[str, str] | None = None
    ) -> Iterator[Translation]:
        """Translations of the lines of all groups; lines of one are read while those before it are searched for."""
        with self.device() as device:
            translate = partial(self.translate_lines, request=request, unknown=unknown, device=device)
            yield from chain.from_iterable(overlapping(translate, groups))

    def score(
        self, sources: Sequence[str], targets: Sequence[str], with_weights: bool = False, **search: Any
    ) -> list[Translation]:
        """What the model thinks of given translations: the numbers that search reports when it finds the same pieces.

        A blank source is not given to the model: its only translation is the blank one (score 0, any other -inf).
        Lines and translations longer than the model reads and writes are cut, and flagged CUT.
        Options as in `translate`.
        """
        request = self.request(with_weights=with_weights, **{**search, "long_lines": "cut"})
        score = partial(self.decoding.score, self.all_parameters())
        return Forcing(self.source_tokenizer, self.target_tokenizer, request, score).run(sources, targets)

    def request(
        self, n_best: int = 1, with_weights: bool = False, unknown: Mapping[str, str] | None = None, **search: Any
    ) -> Request:
        """Options as in `translate`, checked, with the model's own where None. Raises UserError."""
        given = {name: value for name, value in search.items() if value is not None}
        chosen = dataclasses.replace(self.defaults, **config.from_sections({"search": given})["search"])
        config.check_search(chosen, self.seq2seq.config)
        if (with_weights or unknown is not None) and all(m.config.attention == "none" for m in self.decoding.members):
            raise UserError("the model has no attention", "there is nothing that words could be aligned or replaced by")
        if chosen.shortlist and self.decoding.shortlist is None:
            what = "there is no shortlist: the model, or one beside it, comes from data without a lexicon"
            raise UserError(what, "leave it out: --no-shortlist; or prepare the data anew, and train")
        return Request.checked(chosen, n_best, with_weights)

    def translate_lines(
        self, lines: Sequence[str | Line], request: Request, unknown: Mapping[str, str] | None, device: Executor
    ) -> list[Translation]:
        """The translation of every line. device: where batches are searched for."""
        asked = [Line(line) if isinstance(line, str) else line for line in lines]
        source, target = self.source_tokenizer, self.target_tokenizer
        sentences = read(source, target, asked, request.search)
        writer = Writer(source, target, request, unknown)
        needed = request._replace(with_weights=request.with_weights or unknown is not None)
        parts: list[list[Part]] = [[] for _ in lines]
        groups = batches(sentences, needed)
        run = partial(self.decoding.run, self.all_parameters(), request=needed)
        for group, found in zip(groups, device.map(run, groups), strict=True):
            for row, sentence in enumerate(group):
                line = asked[sentence.line].text
                parts[sentence.line].append((sentence, writer.write(line, sentence, row, found)))
        return [
            join(target, line, in_order(own), request.n_best, request.with_weights)
            for line, own in zip(asked, parts, strict=True)
        ]

    @staticmethod
    @contextmanager
    def device() -> Iterator[Executor]:
        """Where batches are searched for, while text is made of what was found for others."""
        with ThreadPoolExecutor(batches_at_once(jax.default_backend())) as device:
            try:
                yield device
            finally:
                device.shutdown(cancel_futures=True)

    def all_parameters(self) -> list[Any]:
        """Of each model that translates."""
        return [self.parameters, *(parameters for _, parameters in self.others)]


def batches(sentences: Iterable[Sentence], request: Request) -> list[list[Sentence]]:
    """Batches of sentences of like length, the longest first."""
    longest_first = sorted(sentences, key=lambda sentence: -len(sentence.ids))
    return grouped(longest_first, lambda sentence: request.source_shape(len(sentence.ids)), request.most)


def in_order(parts: list[Part]) -> list[Part]:
    """The parts of a line as they stand in it."""
    return sorted(parts, key=lambda part: part[0].span)


def member_of(model: Model) -> tuple[Seq2Seq, Any]:
    """A model as it is on the device. Raises UserError (INTEGRITY) when its parameters are not those it should have."""
    seq2seq = Seq2Seq(model.config.model, model.source_tokenizer.size, model.target_tokenizer.size)
    check_parameters(model.parameters, seq2seq, model.path)
    return seq2seq, jax.device_put(model.parameters)


def check_vocabularies(first: Model, other: Model) -> None:
    """Raise UserError when two models do not read and write the same pieces."""
    for side in ("source", "target"):
        one, two = getattr(first, f"{side}_tokenizer"), getattr(other, f"{side}_tokenizer")
        if one.lowercase != two.lowercase or one.vocabulary.to_bytes() != two.vocabulary.to_bytes():
            what = f"{first.path} and {other.path} have different {side} vocabularies"
            raise UserError(what, "models that translate together must come from the same prepared data")


def check_parameters(parameters: Any, seq2seq: Seq2Seq, where: Path) -> None:
    """Raise UserError (INTEGRITY) that lists what differs from the parameters that the configuration asks for."""
    one = jax.ShapeDtypeStruct((1, 1), jnp.int32), jax.ShapeDtypeStruct((1, 1), jnp.bool_)  # arrays would be computed
    made = jax.eval_shape(lambda *source: seq2seq.init(jax.random.key(0), *source, method=first_step), *one)
    expected, found = (
        {path: Shape(array.shape) for path, array in flatten(tree).items()} for tree in (made["params"], parameters)
    )
    check(str(where), found, expected, "its files do not belong together: copy the model again")


def first_step(seq2seq: Seq2Seq, source: jax.Array, mask: jax.Array) -> Any:
    """All that translating computes, once."""
    return seq2seq.step(*seq2seq.encode(source, mask), jnp.zeros((len(source), 1), jnp.int32))
