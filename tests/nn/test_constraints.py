"""Search under every constraint and penalty against exhaustive enumeration and a beam search by hand."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import EOS, PAD
from nmt_cli.nn.banks import deal
from nmt_cli.nn.constraints import Constraints
from nmt_cli.nn.hypotheses import Sentences
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.phrases import Phrases
from nmt_cli.nn.search import best, search
from tests.nn.small_models import QUICK
from tests.nn.tables import (
    SOURCE_LENGTH,
    assert_found,
    attention_to,
    hypotheses_up_to,
    log_prob_of,
    prefixes_of,
    search_by_hand,
    step,
    table_of,
)

ROWS, LONGEST = 6, 4
WIDE, ALL = 110, 121  # more than ever live at a time, and all there are

LENGTHS = [4, 4, 3, 2, 4, 4]
LEAST = [0, 2, 3, 1, 4, 1]
BEGINNINGS = [(4,), (), (5, 4), (1,), (4, 4, 5), ()]
# Two phrases each; some overlap, some cannot both be had, some are none.
REQUIRED = [[(4, 5)], [(4,), (5,)], [(4, 4, 5)], [(1, 4), (5, 1)], [], [(4, 5), (5, 4)]]
FORBIDDEN = [[(4,)], [(4, 4), (5, 4)], [], [(1,), (5,)], [(5, 4, 5)], [(4, 5)]]
COVERED = np.arange(SOURCE_LENGTH) < np.array([4, 3, 2, 4, 1, 4])[:, None]


def phrase_ids(phrases) -> Phrases:
    ids = np.full((ROWS, 2, 3), PAD, np.int32)
    for row, own in enumerate(phrases):
        for place, phrase in enumerate(own):
            ids[row, place, : len(phrase)] = phrase
    return Phrases.of(jnp.asarray(ids))


def prefix_ids():
    return jnp.array([[*beginning, PAD, PAD, PAD][:3] for beginning in BEGINNINGS])


def occurs(phrase, tokens) -> bool:
    return any(tokens[start : start + len(phrase)] == phrase for start in range(len(tokens)))


def repeats(tokens, size: int) -> bool:
    """Whether an n-gram of the words occurs twice."""
    words = [token for token in tokens if token != EOS]
    grams = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
    return len(set(grams)) < len(grams)


# What is asked of the search; whether the beginning of a hypothesis of sentence b may be gone on with, and that it is
# not the end of one that lacks something.
ASKED = {
    "min length": ({"min_lengths": jnp.array(LEAST)}, lambda b, t: t[-1] != EOS or len(t) > LEAST[b]),
    "prefix": (
        {"prefix": prefix_ids()},
        lambda b, t: all(x == y for x, y in zip(t, BEGINNINGS[b], strict=False)),
    ),
    "no unigram twice": ({"no_repeat": 1}, lambda b, t: not repeats(t, 1)),
    "no bigram twice": ({"no_repeat": 2}, lambda b, t: not repeats(t, 2)),
    "no trigram twice": ({"no_repeat": 3}, lambda b, t: not repeats(t, 3)),
    "forbidden": (
        {"forbidden": phrase_ids(FORBIDDEN)},
        lambda b, t: not any(occurs(phrase, t) for phrase in FORBIDDEN[b]),
    ),
    "required": (
        {"required": phrase_ids(REQUIRED)},
        lambda b, t: t[-1] != EOS or all(occurs(phrase, t) for phrase in REQUIRED[b]),
    ),
}
RANKINGS = {
    "gnmt": (Ranking(0.6), lambda b, t: ((5 + len(t)) / 6) ** 0.6, False),
    "average": (Ranking(1.0, 0.0), lambda b, t: len(t), False),
    "coverage": (Ranking(0.6, 5.0, 0.4), lambda b, t: ((5 + len(t)) / 6) ** 0.6, True),
}


def scored(ranking: str, b: int, total: float, tokens) -> float:
    _, penalty, covers = RANKINGS[ranking]
    coverage = sum(np.asarray(attention_to(prefix)) for prefix in prefixes_of(tokens))
    covered = np.log(np.clip(coverage, 1e-4, 1.0))[COVERED[b]].sum() if covers else 0.0
    return total / penalty(b, tokens) + 0.4 * covered


def run(table, asked, ranking, beam, n_best):
    """The search under these constraints. asked: names of ASKED."""
    constraints = Constraints(jnp.array(LENGTHS), **{k: v for name in asked for k, v in ASKED[name][0].items()})
    choose = best if constraints.required is None else deal
    start = jnp.zeros((ROWS, 1), jnp.int32)

    def found(table):
        sentences = Sentences(table, constraints, jnp.asarray(COVERED) if RANKINGS[ranking][2] else None)
        widths = {"rows": 3, "beam": beam, "n_best": n_best}
        return search(step, sentences, start, RANKINGS[ranking][0], steps=LONGEST + 1, choose=choose, **widths)

    return jax.device_get(jax.jit(found, compiler_options=QUICK)(jnp.asarray(table, jnp.float32)))


def assert_exhaustive(asked, ranking) -> None:
    table = table_of(np.random.default_rng(len(asked)), ROWS, LONGEST)
    found = run(table, asked, ranking, WIDE, WIDE)
    for b, length in enumerate(LENGTHS):
        admitted = [
            tokens
            for tokens in hypotheses_up_to(length)
            if all(ASKED[name][1](b, tokens[: end + 1]) for name in asked for end in range(len(tokens)))
        ]
        expected = [(scored(ranking, b, log_prob_of(table[b], tokens), tokens), tokens) for tokens in admitted]
        assert_found(found, b, sorted(expected, reverse=True))


@pytest.mark.parametrize("asked", ASKED)
def test_a_wide_beam_finds_what_exhaustive_search_finds(asked):
    assert_exhaustive([asked], "gnmt")


@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_wide_beam_finds_what_exhaustive_search_finds_for_every_penalty(ranking):
    assert_exhaustive([], ranking)


@pytest.mark.parametrize("ranking", ["average", "coverage"])
def test_a_wide_beam_finds_what_exhaustive_search_finds_when_much_is_asked(ranking):
    assert_exhaustive(["min length", "no trigram twice", "forbidden", "required"], ranking)


@pytest.mark.parametrize("asked", sorted(set(ASKED) - {"required"}))
def test_a_narrow_beam_finds_what_a_search_without_early_stopping_finds(asked):
    table = table_of(np.random.default_rng(1), ROWS, LONGEST, spread=0.7)
    found = run(table, [asked], "coverage", 3, 2)
    for b, length in enumerate(LENGTHS):
        allowed = partial(ASKED[asked][1], b)
        assert_found(found, b, search_by_hand(table[b], length, 3, partial(scored, "coverage", b), allowed))


@pytest.mark.parametrize("beam", [1, 2, 4])
def test_every_beam_finds_the_required_phrases_where_they_can_be_had(beam):
    table = table_of(np.random.default_rng(2), ROWS, LONGEST, spread=4.0)
    found = run(table, ["required"], "gnmt", beam, 1)
    for b in (0, 1, 2, 4, 5):
        tokens = tuple(found.ids[b, 0, : found.lengths[b, 0]])
        assert tokens
        assert all(occurs(phrase, tokens) for phrase in REQUIRED[b])
    assert found.lengths[3, 0] == 0  # two words have no room for both phrases


def test_with_no_required_phrase_banks_are_a_beam():
    table = table_of(np.random.default_rng(3), ROWS, LONGEST)
    found = run(table, ["required"], "gnmt", 3, 3)
    assert_found(found, 4, search_by_hand(table[4], LENGTHS[4], 3, partial(scored, "gnmt", 4)))


def test_the_beginning_goes_before_all_else_that_is_asked():
    table = table_of(np.random.default_rng(4), ROWS, LONGEST)
    found = run(table, ["prefix", "forbidden", "no unigram twice"], "gnmt", 2, 1)
    for b in range(ROWS):
        beginning = tuple(found.ids[b, 0, : min(len(BEGINNINGS[b]), LENGTHS[b])])
        assert beginning == BEGINNINGS[b][: LENGTHS[b]]
