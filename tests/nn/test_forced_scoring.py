"""Given translations get the numbers that search would give them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import EOS, PAD
from nmt_cli.nn.constraints import Constraints
from nmt_cli.nn.forced_scoring import score_ids
from nmt_cli.nn.hypotheses import Sentences
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.search import search
from tests.nn.tables import attention_to, log_prob_of, prefixes_of, step, table_of

TARGETS = [(4, 5, 4, EOS), (EOS,), (), (5, 1, EOS)]


def forced(table, targets, ranking, mask=None):
    padded = np.full((len(targets), 4), PAD)
    for row, target in enumerate(targets):
        padded[row, : len(target)] = target
    lengths = jnp.array([len(target) for target in targets])
    start = jnp.zeros((len(targets), 1), jnp.int32)
    scored = jax.jit(
        lambda table, ids: score_ids(step, table, start, ids, lengths, ranking, mask=mask, with_weights=True)
    )
    return jax.device_get(scored(jnp.asarray(table, jnp.float32), jnp.asarray(padded)))


def test_log_probs_and_weights_are_those_of_the_given_tokens():
    table = table_of(np.random.default_rng(0), rows=4, max_length=3)
    found = forced(table, TARGETS, Ranking())
    for b, target in enumerate(TARGETS):
        for t, prefix in enumerate(prefixes_of(target) if target else ()):
            assert found.log_probs[b, 0, t] == pytest.approx(table[b, prefix, target[t]], abs=1e-6)
            np.testing.assert_array_equal(found.weights[b, 0, t], attention_to(prefix))
        assert (found.log_probs[b, 0, len(target) :] == 0).all()
        assert (found.weights[b, 0, len(target) :] == 0).all()


def test_the_score_is_the_log_prob_over_the_penalty_and_fillers_have_none():
    table = table_of(np.random.default_rng(1), rows=4, max_length=3)
    found = forced(table, TARGETS, Ranking(alpha=0.8))
    for b, target in enumerate(TARGETS):
        expected = log_prob_of(table[b], target) / ((5 + len(target)) / 6) ** 0.8 if target else -np.inf
        assert found.scores[b, 0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("ranking", "mask"),
    [(Ranking(0.6), None), (Ranking(1.0, 0.0), None), (Ranking(0.6, 5.0, 0.3), jnp.ones((16, 4), bool))],
    ids=["gnmt", "average", "coverage"],
)
def test_what_search_found_is_scored_as_search_scored_it(ranking, mask):
    table = table_of(np.random.default_rng(2), rows=16, max_length=3)
    start, asked = jnp.zeros((16, 1), jnp.int32), Constraints(jnp.full(16, 3))
    sentences = Sentences(jnp.asarray(table, jnp.float32), asked, mask)
    found = jax.jit(lambda: search(step, sentences, start, ranking, steps=4, beam=3, with_weights=True))()
    targets = [tuple(ids[:length]) for ids, (length,) in zip(found.ids[:, 0], found.lengths, strict=True)]
    again = forced(table, targets, ranking, mask)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, atol=1e-5), found, again)
