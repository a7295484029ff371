"""The data directory: token arrays on disk, memory-mapped, with the tokenizers and the configuration they came from.

```
config.json                 resolved configuration        report.json      what `nmt prepare` counted
tokenizer.*, lexicon.*      see data/tokenizer.py, data/lexicon.py         MANIFEST.json    see data/manifest.py
train.source.ids            all ids of all sentences in a row, little-endian uint16 (uint32 for large vocabularies)
train.source.offsets        int64 [N + 1]: sentence i is ids[offsets[i]:offsets[i + 1]]
train.target.*, valid.*     the same
valid.source.txt, .target   the validation text as it is, one sentence a line, for BLEU
```

The same pairs, tokenizers and configuration give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nmt_cli.batch import PAD
from nmt_cli.config import Config, from_json, to_json
from nmt_cli.data.manifest import MANIFEST, digest, refuse, verify_manifest, write_manifest
from nmt_cli.data.staging import replacing
from nmt_cli.data.tokenizer import Tokenizer, load_tokenizers, save_tokenizers
from nmt_cli.errors import UserError

SIDES = ("source", "target")
# Settings and report may say when and where, the lexicon follows from the pairs: the data is the same.
NOT_TRAINED_ON = ("config.json", "report.json", "lexicon.ids", "lexicon.offsets")
OFFSETS = np.dtype("<i8")


@dataclass(frozen=True)
class Sentences:
    """The ids of N sentences, without BOS and EOS.

    ids: any unsigned integer type [sum of lengths]. offsets: int64 [N + 1].
    """

    ids: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def from_lists(cls, sentences: Sequence[Sequence[int]]) -> Sentences:
        """Sentences in memory."""
        lengths = [len(sentence) for sentence in sentences]
        ids = np.fromiter(chain.from_iterable(sentences), np.uint32, sum(lengths))
        return cls(ids, np.cumsum([0, *lengths], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @cached_property
    def lengths(self) -> NDArray[np.int32]:
        """int32 [N]."""
        return np.subtract(self.offsets[1:], self.offsets[:-1], dtype=np.int32, casting="unsafe")

    def padded(self, indices: NDArray[Any], width: int) -> NDArray[np.int32]:
        """The sentences at indices [B], each at most width long, as int32 [B, width] with PAD after their ends."""
        places = np.arange(width)
        inside = places < self.lengths[indices][:, None]
        rows = np.full(inside.shape, PAD, np.int32)
        rows[inside] = self.ids[(self.offsets[indices][:, None] + places)[inside]]
        return rows


@dataclass(frozen=True)
class Pairs:
    """N sentence pairs as ids."""

    sources: Sentences
    targets: Sentences

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def source_lengths(self) -> NDArray[np.int32]:
        """int32 [N], in pieces, without EOS."""
        return self.sources.lengths

    @property
    def target_lengths(self) -> NDArray[np.int32]:
        """int32 [N], in pieces, without EOS."""
        return self.targets.lengths

    def source(self, index: int) -> NDArray[Any]:
        """The ids of one source sentence."""
        return self.sources[index]

    def target(self, index: int) -> NDArray[Any]:
        """The ids of one target sentence."""
        return self.targets[index]


@dataclass(frozen=True)
class Prepared:
    """An open data directory.

    hash: SHA-256 of what training sees, in hexadecimal: arrays, tokenizers and validation text, not where or when they
    were made, nor the configuration.
    """

    directory: Path
    config: Config
    hash: str
    train: Pairs
    valid: Pairs | None

    @property
    def pair_count(self) -> int:
        """Sentence pairs to train on."""
        return len(self.train)

    def valid_text(self) -> tuple[list[str], list[str]]:
        """The lines of the validation set, source and target, as they were given; empty without one."""
        if self.valid is None:
            return [], []
        source, target = (read_lines(self.directory / f"valid.{side}.txt") for side in SIDES)
        return source, target

    def tokenizers(self) -> tuple[Tokenizer, Tokenizer]:
        """Of source and target: the same object when the vocabulary is joint."""
        return load_tokenizers(self.directory)


def open_data(directory: Path, verify: bool = True) -> Prepared:
    """Open a directory made by `nmt prepare`; arrays are memory-mapped, only lengths are read.

    verify: False trusts the content of files and checks their sizes only.
    Raises UserError (USAGE) when it is not such a directory, (INTEGRITY) when a file is missing or damaged.
    """
    if not directory.is_dir():
        raise UserError(f"there is no data directory {str(directory)!r}", "make one with: nmt prepare")
    manifest = verify_manifest(directory, verify)
    types = manifest["extra"].get("data")
    if not isinstance(types, dict) or any(types.get(side) not in ("<u2", "<u4") for side in SIDES):
        raise UserError(f"{str(directory)!r} is not a data directory", "make one with: nmt prepare")
    files: dict[str, dict[str, Any]] = manifest["files"]
    seen = {name: entry["sha256"] for name, entry in files.items() if name not in NOT_TRAINED_ON}

    def pairs(split: str) -> Pairs:
        sides = [open_sentences(directory, f"{split}.{side}", np.dtype(types[side])) for side in SIDES]
        if len(sides[0]) != len(sides[1]):
            refuse(directory / f"{split}.target.offsets", f"is for {len(sides[1])} sentences, not {len(sides[0])}")
        return Pairs(*sides)

    return Prepared(
        directory=directory,
        config=from_json(
            read_bytes(directory / "config.json").decode("utf-8", "replace"), f"{directory / 'config.json'}: "
        ),
        hash=digest(seen),
        train=pairs("train"),
        valid=pairs("valid") if "valid.source.ids" in files else None,
    )


def open_sentences(directory: Path, name: str, type_of_id: np.dtype[Any]) -> Sentences:
    """Map one side of one split into memory, and check that its two files belong together."""
    ids = map_array(directory / f"{name}.ids", type_of_id)
    offsets = map_array(directory / f"{name}.offsets", OFFSETS)
    sentences = Sentences(ids, offsets)
    if (
        not len(offsets)
        or offsets[0] != 0
        or offsets[-1] != len(ids)
        or (len(sentences) and sentences.lengths.min() < 0)
    ):
        refuse(directory / f"{name}.offsets", f"does not fit {name}.ids")
    return sentences


def type_of_ids(size: int) -> str:
    """How the ids of a vocabulary of this size are stored."""
    return "<u2" if size <= 2**16 else "<u4"


def map_array(path: Path, type_of_item: np.dtype[Any]) -> NDArray[Any]:
    """A file as a one-dimensional array that is read as it is used."""
    try:
        items, rest = divmod(path.stat().st_size, type_of_item.itemsize)
        if rest:
            refuse(path, f"is not an array of {type_of_item.name}")
        return np.memmap(path, type_of_item, "r") if items else np.empty(0, type_of_item)  # nothing cannot be mapped
    except FileNotFoundError:
        refuse(path, "is missing")


def read_bytes(path: Path) -> bytes:
    """The content of a file that has to be there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        refuse(path, "is missing")


def read_lines(path: Path) -> list[str]:
    """The lines of a text that `DataWriter.text` wrote."""
    return read_bytes(path).decode("utf-8").split("\n")[:-1]


class DataWriter:
    """Writes the parts of a data directory that is not in place yet; see `write_data`."""

    def __init__(self, folder: Path, config: Config, source: Tokenizer, target: Tokenizer) -> None:
        self.folder = folder
        self.types = dict(zip(SIDES, map(type_of_ids, (source.size, target.size)), strict=True))
        (folder / "config.json").write_text(to_json(config), encoding="utf-8")
        save_tokenizers(folder, source, target)

    @contextmanager
    def pairs(self, split: str) -> Iterator[PairWriter]:
        """A writer for the pairs of `train` or `valid`, which may be more than memory holds."""
        with ExitStack() as stack:
            yield PairWriter(*(stack.enter_context(self.sentences(f"{split}.{side}", side)) for side in SIDES))

    @contextmanager
    def sentences(self, name: str, side: str) -> Iterator[SentenceWriter]:
        """A writer for one side of a split."""
        with (self.folder / f"{name}.ids").open("wb") as ids, (self.folder / f"{name}.offsets").open("wb") as offsets:
            yield SentenceWriter(ids, offsets, np.dtype(self.types[side]))

    def text(self, split: str, source: Iterable[str], target: Iterable[str]) -> None:
        """Keep text as it is, one sentence a line; a line holds no line feed."""
        for side, lines in zip(SIDES, (source, target), strict=True):
            with (self.folder / f"{split}.{side}.txt").open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{line}\n" for line in lines)

    def report(self, content: Mapping[str, Any]) -> None:
        """Keep what was counted as report.json."""
        (self.folder / "report.json").write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )


class SentenceWriter:
    """Appends sentences to two open files: ids and offsets."""

    def __init__(self, ids: BinaryIO, offsets: BinaryIO, type_of_id: np.dtype[Any]) -> None:
        self.ids, self.offsets, self.type_of_id = ids, offsets, type_of_id
        self.total = 0
        offsets.write(np.zeros(1, OFFSETS).tobytes())

    def append(self, sentences: Sequence[Sequence[int]]) -> None:
        """Add sentences. Raises OverflowError for an id that no vocabulary of this size has."""
        lengths = np.fromiter(map(len, sentences), OFFSETS, len(sentences))
        ids = np.fromiter(chain.from_iterable(sentences), self.type_of_id, int(lengths.sum()))
        self.ids.write(ids.tobytes())
        self.offsets.write((self.total + np.cumsum(lengths)).astype(OFFSETS).tobytes())
        self.total += len(ids)


@dataclass(frozen=True)
class PairWriter:
    """Appends pairs to a split."""

    sources: SentenceWriter
    targets: SentenceWriter

    def append(self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> None:
        """Add as many sentences to both sides. Chunks of some thousand are fast; their size does not show in files."""
        if len(sources) != len(targets):
            raise ValueError(f"{len(sources)} source sentences for {len(targets)} target sentences")
        self.sources.append(sources)
        self.targets.append(targets)


@contextmanager
def write_data(directory: Path, config: Config, source: Tokenizer, target: Tokenizer) -> Iterator[DataWriter]:
    """Make a data directory, which appears under its name when it is complete, and not at all when that fails.

    An earlier data directory of that name is replaced then. Raises UserError (USAGE) when something else has the name,
    OSError when the disk refuses.
    """
    refuse_other_content(directory)
    with replacing(directory) as folder:
        writer = DataWriter(folder, config, source, target)
        yield writer
        write_manifest(folder, {"data": writer.types})


def refuse_other_content(directory: Path) -> None:
    """Raise UserError (USAGE) when a place holds anything but an earlier data directory."""
    is_ours = all((directory / name).is_file() for name in (MANIFEST, "train.source.ids"))
    if directory.exists() and not is_ours and not (directory.is_dir() and not any(directory.iterdir())):
        kind = "a folder with other content" if directory.is_dir() else "a file"
        raise UserError(f"{directory} is {kind}; it will not be overwritten", "choose another name")
