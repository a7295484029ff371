"""Tokenizers: round trips, odd text, spans, training, files."""

import hashlib
import itertools
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.batch import BOS, EOS, PAD, SPECIAL_PIECES, UNK
from nmt_cli.data import tokenizer as module
from nmt_cli.data.tokenizer import Tokenizer, load_tokenizers, save_tokenizers, tokenizer_files
from nmt_cli.errors import Exit, UserError

LINES = [
    "La zone économique européenne a été créée en 1992 .",
    "the European Economic Area was created in 1992 .",
    'un homme dit : « où est <s> ? » … puis "rien" !',
    "ＡＢＣ full width, tabs and <unk> </s> <pad> <0x41> ⁇",
    "zébra qui joue au kiwi avec Vwyx",
] * 3
KINDS = ["bpe", "unigram", "char", "word"]
SUBWORDS = ["bpe", "unigram", "char"]
CHINESE = [chr(0x4E00 + i) + chr(0x4E00 + i % 500) + "的一" for i in range(1500)]
ODD_SPACES = " \t\u00a0\u3000\u2028\x85\x0b\u2581\0"
known_text = st.text(sorted(set("".join(LINES))) + list(ODD_SPACES), max_size=60)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@cache
def trained(kind: str, lowercase: bool = False) -> Tokenizer:
    return Tokenizer.train(kind, LINES, 120, lowercase, shrink=True)


@cache
def trained_with_bytes(kind: str) -> Tokenizer:
    return Tokenizer.train(kind, CHINESE, 1100, shrink=True)


@pytest.mark.parametrize("kind", SUBWORDS)
@given(known_text)
@settings(deadline=None)
def test_text_of_known_characters_comes_back_up_to_white_space(kind: str, text: str) -> None:
    tokenizer = trained(kind)
    expected = " ".join(text.replace("\u2581", " ").replace("\0", " ").split())
    assert tokenizer.decode(tokenizer.encode([text])[0]) == expected


@given(st.lists(st.sampled_from(" ".join(LINES).split())))
@settings(deadline=None)
def test_known_words_come_back(words: list[str]) -> None:
    tokenizer = Tokenizer.train("word", LINES, 1000)
    assert tokenizer.decode(tokenizer.encode(["  ".join(words)])[0]) == " ".join(words)


@pytest.mark.parametrize("kind", SUBWORDS)
@given(any_text)
@settings(deadline=None)
@pytest.mark.fault(24)
def test_byte_pieces_bring_any_text_back(kind: str, text: str) -> None:
    tokenizer = trained_with_bytes(kind)
    ids = tokenizer.encode([text])[0]
    assert UNK not in ids
    assert tokenizer.decode(ids) == tokenizer.normal(text)


@pytest.mark.parametrize("kind", KINDS)
@given(any_text | known_text, st.booleans())
@settings(deadline=None)
def test_spans_cover_everything_but_white_space_in_order(kind: str, text: str, lowercase: bool) -> None:
    tokenizer = trained(kind, lowercase)
    spans = tokenizer.spans(text)
    assert len(spans) == len(tokenizer.encode([text])[0]) == len(tokenizer.pieces(text))
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] or before == after for before, after in itertools.pairwise(spans))
    covered = {index for start, end in spans for index in range(start, end)}
    assert all(
        index in covered or character.isspace() or character in "\u2581\0" for index, character in enumerate(text)
    )


@pytest.mark.parametrize("kind", KINDS)
@given(known_text)
@settings(deadline=None)
def test_a_span_holds_the_text_of_its_piece(kind: str, text: str) -> None:
    tokenizer = trained(kind)
    for (start, end), piece in zip(tokenizer.spans(text), tokenizer.pieces(text), strict=True):
        assert text[start:end] == piece.lstrip("\u2581") or tokenizer.normal(text[start:end]) == ""


@given(any_text)
@settings(deadline=None)
def test_every_byte_piece_has_the_span_of_its_character(text: str) -> None:
    tokenizer = trained_with_bytes("bpe")
    for (start, end), id in zip(tokenizer.spans(text), tokenizer.encode([text])[0], strict=True):
        if tokenizer.piece(id).startswith("<0x"):
            assert end - start == 1
            assert int(tokenizer.piece(id)[3:5], 16) in text[start].encode()


@pytest.mark.parametrize("kind", KINDS)
@given(st.lists(st.integers(0, 119), max_size=20))
@settings(deadline=None)
def test_places_cover_what_ids_decode_to_but_for_spaces(kind: str, ids: list[int]) -> None:
    tokenizer = trained(kind)
    ids = [id % tokenizer.size for id in ids]
    text, places = tokenizer.decode(ids), tokenizer.places(ids)
    assert len(places) == len(ids)
    assert all(start <= end for start, end in places)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(places))
    covered = {place for start, end in places for place in range(start, end)}
    assert {text[place] for place in set(range(len(text))) - covered} <= {" "}


@given(any_text)
@settings(deadline=None)
def test_places_of_byte_pieces_are_those_of_their_characters(text: str) -> None:
    tokenizer = trained_with_bytes("bpe")
    (ids,) = tokenizer.encode([text])
    places = [place for place in tokenizer.places(ids) if place[1] > place[0]]
    decoded = tokenizer.decode(ids)
    assert "".join(decoded[start:end] for start, end in places).replace(" ", "") == decoded.replace(" ", "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_holds_the_text_of_its_piece(kind: str) -> None:
    tokenizer = trained(kind)
    (ids,) = tokenizer.encode(["the European zone"])
    text = tokenizer.decode(ids)
    shown = [text[start:end] for start, end in tokenizer.places(ids)]
    assert shown == [tokenizer.piece(id).replace("\u2581", "") or " " if id != UNK else "\u2047" for id in ids]


def test_a_phrase_may_begin_a_word_or_stand_within_one() -> None:
    tokenizer = trained("bpe")
    begin, within = tokenizer.phrase("European")
    assert begin == tokenizer.encode(["European"])[0]
    assert tokenizer.decode(within) == tokenizer.decode(begin) == "European"
    assert tokenizer.piece(begin[0]).startswith("\u2581")
    assert not tokenizer.piece(within[0]).startswith("\u2581")


def test_a_phrase_of_a_script_without_spaces_stands_within_first() -> None:
    within, begin = trained_with_bytes("bpe").phrase("的一")
    assert len(within) < len(begin) or within[0] != begin[0]
    assert trained("word").phrase("the zone") == [trained("word").encode(["the zone"])[0]]
    assert trained("bpe").phrase(" ") == []


def test_spans_are_those_of_the_text_as_given() -> None:
    text = "  The\tÎLE \u00a0 est"
    pieces = Tokenizer.train("word", ["the île est"], 10, lowercase=True)
    assert [text[start:end] for start, end in pieces.spans(text)] == ["The", "ÎLE", "est"]


@pytest.mark.parametrize("kind", KINDS)
def test_spans_are_right_after_a_letter_that_is_two_in_lower_case(kind: str) -> None:
    text = "\u0130\u0130 en 1992"
    spans = trained(kind, lowercase=True).spans(text)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    assert "".join(text[start:end] for start, end in spans if start >= 3).replace(" ", "") == "en1992"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [*SPECIAL_PIECES, "a <s> b", "<0x41>", "</s></s>"])
@pytest.mark.fault(25)
def test_text_that_looks_like_a_special_piece_is_text(kind: str, text: str) -> None:
    ids = trained(kind).encode([text])[0]
    assert not {PAD, BOS, EOS} & set(ids)
    if kind != "word":
        assert UNK not in ids
        assert trained(kind).decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_special_ids_decode_to_nothing_and_have_names(kind: str) -> None:
    tokenizer = trained(kind)
    ids = tokenizer.encode(["en 1992 ."])[0]
    assert tokenizer.decode([BOS, *ids, EOS, PAD, PAD]) == "en 1992 ."
    assert tuple(tokenizer.piece(id) for id in range(4)) == SPECIAL_PIECES


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_in_the_vocabulary_is_unknown(kind: str) -> None:
    tokenizer = trained(kind)
    ids = tokenizer.encode(["en 漢 1992"])[0]
    assert ids.count(UNK) == 1
    assert tokenizer.decode(ids) == "en \u2047 1992"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " ", "\t\u2028\u00a0", "\u2581", "\0"])
def test_blank_text_has_no_pieces(kind: str, text: str) -> None:
    assert trained(kind).encode([text]) == [[]]
    assert trained(kind).spans(text) == []
    assert trained(kind).decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_lower_casing_is_applied_to_all_text(kind: str) -> None:
    tokenizer = trained(kind, lowercase=True)
    assert tokenizer.encode(["LA ZONE"]) == tokenizer.encode(["la zone"])
    assert tokenizer.decode(tokenizer.encode(["LA ZONE"])[0]) == "la zone"


def test_words_are_ranked_by_frequency_then_by_text() -> None:
    tokenizer = Tokenizer.train("word", ["b a c", "c d"], 7)
    assert [tokenizer.piece(id) for id in range(4, tokenizer.size)] == ["c", "a", "b"]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.fault(27)
def test_a_vocabulary_larger_than_the_corpus_is_refused_with_a_size_that_works(kind: str) -> None:
    with pytest.raises(UserError, match="9000") as caught:
        Tokenizer.train(kind, LINES, 9000)
    assert caught.value.code == Exit.USAGE
    most = int(caught.value.hint.rpartition("=")[2])
    assert f"use at most {most}" in caught.value.hint
    assert Tokenizer.train(kind, LINES, most).size == most
    assert Tokenizer.train(kind, LINES, 9000, shrink=True).size == most


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [["a"], ["a"] * 50, ["x y"], ["😀"]])
def test_a_tiny_corpus_makes_a_tiny_vocabulary(kind: str, lines: list[str]) -> None:
    tokenizer = Tokenizer.train(kind, lines, 2000, shrink=True)
    assert tokenizer.decode(tokenizer.encode(lines)[0]) == lines[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [8, 20, 40])
def test_a_size_smaller_than_the_alphabet_leaves_rare_characters_unknown(kind: str, size: int) -> None:
    assert Tokenizer.train(kind, LINES, size).size == size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lines", [[], ["", " \t"], ["x" * 5000]])
def test_nothing_to_train_on_is_refused(kind: str, lines: list[str]) -> None:
    with pytest.raises(UserError, match="no text") as caught:
        Tokenizer.train(kind, lines, 100)
    assert caught.value.code == Exit.DATA


@pytest.mark.fault(23)
def test_lines_too_long_to_train_on_are_counted() -> None:
    sample = Tokenizer.train("bpe", [*LINES, "é " * 1397, "é" * 2097, ""], 100).sample
    assert sample is not None
    assert (sample.seen, sample.too_long, sample.used) == (len(LINES) + 2, 1, len(LINES) + 1)


@pytest.mark.fault(30)
def test_a_large_corpus_is_sampled_the_same_way_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_LINES", 100)
    first, second = (Tokenizer.train("word", (f"w{i}" for i in range(1000)), 1000) for _ in range(2))
    assert first.vocabulary.to_bytes() == second.vocabulary.to_bytes()
    assert first.size == 104
    drawn = [int(first.piece(id)[1:]) for id in range(4, first.size)]
    assert 350 < sum(drawn) / len(drawn) < 650  # from everywhere, not from the start


@pytest.mark.parametrize("kind", SUBWORDS)
def test_training_gives_the_same_bytes_in_another_process_with_fewer_cores(kind: str) -> None:
    script = f"""
import hashlib, os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from nmt_cli.data.tokenizer import Tokenizer
print(hashlib.sha256(Tokenizer.train({kind!r}, {LINES!r}, 90, shrink=True).vocabulary.to_bytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    here = Tokenizer.train(kind, LINES, 90, shrink=True).vocabulary.to_bytes()
    assert done.stdout.strip() == hashlib.sha256(here).hexdigest()
    assert done.stderr == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_joint_tokenizer_comes_back_from_its_files_as_one_object(kind: str, tmp_path: Path) -> None:
    files = save_tokenizers(tmp_path, trained(kind), trained(kind))
    source, target = load_tokenizers(tmp_path)
    assert source is target
    assert source.encode(LINES) == trained(kind).encode(LINES)
    assert set(files) == set(tmp_path.iterdir()) == set(tokenizer_files(tmp_path))


def test_separate_tokenizers_come_back_from_their_files(tmp_path: Path) -> None:
    kept = Tokenizer.train("bpe", LINES[:1], 40, lowercase=True), Tokenizer.train("bpe", LINES[1:2], 42, lowercase=True)
    save_tokenizers(tmp_path, *kept)
    loaded = load_tokenizers(tmp_path)
    assert [tokenizer.size for tokenizer in loaded] == [40, 42]
    assert [tokenizer.encode(LINES) for tokenizer in loaded] == [tokenizer.encode(LINES) for tokenizer in kept]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"kind": "pickle", "joint": true, "lowercase": false}', b"\xff"]
)
def test_settings_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    save_tokenizers(tmp_path, trained("bpe"), trained("bpe"))
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match=r"tokenizer\.json") as caught:
        load_tokenizers(tmp_path)
    assert caught.value.code == Exit.INTEGRITY


@pytest.mark.parametrize("kind", ["bpe", "word"])
@pytest.mark.parametrize("content", [None, b"two words\n", b"a\na\n", b"no end", b"\xff\n"])
def test_a_vocabulary_file_that_is_none_is_refused(tmp_path: Path, kind: str, content: bytes | None) -> None:
    path = save_tokenizers(tmp_path, trained(kind), trained(kind))[1]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=path.name) as caught:
        load_tokenizers(tmp_path)
    assert caught.value.code == Exit.INTEGRITY


def test_settings_are_readable_json(tmp_path: Path) -> None:
    save_tokenizers(tmp_path, trained("char", True), trained("char", True))
    assert json.loads((tmp_path / "tokenizer.json").read_text()) == {"kind": "char", "joint": True, "lowercase": True}
