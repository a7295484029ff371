"""Scores are sacrebleu's, and what sacrebleu scores in silence is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from nmt_cli.errors import Exit, UserError
from nmt_cli.run.scoring import METRICS, check_counts, corpus_score, mean_chrf, parse_metrics, score

HYPOTHESES = [
    "The cat sat on the mat today .",
    "Hello world , how are you ?",
    "A man rides a red bicycle down the street .",
]
REFERENCES = [
    "The cat sat on the mat .",
    "Hello world , how are you ?",
    "A man is riding a red bicycle down a street .",
]


def test_bleu_equals_the_geometric_mean_of_precisions_times_the_brevity_penalty() -> None:
    hypothesis = "the cat is on the mat now"
    reference = "the cat is on the mat"
    precisions = [6 / 7, 5 / 6, 4 / 5, 3 / 4]  # by hand; the hypothesis is longer, so there is no penalty
    expected = 100 * math.exp(sum(map(math.log, precisions)) / 4)
    assert corpus_score("bleu", [hypothesis], [reference]) == pytest.approx(expected)


def test_ter_is_edits_over_reference_words() -> None:
    assert corpus_score("ter", ["the cat sat on a mat"], ["the cat sat on the mat"]) == pytest.approx(100 / 6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_translation_is_perfect(metric: str) -> None:
    assert corpus_score(metric, REFERENCES, REFERENCES) == pytest.approx(0.0 if metric == "ter" else 100.0)


def test_each_score_carries_its_signature() -> None:
    bleu, chrf, ter = score(HYPOTHESES, [REFERENCES], METRICS)
    assert bleu.signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "nc:6|nw:0" in chrf.signature
    assert "tok:tercom" in ter.signature


def test_several_sets_of_references_all_count() -> None:
    one = score(HYPOTHESES, [REFERENCES])[0]
    both = score(HYPOTHESES, [REFERENCES, HYPOTHESES])[0]
    assert both.value == pytest.approx(100.0)
    assert one.value < 100.0
    assert "nrefs:2" in both.signature


def test_lowercase_ignores_case_and_says_so() -> None:
    shouted = [line.upper() for line in REFERENCES]
    assert score(shouted, [REFERENCES])[0].value < 50
    folded = score(shouted, [REFERENCES], ["bleu", "chrf"], lowercase=True)
    assert [s.value for s in folded] == pytest.approx([100.0, 100.0])
    assert "case:lc" in folded[0].signature


def test_bootstrap_gives_the_same_interval_every_time() -> None:
    first = score(HYPOTHESES * 10, [REFERENCES * 10], bootstrap=50)[0]
    again = score(HYPOTHESES * 10, [REFERENCES * 10], bootstrap=50)[0]
    assert first.interval is not None
    assert first == again
    mean, half_width = first.interval
    assert abs(mean - first.value) < half_width < 20
    assert "bs:50|seed:12345" in first.signature


def test_without_bootstrap_there_is_no_interval() -> None:
    assert score(HYPOTHESES, [REFERENCES], bootstrap=0)[0].interval is None


def test_text_names_score_interval_and_signature() -> None:
    text = str(score(HYPOTHESES, [REFERENCES], bootstrap=10)[0])
    assert text.startswith("BLEU = ")
    assert "±" in text
    assert "BP = " in text
    assert text.splitlines()[1].strip().startswith("nrefs:1")


@pytest.mark.parametrize("shorter", ["hypotheses", "references"])
@pytest.mark.fault(18)
def test_unequal_counts_are_refused_naming_both(shorter: str) -> None:
    hypotheses, references = (HYPOTHESES[:2], REFERENCES) if shorter == "hypotheses" else (HYPOTHESES, REFERENCES[:2])
    with pytest.raises(UserError) as refusal:
        score(hypotheses, [references], names=["out.en", "test.en"])
    assert refusal.value.code == Exit.DATA
    assert f"out.en: {len(hypotheses)} lines, but test.en: {len(references)} lines" in refusal.value.what


def test_the_second_set_of_references_is_counted_too() -> None:
    with pytest.raises(UserError, match="references 2: 1 line") as refusal:
        check_counts(HYPOTHESES, [REFERENCES, REFERENCES[:1]])
    assert refusal.value.code == Exit.DATA


@pytest.mark.parametrize(("hypotheses", "references", "named"), [([], [], "a.txt"), (["x"], [], "b.txt")])
@pytest.mark.fault(20)
def test_an_empty_file_is_refused_by_name(hypotheses: list[str], references: list[str], named: str) -> None:
    with pytest.raises(UserError, match=f"{named}: no lines") as refusal:
        score(hypotheses, [references], names=["a.txt", "b.txt"])
    assert refusal.value.code == Exit.DATA


def test_no_references_are_refused() -> None:
    with pytest.raises(UserError, match="no references"):
        score(HYPOTHESES, [])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.fault(19)
def test_an_empty_hypothesis_is_scored_as_empty(metric: str) -> None:
    value = corpus_score(metric, ["", ""], ["a cat sat here", "on a mat"])
    assert value == pytest.approx(100.0 if metric == "ter" else 0.0)


def test_metrics_are_parsed_in_order_each_once() -> None:
    assert parse_metrics("chrF, bleu,chrf") == ["chrf", "bleu"]


@pytest.mark.parametrize("text", ["rouge", "", ",", "bleu,meteor"])
def test_unknown_metrics_are_refused_naming_the_known(text: str) -> None:
    with pytest.raises(UserError, match="metric") as refusal:
        parse_metrics(text)
    assert refusal.value.code == Exit.USAGE
    assert "bleu, chrf, ter" in refusal.value.hint


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=4))
def test_any_text_has_finite_scores(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = [h for h, _ in pairs], [r for _, r in pairs]
    assert all(math.isfinite(s.value) for s in score(hypotheses, [references], METRICS))


def test_mean_chrf_is_the_mean_of_sentence_scores() -> None:
    texts = [*REFERENCES, HYPOTHESES[0], REFERENCES[0], ""]
    sentence_score = CHRF().sentence_score
    for text, found in mean_chrf(texts).items():
        expected = [sentence_score(text, [reference]).score for reference in texts]
        assert found == pytest.approx(sum(expected) / len(texts))
