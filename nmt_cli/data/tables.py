"""Rows of tables: TSV, CSV, JSON lines, Parquet, and datasets of the Hugging Face hub.

`datasets` reads the hub and nothing else here. Its text, CSV and JSON loaders split lines on a lone carriage return,
copy every file into a cache and guess types ("1,000" turns into a number, "NA" into a missing value); the standard
library does none of this. Parquet is read by pyarrow, on which `datasets` stands: a batch of rows at a time, no copy.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli.data.lines import NOT_UTF8_REPLACED, BadLines, display, open_bytes, read_lines
from nmt_cli.data.tally import Tally
from nmt_cli.errors import Exit, UserError

Row = Mapping[str, Any]
Fields = tuple[str, str]

ROWS = 1024  # rows of Parquet unpacked at a time
CSV_FIELD = 1 << 26  # bytes; the library's own limit of 128 KiB would refuse long documents


def kind_of(path: str) -> str:
    """`tsv`, `csv`, `jsonl`, `parquet` by the name's ending, or `hub` for directories and what is no file.

    Raises UserError for a file of another kind, and for a name that looks like a file but is none.
    """
    if path == "-":
        return "tsv"
    kinds = {
        "tsv": "tsv",
        "tab": "tsv",
        "csv": "csv",
        "jsonl": "jsonl",
        "ndjson": "jsonl",
        "json": "jsonl",
        "parquet": "parquet",
    }
    ending = path.lower().removesuffix(".gz").rpartition(".")[2]
    exists = Path(path).exists()
    if ending in kinds and not Path(path).is_dir():
        return kinds[ending]
    if exists and not Path(path).is_dir():
        raise UserError(f"--corpus {path}: an unknown kind of table", "known endings: " + ", ".join(kinds))
    return "hub"


def read_rows(
    path: str, fields: Fields | None, split: str, bad_lines: BadLines, altered: Tally
) -> Iterator[tuple[str, Row | None]]:
    """(`file:line`, row by field names) for each row; the row is None where it is not UTF-8 and to be skipped.

    fields: with names the first line of TSV and CSV is a header; with numbers or None it is not, and columns are
    called "1", "2" and so on.
    Raises UserError for what cannot be read.
    """
    kind = kind_of(path)
    if kind == "hub":
        yield from hub_rows(path, split)
    elif kind == "parquet":
        yield from parquet_rows(path)
    else:
        name = display(path)
        has_header = fields is not None and not all(field.isdecimal() for field in fields)
        with open_bytes(path) as stream:
            if kind == "jsonl":
                yield from json_rows(name, read_lines(stream, name, bad_lines, altered))
            elif kind == "csv":
                yield from named_cells(csv_cells(name, stream, bad_lines, altered), has_header)
            else:
                yield from named_cells(tsv_cells(name, read_lines(stream, name, bad_lines, altered)), has_header)


Cells = Iterator[tuple[str, list[str] | None]]


def tsv_cells(name: str, lines: Iterable[str | None]) -> Cells:
    """Columns between tabs. No quoting: in parallel text a quotation mark is a quotation mark."""
    for number, line in enumerate(lines, start=1):
        yield f"{name}:{number}", None if line is None else line.split("\t")


def csv_cells(name: str, stream: BinaryIO, bad_lines: BadLines, altered: Tally) -> Cells:
    """Columns of comma-separated values, where a quoted one may hold newlines.

    A bad line may open a quotation, so under `skip` its bytes are replaced too, and the row that it is part of is None.
    """
    csv.field_size_limit(CSV_FIELD)
    lines = read_lines(stream, name, "replace" if bad_lines == "skip" else bad_lines, altered)
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    replaced = 0
    try:
        for cells in reader:
            is_bad = bad_lines == "skip" and altered.counts[NOT_UTF8_REPLACED] > replaced
            replaced = altered.counts[NOT_UTF8_REPLACED]
            yield f"{name}:{reader.line_num}", None if is_bad else cells
    except csv.Error as error:
        raise UserError(
            f"{name}:{reader.line_num}: not CSV: {error}",
            "quote texts that hold commas or quotes, or use TSV",
            Exit.DATA,
        ) from error


def named_cells(cells: Cells, has_header: bool) -> Iterator[tuple[str, Row | None]]:
    """Rows by the names in the first line, or by the columns' numbers."""
    header: list[str] | None = None
    for where, values in cells:
        if has_header and header is None:
            header = values or []
        elif values is None:
            yield where, None
        else:
            names = header if header is not None else map(str, range(1, len(values) + 1))
            yield where, dict(zip(names, values, strict=False))


def json_rows(name: str, lines: Iterable[str | None]) -> Iterator[tuple[str, Row | None]]:
    """One JSON object a line."""
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        try:
            row = None if line is None else json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(
                f"{where}: not JSON: {error}", "the file must hold one JSON object a line", Exit.DATA
            ) from error
        if row is not None and not isinstance(row, dict):
            raise UserError(f"{where}: not a JSON object", "the file must hold one JSON object a line", Exit.DATA)
        yield where, row


def parquet_rows(path: str) -> Iterator[tuple[str, Row]]:
    """Rows of a Parquet file, a batch in memory at a time."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{display(path)}:{number}", row
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: not readable as Parquet: {error}", "check the file", Exit.DATA) from error


def hub_rows(path: str, split: str) -> Iterator[tuple[str, Row]]:
    """Rows of one split of a dataset: `NAME`, `NAME:CONFIG`, or a local directory in the hub's layout."""
    dataset = load_hub(path)
    if split not in dataset:
        raise UserError(f"{path} has no split {split!r}", "it has: " + ", ".join(dataset))
    for number, row in enumerate(dataset[split], start=1):
        yield f"{display(path)}[{split}]:{number}", row


def has_split(path: str, split: str) -> bool:
    """True when a hub dataset has that split."""
    return split in load_hub(path)


def load_hub(path: str) -> Mapping[str, Iterable[Row]]:
    """The splits of a dataset, memory-mapped from the local cache, downloaded into it where need be."""
    try:
        import datasets  # takes seconds, so only when one is asked for
    except ImportError as error:
        raise UserError(f"--corpus {path} is no file; hub datasets need `datasets`", "pip install datasets") from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    name, _, config = (path, "", "") if Path(path).is_dir() else path.partition(":")
    try:
        loaded: Mapping[str, Iterable[Row]] = datasets.load_dataset(name, config or None)
    except Exception as error:  # every loader has its own kinds
        raise UserError(
            f"--corpus {path} is neither a file nor a dataset that loads: {type(error).__name__}: {error}",
            "check the name; offline only datasets in the cache work (HF_HUB_OFFLINE=1 saves the wait for a network)",
            Exit.DATA,
        ) from error
    return loaded


def choose_fields(row: Row, fields: Fields | None, where: str) -> Fields:
    """The fields to read, checked against the first row; without a choice `source` and `target`, or columns 1 and 2.

    Raises UserError (USAGE) naming the fields there are.
    """
    translation = row.get("translation")
    there = [*row, *(translation if isinstance(translation, dict) else ())]
    wanted = (fields,) if fields else (("source", "target"), ("1", "2"))
    for source, target in wanted:
        if source in there and target in there:
            return source, target
    raise UserError(
        f"{where}: no fields {' and '.join(wanted[0])}; there are: {', '.join(there)}",
        "name them with --source and --target; in TSV and CSV names need a header line, numbers (1, 2) do not",
    )
