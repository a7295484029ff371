"""A line too long becomes parts that fit, without a character lost, where a reader would pause."""

from __future__ import annotations

import time
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.run.splitting import split


@cache
def tokenizer(kind: str) -> Tokenizer:
    return Tokenizer.train(
        kind, ["un chien court. il est noir, et le chat le regarde ; puis 日本語。です！"] * 3, 60, shrink=True
    )


def parts(text: str, most: int, kind: str = "char") -> list[str]:
    return [text[start:end] for start, end in split(tokenizer(kind), text, most)]


@pytest.mark.parametrize("kind", ["char", "bpe", "word"])
@given(text=st.text(alphabet="un chat. ,;-!?\u0301\u200d日。、😀\t"), most=st.integers(2, 30))
def test_every_character_is_in_one_part_and_every_part_fits(kind, text, most):
    spans = split(tokenizer(kind), text, most)
    assert (spans[0][0], spans[-1][1]) == (0, len(text))
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    sizes = [len(ids) for ids in tokenizer(kind).encode([text[start:end] for start, end in spans])]
    assert all(size <= most or end - start == 1 for size, (start, end) in zip(sizes, spans, strict=True))


def test_a_line_that_fits_is_one_part():
    assert parts("Un chien. Un chat.", 30) == ["Un chien. Un chat."]


def test_sentences_are_translated_one_by_one():
    assert parts("Un chien court. Il est noir ! « Où ? » Le chat dort.", 20) == [
        "Un chien court. ",
        "Il est noir ! ",
        "« Où ? » ",
        "Le chat dort.",
    ]


def test_a_full_stop_inside_a_number_or_a_name_ends_nothing():
    assert parts("La version 3.14 de www.nmt.org coûte 1.000,50 euros.", 30) == [
        "La version 3.14 de www.nmt.org ",
        "coûte 1.000,50 euros.",
    ]


def test_what_is_too_short_for_a_sentence_goes_with_the_next():
    assert parts("M. Dupont est venu hier soir. Il est reparti.", 30) == [
        "M. Dupont est venu hier soir. ",
        "Il est reparti.",
    ]


def test_a_sentence_too_long_ends_after_clauses_as_many_as_fit():
    assert parts("le chien, le chat, le loup ; puis le renard", 20) == [
        "le chien, le chat, ",
        "le loup ; ",
        "puis le renard",
    ]


def test_a_clause_too_long_ends_between_words():
    assert parts("le chien le chat le loup", 9) == ["le chien ", "le chat ", "le loup"]


def test_scripts_without_spaces_end_after_their_own_marks():
    assert parts("日本語です。日本、です！日本語です", 9) == ["日本語です。", "日本、です！", "日本語です"]


def test_text_without_any_place_to_pause_is_halved_until_it_fits():
    assert parts("abcdefgh", 5) == ["abcd", "efgh"]
    assert parts("noiretnoir", 5) == ["no", "ire", "tn", "oir"]


@pytest.mark.parametrize("character", ["e\u0301", "👩\u200d🚀"])
def test_a_character_of_several_code_points_stays_whole(character):
    for part in parts(character * 20, 7):
        assert part[0] == character[0]


@pytest.mark.parametrize("text", ["x", ".", "\u0301", "日本、", "un chien court. ", ". ", ".) ", "- "])
def test_a_megabyte_of_anything_takes_seconds(text):
    line = text * (200_000 // len(text))
    start = time.process_time()
    spans = split(tokenizer("char"), line, 100)
    assert time.process_time() - start < 4
    assert len(spans) < len(line) / 3
