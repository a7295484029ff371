"""Words are what white space separates; attention says which of them belong together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.words import NO_WORD, align, words, words_of


@given(st.text(alphabet="ab \t\u3000\u2028é😀"))
def test_words_are_those_of_split(text):
    assert [text[start:end] for start, end in words(text)] == text.split()


def test_a_piece_lies_in_the_word_that_it_begins_in():
    text = " un petit  chien"
    pieces = [(1, 3), (4, 6), (6, 9), (9, 10), (11, 16), (16, 16)]
    assert words_of(pieces, words(text)) == [0, 1, 1, NO_WORD, 2, NO_WORD]


def test_each_word_goes_to_the_word_its_pieces_looked_at_most():
    # Source words 0, 0, 1 and the end; target words 0, 1, 1 and the end.
    weights = np.array([[0.3, 0.3, 0.4, 0.0], [0.1, 0.0, 0.5, 0.4], [0.6, 0.0, 0.3, 0.1], [0, 0, 0, 1]], np.float32)
    assert align(weights, [0, 0, 1, NO_WORD], [0, 1, 1, NO_WORD]) == [(0, 0), (1, 1)]


def test_the_end_of_the_sentence_is_no_word_to_look_at():
    assert align(np.array([[0.1, 0.9]], np.float32), [0, NO_WORD], [0]) == [(0, 0)]


def test_nothing_is_aligned_with_nothing():
    assert align(np.ones((1, 1), np.float32), [NO_WORD], [0]) == []
    assert align(np.ones((1, 2), np.float32), [0, NO_WORD], [NO_WORD]) == []
