"""What source pieces become is learned from which target pieces stand beside them."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_cli.batch import EOS
from nmt_cli.data import lexicon
from nmt_cli.data.lexicon import learn_lexicon, load_lexicon
from nmt_cli.data.store import Pairs, Sentences
from nmt_cli.errors import UserError

SIZE = 40


def pairs_of(translate, count: int = 300) -> Pairs:
    """Pairs of three to six pieces; the target is what `translate` makes of each source piece, in reverse order."""
    rng = np.random.default_rng(0)
    sources = [rng.integers(4, SIZE, rng.integers(3, 7)).tolist() for _ in range(count)]
    targets = [[translate(piece) for piece in source][::-1] for source in sources]
    return Pairs(Sentences.from_lists(sources), Sentences.from_lists(targets))


def test_what_a_piece_always_becomes_is_its_likeliest():
    likely = learn_lexicon(pairs_of(lambda piece: SIZE + 3 - piece), SIZE, SIZE)
    assert len(likely) == SIZE
    assert [int(likely[piece][0]) for piece in range(4, SIZE)] == [SIZE + 3 - piece for piece in range(4, SIZE)]


def test_the_end_of_the_sentence_has_what_is_frequent(monkeypatch):
    monkeypatch.setattr(lexicon, "FREQUENT", 2)
    likely = learn_lexicon(pairs_of(lambda piece: 7 if piece % 2 else 9 + piece // 20), SIZE, SIZE)
    assert likely[EOS][0] == 7
    assert len(likely[EOS]) == 2


def test_a_list_has_a_longest_length(monkeypatch):
    monkeypatch.setattr(lexicon, "LIKELY", 3)
    monkeypatch.setattr(lexicon, "LEAST", 0.0)
    likely = learn_lexicon(pairs_of(lambda piece: piece), SIZE, SIZE)
    assert max(len(likely[piece]) for piece in range(4, SIZE)) == 3


def test_what_is_unlikely_is_left_out():
    likely = learn_lexicon(pairs_of(lambda piece: piece), SIZE, SIZE)
    assert [ids.tolist() for ids in likely[4:]] == [[piece] for piece in range(4, SIZE)]


def test_a_piece_that_was_never_seen_has_an_empty_list():
    likely = learn_lexicon(pairs_of(lambda piece: piece), SIZE + 5, SIZE)
    assert len(likely[SIZE + 2]) == 0


@pytest.mark.parametrize("most", [1, 1000])
def test_of_a_large_corpus_only_a_part_is_looked_at(monkeypatch, most):
    monkeypatch.setattr(lexicon, "MOST_LINKS", most)
    pairs = pairs_of(lambda piece: piece)
    chosen = lexicon.sample(pairs)
    assert 0 < len(chosen) < len(pairs)
    assert [int(ids[0]) for ids in learn_lexicon(pairs, SIZE, SIZE)[4:] if len(ids)]


def test_parts_that_are_looked_at_one_after_the_other_are_as_all_at_once(monkeypatch):
    pairs = pairs_of(lambda piece: SIZE + 3 - piece)
    whole = learn_lexicon(pairs, SIZE, SIZE)
    monkeypatch.setattr(lexicon, "LINKS_AT_A_TIME", 100)
    for own, expected in zip(learn_lexicon(pairs, SIZE, SIZE), whole, strict=True):
        assert own.tolist() == expected.tolist()


def test_no_pairs_are_no_mistake():
    nothing = Sentences.from_lists([])
    assert [ids.tolist() for ids in learn_lexicon(Pairs(nothing, nothing), SIZE, SIZE)] == [[]] * SIZE


def test_what_is_written_beside_the_pairs_is_read_back(tmp_path):
    for name, size in (("lexicon.ids", 2), ("lexicon.offsets", 8)):
        values = np.array([7, 4, 9], "<u2") if size == 2 else np.array([0, 1, 1, 3], "<i8")
        (tmp_path / name).write_bytes(values.tobytes())
    assert [ids.tolist() for ids in load_lexicon(tmp_path, 3, 10)] == [[7], [], [4, 9]]
    with pytest.raises(UserError, match="not of these vocabularies"):
        load_lexicon(tmp_path, 3, 9)
    with pytest.raises(UserError, match="not of these vocabularies"):
        load_lexicon(tmp_path, 4, 10)


def test_a_lexicon_of_which_a_file_is_missing_is_refused(tmp_path):
    assert load_lexicon(tmp_path, 3, 10) is None
    (tmp_path / "lexicon.ids").write_bytes(b"")
    with pytest.raises(UserError, match="is missing"):
        load_lexicon(tmp_path, 3, 10)
