"""A trace is what the translator computes, and its numbers hold together."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from recordings import make_recording, make_translator, of_kind

from nmt_cli.batch import BOS, EOS
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.taps import listen, tap
from nmt_cli.visualize.recording import apply, decode, record

CLOSE = {"rtol": 0, "atol": 2e-5}


def test_the_trace_ends_in_the_translators_output(recording):
    walk = recording.walk
    translation = recording.translation
    assert walk.text == translation.text
    assert [token.piece for token in walk.source] == list(translation.source_tokens)
    assert [token.piece for token in walk.target[:-1]] == list(translation.tokens)
    np.testing.assert_allclose(walk.score, translation.score, **CLOSE)
    taken = [choice.log_probs[choice.chosen] for choice in walk.decoder.choices]
    np.testing.assert_allclose(taken, translation.log_probs, **CLOSE)
    if walk.decoder.attentions:
        mean = np.mean([head.weights for head in walk.decoder.attentions], axis=0)
        np.testing.assert_allclose(mean, translation.weights, **CLOSE)


def test_finished_hypotheses_are_the_translators_best(recording):
    finished, translation = recording.walk.search.finished, recording.translation
    assert [found.text for found in finished] == [found.text for found in translation.n_best]
    scores = [found.score for found in finished]
    np.testing.assert_allclose(scores, [found.score for found in translation.n_best], **CLOSE)


def test_the_greedy_tree_ends_in_the_translation_with_beam_1(general):
    translator, walk = general.translator, general.walk
    assert walk.greedy.finished[0].text == translator.translate([walk.source_text], beam=1)[0].text
    assert all(node.slot == 0 for node in walk.greedy.nodes)


def test_weights_sum_to_one(recording):
    for attention in recording.walk.decoder.attentions:
        if recording.translator.seq2seq.config.attention_span != "local-p":
            np.testing.assert_allclose(attention.weights.sum(axis=-1), 1.0, **CLOSE)


def test_weights_are_the_softmax_of_the_energies_in_the_window(recording):
    for attention in recording.walk.decoder.attentions:
        window = np.ones_like(attention.weights) if attention.window is None else attention.window
        energies = np.where(window > 0, attention.energies, -np.inf)
        exponentials = np.exp(energies - energies.max(axis=-1, keepdims=True))
        weights = window * exponentials / exponentials.sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(attention.weights, weights, **CLOSE)


@pytest.mark.parametrize("kind", [of_kind("local-p"), of_kind("gnmt_v2")])
def test_the_window_of_local_attention_is_around_its_position(kind):
    recording = make_recording(kind)
    (attention,) = recording.walk.decoder.attentions
    reach = recording.translator.seq2seq.config.attention_window
    distance = np.arange(1, attention.weights.shape[1] + 1) - attention.position[:, None]
    expected = np.exp(-2.0 * (distance / reach) ** 2) if kind == "local-p" else np.ones_like(distance)
    np.testing.assert_allclose(attention.window, np.where(np.abs(distance) <= reach, expected, 0.0), **CLOSE)


@pytest.mark.slow
def test_coverage_is_what_has_been_looked_at_so_far():
    translator = make_translator("additive")
    memory, state = apply(translator, jnp.array([[5, 6, EOS]]), jnp.ones((1, 3), bool), method="encode")
    (attention,) = decode(translator, memory, state, [4, 5, 6, EOS]).attentions
    gains = np.diff(attention.coverage, axis=0) / attention.weights[:-1]
    assert (attention.coverage[0] == 0).all()
    np.testing.assert_allclose(gains, np.broadcast_to(gains[0], gains.shape), rtol=1e-3)  # one over the fertility


def test_the_context_is_the_weighted_sum_of_what_is_read(recording):
    for attention in recording.walk.decoder.attentions:
        values = recording.walk.encoder.annotations if attention.values is None else attention.values
        np.testing.assert_allclose(attention.context, attention.weights @ values, **CLOSE)


def test_every_model_with_attention_is_seen_to_look(recording):
    assert bool(recording.walk.decoder.attentions) == (recording.translator.seq2seq.config.attention != "none")


def test_what_the_attentional_vector_is_made_of_has_every_step(recording):
    decoder = recording.walk.decoder
    assert {len(part) for part in decoder.combined.values()} <= {len(decoder.attentional)}
    if not decoder.combined:
        top = decoder.cells[-1]
        handed_up = top.values["hidden"] if top.handed_up is None else top.handed_up
        np.testing.assert_allclose(decoder.attentional, handed_up, **CLOSE)


def test_logits_reproduce_the_probabilities(recording):
    for choice in recording.walk.decoder.choices:
        np.testing.assert_allclose(np.array(choice.logits) - choice.normalizer, choice.log_probs, **CLOSE)
        assert sum(np.exp(choice.log_probs)) <= 1 + 1e-5
        assert choice.log_probs[: choice.rank] == sorted(choice.log_probs[: choice.rank], reverse=True)


def test_the_output_layer_makes_the_logits_from_the_attentional_vectors(recording):
    translator, walk = recording.translator, recording.walk
    parameters = translator.parameters
    table = parameters.get("output_table", parameters["target_embedding"])
    logits = walk.decoder.attentional @ table.T + parameters["output_bias"]
    for step, choice in zip(logits, walk.decoder.choices, strict=True):
        np.testing.assert_allclose(step[choice.ids], choice.logits, **CLOSE)


def test_annotations_are_the_top_layers_states_side_by_side(recording):
    runs = [run for run in recording.walk.encoder.runs if run.layer == len(recording.walk.encoder.inputs) - 1]
    assert [run.reverse for run in runs] == ([False, True] if len(runs) == 2 else [runs[0].reverse])
    states = np.concatenate([run.cell["hidden"] for run in runs], axis=-1)
    residual = recording.translator.seq2seq.config.residual_from
    expected = states + recording.walk.encoder.inputs[-1] if residual else states
    np.testing.assert_allclose(recording.walk.encoder.annotations, expected, **CLOSE)


def test_every_layer_of_the_encoder_is_there(recording):
    runs = recording.walk.encoder.runs
    assert len(recording.walk.encoder.inputs) == recording.translator.seq2seq.config.encoder_layers
    assert {run.layer for run in runs} == set(range(recording.translator.seq2seq.config.encoder_layers))
    assert {len(run.cell["hidden"]) for run in runs} == {len(recording.walk.source)}


def test_gates_make_the_state_from_the_one_before(general):
    forward, backward = (run.cell for run in general.walk.encoder.runs)
    for cell, before in ((forward, slice(None, -1)), (backward, slice(1, None))):
        after = slice(1, None) if before == slice(None, -1) else slice(None, -1)
        memory = cell["forget"][after] * cell["memory"][before] + cell["input"][after] * cell["candidate"][after]
        np.testing.assert_allclose(cell["memory"][after], memory, **CLOSE)
        np.testing.assert_allclose(cell["hidden"], cell["output"] * np.tanh(cell["memory"]), **CLOSE)


def test_what_a_cell_reads_makes_its_state(recording):
    translator, walk = recording.translator, recording.walk
    parameters, model = translator.parameters["decoder"], translator.seq2seq.config
    readers = [cell for cell in walk.decoder.cells if "context" in cell.reads[1:]]
    for place, cell in enumerate(walk.decoder.cells):
        name = "transition" if cell.reads == ["context"] else f"cells_{cell.layer}"
        first, *others = (inputs_of(walk, place)[read] for read in cell.reads)
        module = CELLS[model.cell](first.shape[-1], model.decoder_units).bind({"params": parameters[name]})
        gates = module.project(module.input_factors(), first)
        for name, more in zip(cell.reads[1:], others, strict=True):
            kernel = parameters["feed_kernel"] if name.endswith("before") else context_kernel(parameters, readers, cell)
            gates = gates + more @ kernel
        made = module.step(module.factors(), module.state(0)._replace(**state_before(walk, place)), gates)
        for name, values in made._asdict().items():
            np.testing.assert_allclose(cell.values[name], values, **CLOSE)


def context_kernel(parameters, readers, cell):
    """The share of the context's kernel that is this cell's."""
    shares = np.split(parameters["context_kernel"], len(readers), axis=-1)
    return next(share for share, reader in zip(shares, readers, strict=True) if reader is cell)


def inputs_of(walk, place):
    """By name, what a cell of the decoder may read, over time."""
    decoder = walk.decoder
    contexts = [attention.context for attention in decoder.attentions] or [decoder.combined.get("context")]
    later = lambda rows: np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])  # noqa: E731
    known = {"embedded": decoder.embedded, "attentional_before": later(decoder.attentional)}
    if contexts[0] is not None:
        known["context"] = np.concatenate(contexts, axis=-1)
        known["context_before"] = later(known["context"])
    if place:
        below = decoder.cells[place - 1]
        known["below"] = below.values["hidden"] if below.handed_up is None else below.handed_up
    return known


def state_before(walk, place):
    """By name, what a cell of the decoder begins with, over time."""
    cells, layer = walk.decoder.cells, walk.decoder.cells[place].layer
    if place and cells[place - 1].layer == layer:
        return {name: cells[place - 1].values[name] for name in walk.decoder.initial[layer]}
    last = [cell for cell in cells if cell.layer == layer][-1]
    return {
        name: np.concatenate([first[None], last.values[name][:-1]])
        for name, first in walk.decoder.initial[layer].items()
    }


def test_every_layer_of_the_decoder_is_there_at_every_step(recording):
    decoder = recording.walk.decoder
    assert len(decoder.initial) == recording.translator.seq2seq.config.decoder_layers
    assert {cell.layer for cell in decoder.cells} == set(range(len(decoder.initial)))
    assert {len(cell.values["hidden"]) for cell in decoder.cells} == {len(recording.walk.target)}
    assert [token.id for token in decoder.fed] == [BOS, *(token.id for token in recording.walk.target[:-1])]
    assert recording.walk.target[-1].id == EOS


def test_a_path_through_the_tree_adds_up(recording):
    nodes = recording.walk.search.nodes
    for node in nodes:
        before = nodes[node.parent].total if node.parent >= 0 else 0.0
        assert node.total == pytest.approx(before + node.log_prob)
        assert node.step == (nodes[node.parent].step + 1 if node.parent >= 0 else 0)
    for found in recording.walk.search.finished:
        assert nodes[found.node].fate == "finished"
        assert found.score == pytest.approx(found.log_prob / found.penalty, abs=1e-4)


def test_what_nothing_follows_was_pruned(general):
    parents = {node.parent for node in general.walk.search.nodes}
    for place, node in enumerate(general.walk.search.nodes):
        assert (node.fate == "live") == (place in parents)


def test_a_given_translation_is_walked_through(general):
    request = general.translator.request()
    walk = record(general.translator, "le chat", "small", request, target="un chien")
    assert walk.forced
    assert walk.text == "un chien"
    assert [token.piece for token in walk.target[:-1]] == general.translator.target_tokenizer.pieces("un chien")


def test_a_reference_is_weighed_as_search_would(general):
    reference = general.walk.reference
    assert len(reference.tokens) == len(reference.log_probs) == 6
    assert reference.score <= general.walk.score or reference.text == general.walk.text


def test_each_word_is_taken_away_once(general):
    words = general.walk.source_text.split()
    assert [variant.without for variant in general.walk.variants] == list(range(len(words)))
    for variant in general.walk.variants:
        assert general.translator.translate([variant.source])[0].text == variant.text


def test_a_blank_sentence_is_refused(general):
    request = general.translator.request()
    with pytest.raises(UserError, match="nothing to translate") as caught:
        record(general.translator, " \t", "small", request)
    assert caught.value.code == Exit.DATA


def test_taps_are_heard_only_while_one_listens():
    with listen() as heard:
        tap("cell", hidden=1.0)
    tap("cell", hidden=2.0)
    assert [said.values["hidden"] for said in heard] == [1.0]
