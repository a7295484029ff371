"""Word vectors that a run begins with: read once, before the first update, and reported in the run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from nmt_cli.config import Config
from nmt_cli.data import embeddings
from nmt_cli.data.embeddings import Coverage, Vectors
from nmt_cli.data.store import SIDES, Prepared
from nmt_cli.errors import UserError
from nmt_cli.run.directory import Run


def files(config: Config) -> dict[str, tuple[int, str]]:
    """By the name of the table among the parameters: the side (0 source, 1 target) and its file of vectors."""
    shared = config.model.tied_embeddings == "all"
    tables = ("target_embedding" if shared else "source_embedding", "target_embedding")
    given = (config.train.source_embeddings, config.train.target_embeddings)
    return {table: (side, file) for side, (table, file) in enumerate(zip(tables, given, strict=True)) if file}


def no_vectors(config: Config) -> dict[str, Vectors]:
    """What `read_vectors` returns, without any vector in it: a resumed run has them in its checkpoint."""
    size = config.model.embedding_size
    return {table: Vectors(np.zeros(0, np.int32), np.zeros((0, size), np.float32)) for table in files(config)}


def read_vectors(run: Run, data: Prepared, config: Config, note: Callable[[str], None]) -> dict[str, Vectors]:
    """The vectors that each table begins with; says how much of the text they cover, and keeps that in the run.

    Raises UserError: for a broken file, and when an earlier sitting of this run has begun with another.
    """
    found, reports = {}, {}
    shared = config.model.tied_embeddings == "all"
    for table, (side, file) in files(config).items():
        tokenizer = data.tokenizers()[side]
        vectors, lines = embeddings.read_vectors(file, tokenizer, config.model.embedding_size)
        texts = [data.train.sources.ids, data.train.targets.ids]
        report = embeddings.coverage(file, vectors, lines, tokenizer, texts if shared else [texts[side]])
        note(f"{SIDES[side]} embeddings: {report}")
        found[table], reports[SIDES[side]] = vectors, report
    keep_report(run, reports)
    return found


def keep_report(run: Run, reports: dict[str, Coverage]) -> None:
    """Write what a run begins with as its embeddings.json. Raises UserError when it has begun with other files."""
    begun = run.read_embeddings()
    for side, report in reports.items():
        if side in begun and begun[side].get("sha256") != report.sha256:
            what = f"{run.path} has begun with other {side} embeddings than what is in {report.file}"
            raise UserError(what, "give the file it began with, or train in a new run directory")
    if reports:
        run.write_embeddings({side: dataclasses.asdict(report) for side, report in reports.items()})
