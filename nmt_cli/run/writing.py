"""What search found becomes text."""

from __future__ import annotations

import numpy as np

from nmt_cli import config
from nmt_cli.data.lines import clean_output
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.nn.search import Hypotheses
from nmt_cli.run.decoding import longest_translation
from nmt_cli.run.reading import Sentence
from nmt_cli.run.translation import CUT, LIMIT, Hypothesis, Translation


def write(
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    sentence: Sentence,
    row: int,
    found: Hypotheses,
    search: config.Search,
) -> Translation:
    """One row of what search found, as text."""
    hypotheses = tuple(
        hypothesis(target_tokenizer, row, n, found, len(sentence.ids))
        for n in range(found.ids.shape[1])
        if found.lengths[row, n] > 0
    )
    at_limit = len(hypotheses[0].tokens) >= longest_translation(len(sentence.ids), search)
    flags = [flag for flag, raised in ((CUT, sentence.was_cut), (LIMIT, at_limit)) if raised]
    return Translation(tuple(map(source_tokenizer.piece, sentence.ids)), hypotheses, tuple(flags))


def hypothesis(tokenizer: Tokenizer, row: int, n: int, found: Hypotheses, source_length: int) -> Hypothesis:
    """The n-th hypothesis of a row, as text."""
    length = int(found.lengths[row, n])
    ids = found.ids[row, n, : length - 1].tolist()
    return Hypothesis(
        text=clean_output(tokenizer.decode(ids)),
        score=float(found.scores[row, n]),
        tokens=tuple(map(tokenizer.piece, ids)),
        log_probs=tuple(found.log_probs[row, n, :length].tolist()),
        weights=None if found.weights is None else np.asarray(found.weights[row, n, :length, :source_length]),
    )
