"""Word vectors: what is read from which kind of file, what is found for which piece, and what is refused where."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from nmt_cli.batch import SPECIAL_PIECES
from nmt_cli.data.embeddings import coverage, read_vectors
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.errors import Exit, UserError

TEXT = ["the cat sat on the mat", "The dog and the cat"] * 10
GLOVE = "the 1 2 3\ncat -0.5 1e-2 4\nmat 7 8 9\nzebra 0 0 0\n"


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return Tokenizer.train("word", TEXT, 100)


@pytest.fixture(scope="module")
def subwords() -> Tokenizer:
    return Tokenizer.train("bpe", TEXT, 30, shrink=True)


@pytest.fixture
def file(tmp_path):
    def write(content, name="vectors.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def found(tokenizer, path, size=3):
    """Vectors by piece."""
    vectors, _ = read_vectors(path, tokenizer, size)
    return {tokenizer.piece(int(id)): values.tolist() for id, values in zip(*vectors, strict=True)}


def refusal(tokenizer, path, size=3):
    with pytest.raises(UserError) as caught:
        read_vectors(path, tokenizer, size)
    return caught.value


@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        "4 3\n" + GLOVE,
        GLOVE.replace("\n", " \n"),
        GLOVE.replace(" ", "\t"),
        GLOVE.replace("\n", "\r\n"),
        GLOVE.rstrip("\n"),
        "\ufeff" + GLOVE,
        gzip.compress(GLOVE.encode()),
        gzip.compress(b"4 3\n" + GLOVE.encode()),
    ],
    ids=["glove", "word2vec", "fasttext", "tabs", "crlf", "no-last-newline", "bom", "gzip", "gzip-with-heading"],
)
def test_every_kind_of_file_gives_the_same_vectors(words, file, content):
    wanted = {"the": [1.0, 2.0, 3.0], "cat": [-0.5, np.float32(0.01), 4.0], "mat": [7.0, 8.0, 9.0]}
    assert found(words, file(content)) == {**wanted, "The": wanted["the"]}
    assert read_vectors(file(content), words, 3)[1] == (4, 0)


def test_ids_ascend_and_types_are_small(words, file):
    vectors, _ = read_vectors(file(GLOVE), words, 3)
    assert (vectors.ids.dtype, vectors.values.dtype) == (np.int32, np.float32)
    assert (np.diff(vectors.ids) > 0).all()
    assert vectors.ids[0] >= len(SPECIAL_PIECES)


def test_a_word_as_it_stands_goes_before_its_lower_case(words, file):
    assert found(words, file("the 1 1 1\nThe 2 2 2\n")) == {"the": [1.0] * 3, "The": [2.0] * 3}


def test_pieces_that_begin_a_word_are_looked_up_as_words_and_others_are_not(subwords, file):
    pieces = [subwords.piece(id) for id in range(len(SPECIAL_PIECES), subwords.size)]
    inner = next(piece for piece in pieces if not piece.startswith("▁"))
    assert {"▁the", "▁cat"} <= set(pieces)
    assert found(subwords, file(f"the 1 1 1\ncat 2 2 2\n{inner} 3 3 3\n")).keys() == {"▁the", "▁cat"}


def test_a_file_of_pieces_is_looked_up_piece_by_piece(subwords, file):
    pieces = [subwords.piece(id) for id in range(len(SPECIAL_PIECES), subwords.size)]
    inner = next(piece for piece in pieces if not piece.startswith("▁"))
    content = f"▁the 1 1 1\n{inner} 3 3 3\ncat 2 2 2\n"
    assert found(subwords, file(content)) == {"▁the": [1.0] * 3, inner: [3.0] * 3}


def test_words_may_hold_spaces(words, file):
    assert found(words, file("the 1 2 3\nSan Francisco 4 5 6\ncat 7 8 9\n")).keys() == {"the", "The", "cat"}


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("the 1 2 3\ncat 1 2\n", 2, "1 numbers|2 numbers"),
        ("the 1 2 3\ncat 1 2 3 4\n", 2, "4 numbers"),
        ("the 1 2 3\n\ncat\n", 3, "0 numbers"),
        ("the 1 2 3\ncat 1 nan 3\n", 2, "'nan' is no finite number"),
        ("the 1 2 inf\n", 1, "'inf' is no finite number"),
        ("the 1 2 3\ncat 1 1e39 3\n", 2, "'1e39' is no finite number"),
        ("the 1 2 3\ncat 1 x 3\n", 2, "'x' is no finite number"),
        ("the 1 2 3\ncat 4 5 6\nthe 1 2 3\n", 3, "'the' has a vector already, on line 1"),
    ],
    ids=["short", "long", "bare", "nan", "infinite", "too-large", "no-number", "twice"],
)
def test_a_broken_line_is_refused_with_file_and_line(words, file, content, line, said):
    error = refusal(words, file(content))
    assert error.code == Exit.DATA
    assert f"vectors.txt:{line}" in error.what
    assert any(part in error.what for part in said.split("|"))


def test_a_word_that_is_not_utf_8_is_passed_over_and_counted(words, file):
    path = file(b"3 3\nthe 1 2 3\nc\xff\xfet 4 5 6\ncat 7 8 9\n")
    vectors, lines = read_vectors(path, words, 3)
    assert lines == (2, 1)
    assert "lines that are not UTF-8: 1" in str(coverage(path, vectors, lines, words, []))


@pytest.mark.parametrize("content", ["the 1 2 3 4\n", "2 4\nthe 1 2 3 4\n"])
def test_another_size_than_the_models_is_refused_with_the_fix(words, file, content):
    error = refusal(words, file(content))
    assert error.code == Exit.USAGE
    assert "vectors.txt:1: vectors of 4 numbers" in error.what
    assert "--set model.embedding_size=4" in error.hint


@pytest.mark.parametrize("content", ["", "\n\n", "3 3\n", "3 3\nthe 1 2 3\ncat 1 2 3\n"])
def test_a_file_without_all_its_vectors_is_refused(words, file, content):
    assert refusal(words, file(content)).code == Exit.DATA


def test_a_file_that_is_not_there_is_refused(words, tmp_path):
    assert "nowhere.txt" in refusal(words, str(tmp_path / "nowhere.txt")).what
    assert "a pipe will not do" in refusal(words, "-").hint


def test_coverage_counts_pieces_and_running_text(words, file):
    path = file("the 1 2 3\ncat 4 5 6\nzebra 7 8 9\n")
    vectors, lines = read_vectors(path, words, 3)
    report = coverage(path, vectors, lines, words, [np.concatenate(words.encode(TEXT)).astype(np.uint16)])
    running = [word in ("the", "The", "cat") for line in TEXT for word in line.split()]
    assert (report.vectors, report.pieces, report.found) == (3, words.size - len(SPECIAL_PIECES), 3)
    assert report.running == pytest.approx(sum(running) / len(running))
    assert set(report.missing) == {"sat", "on", "mat", "dog", "and"}
    assert len(report.sha256) == 64
    assert "3 of 8 pieces (38%)" in str(report)


def test_coverage_tells_of_the_most_frequent(file):
    text = [" ".join(f"w{number}" for number in range(150 - skip)) for skip in range(100)]
    tokenizer = Tokenizer.train("word", text, 200)
    path = file("".join(f"w{number} 1 2\n" for number in [*range(30), 149]))
    vectors, lines = read_vectors(path, tokenizer, 2)
    report = coverage(path, vectors, lines, tokenizer, [np.concatenate(tokenizer.encode(text))])
    assert report.most_frequent == [(100, 30)]
    assert report.missing[0] == "w30"


@pytest.mark.parametrize(
    ("name", "size", "rows"),
    [
        ("glove.50d.txt", 50, 76),
        ("glove.100d.txt", 100, 100),
        ("fasttext.100d.vec", 100, 1694),
        ("cyrillic.vec", 5, 291),
    ],
)
def test_published_files_are_read(real_text, name, size, rows):
    path = real_text / "embeddings" / name
    first = path.read_bytes().split(b"\n")[5].decode().split(" ")
    tokenizer = Tokenizer.train("word", [first[0]], 10)
    vectors, lines = read_vectors(str(path), tokenizer, size)
    assert lines.vectors + lines.not_utf8 == rows
    assert lines.not_utf8 < 10
    np.testing.assert_allclose(vectors.values[0], np.array(first[1 : size + 1], np.float32))
