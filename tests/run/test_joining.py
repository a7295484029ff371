"""The parts of a line become its translation: text, scores, places and alignments as if it had been one."""

from __future__ import annotations

import itertools

import pytest

from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.run.joining import best_choices, glue, join
from nmt_cli.run.reading import Line, Sentence
from nmt_cli.run.translation import CUT, EMPTY, LIMIT, REPLACED, SPLIT, UNMET, Hypothesis, Translation

TOKENIZER = Tokenizer.train("word", ["the cat sleeps"], 10)


def part(span, *texts, source="un deux </s>", flags=()):
    """A part whose n-th hypothesis has the score -n, and whose words are its pieces."""
    made = []
    for n, text in enumerate(texts):
        ends = list(itertools.accumulate(len(word) + 1 for word in text.split()))
        spans = tuple((end - len(word) - 1, end - 1) for word, end in zip(text.split(), ends, strict=True))
        numbers = range(len(spans))
        log_probs = (-0.5,) * (len(spans) + 1)
        made.append(
            Hypothesis(
                text, -float(n), tuple(text.split()), log_probs, spans, None, tuple(zip(numbers, numbers, strict=True))
            )
        )
    spans = ((0, 2), (3, 7), (7, 7))
    return Sentence(0, [4, 5, 3], False, span=span), Translation(tuple(source.split()), spans, tuple(made), flags)


def test_the_parts_stand_one_after_the_other_in_text_tokens_and_places():
    line = Line("un deux. un deux.")
    whole = join(TOKENIZER, line, [part((0, 9), "one two."), part((9, 17), "three four.")], 1)
    assert whole.text == "one two. three four."
    assert whole.tokens == ("one", "two.", "</s>", "three", "four.")
    assert len(whole.log_probs) == len(whole.tokens) + 1
    assert [whole.text[start:end] for start, end in whole.n_best[0].spans] == ["one", "two.", "", "three", "four."]
    assert [line.text[start:end] for start, end in whole.source_spans] == ["un", "deux", "", "un", "deux", ""]
    assert whole.alignment == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert whole.flags == (SPLIT,)


def test_a_word_that_was_split_is_one_word_of_the_alignment():
    whole = join(TOKENIZER, Line("abcd"), [part((0, 2), "犬"), part((2, 4), "猫 the")], 1)
    assert (whole.text, whole.alignment) == ("犬猫 the", ((0, 0), (1, 1)))


@pytest.mark.parametrize(
    ("texts", "together"),
    [
        (["a.", "b."], "a. b."),
        (["你好。", "再见。"], "你好。再见。"),
        (["你好。", "OK."], "你好。 OK."),
        (["", "a", "", "b", ""], "a b"),
        (["안녕.", "네."], "안녕. 네."),
        (["สวัสดี", "ครับ"], "สวัสดีครับ"),
        ([""], ""),
    ],
)
def test_texts_are_put_together_as_their_script_does(texts, together):
    glued = list(glue(texts))
    assert "".join(piece.space + piece.text for piece in glued) == together
    assert all(together[piece.start : piece.start + len(piece.text)] == piece.text for piece in glued)


def test_the_best_hypotheses_have_the_highest_sums_of_scores():
    parts = [part((0, 2), *"ab")[1], part((2, 4), *"abc")[1], part((4, 6), "a")[1]]
    every = sorted(
        (-float(sum(choice)), list(choice)) for choice in itertools.product(*(range(len(p.n_best)) for p in parts))
    )
    found = best_choices(parts, 4)
    assert [score for score, _ in found] == sorted((score for score, _ in every), reverse=True)[:4]
    assert all((score, choice) in every for score, choice in found)
    assert found[0] == (0.0, [0, 0, 0])


def test_a_line_of_ten_thousand_parts_is_joined_in_linear_time():
    text = "un deux. " * 10_000
    whole = join(TOKENIZER, Line(text), [part((9 * n, 9 * n + 9), "one two.", "two") for n in range(10_000)], 2)
    assert len(whole.text) == len(text) - 1
    assert len(whole.n_best) == 2
    assert whole.alignment[-1] == (19_999, 19_999)


def test_what_happened_to_the_line_and_to_its_parts_is_flagged():
    line = Line("un deux. un", flags=(REPLACED,), require=("cat",), fields={"id": 1})
    whole = join(TOKENIZER, line, [part((0, 9), "a", flags=(LIMIT,)), part((9, 11), "b", flags=(CUT,))], 1)
    assert whole.flags == (REPLACED, SPLIT, CUT, LIMIT, UNMET)
    assert whole.fields == {"id": 1}
    assert join(TOKENIZER, Line(" ", flags=(REPLACED,)), [], 1).flags == (REPLACED, EMPTY)


@pytest.mark.parametrize(
    ("wish", "text", "missed"),
    [
        ({"require": ("cat",)}, "the cat sleeps", False),
        ({"require": ("cat", "dog")}, "the cat sleeps", True),
        ({"forbid": ("cat",)}, "the cat sleeps", True),
        ({"forbid": ("cat",)}, "the catalogue", False),
        ({"forbid": ("",)}, "the cat", False),
    ],
)
def test_a_phrase_that_is_missing_or_unwanted_is_flagged(wish, text, missed):
    assert (UNMET in join(TOKENIZER, Line("un deux", **wish), [part((0, 7), text)], 1).flags) == missed
