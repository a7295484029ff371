"""Buckets and batches: everything fits, everything comes once, in the same order every time, with little padding."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.batch import BOS, EOS, PAD
from nmt_cli.data import batching
from nmt_cli.data.batching import Batches, Bucket, batches_for, buckets
from nmt_cli.data.store import Pairs, Sentences
from nmt_cli.data.tokenizer import Tokenizer

REAL_TEXT = Path(__file__).parents[2] / "../shared/data"
MULTI30K, EUROPARL = REAL_TEXT / "multi30k", REAL_TEXT / "europarl-fr-en"
lengths = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=150)
budgets = st.sampled_from([16, 100, 999, 4000])


def pairs_of(shapes: list[tuple[int, int]]) -> Pairs:
    """Pairs of these lengths; the first two ids of a source and all of a target say which pair it is."""
    sources = [[100 + index] * source for index, (source, _) in enumerate(shapes)]
    targets = [[100 + index] * target for index, (_, target) in enumerate(shapes)]
    return Pairs(Sentences.from_lists(sources), Sentences.from_lists(targets))


def caption_like(count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Lengths spread like those of real text."""
    random = np.random.default_rng(seed)
    source = random.gamma(9.0, 1.8, count).astype(int) + 1
    target = np.maximum(source * random.normal(0.9, 0.12, count), 1).astype(int)
    return list(zip(source.tolist(), target.tolist(), strict=True))


def batches_of(shapes: list[tuple[int, int]], tokens: int = 400, most: int = 8, **options: object) -> Batches:
    pairs = pairs_of(shapes)
    chosen = buckets(pairs.source_lengths, pairs.target_lengths, tokens, most)
    return Batches(pairs, chosen, **{"data_hash": "hash", "seed": 1, **options})  # type: ignore[arg-type]


def pairs_in(batches: Batches, epoch: int = 0) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The ids of every pair of an epoch, in order, read back from the batches."""
    found = []
    for index in range(len(batches)):
        batch = batches.batch(epoch, index)
        for row in np.flatnonzero(batch.source_mask.any(1)):
            source, target = batch.source[row][batch.source_mask[row]], batch.target_out[row][batch.target_mask[row]]
            assert source[-1] == target[-1] == EOS
            found.append((tuple(source[:-1].tolist()), tuple(target[:-1].tolist())))
    return found


def ids_of(pairs: Pairs) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(tuple(pairs.source(i).tolist()), tuple(pairs.target(i).tolist())) for i in range(len(pairs))]


@given(lengths, budgets, st.integers(1, 16))
@settings(deadline=None, max_examples=60)
def test_every_pair_fits_a_bucket_and_every_bucket_the_budget(
    shapes: list[tuple[int, int]], tokens: int, most: int
) -> None:
    chosen = buckets([s for s, _ in shapes], [t for _, t in shapes], tokens, most)
    assert 1 <= len(chosen) <= most
    for source, target in shapes:
        assert any(source < bucket.source_length and target < bucket.target_length for bucket in chosen)
    for bucket in chosen:
        limit = min(tokens // bucket.target_length, 2 * tokens // bucket.source_length)
        assert 1 <= bucket.rows <= max(limit, 1)
        assert bucket.rows % 8 == 0 or limit < 8


@given(lengths, budgets, st.integers(1, 16), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
@pytest.mark.fault(59)
def test_every_pair_comes_exactly_once_in_an_epoch(
    shapes: list[tuple[int, int]], tokens: int, most: int, epoch: int
) -> None:
    batches = batches_of(shapes, tokens, most)
    assert sorted(pairs_in(batches, epoch)) == sorted(ids_of(batches.pairs))


@given(lengths, budgets)
@settings(deadline=None, max_examples=30)
def test_a_batch_is_shaped_masked_and_shifted(shapes: list[tuple[int, int]], tokens: int) -> None:
    batches = batches_of(shapes, tokens)
    for index in range(len(batches)):
        batch = batches.batch(0, index)
        rows, source_length = batch.source.shape
        assert Bucket(rows, source_length, batch.target_in.shape[1]) in batches.buckets
        assert batch.source_mask.shape == batch.source.shape
        assert batch.target_in.shape == batch.target_out.shape == batch.target_mask.shape
        assert [array.dtype for array in batch] == [np.int32, bool, np.int32, np.int32, bool]
        assert (batch.source[~batch.source_mask] == PAD).all()
        assert (batch.target_out[~batch.target_mask] == PAD).all()
        real = batch.source_mask.any(1)
        assert real.any()
        assert (real == batch.target_mask.any(1)).all()
        assert (batch.target_in[real, 0] == BOS).all()
        assert (batch.target_in[~real] == PAD).all()
        shifted = batch.target_out[:, :-1] * batch.target_mask[:, 1:]
        assert (batch.target_in[:, 1:] * batch.target_mask[:, 1:] == shifted).all()


@pytest.mark.fault(49, 50)
def test_an_epoch_is_the_same_when_computed_again_and_in_any_order() -> None:
    first, second = batches_of(caption_like(300)), batches_of(caption_like(300))
    places = [(epoch, index) for epoch in range(3) for index in range(len(first))]
    forwards = {place: first.batch(*place) for place in places}
    for place in np.random.default_rng(0).permutation(len(places))[:60]:
        again = second.batch(*places[place])
        assert all((a == b).all() for a, b in zip(forwards[places[place]], again, strict=True))


@pytest.mark.parametrize("change", [{"data_hash": "other"}, {"seed": 2}, {"epoch": 1}])
def test_the_order_changes_with_data_seed_and_epoch(change: dict[str, object]) -> None:
    epoch = int(str(change.pop("epoch", 0)))
    assert pairs_in(batches_of(caption_like(300), **change), epoch) != pairs_in(batches_of(caption_like(300)), 0)


def test_the_order_is_this_one() -> None:
    """Runs that were stopped must go on in the same order with the next version."""
    batches = batches_of([(n % 7, n % 5) for n in range(40)], tokens=40, most=3)
    assert batches.buckets == (Bucket(8, 2, 3), Bucket(8, 4, 5), Bucket(8, 7, 5))
    order, sequence = batches.order(5)
    assert order.tolist() == [21, 35, 7, 15, 22, 0, 1, 36, 8, 10, 23, 29, 16, 24, 31, 28, 30, 2, 17, 9, 14, 38, 37, 3, 13, 33, 32, 19, 18, 34, 12, 27, 4, 11, 39, 6, 20, 26, 25, 5]  # fmt: skip # noqa: E501
    assert sequence.tolist() == [3, 1, 4, 0, 2]


def test_batches_come_in_mixed_order_and_pairs_with_other_neighbours() -> None:
    batches = batches_of(caption_like(2000))
    widths = [batches.batch(0, index).source.shape[1] for index in range(len(batches))]
    assert widths != sorted(widths)
    companions = [
        {frozenset(batches.batch(epoch, index).source[:, 0].tolist()) for index in range(len(batches))}
        for epoch in (0, 1)
    ]
    assert len(companions[0] & companions[1]) <= 2


def test_without_shuffling_pairs_keep_their_order_within_a_bucket() -> None:
    batches = batches_of(caption_like(300), shuffle=False)
    widths = [batches.batch(0, index).source.shape[1] for index in range(len(batches))]
    assert widths == sorted(widths)
    assert pairs_in(batches, 0) == pairs_in(batches, 7)
    of_first_bucket = [
        pair for pair, bucket in zip(ids_of(batches.pairs), batches.bucket_of, strict=True) if bucket == 0
    ]
    assert pairs_in(batches)[: len(of_first_bucket)] == of_first_bucket


def test_the_batches_of_a_bucket_are_filled_evenly() -> None:
    batches = batches_of([(4, 4)] * 101, tokens=80, most=1)
    filled = [int(batches.batch(0, index).source_mask.any(1).sum()) for index in range(len(batches))]
    assert max(filled) - min(filled) <= 1


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_few_pairs_make_one_small_batch(count: int) -> None:
    batches = batches_of([(5, 4)] * count, tokens=4000, most=16)
    assert len(batches) == 1
    assert batches.buckets == (Bucket(8, 6, 5),)


def test_one_batch_more_is_made_when_that_leaves_fewer_rows_empty() -> None:
    rows, batches = batches_for(161, 5, 5, 200)
    assert (int(rows), int(batches)) == (32, 6)  # 192 rows; five batches would have 200


def test_an_outlier_gets_a_bucket_of_its_own_and_costs_the_others_little() -> None:
    shapes = caption_like(3000)
    without, with_outlier = batches_of(shapes, 2000, 12), batches_of([*shapes, (1900, 3)], 2000, 12)
    assert with_outlier.buckets[-1].source_length == 1901
    assert with_outlier.buckets[-1].rows == 2
    assert with_outlier.useful_share() > without.useful_share() - 0.04


def test_a_sentence_longer_than_the_budget_is_a_batch_of_its_own() -> None:
    batches = batches_of([(3, 500), (3, 501)], tokens=100, most=1)
    assert [bucket.rows for bucket in batches.buckets] == [1]
    assert len(pairs_in(batches)) == 2


def test_no_pairs_make_no_buckets_and_no_batches() -> None:
    assert buckets([], [], 1000, 8) == ()
    assert len(batches_of([])) == 0


def test_a_pair_that_fits_no_bucket_is_an_error() -> None:
    with pytest.raises(ValueError, match="pair 1 fits no bucket"):
        Batches(pairs_of([(3, 3), (9, 3)]), [Bucket(8, 5, 5)], "hash", 1)


def test_buckets_that_do_not_nest_are_an_error() -> None:
    with pytest.raises(ValueError, match="each inside the next"):
        Batches(pairs_of([(3, 3)]), [Bucket(8, 9, 5), Bucket(8, 5, 9)], "hash", 1)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_no_other_chain_of_buckets_needs_fewer_tokens(shapes: list[tuple[int, int]], most: int) -> None:
    tokens = 64
    source, target = (np.array(side) + 1 for side in zip(*shapes, strict=True))
    corner = int(source.max()), int(target.max())
    inner = [box for box in itertools.product(range(1, corner[0] + 1), range(1, corner[1] + 1)) if box != corner]
    fewest = np.inf
    for count in range(most):
        for chain in itertools.combinations(inner, count):
            boxes = [*chain, corner]
            if any(a[0] > b[0] or a[1] > b[1] for a, b in itertools.pairwise(boxes)):
                continue
            inside = [0, *(int(((source <= s) & (target <= t)).sum()) for s, t in boxes)]
            total = 0
            for (s, t), before, upto in zip(boxes, inside, inside[1:], strict=False):
                rows, batches = batches_for(upto - before, s, t, tokens)
                total += int(rows * batches * (s + t))
            fewest = min(fewest, total)
    batches = batches_of(shapes, tokens, most)
    sizes = [bucket.rows * (bucket.source_length + bucket.target_length) for bucket in batches.buckets]
    assert sum(sizes[owner] for owner in batches.batch_bucket) == fewest


def test_the_useful_share_is_that_of_the_masks() -> None:
    batches = batches_of(caption_like(500))
    every = [batches.batch(0, index) for index in range(len(batches))]
    useful = sum(int(batch.source_mask.sum() + batch.target_mask.sum()) for batch in every)
    assert batches.useful_share() == pytest.approx(
        useful / sum(batch.source.size + batch.target_in.size for batch in every)
    )


def test_many_different_lengths_are_cut_to_few_levels_and_keep_the_longest() -> None:
    cut = batching.levels(np.arange(1, 1001))
    assert len(cut) <= batching.LEVELS
    assert cut[-1] == 1000


def test_padding_is_small_on_text_like_lengths() -> None:
    assert batches_of(caption_like(20_000), 2000, 16).useful_share() > 0.86


def test_the_corpus_is_walked_once_an_epoch_not_once_a_batch() -> None:
    batches = batches_of(caption_like(2000))
    batches.batch(0, 0)
    plan = batches.plan
    batches.batch(0, 5)
    assert batches.plan is plan


@pytest.mark.skipif(not MULTI30K.is_dir(), reason="Multi30k is not at ../shared/data/multi30k")
def test_little_of_multi30k_is_padding() -> None:
    french, english = (
        (MULTI30K / f"train.{language}").read_text(encoding="utf-8").split("\n")[:-1] for language in ("fr", "en")
    )
    tokenizer = Tokenizer.train("bpe", [*french, *english], 8000)
    pairs = Pairs(Sentences.from_lists(tokenizer.encode(french)), Sentences.from_lists(tokenizer.encode(english)))
    batches = Batches(pairs, buckets(pairs.source_lengths, pairs.target_lengths, 2000, 16), "hash", 1)
    assert len(batches.buckets) <= 16
    assert batches.useful_share() >= 0.91


@pytest.mark.slow
@pytest.mark.skipif(not EUROPARL.is_dir(), reason="Europarl is not at ../shared/data/europarl-fr-en")
def test_little_of_europarl_is_padding() -> None:
    sides = []
    for language in ("fr", "en"):
        with gzip.open(EUROPARL / f"train.200k.{language}.gz", "rt", encoding="utf-8", newline="\n") as lines:
            sides.append([line.rstrip("\n") for line in itertools.islice(lines, 40_000)])
    tokenizer = Tokenizer.train("bpe", [*sides[0], *sides[1]], 8000)
    pairs = Pairs(*(Sentences.from_lists(tokenizer.encode(side)) for side in sides))
    batches = Batches(pairs, buckets(pairs.source_lengths, pairs.target_lengths, 2000, 16), "hash", 1)
    assert len(batches.buckets) <= 16
    assert batches.useful_share() >= 0.88


@given(lengths, st.integers(0, 20))
@settings(deadline=None, max_examples=30)
def test_buckets_come_in_the_order_in_which_they_are_needed(shapes: list[tuple[int, int]], start: int) -> None:
    batches = batches_of(shapes)
    start %= len(batches)
    coming = [batches.batch(3, index) for index in (*range(start, len(batches)), *range(start))]
    needed = [Bucket(*batch.source.shape, batch.target_in.shape[1]) for batch in coming]
    assert batches.upcoming(3, start) == list(dict.fromkeys(needed))
