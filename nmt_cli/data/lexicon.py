"""Which target pieces a source piece may become, learned from the training pairs (IBM model 1; Brown et al. 1993).

A translation rarely needs more of the vocabulary than what its source pieces may become and what is frequent anyway;
search over these alone is faster (Jean et al. 2015, section 3.2; L'Hostis et al. 2016).

```
lexicon.ids, lexicon.offsets    one list of target ids for each source id, stored as sentences are (data/store.py)
```
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt_cli.batch import EOS
from nmt_cli.data.manifest import refuse
from nmt_cli.data.store import SIDES, DataWriter, Pairs, Sentences, open_sentences, type_of_ids
from nmt_cli.data.tokenizer import tokenizer_files

NAME = "lexicon"
MOST_LINKS = 24_000_000  # of a source and a target position; of a larger corpus, runs of pairs at even distances
RUN = 64  # pairs
LINKS_AT_A_TIME = 2_000_000
ROUNDS = 4  # of expectation and maximisation
LIKELY = 40  # target pieces kept for each source piece, at most
LEAST = 0.02  # probability of one that is kept
FREQUENT = 100  # kept for the end of the sentence, which every source has


class Links(NamedTuple):
    """Every source position with every target position of its pair. All int64 [links]."""

    cells: NDArray[np.int64]  # source id * V + target id
    targets: NDArray[np.int64]  # which target position: the links of one compete for it


def write_lexicon(writer: DataWriter, source_size: int, target_size: int) -> None:
    """Learn from the training pairs that have been written, and write what was learned beside them."""
    sides = [open_sentences(writer.folder, f"train.{side}", np.dtype(writer.types[side])) for side in SIDES]
    likely = learn_lexicon(Pairs(*sides), source_size, target_size)
    with writer.sentences(NAME, "target") as file:
        file.append([ids.tolist() for ids in likely])


def learn_lexicon(pairs: Pairs, source_size: int, target_size: int) -> list[NDArray[np.int64]]:
    """The likely target pieces of each source piece, the likeliest first; those of EOS are the most frequent of all.

    A piece that no pair has become, or that was not looked at, has an empty list.
    """
    looked_at = sample(pairs)
    chosen = list(links_of(pairs, looked_at, target_size))
    cells = np.unique(np.concatenate([np.zeros(0, np.int64), *(np.unique(links.cells) for links in chosen)]))
    found = [np.searchsorted(cells, links.cells).astype(np.int32) for links in chosen]
    sources, probability = cells // target_size, np.ones(len(cells))
    for _ in range(ROUNDS):
        counts = np.zeros(len(cells))
        for cell, (_, targets) in zip(found, chosen, strict=True):
            expected = probability[cell]
            expected /= np.bincount(targets, expected)[targets]
            counts += np.bincount(cell, expected, len(cells))
        probability = counts / np.bincount(sources, counts, source_size)[sources]
    kept = probability >= LEAST
    cells, sources, probability = cells[kept], sources[kept], probability[kept]
    order = np.lexsort((-probability, sources))
    bounds = np.searchsorted(sources[order], np.arange(source_size + 1))
    targets = (cells % target_size)[order]
    likely = [targets[start : min(start + LIKELY, end)] for start, end in pairwise(bounds)]
    likely[EOS] = most_frequent(pairs.targets, looked_at, target_size)
    return likely


def most_frequent(sentences: Sentences, chosen: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The most frequent ids of the chosen sentences, of those that occur."""
    ids = np.concatenate([np.zeros(0, np.int64), *(sentences[index] for index in chosen)])
    counts = np.bincount(ids, minlength=size)
    order = np.argsort(-counts, kind="stable")[:FREQUENT]
    return order[counts[order] > 0]


def sample(pairs: Pairs) -> NDArray[np.int64]:
    """The pairs that are looked at: all, or as many runs at even distances as have the most links allowed.

    Single ones would bring the whole of the files, page by page, into memory.
    """
    links = int(np.einsum("i,i->", pairs.source_lengths, pairs.target_lengths, dtype=np.int64))
    stride = max(1, -(-links // MOST_LINKS))
    starts = np.arange(0, len(pairs), stride * RUN)
    places = (starts[:, None] + np.arange(RUN)).reshape(-1)
    return places[places < len(pairs)]


def links_of(pairs: Pairs, chosen: NDArray[np.int64], target_size: int) -> Iterator[Links]:
    """The links of the chosen pairs, so many at a time that memory holds them."""
    ends = np.cumsum(pairs.source_lengths[chosen].astype(np.int64) * pairs.target_lengths[chosen])
    parts = np.searchsorted(ends, np.arange(LINKS_AT_A_TIME, ends[-1] if len(ends) else 0, LINKS_AT_A_TIME)) + 1
    for some in np.split(chosen, parts):
        if len(some):
            yield link(pairs, some, target_size)


def link(pairs: Pairs, chosen: NDArray[np.int64], target_size: int) -> Links:
    """The links of these pairs."""
    source_lengths, target_lengths = (
        lengths[chosen].astype(np.int64) for lengths in (pairs.source_lengths, pairs.target_lengths)
    )
    source, target = (
        np.concatenate([side[index] for index in chosen]).astype(np.int64) for side in (pairs.sources, pairs.targets)
    )
    width = np.repeat(source_lengths, target_lengths)  # links of each target position
    position = np.repeat(np.arange(len(target)), width)
    within = np.arange(len(position)) - np.repeat(np.cumsum(width) - width, width)
    starts = np.repeat(np.cumsum(source_lengths) - source_lengths, target_lengths)
    return Links(source[starts[position] + within] * target_size + target[position], position)


def load_lexicon(folder: Path, source_size: int, target_size: int) -> Sentences | None:
    """The likely target pieces of each source piece, where a data directory or a model has them.

    Raises UserError (INTEGRITY) when they are not of these vocabularies.
    """
    if not lexicon_files(folder):
        return None
    likely = open_sentences(folder, NAME, np.dtype(type_of_ids(target_size)))
    if len(likely) != source_size or (len(likely.ids) and likely.ids.max() >= target_size):
        refuse(folder / f"{NAME}.ids", "is not of these vocabularies")
    return likely


def model_files(folder: Path) -> list[Path]:
    """What a model takes over from its data, or from another model: tokenizers, and a lexicon where there is one."""
    return [*tokenizer_files(folder), *lexicon_files(folder)]


def lexicon_files(folder: Path) -> list[Path]:
    """The files that make up a lexicon, to be copied as they are; none where there is none."""
    files = [folder / f"{NAME}.{part}" for part in ("ids", "offsets")]
    return files if any(file.is_file() for file in files) else []
