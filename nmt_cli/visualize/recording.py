"""From a translator and a sentence to its trace.

Nothing is computed anew here. The model's own functions run with their loops unrolled (`jax.disable_jit`) while we
listen to their taps; the search is the translator's own, a step at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import BOS, EOS
from nmt_cli.data.lines import clean_output
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.data.vocabulary import SPACE_MARK
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.search import length_penalty
from nmt_cli.nn.taps import Tap, listen
from nmt_cli.run.decoding import Request
from nmt_cli.run.reading import read
from nmt_cli.run.translation import CUT
from nmt_cli.run.translator import Translator
from nmt_cli.visualize.search_tree import grow_tree, ids_before
from nmt_cli.visualize.trace import Attention, Choice, Decoder, Encoder, Forced, Run, Token, Values, Variant, Walk

TOP = 8  # alternatives kept for each step
MOST_VARIANTS = 24


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
    sentences = read(translator.source_tokenizer, [text], request.search.max_length)
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
        encoder=encoder_of(heard, memory),
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


def encoder_of(heard: list[Tap], memory: Any) -> Encoder:
    """What was heard of the encoder: each direction of each layer announces itself and then says each of its steps."""
    runs: list[Run] = []
    layers = {False: 0, True: 0}
    starts = [place for place, tap in enumerate(heard) if tap.kind == "run"]
    for start, end in zip(starts, [*starts[1:], len(heard)], strict=True):
        reverse = bool(heard[start].values["reverse"])
        steps = cell_steps(heard[start + 1 : end])
        cell = stack([{name: value[0] for name, value in step.items()} for step in steps[:: -1 if reverse else 1]])
        runs.append(Run(layers[reverse], reverse, np.asarray(heard[start].values["inputs"][:, 0], np.float32), cell))
        layers[reverse] += 1
    return Encoder(runs[0].inputs, runs, np.asarray(memory.values[0], np.float32))


def decode(translator: Translator, memory: Any, state: Any, target: Sequence[int]) -> Decoder:
    """Every step of a translation whose tokens are known."""
    initial = [single(cell._asdict()) for cell in state.cells]
    fed = [BOS, *target[:-1]]
    layers, said, choices = [], [], []
    for token, chosen in zip(fed, target, strict=True):
        with jax.disable_jit(), listen() as heard:
            state, log_probs, _ = apply(translator, memory, state, jnp.array([[token]]), method="step")
        layers.append(states_of(state, heard))
        said.append({tap.kind: single(tap.values) for tap in heard if tap.kind in ("attention", "combine", "output")})
        logits = said[-1]["output"]["logits"]
        choices.append(choice(translator.target_tokenizer, logits, np.asarray(log_probs[0, 0]), chosen))
    output = stack([{name: step["output"][name] for name in ("embedded", "attentional")} for step in said])
    return Decoder(
        initial=initial,
        fed=tokens(translator.target_tokenizer, fed),
        embedded=output["embedded"],
        layers=[stack(list(steps)) for steps in zip(*layers, strict=True)],
        attentions=attentions_of([step["attention"] for step in said if "attention" in step], memory),
        combined=stack([step["combine"] for step in said if "combine" in step]),
        attentional=output["attentional"],
        choices=choices,
    )


def states_of(state: Any, heard: Sequence[Tap]) -> list[Values]:
    """The state of each layer after a step, and its gates where the cell that made it tells them."""
    steps = [single(values) for values in cell_steps(heard)]
    states = [single(cell._asdict()) for cell in state.cells]
    made = [next((step for step in steps if np.array_equal(step["hidden"], own["hidden"])), {}) for own in states]
    return [{**step, **own} for step, own in zip(made, states, strict=True)]


def attentions_of(steps: Sequence[Values], memory: Any) -> list[Attention]:
    """Energies and weights of a step are [S], or [N S] of N heads; each head has its share of values and context."""
    if not steps:
        return []
    said = stack(list(steps))
    if said["weights"].ndim == 2:
        return [Attention(said["query"], said["energies"], said["weights"], said["context"], None)]
    heads = said["weights"].shape[1]
    contexts = np.split(said["context"], heads, axis=-1)
    values = np.split(np.asarray(memory.values[0], np.float32), heads, axis=-1)
    return [
        Attention(said["query"], said["energies"][:, n], said["weights"][:, n], contexts[n], values[n])
        for n in range(heads)
    ]


def cell_steps(heard: Sequence[Tap]) -> list[dict[str, Any]]:
    """Each step of a cell: its new state, and before it the gates, where the cell tells them."""
    steps: list[dict[str, Any]] = []
    gates: dict[str, Any] = {}
    for tap in heard:
        if tap.kind == "gates":
            gates = tap.values
        elif tap.kind == "state":
            steps.append({**gates, **tap.values})
            gates = {}
    return steps


def single(values: dict[str, Any]) -> Values:
    """What was said of one sentence and one hypothesis, without their axes."""
    return {name: np.asarray(value[0, 0], np.float32) for name, value in values.items()}


def stack(steps: list[Values]) -> Values:
    """Values of each step -> values over time; nothing of nothing."""
    names = steps[0] if steps else {}
    return {name: np.stack([np.asarray(step[name], np.float32) for step in steps]) for name in names}


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
    batch = partial(translator.translate_lines, request=request)
    return [
        Variant(source, found.text, found.score, place)
        for place, (source, found) in enumerate(zip(changed, batch(changed), strict=True))
    ]
