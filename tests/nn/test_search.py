"""Search against exhaustive enumeration and a float64 beam search, over tables of log-probabilities by prefix."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nmt_cli.batch import BOS, EOS, PAD, UNK
from nmt_cli.nn.constraints import Constraints
from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.hypotheses import Hypotheses, Sentences
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.search import search
from nmt_cli.nn.top import top
from tests.nn.tables import (
    WORDS,
    V,
    assert_found,
    attention_to,
    hypotheses_up_to,
    log_prob_of,
    search_by_hand,
    step,
    table_of,
)


@partial(jax.jit, static_argnames=("steps", "rows", "beam", "n_best"))
def run_jitted(table, max_lengths, alpha, steps, rows, beam, n_best) -> Hypotheses:
    start = jnp.zeros((table.shape[0], 1), jnp.int32)
    sentences, ranking = Sentences(table, Constraints(max_lengths)), Ranking(alpha)
    widths = {"rows": rows, "beam": beam, "n_best": n_best}
    return search(step, sentences, start, ranking, steps=steps, with_weights=True, **widths)


def run(table, max_lengths, alpha=0.0, beam=1, n_best=1, rows=None) -> Hypotheses:
    lengths = jnp.asarray(max_lengths, jnp.int32)
    widths = {"rows": rows, "beam": beam, "n_best": n_best}
    return jax.device_get(
        run_jitted(jnp.asarray(table, jnp.float32), lengths, alpha, steps=max(max_lengths) + 1, **widths)
    )


def penalty(length: int, alpha: float) -> float:
    return ((5 + length) / 6) ** alpha


def score_of(row, tokens, alpha) -> float:
    return log_prob_of(row, tokens) / penalty(len(tokens), alpha)


def exhaustive(row, max_length, alpha, n_best) -> list[tuple[float, tuple[int, ...]]]:
    """Every hypothesis there is, best first."""
    found = [(score_of(row, tokens, alpha), tokens) for tokens in hypotheses_up_to(max_length)]
    return sorted(found, reverse=True)[:n_best]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0])
def test_a_wide_beam_finds_what_exhaustive_search_finds(alpha):
    table = table_of(np.random.default_rng(0), rows=8, max_length=3)
    lengths = [3, 2, 1, 3, 3, 2, 3, 3]
    found = run(table, lengths, alpha, beam=60, n_best=40)
    for b, length in enumerate(lengths):
        assert_found(found, b, exhaustive(table[b], length, alpha, 40))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0])
@pytest.mark.parametrize(("beam", "n_best"), [(1, 1), (2, 1), (2, 2), (3, 1), (5, 3), (5, 5)])
@pytest.mark.parametrize("spread", [pytest.param(0.3, marks=pytest.mark.slow), 3.0])
def test_a_narrow_beam_finds_what_a_search_without_early_stopping_finds(alpha, beam, n_best, spread):
    table = table_of(np.random.default_rng(beam), rows=16, max_length=5, spread=spread)
    lengths = [1 + b % 5 for b in range(16)]
    found = run(table, lengths, alpha, beam, n_best)
    for b, length in enumerate(lengths):
        expected = search_by_hand(table[b], length, beam, lambda total, tokens: total / penalty(len(tokens), alpha))
        assert_found(found, b, expected)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
@pytest.mark.fault(58)
def test_a_beam_of_one_is_greedy(alpha):
    table = table_of(np.random.default_rng(1), rows=32, max_length=5)
    found = run(table, [5] * 32, alpha)
    for b in range(32):
        prefix, tokens = 0, [BOS]
        while tokens[-1] != EOS:
            prefix = prefix * V + tokens[-1]
            allowed = (EOS,) if len(tokens) == 6 else (EOS, *WORDS)
            tokens.append(max(allowed, key=lambda token: table[b, prefix, token]))
        assert list(found.ids[b, 0, : found.lengths[b, 0]]) == tokens[1:]


def test_scores_are_the_sum_of_token_log_probs_over_the_penalty():
    table = table_of(np.random.default_rng(2), rows=8, max_length=4)
    found = run(table, [4] * 8, alpha=0.7, beam=4, n_best=4)
    np.testing.assert_allclose(found.log_probs.sum(-1) / penalty(found.lengths, 0.7), found.scores, atol=1e-5)


def test_weights_are_those_of_the_hypothesis_and_zero_after_it():
    table = table_of(np.random.default_rng(3), rows=8, max_length=4)
    found = run(table, [4] * 8, alpha=0.6, beam=5, n_best=3)
    for b, n in np.ndindex(8, 3):
        prefix, length = 0, found.lengths[b, n]
        for t in range(length):
            prefix = prefix * V + (BOS if t == 0 else found.ids[b, n, t - 1])
            np.testing.assert_array_equal(found.weights[b, n, t], attention_to(prefix))
        assert (found.weights[b, n, length:] == 0).all()


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.fault(58)
def test_neighbours_order_and_fillers_change_nothing(beam):
    rng = np.random.default_rng(4)
    table, lengths = table_of(rng, rows=6, max_length=5), [5, 1, 3, 5, 2, 4]
    together = run(table, lengths, 0.6, beam, beam)
    order = rng.permutation(6)
    shuffled = run(table[order], [lengths[b] for b in order], 0.6, beam, beam)
    for place, b in list(enumerate(order))[:2]:
        filled = run(table[[b, 0, b]], [lengths[b], 0, 5], 0.6, beam, beam)
        alone = run(table[[b]], [lengths[b]], 0.6, beam, beam)
        length = lengths[b] + 1
        for other, row in ((shuffled, place), (filled, 0), (alone, 0)):
            np.testing.assert_array_equal(other.ids[row][:, :length], together.ids[b][:, :length])
            np.testing.assert_allclose(other.scores[row], together.scores[b], rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "beam"),
    [(1, 1), (3, 3), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in [(2, 1), (7, 1), (1, 3), (7, 3)])],
)
def test_sentences_that_waited_for_a_row_are_translated_as_if_none_had_waited(rows, beam):
    rng = np.random.default_rng(8)
    table, lengths = table_of(rng, rows=12, max_length=5), [5, 5, 0, 4, 3, 5, 2, 1, 0, 5, 1, 0]
    expected = run(table, lengths, 0.6, beam, beam)
    jax.tree.map(np.testing.assert_array_equal, run(table, lengths, 0.6, beam, beam, rows), expected)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_sentence_whose_numbers_are_none_ends_and_leaves_the_others_alone(beam):
    table = table_of(np.random.default_rng(9), rows=5, max_length=3)
    expected = run(table, [3] * 5, beam=beam, rows=2)
    table[1] = np.nan
    found = run(table, [3] * 5, beam=beam, rows=2)
    assert not np.isfinite(found.scores[1]).any()
    for b in (0, 2, 3, 4):
        np.testing.assert_array_equal(found.ids[b], expected.ids[b])


def test_all_rows_done_at_once_and_every_sentence_as_long_as_can_be_are_within_the_records():
    table = np.full((9, V**5, V), -1.0)
    table[:, :, EOS] = -9.0
    found = run(table, [4] * 9, rows=2)
    assert (found.lengths == 5).all()


def test_filler_rows_are_not_searched():
    table = table_of(np.random.default_rng(5), rows=2, max_length=3)
    found = run(table, [3, 0], beam=2, n_best=2)
    assert (found.lengths[1] == 0).all()
    assert (found.scores[1] == -np.inf).all()


def test_pad_and_bos_are_never_produced_however_probable():
    table = np.full((1, V**4, V), -20.0)
    table[:, :, [PAD, BOS]] = -1e-3
    found = run(table, [3], beam=4, n_best=4)
    produced = found.ids[0, :, 0]
    assert set(produced) <= {UNK, EOS, 4, 5}
    for n in range(4):
        assert BOS not in found.ids[0, n]
        assert PAD not in found.ids[0, n, : found.lengths[0, n]]


def test_a_hypothesis_of_the_longest_length_is_ended_at_the_price_of_eos():
    table = np.full((1, V**4, V), -1.0)
    table[:, :, EOS] = -9.0
    table[:, :, 4] = -0.5
    found = run(table, [3])
    assert list(found.ids[0, 0]) == [4, 4, 4, EOS]
    np.testing.assert_allclose(found.log_probs[0, 0], [-0.5, -0.5, -0.5, -9.0])


@pytest.mark.parametrize(("alpha", "most"), [(0.0, 3), (1.0, 8)])
def test_the_loop_ends_when_nothing_better_can_come(alpha, most):
    """EOS at -0.1, words at -5: after the first step only a large penalty could still make a longer one better."""
    calls = []

    def same(memory, state, tokens):
        jax.debug.callback(lambda: calls.append(1))
        log_probs = jnp.full((*tokens.shape, V), -5.0).at[..., EOS].set(-0.1)
        return state, Distribution.of(log_probs), jnp.zeros((*tokens.shape, 1))

    sentences = Sentences((), Constraints(jnp.array([40, 40])))
    found = jax.jit(lambda: search(same, sentences, jnp.zeros((2, 1)), Ranking(alpha), steps=41, beam=3))()
    jax.block_until_ready(found)
    jax.effects_barrier()
    assert list(found.ids[0, 0, :2]) == [EOS, PAD]
    assert len(calls) <= most


def test_more_finished_hypotheses_than_the_beam_is_wide_cannot_be_asked_for():
    table = table_of(np.random.default_rng(6), rows=1, max_length=2)
    with pytest.raises(ValueError, match="n_best"):
        run(table, [2], beam=2, n_best=3)


def test_weights_are_left_out_unless_asked_for():
    table = jnp.asarray(table_of(np.random.default_rng(7), rows=1, max_length=2), jnp.float32)
    sentences = Sentences(table, Constraints(jnp.array([2])))
    found = jax.eval_shape(lambda: search(step, sentences, jnp.zeros((1, 1), jnp.int32), Ranking(), steps=3))
    assert found.weights is None


few_values = st.sampled_from([-np.inf, -3.0, -1.0, -1.0, -0.5, 0.0])


@settings(max_examples=60)
@given(
    values=arrays(np.float32, st.tuples(st.just(2), st.sampled_from([7, 512, 1001])), elements=few_values),
    count=st.sampled_from([1, 2, 5]),
)
def test_two_stage_top_finds_the_largest_each_once(values, count):
    expected, _ = jax.lax.top_k(values, count)
    found, places = jax.jit(top, static_argnums=1)(values, count)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.take_along_axis(values, np.asarray(places), axis=1), expected)
    assert all(len(set(row)) == count for row in np.asarray(places).tolist())
