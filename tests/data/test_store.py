"""The data directory: what is written comes back, the same bytes every time, and damage is noticed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.config import resolve
from nmt_cli.data import store
from nmt_cli.data.store import DataWriter, Sentences, open_data, write_data
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.errors import Exit, UserError

CONFIG = resolve({"data": {"tokenizer": "word"}})
SOURCES = [[4, 5, 6], [7], [], [9, 8, 7, 6, 5, 4]]
TARGETS = [[4], [5, 6], [7, 8, 9], []]
VALID = [[4, 4]], [[5]]
TOKENIZER = Tokenizer.train("word", ["un deux trois quatre cinq six"], 100)


def write_parts(writer: DataWriter, chunk: int = 2) -> None:
    with writer.pairs("train") as pairs:
        for start in range(0, len(SOURCES), chunk):
            pairs.append(SOURCES[start : start + chunk], TARGETS[start : start + chunk])
    with writer.pairs("valid") as pairs:
        pairs.append(*VALID)
    writer.text("valid", ["un\u2028deux \r"], ["à"])
    writer.report({"pairs": 4})


def make(directory: Path, chunk: int = 2) -> Path:
    with write_data(directory, CONFIG, TOKENIZER, TOKENIZER) as writer:
        write_parts(writer, chunk)
    return directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("store") / "data")


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_what_was_written_comes_back(made: Path) -> None:
    data = open_data(made)
    assert [data.train.source(i).tolist() for i in range(4)] == SOURCES
    assert [data.train.target(i).tolist() for i in range(4)] == TARGETS
    assert data.train.source_lengths.tolist() == [3, 1, 0, 6]
    assert data.train.target_lengths.tolist() == [1, 2, 3, 0]
    assert data.train.source_lengths.dtype == np.int32
    assert data.pair_count == len(data.train) == 4
    assert data.config == CONFIG


def test_the_validation_set_comes_back_as_ids_and_as_text(made: Path) -> None:
    data = open_data(made)
    assert data.valid is not None
    assert (data.valid.source(0).tolist(), data.valid.target(0).tolist()) == ([4, 4], [5])
    assert data.valid_text() == (["un\u2028deux \r"], ["à"])


def test_the_tokenizers_come_back(made: Path) -> None:
    source, target = open_data(made).tokenizers()
    assert source is target
    assert source.encode(["deux"]) == TOKENIZER.encode(["deux"])


def test_data_without_validation_has_none(tmp_path: Path) -> None:
    with write_data(tmp_path / "data", CONFIG, TOKENIZER, TOKENIZER) as writer, writer.pairs("train") as pairs:
        pairs.append([[4]], [[5]])
    data = open_data(tmp_path / "data")
    assert data.valid is None
    assert data.valid_text() == ([], [])


def test_no_pairs_at_all_can_be_written_and_read(tmp_path: Path) -> None:
    with write_data(tmp_path / "data", CONFIG, TOKENIZER, TOKENIZER) as writer, writer.pairs("train"):
        pass
    assert len(open_data(tmp_path / "data").train) == 0


def test_ids_take_two_bytes_and_four_when_the_vocabulary_is_large(tmp_path: Path) -> None:
    large = Tokenizer.train("word", (f"w{i}" for i in range(70_000)), 70_000)
    with (
        write_data(tmp_path / "data", CONFIG, TOKENIZER, large) as writer,
        writer.pairs("train") as pairs,
    ):
        pairs.append([[4, 9]], [[69_999, 4]])
    assert (tmp_path / "data" / "train.source.ids").stat().st_size == 4
    assert (tmp_path / "data" / "train.target.ids").stat().st_size == 8
    assert open_data(tmp_path / "data").train.target(0).tolist() == [69_999, 4]


def test_the_same_pairs_give_the_same_bytes_whatever_the_chunks(made: Path, tmp_path: Path) -> None:
    again = make(tmp_path / "again", chunk=3)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        p.name: p.read_bytes() for p in made.iterdir()
    }


def test_the_hash_depends_on_neither_place_time_report_nor_configuration(made: Path, tmp_path: Path) -> None:
    with write_data(tmp_path / "other", resolve({"train": {"seed": 9}}), TOKENIZER, TOKENIZER) as writer:
        write_parts(writer)
        writer.report({"made": "elsewhere"})
    for path in (tmp_path / "other").iterdir():
        os.utime(path, (1, 1))
    assert open_data(tmp_path / "other").hash == open_data(made).hash


@pytest.mark.parametrize("change", ["train", "valid", "text", "tokenizer"])
def test_the_hash_depends_on_all_that_training_sees(made: Path, tmp_path: Path, change: str) -> None:
    tokenizer = Tokenizer.train("word", ["une autre"], 100) if change == "tokenizer" else TOKENIZER
    with write_data(tmp_path / "other", CONFIG, tokenizer, tokenizer) as writer:
        write_parts(writer)
        if change in ("train", "valid"):
            with writer.pairs(change) as pairs:
                pairs.append([[5]], [[5]])
        if change == "text":
            writer.text("valid", ["un"], ["a"])
    assert open_data(tmp_path / "other").hash != open_data(made).hash


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def delete(path: Path) -> None:
    path.unlink()


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def swap(path: Path) -> None:
    sibling = next(other for other in path.parent.iterdir() if other.read_bytes() != path.read_bytes())
    ours, theirs = path.read_bytes(), sibling.read_bytes()
    path.write_bytes(theirs)
    sibling.write_bytes(ours)


FILES = [
    f"{split}.{side}.{part}" for split in ("train", "valid") for side in store.SIDES for part in ("ids", "offsets")
]
FILES += ["valid.source.txt", "valid.target.txt", "tokenizer.json", "tokenizer.joint.txt"]
FILES += ["config.json", "report.json", "MANIFEST.json"]


def test_the_list_of_files_to_damage_is_complete(made: Path) -> None:
    assert sorted(FILES) == sorted(path.name for path in made.iterdir())


@pytest.mark.parametrize("damage", [flip, truncate, empty, delete, append, swap])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.fault(45)
def test_damage_to_any_file_is_refused(directory: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(directory / name)
    with pytest.raises(UserError) as caught:
        open_data(directory)
    assert caught.value.code == Exit.INTEGRITY
    assert caught.value.hint


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("train")])
@pytest.mark.parametrize("damage", [truncate, empty, delete, append])
def test_arrays_of_the_wrong_size_are_refused_without_reading_them(
    directory: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(directory / name)
    with pytest.raises(UserError) as caught:
        open_data(directory, verify=False)
    assert caught.value.code == Exit.INTEGRITY


@pytest.mark.parametrize("offsets", [[0, 9, 4, 4, 10], [0, 3, 4, 4, 9], [0, 3, 4, 4, 11], [1, 3, 4, 4, 10]])
def test_offsets_that_do_not_cut_the_ids_are_refused_without_hashing(directory: Path, offsets: list[int]) -> None:
    np.array(offsets, "<i8").tofile(directory / "train.source.offsets")
    with pytest.raises(UserError, match=r"does not fit train\.source\.ids"):
        open_data(directory, verify=False)


def test_a_directory_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no data directory") as caught:
        open_data(tmp_path / "nowhere")
    assert caught.value.code == Exit.USAGE


def test_a_folder_of_another_kind_is_a_usage_error(tmp_path: Path) -> None:
    store.write_manifest(tmp_path)
    with pytest.raises(UserError, match="is not a data directory") as caught:
        open_data(tmp_path)
    assert caught.value.code == Exit.USAGE


def test_other_content_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="other content"), write_data(tmp_path, CONFIG, TOKENIZER, TOKENIZER):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert open_data(make(tmp_path / "data")).pair_count == 4


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="disk full"),
        write_data(tmp_path / "data", CONFIG, TOKENIZER, TOKENIZER) as writer,
    ):
        write_parts(writer)
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".data.unfinished").mkdir()
    (tmp_path / ".data.unfinished" / "train.source.ids").write_bytes(b"half")
    make(tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert open_data(tmp_path / "data").pair_count == 4


def test_sides_of_different_counts_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="2 source sentences for 1"),
        write_data(tmp_path / "data", CONFIG, TOKENIZER, TOKENIZER) as writer,
        writer.pairs("train") as pairs,
    ):
        pairs.append([[4], [5]], [[4]])


def test_an_id_too_large_for_the_file_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(OverflowError),
        write_data(tmp_path / "data", CONFIG, TOKENIZER, TOKENIZER) as writer,
        writer.pairs("train") as pairs,
    ):
        pairs.append([[2**16]], [[4]])


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=6), min_size=1), st.data())
@settings(deadline=None)
def test_padded_sentences_are_the_sentences_and_padding(sentences: list[list[int]], data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.integers(0, len(sentences) - 1), max_size=5))
    small = [[id % 2**31 for id in sentence] for sentence in sentences]
    rows = Sentences.from_lists(small).padded(np.array(indices, int), 7)
    assert rows.tolist() == [small[index] + [0] * (7 - len(small[index])) for index in indices]
