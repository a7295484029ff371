"""Treaties, policies and institutions, where the words of a phrase cross: the European Economic Area."""

from __future__ import annotations

from dataclasses import replace

from nmt_cli.data.demo import french, lexicon
from nmt_cli.data.demo.author import PRONOUNS, Author
from nmt_cli.data.demo.syntax import Clause, Noun, NounPhrase, Pair, Verb
from nmt_cli.data.demo.writing import clause_pair, comma, joined, phrase_pair, spoken

ACTORS = ("Commission", "Parliament", "Bank", "Union", "Fund", "Agency")
YEARS = tuple(str(year) for year in range(1952, 2025, 4))
THINK = Pair("que pensez-vous de", "what do you think of")
SUPPORT = Verb("défendre", "defend")
WORK = Verb("travailler", "work", aspect="state")
SPEAK = Verb("parler", "talk")


def institution(author: Author) -> Pair:
    """An institution; the European Economic Area more often than the others."""
    institutions = lexicon.pairs("institutions")
    if author.chance(0.25):
        return institutions[0]
    return body(author) if author.chance(0.4) else author.any(institutions)


def body(author: Author) -> Pair:
    """The African Monetary Community: one has to look at each of its words to translate it."""
    noun, matter, region = (author.any(lexicon.pairs("bodies", part)) for part in ("nouns", "matters", "regions"))
    return Pair(
        f"{noun.french} {matter.french} {region.french}", f"the {region.english} {matter.english} {noun.english}"
    )


def policy(author: Author, determiners: dict[str, int]) -> NounPhrase:
    """A French economic policy: the adjectives follow in French, in the opposite order."""
    noun = author.noun(("policy",))
    words = [word for word in lexicon.adjectives() if "policy" in word.of]
    last = max(word.rank for word in words)
    relation = author.any([word for word in words if word.rank == last])
    nationality = author.any([word for word in words if word.rank < last])
    phrase = replace(author.noun_phrase(noun, determiners), adjectives=())
    return replace(phrase, adjectives=author.any([(relation,), (nationality,), (relation, nationality)]))


def matter(author: Author) -> Pair:
    """What politics is about: an institution or a policy."""
    if author.chance(0.5):
        return institution(author)
    return phrase_pair(policy(author, {"definite": 2, "this": 1}))


def treaty(author: Author) -> tuple[NounPhrase, Pair]:
    """A treaty by itself, and in words: the agreement on the European Economic Area."""
    noun = author.noun(("treaty",))
    return NounPhrase(noun), joined(phrase_pair(NounPhrase(noun)), Pair("sur", "on"), matter(author))


def be_signed(author: Author) -> Pair:
    """The agreement was signed in August 1992."""
    head, words = treaty(author)
    done, month, year = (author.any(lexicon.pairs("passives")), author.any(lexicon.pairs("months")), author.any(YEARS))
    participle = french.agree(done.french, done.french + "e", head)
    when = Pair(f"en {month.french} {year}", f"in {month.english} {year}")
    verb = author.any([Pair("a été", "was"), Pair("sera", "will be"), Pair("n'a pas été", "was not")])
    if verb.english == "will be":
        when = author.time("future")
    elif verb.english == "was not":
        when = Pair("", "")
    return spoken(joined(words, verb, Pair(participle, done.english), when))


def be_about(author: Author) -> Pair:
    """This article is about the European Economic Area."""
    noun = author.any([noun for noun in lexicon.nouns_of(("text",)) if noun.english in ("book", "article", "report")])
    phrase = NounPhrase(noun, author.any(("this", "definite")), author.chance(0.3))
    about = Pair("parlent de", "are about") if phrase.plural else Pair("parle de", "is about")
    return spoken(joined(phrase_pair(phrase), about, matter(author)))


def talk_about(author: Author) -> Pair:
    """We are talking about the European Economic Area."""
    subject = author.any(PRONOUNS) if author.chance(0.6) else author.person()
    tense = author.weighted({"present": 2, "past": 2, "future": 1})
    polarity = author.weighted({"": 3, "pas": 1})
    topic = matter(author)
    about = joined(Pair("de", "about"), topic)
    return spoken(clause_pair(Clause(subject, SPEAK, tense, polarity, complements=(about,))))


def think_of(author: Author) -> Pair:
    """What do you think of the European Economic Area?"""
    return spoken(joined(THINK, matter(author)), "?")


def work_for(author: Author) -> Pair:
    """She works for the European Commission."""
    actors = [pair for pair in lexicon.pairs("institutions") if pair.english.split()[-1] in ACTORS]
    subject = author.any(PRONOUNS) if author.chance(0.6) else author.person()
    tense = author.weighted({"present": 3, "past": 1})
    where = joined(Pair("pour", "for"), author.any(actors))
    return spoken(clause_pair(Clause(subject, WORK, tense, complements=(where,))))


def act_politically(author: Author) -> Pair:
    """The European Parliament is going to study the French economic policy."""
    return spoken(clause_pair(deed(author)))


def disagree(author: Author) -> Pair:
    """The Bank has defended the Asian Monetary Union, but the European Parliament will criticize the French reform."""
    return spoken(joined(comma(clause_pair(deed(author))), Pair("mais", "but"), clause_pair(deed(author))))


def deed(author: Author) -> Clause:
    """What an institution does about others."""
    actors = [pair for pair in lexicon.pairs("institutions") if pair.english.split()[-1] in ACTORS]
    actor = author.any(actors)
    subject = NounPhrase(Noun(actor.french, actor.english, "institution"), "name")
    verb = Verb(*author.any([Pair("critiquer", "criticize"), Pair("défendre", "defend"), Pair("étudier", "study")]))
    tense = author.weighted({"past": 3, "future": 2, "aller": 1})
    helper = "aller" if tense == "aller" else ""
    return Clause(subject, verb, "present" if helper else tense, helper=helper, complements=(matter(author),))


def institution_alone(author: Author) -> Pair:
    """The future of the European Economic Area; a French social programme."""
    if author.chance(0.5):
        return phrase_pair(policy(author, {"definite": 2, "indefinite": 3, "this": 1}))
    if author.chance(0.5):
        return treaty(author)[1]
    future = author.any([Pair("l'avenir de", "the future of"), Pair("l'histoire de", "the history of")])
    return joined(future, institution(author))
