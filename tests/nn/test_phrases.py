"""Phrases are seen wherever they occur, also where they overlap themselves or each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli.batch import PAD
from nmt_cli.nn.phrases import Phrases

LONGEST, STEPS = 4, 9
tokens = st.sampled_from([4, 5])


@jax.jit
def read_all(ids, said):
    """Progress after each token, with `read` and `read_once`, and the tokens that come next and last. [T B 1 P]"""
    phrases = Phrases.of(ids)

    def forward(progress, token):
        every, once = phrases.read(progress[0], token), phrases.read_once(progress[1], token)
        return (every, once), (every, phrases.occurred(once), phrases.following(every), phrases.completing(every))

    start = jnp.zeros((len(ids), 1, ids.shape[1]), jnp.int32)
    return jax.lax.scan(forward, (start, start), said.T[:, :, None])[1]


def progress_by_hand(phrase, said) -> int:
    return max(n for n in range(len(phrase) + 1) if n <= len(said) and said[len(said) - n :] == phrase[:n])


@settings(max_examples=100)
@given(
    phrases=st.lists(st.lists(tokens, min_size=1, max_size=LONGEST), min_size=2, max_size=2),
    said=st.lists(tokens, min_size=STEPS, max_size=STEPS),
)
def test_progress_is_the_longest_beginning_that_was_just_said(phrases, said):
    ids = np.full((1, 2, LONGEST), PAD)
    for place, phrase in enumerate(phrases):
        ids[0, place, : len(phrase)] = phrase
    every, once, following, completing = (np.asarray(x)[:, 0, 0] for x in read_all(ids, np.array([said])))
    for time in range(STEPS):
        for place, phrase in enumerate(phrases):
            expected = progress_by_hand(phrase, said[: time + 1])
            assert every[time, place] == expected
            seen = [progress_by_hand(phrase, said[: end + 1]) == len(phrase) for end in range(time + 1)]
            assert once[time, place] == any(seen)
            assert following[time, place] == ([*phrase, PAD][expected])
            assert completing[time, place] == (phrase[-1] if expected == len(phrase) - 1 else PAD)


def test_where_there_is_no_phrase_nothing_is_missing_and_nothing_comes_next():
    _, once, following, completing = read_all(np.zeros((1, 1, LONGEST), np.int32), np.array([[4, 5]]))
    assert once.all()
    assert (following == PAD).all()
    assert (completing == PAD).all()
