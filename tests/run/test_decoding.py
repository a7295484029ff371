"""Batches through the search: what is found, and that given translations are scored like it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli import config
from nmt_cli.batch import BOS, EOS
from nmt_cli.data.store import Sentences
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.decoding import Decoding
from nmt_cli.run.reading import Sentence
from nmt_cli.run.request import Request, longest_translation
from nmt_cli.run.shortlist import Shortlist

SIZE = 20


@pytest.fixture(scope="module")
def parameters():
    """Two models nobody has trained, with parameters large enough for opinions."""
    ids = jnp.ones((1, 1), jnp.int32)
    shapes = jax.eval_shape(lambda: member().init(jax.random.key(0), ids, method=first_step))["params"]
    return [random_like(shapes, np.random.default_rng(seed)) for seed in range(2)]


def random_like(shapes, rng):
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(scale=0.5, size=leaf.shape), jnp.float32), shapes)


def first_step(seq2seq, source):
    return seq2seq.step(*seq2seq.encode(source, source > 0), source)


def member() -> Seq2Seq:
    sizes = {"embedding_size": 16, "encoder_units": 16, "decoder_units": 16, "attention_units": 16}
    return Seq2Seq(config.Model(**sizes), SIZE, SIZE)


@pytest.fixture(scope="module")
def one() -> Decoding:
    return Decoding([member()], note=lambda text: None)


@pytest.fixture(scope="module")
def two() -> Decoding:
    return Decoding([member(), member()], note=lambda text: None)


def sentences(count: int = 5, **asked) -> list[Sentence]:
    chance = np.random.default_rng(3)
    return [
        Sentence(line, [*chance.integers(4, SIZE, chance.integers(1, 7)).tolist(), EOS], False, **asked)
        for line in range(count)
    ]


def ask(n_best: int = 1, with_weights: bool = True, **search) -> Request:
    return Request(config.Search(**{"beam": 3, "batch_size": 8, **search}), n_best, with_weights)


def targets_of(found, count: int, n: int = 0) -> list[list[int]]:
    return [found.ids[row, n, : found.lengths[row, n] - 1].tolist() for row in range(count)]


def assert_scored_the_same(found, scored, count: int, n: int = 0) -> None:
    for row in range(count):
        length = found.lengths[row, n]
        assert scored.lengths[row, 0] == length
        assert scored.scores[row, 0] == pytest.approx(found.scores[row, n], abs=1e-5)
        np.testing.assert_allclose(scored.log_probs[row, 0, :length], found.log_probs[row, n, :length], atol=1e-5)
        if found.weights is not None:
            np.testing.assert_allclose(scored.weights[row, 0, :length], found.weights[row, n, :length], atol=1e-5)


@pytest.mark.parametrize("members", ["one", pytest.param("two", marks=pytest.mark.slow)])
def test_given_translations_get_the_scores_that_search_gives_them(members, parameters, request):
    decoding = request.getfixturevalue(members)
    own, asked, group = parameters[: len(decoding.members)], ask(n_best=3), sentences()
    found = decoding.run(own, group, asked)
    for n in range(3):
        assert_scored_the_same(found, decoding.score(own, group, targets_of(found, 5, n), asked), 5, n)


@pytest.mark.slow
def test_an_ensemble_of_a_model_with_itself_translates_as_the_model(one, two, parameters):
    alone = one.run(parameters[:1], sentences(), ask())
    twice = two.run([parameters[0], parameters[0]], sentences(), ask())
    np.testing.assert_array_equal(twice.ids, alone.ids)
    np.testing.assert_allclose(twice.scores[:5], alone.scores[:5], atol=1e-5)


@pytest.mark.slow
def test_an_ensemble_of_two_models_is_neither_of_them(one, two, parameters):
    found = [one.run([own], sentences(), ask()).ids.tolist() for own in parameters]
    assert two.run(parameters, sentences(), ask()).ids.tolist() not in found


def asked_of(sentence: Sentence) -> Sentence:
    """With something asked of its translation, something else of every line."""
    own = sentence.line
    return sentence._replace(
        prefix=[4 + own % 3] * (own % 3), required=[[5, 6], [7 + own]][: own % 3], forbidden=[[8], [9, 4]][: own % 2]
    )


def plain(sentence: Sentence) -> Sentence:
    return sentence


WAYS = {
    "beam": ({}, plain, 3),
    "everything": (
        {"normalization": "average", "coverage_penalty": 0.3, "no_repeat": 3, "min_output": 4, "max_output": 12},
        asked_of,
        3,
    ),
    "diverse": ({"beam": 4, "groups": 2}, plain, 2),
    "samples": ({"method": "sample", "temperature": 1.3, "top_k": 10, "top_p": 0.95}, plain, 2),
}


@pytest.mark.parametrize(
    "way",
    [way if way == "beam" else pytest.param(way, marks=pytest.mark.slow) for way in WAYS],
)
def test_neighbours_order_and_padding_change_nothing(way, one, parameters):
    search, asked, n_best = WAYS[way]
    group, how = [asked(sentence) for sentence in sentences()], ask(n_best, with_weights=False, **search)
    together = one.run(parameters[:1], group, how)
    long = Sentence(9, [*range(4, 14), EOS], False)
    if asked is asked_of:
        long = long._replace(prefix=[4], required=[[10, 11, 12], [9], [8]], forbidden=[[13]])
    for row, sentence in enumerate(group):
        shuffled = one.run(parameters[:1], [long, sentence, group[0]], how)
        assert_same_row(shuffled, 1, together, row)
    assert_same_row(one.run(parameters[:1], [group[2]], how), 0, together, 2)


def assert_same_row(found, row: int, expected, expected_row: int) -> None:
    np.testing.assert_array_equal(found.lengths[row], expected.lengths[expected_row])
    for n, length in enumerate(found.lengths[row]):
        np.testing.assert_array_equal(found.ids[row, n, :length], expected.ids[expected_row, n, :length])
    np.testing.assert_allclose(found.scores[row], expected.scores[expected_row], atol=1e-5)


def test_translations_are_what_was_asked_for(one, parameters):
    search, asked, _ = WAYS["everything"]
    group = [asked(sentence) for sentence in sentences()]
    found = one.run(parameters[:1], group, ask(n_best=3, with_weights=False, **search))
    for row, sentence in enumerate(group):
        own = len(sentence.prefix) + sum(map(len, sentence.required))
        assert found.lengths[row, 0] > 0
        for n in np.flatnonzero(found.lengths[row]):
            ids = found.ids[row, n, : found.lengths[row, n] - 1].tolist()
            assert ids[: len(sentence.prefix)] == sentence.prefix
            assert all(occurs(phrase, ids) for phrase in sentence.required)
            assert not any(occurs(phrase, ids) for phrase in sentence.forbidden)
            assert 4 <= len(ids) <= 12 + own
            assert len({str(ids[start : start + 3]) for start in range(len(ids) - 2)}) == len(ids) - 2


def occurs(phrase: list[int], ids: list[int]) -> bool:
    return any(ids[start : start + len(phrase)] == phrase for start in range(len(ids)))


@pytest.mark.slow
def test_a_line_whose_phrases_cannot_be_had_is_translated_without_them(one, parameters):
    group = [sentence._replace(forbidden=[[5]]) for sentence in sentences()]
    free = one.run(parameters[:1], group, ask(with_weights=False))
    group[2] = group[2]._replace(required=[[4, 5]])
    found = one.run(parameters[:1], group, ask(with_weights=False))
    for row in range(5):
        assert_same_row(found, row, free, row)


@pytest.mark.slow
def test_equal_lines_have_equal_samples_and_another_seed_has_others(one, parameters):
    search, _, _ = WAYS["samples"]
    twice = [sentences()[0], sentences()[0]._replace(line=7), sentences()[1]]
    found = one.run(parameters[:1], twice, ask(2, with_weights=False, **search))
    assert_same_row(found, 0, found, 1)
    other = one.run(parameters[:1], twice, ask(2, with_weights=False, **search, seed=2))
    assert other.ids.tolist() != found.ids.tolist()


@pytest.mark.parametrize(
    ("search", "rows"),
    [
        ({"beam": 5, "batch_size": 64}, 32),
        ({"beam": 1000, "batch_size": 64}, 1),
        ({"method": "mbr", "samples": 50}, 3),
        ({"method": "mbr", "samples": 200}, 1),
    ],
)
def test_memory_is_bounded_by_lines_times_hypotheses(search, rows):
    assert ask(**search).rows == rows


def test_the_longest_translation_follows_from_the_source_within_what_is_asked():
    assert longest_translation(5, config.Search(max_ratio=2.0)) == 18
    assert longest_translation(5, config.Search(max_ratio=2.0, max_output=7)) == 7
    assert longest_translation(5, config.Search(max_ratio=2.0, min_output=30)) == 30


OWN = [[piece % 7 + 4, piece % 5 + 9] for piece in range(SIZE)]
OWN[EOS] = [12]


def with_shortlist(members: int, lists) -> Decoding:
    return Decoding([member()] * members, lambda text: None, Shortlist([Sentences.from_lists(lists)], SIZE))


@pytest.fixture(scope="module")
def own() -> Decoding:
    return with_shortlist(1, OWN)


def pieces_of(sentence: Sentence) -> set[int]:
    """What a sentence may be translated with, but PAD and BOS."""
    asked = (sentence.prefix, *sentence.required)
    return {1, EOS, *(target for id in sentence.ids for target in OWN[id]), *(id for ids in asked for id in ids)}


@pytest.mark.slow
def test_a_shortlist_of_everything_changes_nothing(one, parameters):
    everything = with_shortlist(1, [list(range(SIZE))] * SIZE)
    expected = one.run(parameters[:1], sentences(), ask(n_best=2, with_weights=False))
    found = everything.run(parameters[:1], sentences(), ask(n_best=2, with_weights=False, shortlist=True))
    for row in range(5):
        assert_same_row(found, row, expected, row)


@pytest.mark.parametrize("way", ["beam", pytest.param("everything", marks=pytest.mark.slow)])
def test_a_sentence_uses_its_own_pieces_whatever_its_neighbours_may(way, own, parameters):
    search, asked, n_best = WAYS[way]
    group = [asked(sentence) for sentence in sentences()]
    how = ask(n_best, with_weights=False, shortlist=True, **search)
    together = own.run(parameters[:1], group, how)
    for row, sentence in enumerate(group):
        for n in range(n_best):
            assert set(together.ids[row, n, : together.lengths[row, n]].tolist()) <= pieces_of(sentence)
        assert_same_row(own.run(parameters[:1], [sentence], how), 0, together, row)


@pytest.mark.parametrize("members", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_given_translations_get_the_scores_that_search_with_a_shortlist_gives_them(members, parameters):
    decoding, asked = with_shortlist(members, OWN), ask(n_best=3, shortlist=True)
    found = decoding.run(parameters[:members], sentences(), asked)
    for n in range(3):
        scored = decoding.score(parameters[:members], sentences(), targets_of(found, 5, n), asked)
        assert_scored_the_same(found, scored, 5, n)


def test_a_given_translation_may_use_pieces_that_search_would_not(own, parameters):
    (sentence,) = sentences(1)
    others = sorted(set(range(4, SIZE)) - pieces_of(sentence))
    assert np.isfinite(own.score(parameters[:1], [sentence], [others], ask(shortlist=True)).scores[0]).all()


def test_a_wide_beam_with_a_shortlist_finds_the_best_of_all_that_may_be_written(own, parameters):
    (sentence,) = sentences(1)
    wide = {"beam": 100, "max_output": 2, "length_penalty": 0.8, "precision": "float32"}
    how = ask(4, with_weights=False, shortlist=True, **wide)
    found = own.run(parameters[:1], [sentence], how)
    expected = sorted(exhaustive(parameters[0], sentence, 2, 0.8), reverse=True)[:4]
    for n, (score, ids) in enumerate(expected):
        assert found.ids[0, n, : found.lengths[0, n]].tolist() == [*ids, EOS]
        assert found.scores[0, n] == pytest.approx(score, abs=1e-5)


def exhaustive(parameters, sentence: Sentence, longest: int, alpha: float):
    """Every translation of at most so many of the sentence's own pieces, with its score, in float64."""
    model, variables = member(), {"params": parameters}
    step = jax.jit(lambda state, token: model.apply(variables, memory, state, token[None, None], method="step"))
    ids = jnp.array([sentence.ids])
    memory, state = model.apply(variables, ids, ids > 0, method="encode")
    may_use = [0, BOS, *sorted(pieces_of(sentence))]
    begun = [(0.0, [], state)]
    for length in range(longest + 1):
        further = []
        for total, written, state in begun:
            after, distribution, _ = step(state, jnp.int32(written[-1] if written else BOS))
            own = np.asarray(distribution.log_probs()[0, 0], np.float64)[may_use]
            own -= np.log(np.sum(np.exp(own)))
            for piece, log_prob in zip(may_use[2:], own[2:], strict=True):
                if piece == EOS:
                    yield (total + log_prob) / ((5 + length + 1) / 6) ** alpha, written
                else:
                    further.append((total + log_prob, [*written, piece], after))
        begun = further
