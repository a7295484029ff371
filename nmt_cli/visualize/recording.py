"""From a translator and a sentence to its trace.

Nothing is computed anew here. The model's own functions run with their loops unrolled (`jax.disable_jit`) while we
listen to their taps; the search is the translator's own, a step at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import BOS, EOS
from nmt_cli.data.lines import clean_output
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.data.vocabulary import SPACE_MARK
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.penalties import length_penalty
from nmt_cli.nn.taps import listen
from nmt_cli.run.reading import Line, read
from nmt_cli.run.request import Request
from nmt_cli.run.translation import CUT
from nmt_cli.run.translator import Translator
from nmt_cli.visualize.listening import decoder_of, encoder_of, single
from nmt_cli.visualize.search_tree import grow_tree, ids_before
from nmt_cli.visualize.trace import Choice, Decoder, Forced, Token, Variant, Walk

TOP = 8  # alternatives kept for each step
MOST_VARIANTS = 64


def record(
    translator: Translator,
    text: str,
    model: str,
    request: Request,
    target: str | None = None,
    reference: str | None = None,
) -> Walk:
    """The trace of one sentence.

    model: its name on the page. target: a translation to walk through in place of the one that is found.
    reference: a translation to compare with.
    Raises UserError (DATA) when there is nothing in the text to translate.
    """
    one_sentence = replace(request.search, long_lines="cut")
    sentences = read(translator.source_tokenizer, translator.target_tokenizer, [Line(text)], one_sentence)
    if not sentences:
        raise UserError("there is nothing to translate in the sentence", "give one with words in it", Exit.DATA)
    ids = sentences[0].ids
    with jax.disable_jit(), listen() as heard:
        memory, state = apply(translator, jnp.array([ids]), jnp.ones((1, len(ids)), bool), method="encode")
    trees = [grow_tree(translator, memory, state, len(ids), request.search, beam) for beam in (request.search.beam, 1)]
    found = trees[0].finished[0]
    chosen = ids_before(trees[0].nodes, found.node) if target is None else encode(translator.target_tokenizer, target)
    decoder = decode(translator, memory, state, [*chosen, EOS])
    forced = weigh(decoder, request.search.length_penalty)
    return Walk(
        model=model,
        source_text=text,
        text=found.text if target is None else clean_output(translator.target_tokenizer.decode(chosen)),
        score=found.score if target is None else forced,
        forced=target is not None,
        flags=[CUT] * sentences[0].was_cut,
        source=tokens(translator.source_tokenizer, ids),
        target=tokens(translator.target_tokenizer, [*chosen, EOS]),
        encoder=encoder_of(heard),
        decoder=decoder,
        search=trees[0],
        greedy=trees[1],
        reference=None if reference is None else force(translator, memory, state, reference, request),
        variants=variants(translator, text, request),
    )


def apply(translator: Translator, *arguments: Any, method: str) -> Any:
    """A method of the model."""
    return translator.seq2seq.apply({"params": translator.parameters}, *arguments, method=method)


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a given translation."""
    return tokenizer.encode([text])[0]


def tokens(tokenizer: Tokenizer, ids: Sequence[int]) -> list[Token]:
    """Pieces with their words."""
    made: list[Token] = []
    word = -1
    for id in ids:
        piece = tokenizer.piece(id)
        starts = tokenizer.kind == "word" or id == EOS or piece.startswith(SPACE_MARK)
        word += starts or word < 0
        made.append(Token(piece, int(id), word))
    return made


def decode(translator: Translator, memory: Any, state: Any, target: Sequence[int]) -> Decoder:
    """Every step of a translation whose tokens are known."""
    initial = [single(cell._asdict()) for cell in state.cells]
    fed = [BOS, *target[:-1]]
    steps, choices = [], []
    for token, chosen in zip(fed, target, strict=True):
        with jax.disable_jit(), listen() as heard:
            state, distribution, _ = apply(translator, memory, state, jnp.array([[token]]), method="step")
            log_probs = distribution.log_probs()
        steps.append(heard)
        (logits,) = (tap.values["logits"] for tap in heard if tap.kind == "output")
        choices.append(
            choice(translator.target_tokenizer, np.asarray(logits[0, 0]), np.asarray(log_probs[0, 0]), chosen)
        )
    fed_tokens = tokens(translator.target_tokenizer, fed)
    return decoder_of(translator.seq2seq.config, memory, initial, fed_tokens, steps, choices)


def choice(tokenizer: Tokenizer, logits: np.ndarray, log_probs: np.ndarray, chosen: int) -> Choice:
    """The likeliest tokens, and the chosen one at the end if it is not among them."""
    order = np.argsort(-log_probs, kind="stable")
    ids = order[:TOP].tolist()
    if chosen not in ids:
        ids.append(int(chosen))
    return Choice(
        ids=ids,
        pieces=[tokenizer.piece(id) for id in ids],
        logits=[float(logits[id]) for id in ids],
        log_probs=[float(log_probs[id]) for id in ids],
        normalizer=float(logits[chosen] - log_probs[chosen]),
        chosen=ids.index(chosen),
        rank=int(np.flatnonzero(order == chosen)[0]) + 1,
    )


def chosen_log_probs(decoder: Decoder) -> list[float]:
    """Of each token that was taken."""
    return [step.log_probs[step.chosen] for step in decoder.choices]


def weigh(decoder: Decoder, alpha: float) -> float:
    """The score that search would give."""
    log_probs = chosen_log_probs(decoder)
    return sum(log_probs) / float(length_penalty(jnp.array(len(log_probs)), alpha))


def force(translator: Translator, memory: Any, state: Any, text: str, request: Request) -> Forced:
    """What the model thinks of a given translation."""
    ids = [*encode(translator.target_tokenizer, text), EOS]
    decoder = decode(translator, memory, state, ids)
    score = weigh(decoder, request.search.length_penalty)
    return Forced(text, tokens(translator.target_tokenizer, ids), chosen_log_probs(decoder), score)


def variants(translator: Translator, text: str, request: Request) -> list[Variant]:
    """The sentence without each of its words in turn, and what becomes of the translation."""
    words = text.split()
    if len(words) < 2:
        return []
    changed = [" ".join(words[:place] + words[place + 1 :]) for place in range(min(len(words), MOST_VARIANTS))]
    translations = translator.translate_groups([changed], request)
    return [
        Variant(source, found.text, found.score, place)
        for place, (source, found) in enumerate(zip(changed, translations, strict=True))
    ]
