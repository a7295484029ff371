"""BPE dropout: the same text in other pieces, the same pieces for the same epoch, and no pair lost."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_cli.batch import EOS
from nmt_cli.data.batching import Batches, buckets
from nmt_cli.data.bpe_dropout import BpeDropout
from nmt_cli.data.store import Pairs, Sentences
from nmt_cli.data.tokenizer import Tokenizer

WORDS = ("the", "small", "houses", "beside", "garden", "fences", "children", "playing", "yesterday", "umbrellas")
RATE = 0.3


@pytest.fixture(scope="module")
def lines() -> list[str]:
    chance = np.random.default_rng(0)
    return [" ".join(chance.choice(WORDS, chance.integers(1, 12))) for _ in range(300)]


@pytest.fixture(scope="module")
def tokenizer(lines) -> Tokenizer:
    return Tokenizer.train("bpe", lines, 120, shrink=True)


@pytest.fixture(scope="module")
def pairs(lines, tokenizer) -> Pairs:
    ids = tokenizer.encode(lines)
    return Pairs(Sentences.from_lists(ids), Sentences.from_lists(ids[::-1]))


def dropout_of(pairs, tokenizer, data_hash="hash", seed=1) -> BpeDropout:
    return BpeDropout(pairs, (tokenizer, tokenizer), RATE, data_hash, seed)


def batches_of(pairs, tokenizer) -> Batches:
    dropout = dropout_of(pairs, tokenizer)
    shapes = buckets(dropout.room.source_lengths, dropout.room.target_lengths, 400, 4)
    return Batches(pairs, shapes, "hash", 1, dropout=dropout)


def texts(tokenizer, ids, mask) -> list[str]:
    return [tokenizer.decode(row[real].tolist()) for row, real in zip(ids, mask, strict=True) if real.any()]


def test_another_cut_is_the_same_text_in_more_pieces(lines, tokenizer):
    ids = tokenizer.encode(lines)
    cuts = tokenizer.recut(ids, RATE, seed=1)
    assert [tokenizer.decode(cut) for cut in cuts] == lines
    assert sum(map(len, cuts)) > 1.1 * sum(map(len, ids))


def test_without_dropout_the_cut_is_the_usual_one(tokenizer):
    ids = tokenizer.encode(["the children 日本 playing", "x!", "umbrellas ⁇"])
    assert tokenizer.recut(ids, 0.0, seed=1) == ids


def test_the_seed_decides_and_nothing_before_it(lines, tokenizer):
    ids = tokenizer.encode(lines)
    first = tokenizer.recut(ids, RATE, seed=7)
    assert tokenizer.recut(ids, RATE, seed=8) != first
    assert tokenizer.recut(ids, RATE, seed=7) == first


@pytest.mark.parametrize("kind", ["unigram", "char", "word"])
def test_only_byte_pairs_have_merges_to_leave_out(kind, lines):
    with pytest.raises(ValueError, match=kind):
        Tokenizer.train(kind, lines, 60, shrink=True).recut([[5]], RATE, seed=1)


def test_every_pair_comes_once_in_an_epoch_with_its_text(lines, pairs, tokenizer):
    batches = batches_of(pairs, tokenizer)
    sources, targets = [], []
    for index in range(len(batches)):
        batch = batches.batch(3, index)
        assert any(batch.source.shape == (b.rows, b.source_length) for b in batches.buckets)
        sources += texts(tokenizer, batch.source, batch.source_mask)
        targets += texts(tokenizer, batch.target_out, batch.target_mask)
    assert sorted(zip(sources, targets, strict=True)) == sorted(zip(lines, lines[::-1], strict=True))


def test_a_batch_is_the_same_in_another_process_and_whatever_came_before(pairs, tokenizer):
    one, other = batches_of(pairs, tokenizer), batches_of(pairs, tokenizer)
    for index in range(len(one)):
        one.batch(0, index)
    for epoch, index in [(1, 2), (0, 0), (5, 1)]:
        for a, b in zip(one.batch(epoch, index), other.batch(epoch, index), strict=True):
            np.testing.assert_array_equal(a, b)


def test_each_epoch_cuts_anew(pairs, tokenizer):
    batches = batches_of(pairs, tokenizer)
    epochs = [
        sorted(row.tobytes() for index in range(len(batches)) for row in batches.batch(epoch, index).source)
        for epoch in range(2)
    ]
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("change", [{"data_hash": "other"}, {"seed": 2}])
def test_cuts_differ_with_data_and_seed(change, pairs, tokenizer):
    draws = [
        dropout_of(pairs, tokenizer, **options).draw(np.arange(50), 99, 99, 0, 0).sources.ids.tolist()
        for options in ({}, change)
    ]
    assert draws[0] != draws[1]


def test_a_pair_that_does_not_fit_keeps_its_usual_cut_and_is_counted(pairs, tokenizer):
    dropout = dropout_of(pairs, tokenizer)
    place = int(np.argmax(pairs.source_lengths))
    room = int(pairs.source_lengths[place]) + 1  # its usual cut and EOS, and no more
    drawn = dropout.draw(np.array([place]), room, 99, 0, 4)
    np.testing.assert_array_equal(drawn.source(0), pairs.source(place))
    np.testing.assert_array_equal(drawn.target(0), pairs.target(place))
    assert [dropout.take_count(0, index) for index in (4, 5, 6)] == [0, 1, 0]


def test_few_pairs_lack_room(pairs, tokenizer):
    batches = batches_of(pairs, tokenizer)
    for number in range(4 * len(batches)):
        batches.batch(*divmod(number, len(batches)))
    assert batches.dropout is not None
    assert batches.dropout.take_count(4, 0) < 0.1 * 4 * len(pairs)


def test_sentences_still_end_in_eos(pairs, tokenizer):
    batch = batches_of(pairs, tokenizer).batch(0, 0)
    last = batch.source_mask.sum(1) - 1
    rows = last >= 0
    assert (batch.source[np.arange(len(last)), last][rows] == EOS).all()
