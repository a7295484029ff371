"""Several models as one."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import BOS
from nmt_cli.nn.ensemble import Ensemble
from nmt_cli.nn.seq2seq import Seq2Seq
from tests.nn.small_models import MODELS, QUICK, cast, padded_batch, random_parameters, sizes

ATTENDING, OTHER, WITHOUT = (MODELS[name] for name in ("lstm-general-feed", "gru-general-plain", "gru-none-encoder2"))


def stepped(configs, average="probabilities", seeds=None):
    """Log-probabilities [4 1 V] and weights after BOS."""
    members = tuple(Seq2Seq(config, *sizes(OTHER)) for config in configs)
    parameters = [
        cast(random_parameters(config, seed), jnp.float32)
        for config, seed in zip(configs, seeds or [0] * len(configs), strict=True)
    ]
    batch = padded_batch(OTHER)

    @partial(jax.jit, compiler_options=QUICK)
    def first(parameters):
        model = Ensemble(members, average)
        memories, state = model.encode(parameters, batch.source, batch.source_mask)
        _, found, weights = model.step(parameters, model.words(parameters), memories, state, jnp.full((4, 1), BOS))
        return found.log_probs(), weights

    return first(parameters)


@pytest.mark.parametrize("average", ["probabilities", "log_probabilities"])
def test_a_model_twice_is_the_model(average):
    for alone, twice in zip(stepped([OTHER]), stepped([OTHER, OTHER], average), strict=True):
        np.testing.assert_allclose(twice, alone, atol=1e-6)


def test_probabilities_are_averaged():
    one, other = (np.exp(stepped([config])[0]) for config in (ATTENDING, OTHER))
    both, _ = stepped([ATTENDING, OTHER])
    np.testing.assert_allclose(np.exp(both), (one + other) / 2, atol=1e-6)


def test_averaged_log_probabilities_are_a_distribution():
    one, other = (stepped([config])[0] for config in (ATTENDING, OTHER))
    both, _ = stepped([ATTENDING, OTHER], "log_probabilities")
    np.testing.assert_allclose(np.exp(both).sum(-1), 1.0, atol=1e-5)
    difference = both - (one + other) / 2
    np.testing.assert_allclose(difference, difference[..., :1] + jnp.zeros_like(difference), atol=1e-5)


def test_weights_are_those_of_the_members_that_attend():
    _, expected = stepped([OTHER])
    _, found = stepped([OTHER, WITHOUT])
    np.testing.assert_allclose(found, expected, atol=1e-6)
