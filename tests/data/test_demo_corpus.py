"""The demo corpus: correct French and English, one translation for each sentence, a held-out part that is new."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt_cli.data.demo import conjugation, english, french, lexicon
from nmt_cli.data.demo.author import Author
from nmt_cli.data.demo.corpus import Corpus, make_corpus, words, write_corpus
from nmt_cli.data.demo.grammar import sentence
from nmt_cli.data.demo.syntax import Adjective, Clause, Noun, NounPhrase, Pair, Pronoun, Relative
from nmt_cli.data.demo.writing import clause_pair, phrase_pair, spoken

JE, TU, ELLE, NOUS = Pronoun(1), Pronoun(2), Pronoun(3, feminine=True), Pronoun(1, plural=True)
IL = Pronoun(3)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus()


def noun(name: str) -> Noun:
    return next(noun for noun in lexicon.nouns() if noun.french == name)


def adjective(name: str, kind: str) -> Adjective:
    return next(word for word in lexicon.adjectives() if word.masculine == name and kind in word.of)


def test_corpus_has_thousands_of_pairs_and_the_promised_held_out_parts(corpus: Corpus) -> None:
    assert [len(part) for part in corpus] == [10_000, 200, 300]


def test_held_out_sentences_stand_on_neither_side_of_the_training_part(corpus: Corpus) -> None:
    for side in (0, 1):
        train = {pair[side] for pair in corpus.train}
        held_out = [pair[side] for pair in corpus.valid + corpus.test]
        assert not train & set(held_out)
        assert len(set(held_out)) == len(held_out)


def test_every_word_of_a_held_out_sentence_is_known_from_training(corpus: Corpus) -> None:
    for side in (0, 1):
        known = {word for pair in corpus.train for word in words(pair[side])}
        assert all(set(words(pair[side])) <= known for pair in corpus.valid + corpus.test)


def test_no_french_sentence_ever_gets_two_translations() -> None:
    translations: dict[str, str] = {}
    for seed in (0, 1):
        author = Author(seed)
        for _ in range(5000):
            pair = sentence(author)
            assert translations.setdefault(pair.french, pair.english) == pair.english, pair


def test_the_classics_are_in_the_training_part(corpus: Corpus) -> None:
    assert Pair("Je suis étudiant.", "I am a student.") in corpus.train
    area = [pair for pair in corpus.train if "la zone économique européenne" in pair.french]
    assert len(area) >= 50
    assert all("the European Economic Area" in pair.english for pair in area)


def test_every_sentence_is_one_clean_line(corpus: Corpus) -> None:
    for pair in [pair for part in corpus for pair in part]:
        for text in pair:
            assert text == " ".join(text.split()), pair
            assert not set(text) & set("*()[]_"), pair
            assert text[0].isupper() == text.endswith((".", "!", "?")), pair


def test_nothing_is_left_unelided_or_uncontracted(corpus: Corpus) -> None:
    for pair in [pair for part in corpus for pair in part]:
        text = f" {pair.french.lower()} "
        for wrong in (" de le ", " de les ", " à le ", " à les "):
            assert wrong not in text, pair
        for first in ("le", "la", "je", "ne", "me", "te", "se", "de", "que"):
            assert not any(f" {first} {vowel}" in text for vowel in "aeiouéèêàîô"), pair
        assert not any(f" a {vowel}" in f" {pair.english.lower()}" for vowel in "aio"), pair


def test_the_same_seed_makes_the_same_corpus_whatever_python_hashes_to() -> None:
    code = (
        "import hashlib; from nmt_cli.data.demo.author import Author; from nmt_cli.data.demo.corpus import invent;"
        "print(hashlib.sha256(repr(invent(Author(3), 1000)).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
        digests.add(result.stdout)
    assert len(digests) == 1


def test_write_corpus_writes_aligned_files_with_plain_newlines(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    for name, pairs in zip(corpus._fields, corpus, strict=True):
        sides = [(tmp_path / "corpus" / f"{name}.{suffix}").read_bytes() for suffix in ("fr", "en")]
        assert not any(b"\r" in side for side in sides)
        french_lines, english_lines = (side.decode("utf-8").splitlines() for side in sides)
        assert list(zip(french_lines, english_lines, strict=True)) == [tuple(pair) for pair in pairs]


@pytest.mark.parametrize(
    ("infinitive", "index", "present", "imperfect", "future", "participle"),
    [
        ("chanter", 3, "chantons", "chantions", "chanterons", "chanté"),
        ("manger", 3, "mangeons", "mangions", "mangerons", "mangé"),
        ("manger", 0, "mange", "mangeais", "mangerai", "mangé"),
        ("choisir", 5, "choisissent", "choisissaient", "choisiront", "choisi"),
        ("attendre", 2, "attend", "attendait", "attendra", "attendu"),
        ("acheter", 4, "achetez", "achetiez", "achèterez", "acheté"),
        ("nettoyer", 0, "nettoie", "nettoyais", "nettoierai", "nettoyé"),
        ("étudier", 3, "étudions", "étudiions", "étudierons", "étudié"),
        ("être", 2, "est", "était", "sera", "été"),
        ("aller", 5, "vont", "allaient", "iront", "allé"),
        ("boire", 5, "boivent", "buvaient", "boiront", "bu"),
    ],
)
def test_conjugation(infinitive: str, index: int, present: str, imperfect: str, future: str, participle: str) -> None:
    assert conjugation.present(infinitive)[index] == present
    assert conjugation.imperfect(infinitive)[index] == imperfect
    assert conjugation.future(infinitive)[index] == future
    assert conjugation.participle(infinitive) == participle


def test_adjectives_stand_around_the_noun_in_french_and_before_it_in_english() -> None:
    words = (adjective("petit", "home"), adjective("blanc", "home"))
    assert phrase_pair(NounPhrase(noun("maison"), "indefinite", adjectives=words)) == (
        "une petite maison blanche",
        "a small white house",
    )


def test_adjectives_after_the_noun_are_crossed_in_english() -> None:
    words = (adjective("économique", "policy"), adjective("européen", "policy"))
    assert phrase_pair(NounPhrase(noun("politique"), adjectives=words)) == (
        "la politique économique européenne",
        "the European economic policy",
    )


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        (NounPhrase(noun("oiseau"), "this", adjectives=()), "cet oiseau"),
        (NounPhrase(noun("oiseau"), "indefinite", adjectives=(adjective("beau", "animal"),)), "un bel oiseau"),
        (NounPhrase(noun("oiseau"), "indefinite", True, (adjective("beau", "animal"),)), "de beaux oiseaux"),
        (NounPhrase(noun("amie"), "possessive", owner=JE), "mon amie"),
        (NounPhrase(noun("cheval"), plural=True), "les chevaux"),
    ],
)
def test_noun_phrases_change_before_vowels_and_in_the_plural(phrase: NounPhrase, expected: str) -> None:
    assert french.noun_phrase(phrase) == expected


def test_an_aspirated_h_keeps_the_article_whole_however_deep_it_stands() -> None:
    said = phrase_pair(NounPhrase(noun("*hérisson")))
    clause = Clause(JE, lexicon.verb("voir"), complements=(said,))
    assert spoken(clause_pair(clause)) == ("Je vois le hérisson.", "I see the hedgehog.")


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (Clause(IL, lexicon.verb("manger")), ("il mange", "he is eating")),
        (Clause(IL, lexicon.verb("manger"), polarity="jamais"), ("il ne mange jamais", "he never eats")),
        (Clause(IL, lexicon.verb("manger"), "past", "pas"), ("il n'a pas mangé", "he did not eat")),
        (Clause(IL, lexicon.verb("manger"), "past", "jamais"), ("il n'a jamais mangé", "he has never eaten")),
        (Clause(ELLE, lexicon.verb("tomber"), "past"), ("elle est tombée", "she fell")),
        (Clause(NOUS, lexicon.verb("se lever"), "past"), ("nous nous sommes levés", "we got up")),
        (Clause(JE, lexicon.verb("aimer"), "imperfect"), ("j'aimais", "I liked")),
        (Clause(TU, lexicon.verb("dormir"), helper="venir"), ("tu viens de dormir", "you have just slept")),
        (
            Clause(TU, lexicon.verb("dormir"), "present", "pas", "pouvoir"),
            ("tu ne peux pas dormir", "you cannot sleep"),
        ),
        (Clause(IL, lexicon.verb("chanter"), "imperfect", habitual=True), ("il chantait", "he used to sing")),
        (Clause(IL, lexicon.verb("chanter"), "imperfect", ongoing=True), ("il chantait", "he was singing")),
    ],
)
def test_tenses_and_negation(clause: Clause, expected: tuple[str, str]) -> None:
    assert clause_pair(clause) == expected


def test_a_clitic_goes_before_the_verb_and_its_participle_agrees() -> None:
    clause = Clause(JE, lexicon.verb("inviter"), "past", "pas", clitic=ELLE)
    assert clause_pair(clause) == ("je ne l'ai pas invitée", "I did not invite her")


def test_an_indirect_clitic_has_the_preposition_of_english() -> None:
    clause = Clause(JE, lexicon.verb("parler"), clitic=Pronoun(3, plural=True))
    assert clause_pair(clause) == ("je leur parle", "I am talking to them")


def test_questions_are_inverted_in_french_and_take_do_in_english() -> None:
    clause = Clause(ELLE, lexicon.verb("manger"), "past")
    assert (french.question(clause), english.question(clause)) == ("a-t-elle mangé", "did she eat")


def test_a_name_is_repeated_by_a_pronoun_in_a_french_question() -> None:
    clause = Clause(NounPhrase(noun("Marie"), "name"), lexicon.verb("travailler"))
    assert french.question(clause, "où") == "où Marie travaille-t-elle"


def test_the_participle_agrees_with_the_head_of_a_relative_clause() -> None:
    relative = Relative(Clause(IL, lexicon.verb("acheter"), "past"), "object")
    assert phrase_pair(NounPhrase(noun("robe"), plural=True, relative=relative)) == (
        "les robes qu'il a achetées",
        "the dresses that he bought",
    )


@pytest.mark.parametrize(
    ("name", "kind", "comparative", "superlative"),
    [("grand", "home", "bigger", "biggest"), ("cher", "vehicle", "more expensive", "most expensive"),
     ("joli", "home", "prettier", "prettiest"), ("bon", "text", "better", "best")],
)  # fmt: skip
def test_degrees_of_english_adjectives(name: str, kind: str, comparative: str, superlative: str) -> None:
    word = adjective(name, kind)
    assert (english.degree(word, "er"), english.degree(word, "est")) == (comparative, superlative)
