"""Questions: est-ce que, inversion, and the question words; English wants do-support."""

from __future__ import annotations

from dataclasses import replace

from nmt_cli.data.demo import english, french, lexicon
from nmt_cli.data.demo.author import PRONOUNS, TENSES, Author
from nmt_cli.data.demo.syntax import MASSES, Clause, Noun, NounPhrase, Pair
from nmt_cli.data.demo.writing import clause_pair, spoken

ASKED_TENSES = {tense: weight for tense, weight in TENSES["action"].items() if tense not in ("imperfect", "venir")}
ASKED_KINDS = ("text", "food", "dish", "drink", "clothing", "thing")


def ask(author: Author, clause: Clause, opening: Pair | None = None) -> Pair:
    """The question, in French by inversion or with est-ce que (always for je)."""
    opening = opening or Pair("", "")
    if clause.subject.index == 0 or author.chance(0.5):
        asking = french.spell(opening.french, "est-ce que", french.clause(clause))
    else:
        asking = french.question(clause, opening.french)
    return spoken(Pair(asking, english.question(clause, opening.english)), "?")


def yes_or_no(author: Author) -> Pair:
    """Are you sleeping? Does he like bread?"""
    verb = author.any(lexicon.verbs())
    tenses = {tense: weight for tense, weight in TENSES[verb.aspect].items() if tense in ASKED_TENSES}
    return ask(author, author.clause(verb, author.weighted(tenses), plain=True))


def where_when_how(author: Author) -> Pair:
    """Where are you working? Why is she crying?"""
    opening = author.any(lexicon.pairs("questions"))
    verb = author.verb(("action",), ()) if opening.french != "pourquoi" else author.verb(("action",))
    clause = author.clause(verb, author.weighted(ASKED_TENSES), plain=True)
    return ask(author, clause if verb.what else replace(clause, complements=()), opening)


def what(author: Author) -> Pair:
    """What are you reading? Which book are you reading? How many books have you read?"""
    verb = author.verb(("action", "event"), ASKED_KINDS)
    subject = author.any([word for word in PRONOUNS if word.index])
    tense = author.weighted({"present": 3 * (verb.aspect == "action"), "past": 3, "future": 1})
    clause = Clause(subject, verb, tense)
    noun = author.noun(tuple(kind for kind in verb.what if kind in ASKED_KINDS))
    head = NounPhrase(noun, "name", plural=noun.kind not in MASSES and author.chance(0.5))
    which = Pair(french.agree("quel", "quelle", head), "which")
    how_many = Pair("combien de", "how many")
    named = Pair(french.noun_phrase(head), english.noun_phrase(head))
    asked = author.any([None, which, how_many] if head.plural else [None, which])
    if asked is None:
        opening, gap = Pair("que", "what"), None
    else:
        opening, gap = (Pair(*(f"{word} {name}" for word, name in zip(asked, named, strict=True))), head)
    asking = french.spell(opening.french, french.predicate(clause, gap, inverted=french.pronoun(subject)))
    return spoken(Pair(asking, english.question(clause, opening.english)), "?")


def who(author: Author) -> Pair:
    """Who ate the cake?"""
    verb = author.any([verb for verb in lexicon.verbs() if "person" in verb.who])
    subject = NounPhrase(Noun("qui", "who", "name"), "name")
    return spoken(clause_pair(author.clause(verb, subject=subject, plain=True)), "?")


def where_is(author: Author) -> Pair:
    """Where is my key?"""
    noun = author.noun(("thing", "clothing", "text", "vehicle", "name", "family", "parent", "venue"))
    phrase = author.noun_phrase(noun, {"definite": 3, "possessive": 2 * (noun.kind != "venue")})
    here = "sont" if phrase.plural else "est"
    there = "are" if phrase.plural else "is"
    return spoken(Pair(f"où {here} {french.noun_phrase(phrase)}", f"where {there} {english.noun_phrase(phrase)}"), "?")
