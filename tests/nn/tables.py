"""Models of a tiny vocabulary as tables of log-probabilities by prefix, and every hypothesis there is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import BOS, EOS, PAD, UNK
from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.hypotheses import Hypotheses

V = 6  # PAD UNK BOS EOS and two words
WORDS = (UNK, 4, 5)
SOURCE_LENGTH = 4
Tokens = tuple[int, ...]


def table_of(rng: np.random.Generator, rows: int, max_length: int, spread: float = 1.5) -> np.ndarray:
    """Log-probabilities [B, prefixes, V] for every prefix, which is a number in base V."""
    logits = rng.normal(scale=spread, size=(rows, V ** (max_length + 1), V))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def attention_to(prefix):
    """Made-up weights that give away which prefix they belong to. [... S]"""
    return jnp.stack([prefix % 7, prefix % 11, prefix % 13, prefix % 17], axis=-1).astype(jnp.float32) / 20


def step(table, prefix, tokens):
    """A step function whose memory is a table [B prefixes V], and whose state is the prefix: [B K] integers."""
    prefix = prefix * V + tokens
    log_probs = jnp.take_along_axis(table, prefix[:, :, None], axis=1)
    return prefix, Distribution.of(log_probs), attention_to(prefix)


def prefixes_of(tokens: Tokens) -> Iterator[int]:
    """The prefix before each token, as a number in base V."""
    prefix = 0
    for before in (BOS, *tokens[:-1]):
        prefix = prefix * V + before
        yield prefix


def log_prob_of(row: np.ndarray, tokens: Tokens) -> float:
    """Of a hypothesis, EOS included, or of its beginning."""
    return sum(row[prefix, token] for prefix, token in zip(prefixes_of(tokens), tokens, strict=True))


def hypotheses_up_to(max_length: int) -> Iterator[Tokens]:
    """Everything that at most so many words and EOS can say."""
    beginnings: list[Tokens] = [()]
    for _ in range(max_length + 1):
        yield from ((*beginning, EOS) for beginning in beginnings)
        beginnings = [(*beginning, word) for beginning in beginnings for word in WORDS]


def search_by_hand(
    row: np.ndarray,
    max_length: int,
    beam: int,
    score: Callable[[float, Tokens], float],
    allowed: Callable[[Tokens], bool] = lambda tokens: True,
) -> list[tuple[float, Tokens]]:
    """Beam search that never stops before the longest length: all that it finishes, best first.

    score: of a finished hypothesis, from its log-probability. allowed: whether a beginning may be gone on with.
    """
    live: list[tuple[float, Tokens]] = [(0.0, ())]
    finished = []
    for time in range(max_length + 1):
        choices = (EOS,) if time == max_length else (EOS, *WORDS)
        candidates = [(log_prob_of(row, (*start, token)), (*start, token)) for _, start in live for token in choices]
        taken = sorted((c for c in candidates if allowed(c[1])), reverse=True)[:beam]
        finished += [(score(total, tokens), tokens) for total, tokens in taken if tokens[-1] == EOS]
        live = [(total, tokens) for total, tokens in taken if tokens[-1] != EOS]
    return sorted(finished, reverse=True)


def assert_found(found: Hypotheses, b: int, expected: list[tuple[float, Tokens]]) -> None:
    """That these are the hypotheses of a sentence, in this order, with these scores, and that there are no others."""
    expected = expected[: found.ids.shape[1]]
    for n, (score, tokens) in enumerate(expected):
        length = found.lengths[b, n]
        assert tuple(found.ids[b, n, :length]) == tokens
        np.testing.assert_allclose(found.scores[b, n], score, atol=1e-5)
        assert (found.ids[b, n, length:] == PAD).all()
    assert (found.scores[b, len(expected) :] == -np.inf).all()
    assert (found.lengths[b, len(expected) :] == 0).all()
