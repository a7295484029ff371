"""From parts to pairs of sentences: joining, capital letters, final marks."""

from __future__ import annotations

from nmt_cli.data.demo import english, french
from nmt_cli.data.demo.syntax import Adjective, Clause, NounPhrase, Pair, Pronoun, Verb

BE = Verb("être", "be", aspect="state")
FEEL = Verb("avoir", "be", aspect="state")  # avoir faim = to be hungry


def spoken(pair: Pair, mark: str = ".") -> Pair:
    """With a capital letter and its final mark, before which French wants a space unless it is a full stop."""
    pair = alone(pair)
    marks = (mark if mark == "." else f" {mark}", mark)
    return Pair(*(text[0].upper() + text[1:] + end for text, end in zip(pair, marks, strict=True)))


def alone(pair: Pair) -> Pair:
    """A pair that is no sentence, without the stars of the lexicon."""
    return Pair(pair.french.replace("*", ""), pair.english)


def joined(*pairs: Pair) -> Pair:
    """Pairs after each other."""
    return Pair(french.spell(*(pair.french for pair in pairs)), english.spell(*(pair.english for pair in pairs)))


def comma(pair: Pair) -> Pair:
    """With a comma at its end."""
    return Pair(pair.french + ",", pair.english + ",")


def clause_pair(clause: Clause) -> Pair:
    """A clause in both languages."""
    return Pair(french.clause(clause), english.clause(clause))


def phrase_pair(phrase: NounPhrase, french_before: str = "", english_before: str = "") -> Pair:
    """A noun phrase in both languages, after prepositions."""
    return Pair(
        french.spell(french_before, french.noun_phrase(phrase)),
        english.spell(english_before, english.noun_phrase(phrase)),
    )


def so(word: Adjective, of: NounPhrase | Pronoun, degree: Pair | None = None) -> Pair:
    """An adjective that agrees: très grande = very tall."""
    degree = degree or Pair("", "")
    return Pair(french.spell(degree.french, french.adjective(word, of)), english.spell(degree.english, word.english))
