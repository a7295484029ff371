import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli import config
from nmt_cli.data import column, selection
from nmt_cli.data.corpus import Corpus, Pair
from nmt_cli.data.selection import Encoded, Intake, choose_held_out, divide, fitting, take_in, without_duplicates
from nmt_cli.data.spool import Spool, hash_pair, hash_text
from nmt_cli.data.tally import Counts

texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=8)
all_pairs = st.lists(st.builds(Pair, texts, texts, texts))


def intake_of(tmp_path, pairs):
    for name, side in (("a", 0), ("b", 1)):
        (tmp_path / name).write_text("".join(f"{pair[side]}\n" for pair in pairs))
    intake = Intake(Spool(tmp_path / "spool"))
    list(take_in(Corpus((str(tmp_path / "a"),), (str(tmp_path / "b"),)), intake))
    return intake


@given(all_pairs)
def test_pairs_come_out_of_the_spool_as_they_went_in(tmp_path_factory, pairs):
    spool = Spool(tmp_path_factory.mktemp("spool") / "pairs")
    assert list(spool.write(pairs)) == pairs
    assert list(spool) == pairs
    assert len(spool) == len(pairs)


@given(st.lists(st.sampled_from(["a", "b", "c"])), st.booleans())
@pytest.mark.fault(29)
def test_the_first_of_identical_pairs_stays(tmp_path_factory, values, drop):
    pairs = [Pair(value, value, f"f:{n}") for n, value in enumerate(values)]
    intake = Intake(Spool(tmp_path_factory.mktemp("spool") / "pairs"))
    for pair in intake.spool.write(pairs):
        intake.pairs.append(hash_pair(pair))
    counts = Counts()
    kept = list(without_duplicates(intake, drop, counts))
    first = list({pair.source: pair for pair in reversed(pairs)}.values())
    assert kept == (sorted(first, key=pairs.index) if drop else pairs)
    found = counts.dropped if drop else counts.noticed
    assert found.counts[selection.DUPLICATE] == len(pairs) - len(first)


@pytest.mark.parametrize(("pairs", "held_out"), [(0, 0), (19, 0), (20, 1), (99, 1), (150, 3), (60_000, 1000)])
def test_how_many_pairs_are_held_out_depends_on_the_size(tmp_path, pairs, held_out):
    intake = Intake(Spool(tmp_path / "spool"))
    for number in range(pairs):
        intake.sources.append(number << 40)
    intake.spool.pairs = pairs
    assert choose_held_out(intake) == {number << 40 for number in range(held_out)}


@pytest.mark.fault(29)
def test_repeated_sources_are_never_held_out(tmp_path):
    intake = intake_of(tmp_path, [("le même", f"the same {n}") for n in range(30)] + [("autre", "other")])
    assert choose_held_out(intake) == {hash_text("autre")}


def test_held_out_and_training_pairs_divide_the_corpus(tmp_path):
    intake = intake_of(tmp_path, [(f"a {n}", f"b {n}") for n in range(200)])
    held_out = choose_held_out(intake)
    parts = [list(divide(intake.spool, held_out, wanted)) for wanted in (False, True)]
    assert [len(part) for part in parts] == [196, 4]
    assert sorted(parts[0] + parts[1]) == sorted(intake.spool)


def test_limits_of_length_and_ratio_are_included(tmp_path):
    data = config.resolve(overrides=["data.max_length=6", "data.max_ratio=3"]).data
    sizes = [(6, 6), (7, 6), (6, 7), (2, 6), (6, 2), (1, 4)]
    counts = Counts()
    encoded = [Encoded(Pair("s", "t", "f:1"), [4] * source, [4] * target) for source, target in sizes]
    kept = [(len(item.source), len(item.target)) for item in fitting(encoded, data, counts)]
    assert kept == [(6, 6), (2, 6), (6, 2)]
    assert sorted(counts.dropped.counts.values()) == [1, 2]


@pytest.mark.fault(30)
def test_memory_does_not_grow_with_the_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(column, "BUFFERED", 100)

    def peak(pairs):
        sentences = [(f"source {n} {'x' * 150}", f"target {n} {'y' * 150}") for n in range(pairs)]
        for name, side in (("a", 0), ("b", 1)):
            (tmp_path / name).write_text("".join(f"{pair[side]}\n" for pair in sentences))
        del sentences
        corpus = Corpus((str(tmp_path / "a"),), (str(tmp_path / "b"),))
        tracemalloc.start()
        for _ in take_in(corpus, Intake(Spool(tmp_path / "spool"))):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(1000), peak(6000)
    assert (large - small) / 5000 < 100  # a pair has 320 bytes; the lengths of 200,000 at most are judged at a time
