"""A trace is what the translator computes, and its numbers hold together."""

from __future__ import annotations

import numpy as np
import pytest

from nmt_cli.batch import BOS, EOS
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.taps import listen, tap
from nmt_cli.visualize.recording import record

CLOSE = {"rtol": 0, "atol": 2e-5}


def test_the_trace_ends_in_the_translators_output(recording):
    translator, walk = recording
    (translation,) = translator.translate([walk.source_text], n_best=3, with_weights=True)
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
    translator, walk = recording
    (translation,) = translator.translate([walk.source_text], n_best=3)
    assert [found.text for found in walk.search.finished] == [found.text for found in translation.n_best]
    scores = [found.score for found in walk.search.finished]
    np.testing.assert_allclose(scores, [found.score for found in translation.n_best], **CLOSE)


def test_the_greedy_tree_ends_in_the_translation_with_beam_1(recording):
    translator, walk = recording
    assert walk.greedy.finished[0].text == translator.translate([walk.source_text], beam=1)[0].text
    assert all(node.slot == 0 for node in walk.greedy.nodes)


def test_weights_sum_to_one(general):
    for attention in general.walk.decoder.attentions:
        np.testing.assert_allclose(attention.weights.sum(axis=-1), 1.0, **CLOSE)


def test_weights_are_the_softmax_of_the_energies(general):
    (attention,) = general.walk.decoder.attentions
    exponentials = np.exp(attention.energies - attention.energies.max(axis=-1, keepdims=True))
    np.testing.assert_allclose(attention.weights, exponentials / exponentials.sum(axis=-1, keepdims=True), **CLOSE)


def test_the_context_is_the_weighted_sum_of_what_is_read(recording):
    for attention in recording.walk.decoder.attentions:
        values = recording.walk.encoder.annotations if attention.values is None else attention.values
        np.testing.assert_allclose(attention.context, attention.weights @ values, **CLOSE)


def test_every_model_with_attention_is_seen_to_look(recording):
    assert bool(recording.walk.decoder.attentions) == (recording.translator.seq2seq.config.attention != "none")


def test_what_the_attentional_vector_is_made_of_has_every_step(recording):
    decoder = recording.walk.decoder
    assert {len(part) for part in decoder.combined.values()} <= {len(decoder.attentional)}
    if not decoder.combined and not recording.translator.seq2seq.config.residual_from:
        np.testing.assert_allclose(decoder.attentional, decoder.layers[-1]["hidden"], **CLOSE)


def test_logits_reproduce_the_probabilities(recording):
    for choice in recording.walk.decoder.choices:
        np.testing.assert_allclose(np.array(choice.logits) - choice.normalizer, choice.log_probs, **CLOSE)
        assert sum(np.exp(choice.log_probs)) <= 1 + 1e-5
        assert choice.log_probs[: choice.rank] == sorted(choice.log_probs[: choice.rank], reverse=True)


def test_the_output_layer_makes_the_logits_from_the_attentional_vectors(recording):
    translator, walk = recording
    parameters = translator.parameters
    logits = walk.decoder.attentional @ parameters["target_embedding"].T + parameters["output_bias"]
    for step, choice in zip(logits, walk.decoder.choices, strict=True):
        np.testing.assert_allclose(step[choice.ids], choice.logits, **CLOSE)


def test_annotations_are_the_top_layers_states_side_by_side(recording):
    if recording.translator.seq2seq.config.residual_from:
        pytest.skip("with residual connections the inputs are added")
    top = max(run.layer for run in recording.walk.encoder.runs)
    runs = [run for run in recording.walk.encoder.runs if run.layer == top]
    assert [run.reverse for run in runs] == ([False, True] if len(runs) == 2 else [False])
    states = np.concatenate([run.cell["hidden"] for run in runs], axis=-1)
    np.testing.assert_allclose(states, recording.walk.encoder.annotations, **CLOSE)


def test_gates_make_the_state_from_the_one_before(general):
    forward, backward = (run.cell for run in general.walk.encoder.runs)
    for cell, before in ((forward, slice(None, -1)), (backward, slice(1, None))):
        after = slice(1, None) if before == slice(None, -1) else slice(None, -1)
        memory = cell["forget"][after] * cell["memory"][before] + cell["input"][after] * cell["candidate"][after]
        np.testing.assert_allclose(cell["memory"][after], memory, **CLOSE)
        np.testing.assert_allclose(cell["hidden"], cell["output"] * np.tanh(cell["memory"]), **CLOSE)


def test_every_layer_of_the_decoder_is_there_at_every_step(recording):
    decoder = recording.walk.decoder
    assert len(decoder.layers) == len(decoder.initial) == recording.translator.seq2seq.config.decoder_layers
    assert {len(layer["hidden"]) for layer in decoder.layers} == {len(recording.walk.target)}
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
