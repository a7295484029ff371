"""The beam, seen from outside: the search's own steps, one after the other, as a tree of continuations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli import config
from nmt_cli.batch import EOS
from nmt_cli.data.lines import clean_output
from nmt_cli.nn.constraints import Constraints
from nmt_cli.nn.hypotheses import Sentences, Work
from nmt_cli.nn.penalties import Ranking, length_penalty
from nmt_cli.nn.search import advance, first_beam, no_work, refill
from nmt_cli.run.request import longest_translation
from nmt_cli.run.translator import Translator
from nmt_cli.visualize.trace import Finished, Node, Tree


def grow_tree(
    translator: Translator, memory: Any, state: Any, source_length: int, search: config.Search, beam: int
) -> Tree:
    """Search for the best translations of one sentence, and keep what was taken on the way.

    memory, state: of one sentence, as `encode` returns them. source_length: pieces, EOS included.
    """
    longest = longest_translation(source_length, search)
    end = run_search(translator, memory, state, longest, beam, search.length_penalty)
    taken, log_probs = np.asarray(end.records.taken)[:, 0], np.asarray(end.records.log_probs, np.float64)[:, 0]
    nodes = nodes_of(translator, taken[: int(end.turn)], log_probs, longest)
    places = {(node.step, node.slot): place for place, node in enumerate(nodes)}
    finished = [
        finish(translator, nodes, places[divmod(int(at), beam)], float(score), search.length_penalty)
        for at, score in zip(end.beam.pool.ends[0], end.beam.pool.scores[0], strict=True)
        if np.isfinite(score)
    ]
    return Tree(beam, search.length_penalty, nodes, finished)


def run_search(translator: Translator, memory: Any, state: Any, longest: int, beam: int, alpha: float) -> Work:
    """Where the search stands after its last turn. As many hypotheses are kept as the beam is wide."""
    sentences, steps = Sentences(memory, Constraints(jnp.array([longest]))), longest + 1

    def step(parameters: Any, memory: Any, state: Any, tokens: jax.Array) -> Any:
        return translator.seq2seq.apply({"params": parameters}, memory, state, tokens, method="step")

    @jax.jit
    def forward(parameters: Any, work: Work) -> Work:
        return advance(partial(step, parameters), Ranking(alpha), work)

    first = first_beam(state, sentences, beam, steps, n_best=beam)
    work = no_work(partial(step, translator.parameters), sentences, first, 1, steps, with_weights=False)
    work = refill(sentences, first, work)
    while not work.beam.idle.all():
        work = forward(translator.parameters, work)
    return work


def nodes_of(translator: Translator, taken: np.ndarray, log_probs: np.ndarray, longest: int) -> list[Node]:
    """taken [T K]: parent * V + token. What follows a finished hypothesis, or none, is no continuation."""
    size = translator.target_tokenizer.size
    nodes: list[Node] = []
    above = {0: -1}  # slot -> place of the live node there
    for step, row in enumerate(taken):
        here: dict[int, int] = {}
        for slot, (parent, id) in enumerate(zip(*np.divmod(row, size), strict=True)):
            if int(parent) not in above or (step >= longest and id != EOS):
                continue
            place = above[int(parent)]
            total = (nodes[place].total if place >= 0 else 0.0) + float(log_probs[step, slot])
            fate = "finished" if id == EOS else "live"
            piece = translator.target_tokenizer.piece(int(id))
            nodes.append(Node(step, slot, place, piece, int(id), float(log_probs[step, slot]), total, fate))
            if id != EOS:
                here[slot] = len(nodes) - 1
        above = here
    return with_fates(nodes)


def with_fates(nodes: Sequence[Node]) -> list[Node]:
    """Live nodes that nothing follows were pruned."""
    parents = {node.parent for node in nodes}
    pruned = partial(dataclasses.replace, fate="pruned")
    return [pruned(node) if node.fate == "live" and place not in parents else node for place, node in enumerate(nodes)]


def finish(translator: Translator, nodes: Sequence[Node], end: int, score: float, alpha: float) -> Finished:
    """One hypothesis of the pool."""
    text = clean_output(translator.target_tokenizer.decode(ids_before(nodes, end)))
    length = nodes[end].step + 1
    penalty = float(length_penalty(jnp.array(length), alpha))
    return Finished(text, end, nodes[end].total, length, penalty, score)


def ids_before(nodes: Sequence[Node], end: int) -> list[int]:
    """The ids on the way to a node, without its own."""
    ids: list[int] = []
    place = nodes[end].parent
    while place >= 0:
        ids.append(nodes[place].id)
        place = nodes[place].parent
    return ids[::-1]
