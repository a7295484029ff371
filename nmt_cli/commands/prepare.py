"""`nmt prepare`: a parallel corpus becomes a data directory.

Every source is read once, into a temporary spool of its usable pairs; the size of the corpus then decides the defaults.
The spool is read to train the tokenizer and again to write the arrays. Hashes and lengths are on disk as well, so
memory holds one batch of text, the validation set, and the sample that the tokenizer is trained on: it does not grow
with the corpus.
"""

from __future__ import annotations

import dataclasses
import json as json_format
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from nmt_cli import config
from nmt_cli.commands.prepare_report import show_report
from nmt_cli.commands.progress import track
from nmt_cli.config import Config, Sections
from nmt_cli.data import selection, tables
from nmt_cli.data.corpus import Corpus, Pair, refuse_empty
from nmt_cli.data.lexicon import write_lexicon
from nmt_cli.data.lines import BadLines
from nmt_cli.data.report import Notes, Part, build_report
from nmt_cli.data.selection import Encoded, Intake
from nmt_cli.data.spool import Spool
from nmt_cli.data.staging import beside, temporary, writing
from nmt_cli.data.store import DataWriter, refuse_other_content, write_data
from nmt_cli.data.tally import Counts
from nmt_cli.data.tokenizer import Tokenizer, load_tokenizers
from nmt_cli.data.vocabulary import LONGEST_LINE
from nmt_cli.errors import UserError

Tokenizers = tuple[Tokenizer, Tokenizer]  # source and target; the same object when the vocabulary is joint


def run(
    directory: Path,
    source: list[str],
    target: list[str],
    corpus: list[str],
    valid_source: str | None,
    valid_target: str | None,
    valid_corpus: str | None,
    tokenizer: Path | None,
    recipe: str | None,
    overrides: list[str],
    bad_lines: BadLines,
    quiet: bool,
    json: bool,
) -> None:
    """Write the data directory and say what became of the text. Raises UserError; what stood there stays then."""
    sections = config.load_recipe(recipe) if recipe else {}
    config.resolve(sections, overrides)  # wrong options are said before hours of reading
    training = Corpus(tuple(source), tuple(target), tuple(corpus), bad_lines=bad_lines)
    validation = choose_validation(training, valid_source, valid_target, valid_corpus)
    refuse_second_stdin(training, validation)
    refuse_other_content(directory)
    given = load_given(tokenizer) if tokenizer else None
    with temporary(beside(directory, "reading")) as folder, writing(directory):
        report = prepare(directory, folder, training, validation, given, sections, overrides, quiet)
    if not quiet:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        show_report(report, console)
        console.print(escape(f"{report['train']['pairs']:,} pairs are ready. Next: nmt train {directory} RUN"))
    if json:
        sys.stdout.write(json_format.dumps(report, indent=2) + "\n")


def choose_validation(training: Corpus, source: str | None, target: str | None, table: str | None) -> Corpus | None:
    """The validation set that the options name, else the `validation` split of a hub dataset, else None."""
    if (source is None) != (target is None):
        missing = "--valid-source" if source is None else "--valid-target"
        raise UserError(f"{missing} is missing", "give both sides of the validation set, or neither")
    if source is not None and target is not None:
        if table is not None:
            raise UserError("--valid-corpus and --valid-source both name a validation set", "give one of them")
        return Corpus((source,), (target,), bad_lines=training.bad_lines)
    hub = tuple(name for name in training.tables if tables.kind_of(name) == "hub")
    fields = {"source": training.source, "target": training.target} if training.tables else {}
    if table is not None and hub and tables.kind_of(table) == "hub":
        return Corpus(**fields, tables=hub, split=table, bad_lines=training.bad_lines)
    if table is not None:
        return Corpus(**fields, tables=(table,), split="validation", bad_lines=training.bad_lines)
    if hub and all(tables.has_split(name, "validation") for name in hub):
        return Corpus(**fields, tables=hub, split="validation", bad_lines=training.bad_lines)
    return None


def refuse_second_stdin(*corpora: Corpus | None) -> None:
    """Raise UserError (USAGE) when stdin would have to be read twice."""
    names = [name for c in corpora if c for name in (c.tables or c.source + c.target)]
    if names.count("-") > 1:
        raise UserError("stdin can be read only once, and is named twice", "put one of the texts into a file")


def load_given(path: Path) -> Tokenizers:
    """The tokenizers of a data directory, a run or a model folder. Raises UserError where there are none."""
    for folder in (path, path / "best", path / "last"):
        if (folder / "tokenizer.json").is_file():
            return load_tokenizers(folder)
    raise UserError(f"--tokenizer {path}: there is no tokenizer here", "give a data directory, a run or a model folder")


def prepare(
    directory: Path,
    spools: Path,
    training: Corpus,
    validation: Corpus | None,
    given: Tokenizers | None,
    recipe: Sections,
    overrides: list[str],
    quiet: bool,
) -> dict[str, Any]:
    """Make the data directory; returns the report that is in it.

    spools: an existing folder for temporary files as large as the text.
    """
    notes = Notes()
    valid = read(validation, spools / "valid", frozenset(), quiet) if validation else None
    known = frozenset(valid.sources[:].tolist()) if valid else frozenset()
    train = read(training, spools / "train", known, quiet)
    resolved = config.resolve(recipe, overrides, pairs=len(train.spool))
    held_out = frozenset() if valid else selection.choose_held_out(train)
    describe_validation(notes, valid, held_out)

    def chosen(counts: Counts) -> Iterator[Pair]:
        kept = selection.without_duplicates(train, resolved.data.drop_duplicates, counts)
        return selection.divide(kept, held_out, wanted=False)

    resolved, tokenizers = choose_tokenizers(chosen, resolved, given, set_options(recipe, overrides), notes)
    with write_data(directory, resolved, *tokenizers) as writer:
        encoded = encode(track(chosen(train.counts), "encoding", len(train.spool), quiet), tokenizers, train.counts)
        fitting = selection.fitting(encoded, resolved.data, train.counts)
        train_part = Part.of(write_pairs(writer, "train", fitting), train.counts, tokenizers)
        refuse_empty("training pairs", train_part.pairs, train.counts)
        write_lexicon(writer, *(tokenizer.size for tokenizer in tokenizers))
        valid_part = None
        if valid:
            valid_part = write_validation(writer, valid.spool, valid.counts, tokenizers)
        elif held_out:
            pairs = selection.divide(train.spool, held_out, wanted=True)
            valid_part = write_validation(writer, pairs, Counts(read=len(held_out)), tokenizers)
        warn_of(notes, train.counts, valid.counts if valid else Counts())
        report = build_report(train_part, valid_part, tokenizers, notes)
        writer.report(report)
    return report


def write_pairs(writer: DataWriter, split: str, encoded: Iterable[Encoded]) -> Iterator[Encoded]:
    """Write pairs to a split, a chunk at a time, passing them on."""
    encoded = iter(encoded)
    with writer.pairs(split) as pairs:
        while chunk := list(islice(encoded, selection.ENCODED)):
            pairs.append([item.source for item in chunk], [item.target for item in chunk])
            yield from chunk


def write_validation(writer: DataWriter, pairs: Iterable[Pair], counts: Counts, tokenizers: Tokenizers) -> Part:
    """Write the validation set, ids and text: all of it, whatever the lengths, or scores would not compare."""
    kept = list(encode(pairs, tokenizers, counts))
    refuse_empty("validation pairs", len(kept), counts)
    writer.text("valid", (item.pair.source for item in kept), (item.pair.target for item in kept))
    return Part.of(write_pairs(writer, "valid", kept), counts, tokenizers)


def read(corpus: Corpus, path: Path, known: frozenset[int], quiet: bool) -> Intake:
    """Read a corpus into a spool. Raises UserError (DATA) when nothing in it can be used."""
    intake = Intake(Spool(path))
    for _ in track(selection.take_in(corpus, intake, known), "reading", quiet=quiet):
        pass
    refuse_empty(", ".join(corpus.tables or corpus.source + corpus.target), len(intake.spool), intake.counts)
    return intake


def describe_validation(notes: Notes, valid: Intake | None, held_out: frozenset[int]) -> None:
    """Say where the validation set comes from."""
    if held_out:
        notes.notes.append(f"{len(held_out):,} pairs are held out for validation, because no validation set was given")
    elif valid is None:
        notes.warnings.append(
            "there is no validation set, and the corpus is too small or too repetitive to hold one out"
        )


def warn_of(notes: Notes, *found: Counts) -> None:
    """Warn of what reading found that looks wrong, and of training pairs that validation would repeat."""
    for counts in found:
        notes.warnings.extend(counts.warnings)
        if overlap := counts.noticed.counts[selection.OVERLAP]:
            notes.warnings.append(
                f"{overlap:,} training pairs have a source that is in the validation set too: its scores will flatter"
            )


def set_options(recipe: Sections, overrides: list[str]) -> frozenset[str]:
    """The options of [data] that the user has set, in the recipe or by --set."""
    return frozenset(recipe.get("data", {})) | frozenset(config.parse_overrides(overrides).get("data", {}))


def choose_tokenizers(
    chosen: Callable[[Counts], Iterator[Pair]],
    resolved: Config,
    given: Tokenizers | None,
    explicit: frozenset[str],
    notes: Notes,
) -> tuple[Config, Tokenizers]:
    """The tokenizers, given or trained on the chosen pairs, and the configuration that tells what they are."""
    if given:
        return adopt(given, resolved, explicit, notes)
    data = resolved.data
    sides = ((0, 1),) if data.vocabulary == "joint" else ((0,), (1,))
    trained = []
    for side in sides:
        lines = (pair[index] for pair in chosen(Counts()) for index in side)
        # A size that the user has set is kept or refused; a default gives way to what the corpus allows.
        shrink = "vocabulary_size" not in explicit
        trained.append(Tokenizer.train(data.tokenizer, lines, data.vocabulary_size, data.lowercase, shrink))
        describe_sample(trained[-1], notes)
    largest = max(tokenizer.size for tokenizer in trained)
    if largest < data.vocabulary_size:
        notes.notes.append(f"the vocabulary has {largest:,} pieces: the corpus does not hold {data.vocabulary_size:,}")
        # 8 is the least that the option allows.
        data = dataclasses.replace(data, vocabulary_size=max(8, largest))
    return dataclasses.replace(resolved, data=data), (trained[0], trained[-1])


def describe_sample(tokenizer: Tokenizer, notes: Notes) -> None:
    """Say which lines a vocabulary was not trained on."""
    sample = tokenizer.sample
    if sample and sample.too_long:
        notes.warnings.append(
            f"{sample.too_long:,} lines of more than {LONGEST_LINE:,} bytes had no part in training the vocabulary"
        )
    if sample and sample.used < sample.seen - sample.too_long:
        notes.notes.append(f"the vocabulary was trained on {sample.used:,} of {sample.seen:,} lines, drawn at random")


def adopt(given: Tokenizers, resolved: Config, explicit: frozenset[str], notes: Notes) -> tuple[Config, Tokenizers]:
    """The configuration with the given tokenizers' settings. Raises UserError (USAGE) where the user has set others."""
    source, target = given
    settings: dict[str, Any] = {
        "tokenizer": source.kind,
        "vocabulary": "joint" if source is target else "separate",
        "vocabulary_size": max(source.size, target.size),
        "lowercase": source.lowercase,
    }
    differing = [name for name in settings if name in explicit and getattr(resolved.data, name) != settings[name]]
    if differing:
        listed = ", ".join(f"data.{name} = {settings[name]!r}" for name in differing)
        raise UserError(f"the given tokenizer has {listed}, other than you set", "leave these options to --tokenizer")
    adopted = dataclasses.replace(resolved, data=dataclasses.replace(resolved.data, **settings))
    config.check_combinations(adopted)
    notes.notes.append(f"the tokenizer was given: {source.kind}, {settings['vocabulary']}")
    return adopted, given


def encode(pairs: Iterable[Pair], tokenizers: Tokenizers, counts: Counts) -> Iterator[Encoded]:
    """Pairs with ids, without those that have none on a side."""
    return selection.with_pieces(selection.encode(pairs, *tokenizers), counts)
