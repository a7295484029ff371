"""Diverse beam search against the same by hand."""

from __future__ import annotations

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import EOS
from nmt_cli.nn.constraints import Constraints
from nmt_cli.nn.diversity import diverse_search
from nmt_cli.nn.hypotheses import Sentences
from nmt_cli.nn.penalties import Ranking
from tests.nn.small_models import QUICK
from tests.nn.tables import WORDS, assert_found, log_prob_of, step, table_of

LONGEST, ALPHA = 4, 0.6


@partial(jax.jit, static_argnames=("beam", "groups", "n_best"), compiler_options=QUICK)
def run_jitted(table, strength, beam, groups, n_best):
    start, asked = jnp.zeros((len(table), 1), jnp.int32), Constraints(jnp.full(len(table), LONGEST))
    keep = {"beam": beam, "groups": groups, "n_best": n_best}
    return diverse_search(step, Sentences(table, asked), start, Ranking(ALPHA), strength, steps=LONGEST + 1, **keep)


def run(table, strength, **widths):
    return jax.device_get(run_jitted(jnp.asarray(table, jnp.float32), strength, **widths))


def by_hand(row, strength, beam, groups):
    """All that the groups finish, each hypothesis once, best first."""
    live = [[()] for _ in range(groups)]
    finished = set()
    for time in range(LONGEST + 1):
        choices = (EOS,) if time == LONGEST else (EOS, *WORDS)
        taken_before = Counter()
        for group in range(groups):
            candidates = [(*start, token) for start in live[group] for token in choices]
            worth = {c: log_prob_of(row, c) - strength * taken_before[c[-1]] for c in candidates}
            taken = sorted(candidates, key=worth.get, reverse=True)[: beam // groups]
            taken_before.update(tokens[-1] for tokens in taken)
            finished |= {tokens for tokens in taken if tokens[-1] == EOS}
            live[group] = [tokens for tokens in taken if tokens[-1] != EOS]
    return sorted(((log_prob_of(row, t) / ((5 + len(t)) / 6) ** ALPHA, t) for t in finished), reverse=True)


@pytest.mark.parametrize("strength", [0.0, 0.7, 5.0])
@pytest.mark.parametrize(("beam", "groups"), [(3, 3), (4, 2)])
def test_groups_find_what_they_find_by_hand(strength, beam, groups):
    table = table_of(np.random.default_rng(0), 8, LONGEST)
    found = run(table, strength, beam=beam, groups=groups, n_best=1)
    for b in range(8):
        assert_found(found, b, by_hand(table[b], strength, beam, groups))


def test_no_hypothesis_is_given_twice():
    """Without strength all groups find the same."""
    table = table_of(np.random.default_rng(1), 8, LONGEST)
    found = run(table, 0.0, beam=4, groups=4, n_best=4)
    assert (found.lengths[:, 0] > 0).all()
    assert (found.lengths[:, 1:] == 0).all()
    assert (found.ids[:, 1:] == 0).all()
    assert (found.log_probs[:, 1:] == 0).all()


def test_strength_drives_groups_apart():
    table = table_of(np.random.default_rng(2), 8, LONGEST)
    found = run(table, 20.0, beam=4, groups=4, n_best=4)
    for b in range(8):
        assert len(set(found.ids[b, :, 0])) == 4
