"""Lines in, translations out: every line, in order, the same whatever stands beside it."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt_cli import config
from nmt_cli.batch import BOS, EOS, PAD, UNK, Batch
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.hypotheses import Hypotheses
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.reading import Line, read
from nmt_cli.run.request import FEWEST, Request, padded_length, row_count
from nmt_cli.run.translation import CUT, EMPTY, LIMIT, SPLIT
from nmt_cli.run.translator import Translator, batches, check_parameters

WORDS = [
    "le",
    "la",
    "un",
    "une",
    "chat",
    "chien",
    "maison",
    "rouge",
    "vert",
    "mange",
    "voit",
    "dort",
    "et",
    "mais",
    "ou",
    "donc",
]


@pytest.fixture(scope="module")
def translator() -> Translator:
    translator = untrained(Tokenizer.train("word", [" ".join(WORDS)], 100))
    # Without it the longest length would end most hypotheses of such a model.
    translator.parameters["output_bias"] = translator.parameters["output_bias"].at[EOS].set(0.6)
    return translator


def untrained(tokenizer: Tokenizer) -> Translator:
    """A model nobody has trained, with parameters large enough for opinions and small enough not to be chaotic."""
    sizes = {"embedding_size": 16, "encoder_units": 16, "decoder_units": 16, "attention_units": 16}
    seq2seq = Seq2Seq(config.Model(**sizes), tokenizer.size, tokenizer.size)
    ids, mask = jnp.zeros((1, 1), jnp.int32), jnp.ones((1, 1), bool)
    made = jax.eval_shape(partial(seq2seq.init, method="loss"), jax.random.key(0), Batch(ids, mask, ids, ids, mask))
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(scale=0.5, size=leaf.shape), jnp.float32), made["params"]
    )
    parameters["output_bias"] = jnp.zeros(tokenizer.size)
    search = config.Search(beam=3, max_length=15, batch_size=8)
    return Translator(seq2seq, parameters, tokenizer, tokenizer, search)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 7))) for _ in range(21)]


@pytest.fixture(scope="module")
def mixed(lines) -> list[str]:
    """Lines of two shapes, each of which is a program to compile."""
    return [" ".join(WORDS[:10]), *lines]


def texts(translations):
    return [translation.text for translation in translations]


def test_the_model_of_these_tests_says_different_things(translator, lines):
    assert len(set(texts(translator.translate(lines)))) > 10


@pytest.mark.parametrize("batch_size", [1, pytest.param(7, marks=pytest.mark.slow), 64])
@pytest.mark.fault(58)
def test_batch_size_changes_nothing(translator, mixed, batch_size):
    expected = translator.translate(mixed)
    found = translator.translate(mixed, batch_size=batch_size)
    assert texts(found) == texts(expected)
    np.testing.assert_allclose([t.score for t in found], [t.score for t in expected], atol=1e-5)


@pytest.mark.fault(58)
def test_order_changes_nothing(translator, mixed):
    order = list(range(len(mixed)))
    random.Random(1).shuffle(order)
    expected = texts(translator.translate(mixed))
    assert texts(translator.translate([mixed[i] for i in order])) == [expected[i] for i in order]


@pytest.mark.fault(58)
def test_a_beam_of_one_follows_the_most_probable_token(translator, lines):
    ids = [*translator.source_tokenizer.encode([lines[0]])[0], EOS]
    source = jnp.array([ids])
    apply = partial(translator.seq2seq.apply, {"params": translator.parameters})
    memory, state = apply(source, source > 0, method="encode")
    step = jax.jit(partial(apply, method="step"))
    token, tokens = BOS, []
    for _ in range(2 * (len(ids) - 1) + 10):
        state, distribution, _ = step(memory, state, jnp.array([[token]]))
        token = int(jnp.argmax(distribution.log_probs()[0, 0].at[jnp.array([PAD, BOS])].set(-jnp.inf)))
        if token == EOS:
            break
        tokens.append(translator.target_tokenizer.piece(token))
    assert translator.translate(lines[:1], beam=1)[0].tokens == tuple(tokens)


def test_the_score_is_the_sum_of_log_probs_over_the_penalty(translator, lines):
    for translation in translator.translate(lines[:3], length_penalty=1.0):
        length = len(translation.tokens) + 1
        assert len(translation.log_probs) == length
        assert translation.score == pytest.approx(sum(translation.log_probs) / ((5 + length) / 6), abs=1e-5)


def test_n_best_are_distinct_and_best_first(translator, lines):
    for translation in translator.translate(lines[:8], beam=4, n_best=4):
        scores = [hypothesis.score for hypothesis in translation.n_best]
        assert scores == sorted(scores, reverse=True)
        assert len({hypothesis.tokens for hypothesis in translation.n_best}) == 4
        assert translation.text == translation.n_best[0].text


def test_samples_are_as_many_as_asked_for_and_the_same_in_any_order(translator, lines):
    asked = {"method": "sample", "n_best": 3, "seed": 5}
    found = translator.translate(lines, **asked)
    assert {len(translation.n_best) for translation in found} == {3}
    again = translator.translate(lines[::-1], **asked)[::-1]
    assert [[h.text for h in t.n_best] for t in again] == [[h.text for h in t.n_best] for t in found]


@pytest.mark.slow
def test_minimum_bayes_risk_picks_among_the_samples(translator, lines):
    samples = translator.translate(lines[:4], method="sample", n_best=6)
    for drawn, picked in zip(samples, translator.translate(lines[:4], method="mbr", samples=6, n_best=2), strict=True):
        assert {h.text for h in picked.n_best} <= {h.text for h in drawn.n_best}
        assert [h.score for h in picked.n_best] == sorted((h.score for h in picked.n_best), reverse=True)


def test_weights_are_a_distribution_over_the_source_for_each_token(translator):
    (translation,) = translator.translate(["le chat dort"], with_weights=True)
    assert translation.source_tokens == ("le", "chat", "dort", "</s>")
    assert translation.weights.shape == (len(translation.tokens) + 1, 4)
    np.testing.assert_allclose(translation.weights.sum(-1), 1.0, atol=1e-5)
    json.dumps(translation.as_dict())


@pytest.mark.parametrize("blank", ["", " ", "\t \u3000", "\u200b\u200d\ufeff", "\u2028"])
@pytest.mark.fault(13, 14)
def test_a_line_with_nothing_in_it_is_not_given_to_the_model(translator, blank, monkeypatch):
    monkeypatch.setattr(translator.decoding, "run", lambda *_: pytest.fail("the model was run"))
    (translation,) = translator.translate([blank])
    assert (translation.text, translation.flags) == ("", (EMPTY,))


LONGEST = " ".join(itertools.islice(itertools.cycle(WORDS), 15))


@pytest.mark.fault(22)
def test_a_line_longer_than_the_model_allows_is_translated_in_parts(translator):
    whole, rest, split = translator.translate([LONGEST, "chat chien", f"{LONGEST} chat chien"])
    assert SPLIT not in whole.flags
    assert SPLIT in split.flags
    assert CUT not in split.flags
    assert split.text == f"{whole.text} {rest.text}"
    assert split.score == pytest.approx(whole.score + rest.score, abs=1e-5)
    assert split.log_probs == pytest.approx((*whole.log_probs, *rest.log_probs), abs=1e-5)


def test_it_is_cut_where_that_is_asked_for(translator):
    whole, cut = translator.translate([LONGEST, f"{LONGEST} chat chien"], long_lines="cut")
    assert CUT not in whole.flags
    assert CUT in cut.flags
    assert (cut.text, len(cut.source_tokens)) == (whole.text, 16)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_part_of_a_line_is_aligned_with_the_words_of_the_line(translator, beam):
    text = f"{LONGEST} chat chien  le un"
    parts = translator.translate([LONGEST, "chat chien  le un"], with_weights=True, beam=beam)
    (split,) = translator.translate([text], with_weights=True, beam=beam)
    assert split.weights is None
    first, second = (part.alignment for part in parts)
    words = len(parts[0].text.split())
    assert split.alignment == (*first, *((15 + source, words + target) for source, target in second))
    assert [text[start:end] for start, end in split.source_spans if end > start] == text.split()


@pytest.mark.fault(21)
def test_a_megabyte_without_a_space_is_translated_whole(translator, monkeypatch):
    monkeypatch.setattr("nmt_cli.run.splitting.LONGEST_PIECE", 64)
    (translation,) = translator.translate(["é" * 20_000])
    assert SPLIT in translation.flags
    assert CUT not in translation.flags


@pytest.mark.parametrize("beam", [1, 3])
def test_each_word_is_aligned_with_the_word_that_its_attention_is_highest_on(translator, lines, beam):
    for line, translation in zip(lines[:6], translator.translate(lines[:6], with_weights=True, beam=beam), strict=True):
        looked_at = translation.weights[:-1, : len(line.split())].argmax(-1)
        assert translation.alignment == tuple((int(source), target) for target, source in enumerate(looked_at))
        shown = [translation.text[slice(*span)] for span in translation.n_best[0].spans]
        assert shown == [token if token != "<unk>" else "\u2047" for token in translation.tokens]


@pytest.mark.slow
def test_every_hypothesis_of_a_list_has_its_own_alignment(translator, lines):
    (translation,) = translator.translate(lines[:1], n_best=3, with_weights=True)
    for hypothesis in translation.n_best:
        assert [target for _, target in hypothesis.alignment] == list(range(len(hypothesis.text.split())))
        assert hypothesis.weights.shape[0] == len(hypothesis.tokens) + 1


def test_a_model_without_attention_has_no_alignment(translator, monkeypatch):
    config_without = dataclasses.replace(translator.seq2seq.config, attention="none")
    monkeypatch.setattr(translator.decoding, "members", (translator.seq2seq.clone(config=config_without),))
    with pytest.raises(UserError, match="no attention"):
        translator.translate(["le chat"], with_weights=True)
    with pytest.raises(UserError, match="no attention"):
        translator.translate_stream(["le chat"], unknown={})


@pytest.fixture
def ignorant(translator, monkeypatch) -> Translator:
    """A model that says nothing but unknown words."""
    bias = translator.parameters["output_bias"].at[UNK].set(50.0)
    monkeypatch.setattr(translator, "parameters", {**translator.parameters, "output_bias": bias})
    return translator


def test_unknown_words_are_translated_by_a_dictionary_or_copied(ignorant):
    (plain,) = ignorant.translate(["Chat Dupont"], with_weights=True)
    (copied,) = ignorant.translate(["Chat Dupont"], unknown={})
    (replaced,) = ignorant.translate(["Chat Dupont"], unknown={"chat": "cat", "Dupont": "Mr Dupont"})
    assert set(plain.text.split()) == {"\u2047"}
    looked_at = [("Chat", "Dupont")[source] for source, _ in plain.alignment]
    assert copied.text.split() == looked_at
    assert replaced.text == " ".join({"Chat": "cat", "Dupont": "Mr Dupont"}[word] for word in looked_at)
    assert copied.weights is None
    assert copied.score == pytest.approx(plain.score, abs=1e-5)


def test_places_and_alignment_are_those_of_the_replaced_text(ignorant):
    (replaced,) = ignorant.translate(["Chat Dupont"], with_weights=True, unknown={"chat": "a cat", "Dupont": "D"})
    shown = [replaced.text[start:end] for start, end in replaced.n_best[0].spans]
    assert set(shown) <= {"a cat", "D"}
    assert replaced.text == " ".join(shown)
    assert {target for _, target in replaced.alignment} == {
        number for number, word in enumerate(replaced.text.split()) if word != "cat"
    }


def test_given_translations_have_the_scores_that_search_gives_them(translator, lines):
    found = translator.translate(lines, length_penalty=0.8, with_weights=True)
    given = translator.score(lines, texts(found), with_weights=True, length_penalty=0.8)
    for one, two in zip(found, given, strict=True):
        assert two.score == pytest.approx(one.score, abs=1e-5)
        assert two.log_probs == pytest.approx(one.log_probs, abs=1e-5)
        assert (two.text, two.tokens, two.alignment) == (one.text, one.tokens, one.alignment)


def test_blank_sides_are_scored_by_rule(translator):
    ends_at_once, certain, impossible, plain = translator.score(["le chat", " ", "\u200b", "le"], [" ", "", "le", "la"])
    assert len(ends_at_once.log_probs) == 1
    assert (certain.score, certain.flags) == (0.0, (EMPTY,))
    assert (impossible.score, impossible.flags, impossible.as_dict()["score"]) == (-math.inf, (EMPTY,), None)
    assert plain.flags == ()


@pytest.mark.slow
def test_pairs_too_long_to_score_are_cut_and_flagged(translator):
    short, long_source, long_target = translator.score(["le", f"{LONGEST} le", "le"], ["la", "la", "la " * 9999])
    assert (short.flags, long_source.flags, long_target.flags) == ((), (CUT,), (CUT,))
    assert len(long_target.tokens) == 2 * 15 + 10


def test_what_a_line_asks_for_reaches_its_first_sentence(translator):
    tokenizer = translator.target_tokenizer
    line = Line(f"{LONGEST} le", prefix="le chat", require=("chien", " "), forbid=("la", "un"))
    first, second = read(tokenizer, tokenizer, [line], translator.defaults)
    chien, la, un = (tokenizer.encode([word])[0] for word in ("chien", "la", "un"))
    assert first.prefix == tokenizer.encode(["le chat"])[0]
    assert first.required == [chien]
    assert (second.prefix, second.required) == ((), ())
    assert first.forbidden == second.forbidden == [la, un]


@pytest.mark.slow
def test_two_models_are_better_informed_than_one(translator, lines):
    """The log-probability that an ensemble gives is that of the mean of its members' probabilities."""
    other = jax.tree.map(lambda leaf: leaf[::-1], translator.parameters)
    tokenizer = translator.target_tokenizer
    alone = [
        Translator(translator.seq2seq, parameters, tokenizer, tokenizer, translator.defaults)
        for parameters in (translator.parameters, other)
    ]
    both = Translator(
        translator.seq2seq, translator.parameters, tokenizer, tokenizer, translator.defaults,
        others=[(translator.seq2seq, other)],
    )  # fmt: skip
    given = ["le chat", "un chien", "la maison", "une"]
    for own in zip(*(each.score(lines[:4], given) for each in (both, *alone)), strict=True):
        together, *members = (np.exp(translation.log_probs) for translation in own)
        np.testing.assert_allclose(together, np.mean(members, axis=0), atol=1e-5)


def test_a_translation_that_never_ends_is_ended_and_flagged(translator, monkeypatch):
    bias = translator.parameters["output_bias"].at[EOS].set(-50.0)
    monkeypatch.setattr(translator, "parameters", {**translator.parameters, "output_bias": bias})
    (translation,) = translator.translate(["le chat"])
    assert translation.flags == (LIMIT,)
    assert len(translation.tokens) == 2 * 2 + 10


@pytest.mark.fault(26)
def test_bytes_that_the_model_writes_cannot_end_its_line():
    words = [f"{one}{two}" for one in WORDS for two in WORDS]
    tokenizer = Tokenizer.train("bpe", [*words, *map(chr, range(0x4E00, 0x5200))], 1100, shrink=True)
    model = untrained(tokenizer)
    for byte in ("<0x0A>", "<0x0D>", "<0x00>", "<0x85>"):
        id = tokenizer.vocabulary.processor.piece_to_id(byte)
        model.parameters["output_bias"] = jnp.zeros(tokenizer.size).at[id].set(50.0)
        (translation,) = model.translate(["le chat"], beam=1)
        assert translation.tokens[0] == byte
        assert set(translation.text) <= {" ", "\ufffd"}


@pytest.mark.fault(26)
def test_what_the_model_writes_is_one_line(translator, monkeypatch):
    monkeypatch.setattr(translator.target_tokenizer.vocabulary, "decode", lambda ids: "a\nb\r\u2028c\0", raising=False)
    (translation,) = translator.translate(["le chat"])
    assert "\n" not in translation.text
    assert len(translation.text.splitlines()) == 1
    assert "\0" not in translation.text


def test_a_model_that_does_not_compute_numbers_is_refused(translator, monkeypatch):
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, translator.parameters)
    monkeypatch.setattr(translator, "parameters", broken)
    with pytest.raises(UserError, match="not numbers") as raised:
        translator.translate(["le chat"])
    assert raised.value.code == Exit.DIVERGED


def test_parameters_can_be_replaced_without_compiling_again(translator, lines, monkeypatch):
    before = texts(translator.translate(lines[:5]))
    compiled = dict(translator.decoding.compiled)
    monkeypatch.setattr(translator, "parameters", jax.tree.map(lambda leaf: -leaf, translator.parameters))
    assert texts(translator.translate(lines[:5])) != before
    assert translator.decoding.compiled == compiled


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 4}, "beam"),
        ({"n_best": 0}, "beam"),
        ({"beam": 0}, "search.beam"),
        ({"length_penalty": -0.5}, "search.length_penalty"),
        ({"batch_size": 0}, "search.batch_size"),
        ({"method": "mbr", "samples": 3, "n_best": 4}, "search.samples=4"),
        ({"groups": 2}, "multiple of groups"),
        ({"top_p": 0.5}, "search.method = 'sample'"),
    ],
)
def test_options_out_of_range_are_refused(translator, options, message):
    with pytest.raises(UserError, match=message):
        translator.translate(["le chat"], **options)
    with pytest.raises(UserError, match=message):
        translator.translate_stream(iter([]), **options)


def test_a_stream_gives_what_a_list_gives(translator, lines):
    assert texts(translator.translate_stream(iter(lines))) == texts(translator.translate(lines))


@pytest.mark.fault(62)
def test_parameters_of_another_model_are_refused_with_what_differs(translator, tmp_path):
    wrong = {**translator.parameters, "output_bias": jnp.zeros(3), "extra": jnp.zeros(2)}
    del wrong["target_embedding"]
    with pytest.raises(UserError, match=r"extra(.|\n)*output_bias(.|\n)*target_embedding: missing") as raised:
        check_parameters(wrong, translator.seq2seq, tmp_path)
    assert raised.value.code == Exit.INTEGRITY


class EchoTranslator(Translator):
    """The real thing with a model that repeats its source, so that a misplaced line is seen."""

    def __init__(self, real: Translator) -> None:
        tokenizer = Tokenizer.train("char", ["ab😀é"], 20)
        super().__init__(real.seq2seq, real.parameters, tokenizer, tokenizer, real.defaults)
        self.decoding = self

    def echo(self, text: str) -> str:
        """What a line comes out as."""
        return self.target_tokenizer.decode(self.source_tokenizer.encode([text])[0]) if visible(text) else ""

    def run(self, parameters, group, request):
        longest = max(len(sentence.ids) for sentence in group)
        ids = np.zeros((len(group), 1, longest), np.int32)
        for row, sentence in enumerate(group):
            ids[row, 0, : len(sentence.ids)] = sentence.ids
        lengths = np.array([[len(sentence.ids)] for sentence in group])
        return Hypotheses(ids, lengths, np.zeros((len(group), 1)), np.zeros(ids.shape), None)


def visible(text: str) -> bool:
    return any(character in "ab😀é" for character in text)


@pytest.fixture(scope="module")
def echo(translator) -> EchoTranslator:
    return EchoTranslator(translator)


@settings(max_examples=200, deadline=None)
@given(raw=st.lists(st.text(alphabet="ab \t\r\0\u200b\u2028\x85😀é", max_size=12), max_size=40))
@pytest.mark.fault(59)
def test_every_line_has_a_translation(echo, raw):
    translations = echo.translate(raw)
    assert len(translations) == len(raw)
    assert [t.text for t in translations] == [echo.echo(text) for text in raw]


@given(length=st.integers(1, 2001), most=st.integers(1, 2001))
def test_shapes_are_few_and_hold_their_sentences(length, most):
    length = min(length, most)
    shape = padded_length(length, most)
    assert length <= shape <= most
    assert shape <= max(8, 2 * length)
    assert len({padded_length(n, 2001) for n in range(1, 2002)}) <= 16


@given(lines=st.integers(1, 256), most=st.integers(FEWEST, 256))
def test_few_lines_have_a_small_shape(lines, most):
    lines = min(lines, most)
    assert max(lines, FEWEST) <= row_count(lines, most) <= most
    assert {row_count(n, most) for n in range(1, most + 1)} == {FEWEST, most}


@given(beam=st.integers(1, 12), batch_size=st.integers(1, 64), with_weights=st.booleans())
def test_products_have_enough_rows_for_numbers_that_do_not_depend_on_how_many(beam, batch_size, with_weights):
    request = Request(config.Search(beam=beam, batch_size=batch_size), 1, with_weights)
    assert request.rows * request.width >= FEWEST
    assert request.most(50) >= FEWEST


def test_without_a_lexicon_there_is_no_shortlist(translator, lines):
    with pytest.raises(UserError, match="no shortlist") as error:
        translator.translate(lines, shortlist=True)
    assert "--no-shortlist" in error.value.hint


def test_sentences_of_like_length_are_translated_together(translator, mixed):
    tokenizer = translator.source_tokenizer
    sentences = read(tokenizer, tokenizer, [Line(line) for line in mixed], translator.defaults)
    groups = batches(sentences, Request(config.Search(beam=1, batch_size=1), 1, with_weights=True))
    lengths = [[len(sentence.ids) for sentence in group] for group in groups]
    assert sorted(sentence.line for group in groups for sentence in group) == list(range(len(mixed)))
    assert all(min(before) >= max(after) for before, after in itertools.pairwise(lengths))
    assert max(map(len, groups)) == 4


def test_no_sentence_is_padded_to_the_length_of_another(translator, mixed):
    tokenizer = translator.source_tokenizer
    sentences = read(tokenizer, tokenizer, [Line(line) for line in mixed], translator.defaults)
    groups = batches(sentences, Request(translator.defaults, 1, with_weights=False))
    shapes = [{padded_length(len(sentence.ids)) for sentence in group} for group in groups]
    assert sorted(map(list, shapes)) == [[8], [16]]
