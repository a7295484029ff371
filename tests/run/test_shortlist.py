"""The pieces of a sentence: what it may use, whatever the others of its batch may."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.batch import EOS, PAD
from nmt_cli.data.store import Sentences
from nmt_cli.run.reading import Sentence
from nmt_cli.run.shortlist import SMALLEST, Shortlist, fitted

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


def own_pieces(narrowed, row) -> list[int]:
    """All but the fillers; the first is PAD itself."""
    ids = narrowed.own[row]
    return ids[(ids != PAD) | (np.arange(len(ids)) == 0)].tolist()


@settings(max_examples=50)
@given(asked=st.lists(st.tuples(sources, targets, targets, targets), min_size=1, max_size=8))
def test_each_sentence_may_use_what_is_its_own(asked):
    group = [Sentence(0, [*ids, EOS], False, prefix, [phrase]) for ids, prefix, phrase, _ in asked]
    narrowed = shortlist().narrow(group, len(group) + 1, [written for *_, written in asked])
    for row, (ids, prefix, phrase, written) in enumerate(asked):
        likely = {target for piece in ids for target in LIKELY[piece]}
        own = narrowed.own[row]
        assert own_pieces(narrowed, row) == sorted({*SPECIAL, *FREQUENT, *prefix, *phrase, *written, *likely})
        assert own[:4].tolist() == [0, 1, 2, 3]
        assert own[narrowed.sentences[row].prefix].tolist() == prefix
        assert own[narrowed.sentences[row].required[0]].tolist() == phrase
        assert own[narrowed.written[row]].tolist() == written
    assert own_pieces(narrowed, len(group)) == sorted(SPECIAL)


def test_a_phrase_that_cannot_be_written_is_not_looked_for():
    sentence = Sentence(0, [7, EOS], False, forbidden=[[70, 71], [70, 555]])
    narrowed = shortlist().narrow([sentence], 1)
    assert [narrowed.own[0, phrase].tolist() for phrase in narrowed.sentences[0].forbidden] == [[70, 71]]


def test_several_models_may_write_what_any_of_them_may():
    others = [[40 + piece] for piece in range(100)]
    narrowed = shortlist(LIKELY, others).narrow([Sentence(0, [7, EOS], False)], 1)
    assert own_pieces(narrowed, 0) == sorted({*SPECIAL, *FREQUENT, 70, 71, 47})


def test_shapes_are_few():
    assert sorted({fitted(count) for count in range(1, SIZE)}) == [SMALLEST, 256, 512, 1024, 2048]
