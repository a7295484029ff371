"""Where sentence pairs come from: two parallel files, or rows of a table or dataset that hold both sides."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from nmt_cli.data import alignment, tables
from nmt_cli.data.column import Column
from nmt_cli.data.lines import BadLines, decode_field, display, is_blank, open_bytes, read_lines
from nmt_cli.data.tally import Counts
from nmt_cli.errors import Exit, UserError

NOT_UTF8 = "not UTF-8"
NO_FIELD = "no text in a field"
BLANK_SOURCE, BLANK_TARGET, BLANK = "blank source", "blank target", "blank on both sides"

_ENDED: Any = object()


class Pair(NamedTuple):
    """A sentence, its translation, and the `file:line` they come from."""

    source: str
    target: str
    where: str


@dataclass(frozen=True)
class Corpus:
    """Parallel files, or fields of tables.

    source, target: files, the n-th of one side with the n-th of the other; with tables, at most one field name each.
    tables: .tsv, .csv, .jsonl and .parquet files, directories and hub datasets.
    split: the part of a hub dataset.
    """

    source: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    split: str = "train"
    bad_lines: BadLines = "refuse"

    def __post_init__(self) -> None:
        if self.tables:
            if len(self.source) > 1 or len(self.target) > 1 or len(self.source) != len(self.target):
                raise UserError(
                    "with --corpus, --source and --target name one field each", "for example --source fr --target en"
                )
            return
        if not self.source or not self.target:
            missing = " and ".join(o for o, v in (("--source", self.source), ("--target", self.target)) if not v)
            raise UserError(f"{missing} is missing", "give both sides: --source FILE --target FILE, or --corpus FILE")
        if len(self.source) != len(self.target):
            raise UserError(
                f"{len(self.source)} source files but {len(self.target)} target files",
                "give one target for each source",
            )
        if (self.source + self.target).count("-") > 1:
            raise UserError("stdin can be read only once", "give the other side as a file, or both as --corpus - (TSV)")


def read_pairs(corpus: Corpus, counts: Counts, folder: Path | None = None) -> Iterator[Pair]:
    """The usable pairs of a corpus, in order and one at a time; `counts` learns of those that are not.

    folder: for a temporary file of some bytes a pair; else the system's place for such files.

    Raises UserError: DATA for text that cannot be used, USAGE for fields that are not there.
    """
    for path in corpus.tables:
        yield from usable(table_pairs(path, corpus, counts), counts)
    if not corpus.tables:
        for names in zip(corpus.source, corpus.target, strict=True):
            yield from usable(parallel_pairs(names, corpus.bad_lines, counts, folder), counts)


def usable(pairs: Iterator[Pair], counts: Counts) -> Iterator[Pair]:
    """Pairs that have something to see on both sides."""
    for pair in pairs:
        blank_source, blank_target = is_blank(pair.source), is_blank(pair.target)
        if blank_source or blank_target:
            reason = BLANK if blank_source and blank_target else BLANK_SOURCE if blank_source else BLANK_TARGET
            counts.dropped.add(reason, pair.where, pair.source if blank_target else pair.target)
        else:
            yield pair


def parallel_pairs(names: tuple[str, str], bad_lines: BadLines, counts: Counts, folder: Path | None) -> Iterator[Pair]:
    """Pairs of the lines of two files. Raises UserError (DATA) when their line counts differ."""
    source, target = names
    if source == target or (source != "-" and target != "-" and Path(source).exists() and same_file(source, target)):
        counts.warnings.append(
            f"{display(source)} and {display(target)} are the same file: the model will learn to copy"
        )
    lengths = Column("H", folder), Column("H", folder)  # to see whether lines belong together
    with contextlib.ExitStack() as files:
        sides = [
            read_lines(files.enter_context(open_bytes(name)), display(name), bad_lines, counts.altered)
            for name in names
        ]
        for number, (left, right) in enumerate(zip_longest(*sides, fillvalue=_ENDED), start=1):
            if left is not _ENDED:
                lengths[0].append(min(len(left or ""), 0xFFFF))
            if right is not _ENDED:
                lengths[1].append(min(len(right or ""), 0xFFFF))
            if left is _ENDED or right is _ENDED:
                continue  # the rest of the longer file is only counted
            counts.read += 1
            if left is None or right is None:
                counts.dropped.add(
                    NOT_UTF8, f"{display(source if left is None else target)}:{number}", left or right or ""
                )
            else:
                yield Pair(left, right, f"{display(source)}:{number}")
    alignment.check_counts(*lengths, (display(source), display(target)))
    if warning := alignment.shift_warning(*lengths, (display(source), display(target))):
        counts.warnings.append(warning)


def same_file(one: str, other: str) -> bool:
    return Path(other).exists() and Path(one).samefile(other)


def table_pairs(path: str, corpus: Corpus, counts: Counts) -> Iterator[Pair]:
    """Pairs of two fields of a table's rows."""
    fields = (corpus.source[0], corpus.target[0]) if corpus.source else None
    for where, row in tables.read_rows(path, fields, corpus.split, corpus.bad_lines, counts.altered):
        counts.read += 1
        if row is None:
            counts.dropped.add(NOT_UTF8, where)
            continue
        if fields is None or counts.read == 1:
            fields = tables.choose_fields(row, fields, where)
        texts = [field_text(row, field) for field in fields]
        if not isinstance(texts[0], str) or not isinstance(texts[1], str):
            counts.dropped.add(NO_FIELD, where, str(row))
            continue
        source, target = (decode_field(text, where, corpus.bad_lines, counts.altered) for text in texts)
        if source is None or target is None:
            counts.dropped.add(NOT_UTF8, where, source or target or "")
        else:
            yield Pair(source, target, where)


def field_text(row: tables.Row, field: str) -> Any:
    """A field, or the language of that name in the row's `translation`, as hub datasets have it."""
    value = row.get(field)
    translation = row.get("translation")
    return translation.get(field) if value is None and isinstance(translation, dict) else value


def refuse_empty(name: str, pairs: int, counts: Counts) -> None:
    """Raise UserError (DATA) when a corpus has no usable pair."""
    if pairs:
        return
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.dropped.counts.items())
    raise UserError(
        f"{name}: no usable sentence pairs in {counts.read} lines" + (f" ({reasons})" if reasons else ""),
        "check that the files are the right ones and not empty",
        Exit.DATA,
    )
