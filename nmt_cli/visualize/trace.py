"""The trace of a translation: every tensor that was computed on the way, and how the search went. Its form on disk.

Axes: S source tokens (EOS included), T target tokens (EOS included), E embedding, D annotation, H units of a cell.
Arrays are float32. `as_json` writes them as nested lists; `VERSION` grows when a field changes its meaning.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VERSION = 1

Array = np.ndarray
Values = dict[str, Array]  # by the name under which the model says them


@dataclass(frozen=True)
class Token:
    """A piece, its id, and the word of the sentence it is a part of (counted from 0; EOS is a word of its own)."""

    piece: str
    id: int
    word: int


@dataclass(frozen=True)
class Run:
    """One direction of one encoder layer. `cell` has gates and states of [S H], in the order of the source.

    reverse: it went from the last token to the first.
    """

    layer: int
    reverse: bool
    cell: Values


@dataclass(frozen=True)
class Encoder:
    """From source tokens to what the decoder reads."""

    inputs: list[Array]  # of each layer [S I]: the embeddings, then what the layer below hands up
    runs: list[Run]
    annotations: Array  # [S D]: what the top layer hands over


@dataclass(frozen=True)
class Attention:
    """One look at the source in each step; of several heads, one of them: context = weights x values.

    weights = softmax(energies of the tokens whose window is not 0) x window; a window of None is 1 everywhere.
    """

    query: Array  # [T H]
    energies: Array  # [T S]
    weights: Array  # [T S]
    context: Array  # [T D], or a head's share of D
    values: Array | None  # [S D]: what the weights are multiplied with; None where these are the annotations
    window: Array | None = None  # [T S]: 0 for tokens out of local attention's reach, else 1, or local-p's Gaussian
    position: Array | None = None  # [T]: the place that local attention looks at, in tokens counted from 1
    coverage: Array | None = None  # [T S]: weights so far over fertility, where the energies read it


@dataclass(frozen=True)
class Cell:
    """One cell of the decoder in each step: gates and new state of [T H].

    It begins with the state that the last cell of its layer made, and reads what `reads` names, side by side: embedded
    (of the token fed), below (what the layer below hands up), context, context_before, attentional_before.
    """

    layer: int
    reads: list[str]
    values: Values
    handed_up: Array | None  # [T H]: hidden state + what is below; None without residual connection, where it is hidden


@dataclass(frozen=True)
class Choice:
    """The likeliest tokens of one step, best first: log_probs = logits - normalizer (log of the sum of all exp).

    chosen: the place in these lists of the token that was taken; the last one where it is not among the likeliest.
    """

    ids: list[int]
    pieces: list[str]
    logits: list[float]
    log_probs: list[float]
    normalizer: float
    chosen: int
    rank: int  # of the chosen token among all, from 1


@dataclass(frozen=True)
class Decoder:
    """All steps of the translation. Step t reads token t of BOS, y1 ... yn and makes token t of y1 ... yn, EOS."""

    order: list[str]  # what a step does, one after the other: "state" (of cells), "attention", "combine", "output"
    initial: list[Values]  # a state of [H] each layer
    fed: list[Token]  # T: what each step reads
    embedded: Array  # [T E]
    cells: list[Cell]  # in the order in which a step computes them
    attentions: list[Attention]  # one, or one a head; empty without attention
    combined: Values  # by name, what the attentional vector is made of [T ...]; empty where the top hands it up
    attentional: Array  # [T A]: what the output layer reads
    choices: list[Choice]  # T


@dataclass(frozen=True)
class Node:
    """One continuation that the beam took. `fate` is live, finished or pruned (nothing that follows it was taken)."""

    step: int
    slot: int
    parent: int  # place in the list of nodes; -1 is BOS
    piece: str
    id: int
    log_prob: float  # of this token
    total: float  # of all tokens so far
    fate: str


@dataclass(frozen=True)
class Finished:
    """A complete hypothesis of the pool: score = log_prob / penalty; what ranks it."""

    text: str
    node: int
    log_prob: float
    length: int  # EOS included
    penalty: float
    score: float


@dataclass(frozen=True)
class Tree:
    """How the search went."""

    beam: int
    alpha: float  # of the length penalty
    nodes: list[Node]
    finished: list[Finished]  # best first


@dataclass(frozen=True)
class Forced:
    """A text that the model was made to say: what it thinks of each token, in nats."""

    text: str
    tokens: list[Token]
    log_probs: list[float]
    score: float


@dataclass(frozen=True)
class Variant:
    """A changed source sentence and its translation. without: the word that was taken out, counted from 0."""

    source: str
    text: str
    score: float
    without: int


@dataclass(frozen=True)
class Walk:
    """All about one sentence."""

    model: str
    source_text: str
    text: str
    score: float
    forced: bool  # the translation was given (--target), not found
    flags: list[str]
    source: list[Token]
    target: list[Token]
    encoder: Encoder
    decoder: Decoder
    search: Tree
    greedy: Tree  # the same sentence with a beam of 1
    reference: Forced | None = None
    variants: list[Variant] = field(default_factory=list)


@dataclass(frozen=True)
class Trace:
    """What a page is made from. models: the configuration of each model, by name."""

    models: dict[str, dict[str, Any]]
    walks: list[Walk]
    version: int = VERSION


def plain(value: Any, write: Callable[[Array], Any]) -> Any:
    """Dataclasses as dictionaries all the way down; arrays as `write` makes them."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), write) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: plain(item, write) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, write) for item in value]
    return write(value) if isinstance(value, np.ndarray) else value


def as_json(trace: Trace) -> str:
    """The trace in full, arrays as nested lists with the digits that float32 has."""

    def rounded(array: Array) -> Any:
        return json.loads(np.array2string(array, separator=",", threshold=array.size + 1, formatter=SHORTEST))

    return json.dumps(plain(trace, rounded), ensure_ascii=False) + "\n"


SHORTEST: Any = {"float_kind": lambda number: np.format_float_positional(number, unique=True, trim="0")}
