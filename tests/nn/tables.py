"""Models of a tiny vocabulary as tables of log-probabilities by prefix, and every hypothesis there is in them."""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import BOS, EOS, UNK

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


def step_over(table):
    """A step function whose state is the prefix: [B K] integers, and whose sentence is row b of the table."""

    def step(prefix, tokens):
        prefix = prefix * V + tokens
        rows = jnp.arange(table.shape[0])[:, None]
        return prefix, table[rows, prefix], attention_to(prefix)

    return step


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
