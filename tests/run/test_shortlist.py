"""The vocabulary of a batch: what each of its sentences may use, whatever the others may."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.batch import EOS, PAD
from nmt_cli.data.store import Sentences
from nmt_cli.run.reading import Sentence
from nmt_cli.run.shortlist import SMALLEST, Shortlist

SIZE = 2000
LIKELY = [[] if piece < 3 else [10 * piece, 10 * piece + 1] for piece in range(100)]
FREQUENT = [1500, 7, 1700]
SPECIAL = {0, 1, 2, 3}
pieces = st.integers(4, 99)
sources = st.lists(pieces, max_size=20)
targets = st.lists(st.integers(4, SIZE - 1), max_size=5)


def shortlist(*lists) -> Shortlist:
    lexicons = [Sentences.from_lists([*own[:EOS], FREQUENT, *own[EOS + 1 :]]) for own in lists or [LIKELY]]
    return Shortlist(lexicons, SIZE)


def written_by(narrowed, row) -> set[int]:
    return set(narrowed.ids[narrowed.allowed[row]].tolist())


@settings(max_examples=50)
@given(asked=st.lists(st.tuples(sources, targets, targets, targets), min_size=1, max_size=8))
def test_each_sentence_may_use_what_is_its_own(asked):
    group = [Sentence(0, [*ids, EOS], False, prefix, [phrase]) for ids, prefix, phrase, _ in asked]
    narrowed = shortlist().narrow(group, len(group) + 1, [written for *_, written in asked])
    assert narrowed.ids[:4].tolist() == [0, 1, 2, 3]
    for row, (ids, prefix, phrase, written) in enumerate(asked):
        likely = {target for piece in ids for target in LIKELY[piece]}
        own = {*SPECIAL, *FREQUENT, *prefix, *phrase, *written, *likely}
        assert written_by(narrowed, row) == own
        assert narrowed.allowed[row].sum() == len(own)
        assert narrowed.ids[narrowed.sentences[row].prefix].tolist() == prefix
        assert narrowed.ids[narrowed.sentences[row].required[0]].tolist() == phrase
        assert narrowed.ids[narrowed.places[written]].tolist() == written
    assert written_by(narrowed, len(group)) == SPECIAL
    assert len(narrowed.ids) >= SMALLEST


def test_what_is_padding_in_the_shortlist_nobody_may_use():
    narrowed = shortlist().narrow([Sentence(0, [7, EOS], False)], 1)
    assert narrowed.allowed[0, 1:][narrowed.ids[1:] == PAD].sum() == 0
    assert narrowed.places[PAD] == PAD


def test_a_phrase_that_cannot_be_written_is_not_looked_for():
    sentence = Sentence(0, [7, EOS], False, forbidden=[[70, 71], [70, 555]])
    narrowed = shortlist().narrow([sentence], 1)
    assert [narrowed.ids[phrase].tolist() for phrase in narrowed.sentences[0].forbidden] == [[70, 71]]


def test_a_vocabulary_that_is_no_larger_than_a_shape_stays_as_it_is():
    small = Shortlist([Sentences.from_lists([[], [], [], [5], [6, 7]])], SMALLEST)
    narrowed = small.narrow([Sentence(0, [4, EOS], False)], 2)
    np.testing.assert_array_equal(narrowed.ids, np.arange(SMALLEST))
    assert written_by(narrowed, 0) == {*SPECIAL, 5, 6, 7}
    assert written_by(narrowed, 1) == SPECIAL


def test_several_models_may_write_what_any_of_them_may():
    others = [[40 + piece] for piece in range(100)]
    narrowed = shortlist(LIKELY, others).narrow([Sentence(0, [7, EOS], False)], 1)
    assert written_by(narrowed, 0) == {*SPECIAL, *FREQUENT, 70, 71, 47}


def test_shapes_are_few():
    sizes = {len(shortlist().fitted(np.arange(count))) for count in range(1, SIZE, 7)}
    assert sizes == {512, 640, 768, 896, 1024, 1280, 1536, 1792, SIZE}
