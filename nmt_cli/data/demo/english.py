"""A sentence in English: the verb group, do-support, a and an, adjectives in their order."""

from __future__ import annotations

from itertools import pairwise

from nmt_cli.data.demo.lexicon import tables
from nmt_cli.data.demo.syntax import HELPERS, MASSES, Adjective, Clause, Noun, NounPhrase, Pronoun, Relative

SUBJECTS = ("I", "you", "he", "we", "you", "they")
OBJECTS = ("me", "you", "him", "us", "you", "them")
POSSESSIVES = ("my", "your", "his", "our", "your", "their")
ADVERBS = {"": "", "pas": "not", "jamais": "never", "plus": "no longer"}
DOUBLED = {"run", "swim", "cut", "get", "forget"}
CONSONANT_SOUND = ("uni", "use", "eu", "one")


def spell(*parts: str) -> str:
    """Join words: a + apple = an apple, can + not = cannot."""
    words = " ".join(parts).split()
    for here, (first, second) in enumerate(pairwise(words)):
        if first == "a" and second[0].lower() in "aeiou" and not second.lower().startswith(CONSONANT_SOUND):
            words[here] = "an"
    return " ".join(words).replace("can not", "cannot")


def pluralize(noun: Noun) -> str:
    """The plural of a noun."""
    word = noun.english
    if noun.english_plural:
        return noun.english_plural
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2] not in "aeiou" else word + "s"


def noun_phrase(phrase: NounPhrase) -> str:
    """Determiner, adjectives in the order opinion, size, age, colour, origin, and the noun."""
    noun = pluralize(phrase.noun) if phrase.plural else phrase.noun.english
    words = [word.english for word in sorted(phrase.adjectives, key=lambda word: word.rank)]
    if phrase.of and phrase.of.human:
        owner = noun_phrase(phrase.of)
        words = [owner + ("'" if phrase.of.plural and owner.endswith("s") else "'s"), *words, noun]
    else:
        words = [determiner(phrase), *words, noun, *(["of", noun_phrase(phrase.of)] if phrase.of else [])]
    return spell(*words, relative(phrase.relative, phrase) if phrase.relative else "")


def determiner(phrase: NounPhrase) -> str:
    """The determiner."""
    singular = not phrase.plural and phrase.noun.kind not in MASSES
    match phrase.determiner:
        case "indefinite" | "some":
            return "a" if singular else "some"
        case "any":
            return "a" if singular else "any"
        case "bare" | "none":
            return "a" if singular else ""
        case "this":
            return "these" if phrase.plural else "this"
        case "possessive":
            assert phrase.owner
            return possessive(phrase.owner)
        case "number":
            assert phrase.number
            return phrase.number.english
    return {"definite": "the", "no": "no", "several": "several", "few": "a few", "many": "a lot of"}.get(
        phrase.determiner, ""
    )


def third(word: Pronoun, he: str, she: str, it: str) -> str:
    """The form of a pronoun in the third person singular."""
    return it if not word.human else she if word.feminine else he


def possessive(owner: Pronoun) -> str:
    """my, your, his."""
    return third(owner, "his", "her", "its") if owner.index == 2 else POSSESSIVES[owner.index]


def pronoun(word: Pronoun) -> str:
    """A subject pronoun."""
    return third(word, "he", "she", "it") if word.index == 2 else SUBJECTS[word.index]


def object_pronoun(word: Pronoun) -> str:
    """An object pronoun."""
    return third(word, "him", "her", "it") if word.index == 2 else OBJECTS[word.index]


def relative(clause: Relative, head: NounPhrase) -> str:
    """who sleeps; that you have read."""
    if clause.role == "subject":
        return spell("who" if head.human else "that", predicate(clause.clause))
    return spell("that", subject(clause.clause), predicate(clause.clause))


def subject(clause: Clause) -> str:
    """The subject."""
    return pronoun(clause.subject) if isinstance(clause.subject, Pronoun) else noun_phrase(clause.subject)


def inflect(verb: str, form: str) -> str:
    """A form of a verb (s, ing, past or participle); only the first word of `get up` changes."""
    word, space, rest = verb.partition(" ")
    irregular = tables()["english_verbs"].get(word, "").split()
    if form in ("past", "participle") and irregular:
        word = irregular[form == "participle"]
    elif form == "s":
        word = {"have": "has", "do": "does", "go": "goes"}.get(word) or third_person(word)
    else:
        word = with_suffix(word, "ing" if form == "ing" else "ed")
    return word + space + rest


def third_person(word: str) -> str:
    """he plays, washes, studies."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def with_suffix(word: str, suffix: str) -> str:
    """The stem before -ing and -ed: driving, running, studied."""
    if word.endswith("e") and not word.endswith("ee"):
        word = word[:-1]
    elif suffix == "ed" and word.endswith("y") and word[-2] not in "aeiou":
        word = word[:-1] + "i"
    elif word in DOUBLED:
        word += word[-1]
    return word + suffix


def be(index: int, past: bool = False) -> str:
    """am, are, is; was, were."""
    if past:
        return "was" if index in (0, 2) else "were"
    return ("am", "are", "is", "are", "are", "are")[index]


def have(index: int) -> str:
    """have, has."""
    return "has" if index == 2 else "have"


def verb_group(clause: Clause) -> tuple[str, str]:
    """The auxiliary, or "" where a simple form needs none, and the rest of the verb in the form that follows it."""
    verb, index = clause.verb.english, clause.subject.index
    match clause.helper:
        case "aller":
            return be(index), f"going to {verb}"
        case "venir":
            return have(index), f"just {inflect(verb, 'participle')}"
        case "pouvoir" | "devoir":
            return HELPERS[clause.helper].english, verb
        case "vouloir":
            return "", f"want to {verb}"
    if clause.tense == "future":
        return "will", verb
    if clause.tense == "past" and clause.polarity == "jamais":
        return have(index), inflect(verb, "participle")
    if verb == "be":
        return be(index, past=clause.tense != "present"), ""
    if is_progressive(clause):
        return be(index, past=clause.tense != "present"), inflect(verb, "ing")
    if clause.tense == "imperfect" and clause.habitual and not clause.polarity and not clause.frequency:
        return "used", f"to {verb}"
    return "", verb


def is_progressive(clause: Clause) -> bool:
    """Whether English says that it is going on."""
    if clause.tense == "imperfect":
        return clause.ongoing
    repeated = clause.habitual or clause.frequency or clause.polarity in ("jamais", "plus")
    return clause.tense == "present" and clause.verb.aspect == "action" and not repeated


def predicate(clause: Clause) -> str:
    """Auxiliary, adverbs, verb, object pronoun and complements."""
    auxiliary, verb = verb_group(clause)
    if not auxiliary and clause.polarity == "pas":
        auxiliary = do(clause)
    elif not auxiliary:
        verb = simple(clause, verb)
    words = [auxiliary, ADVERBS[clause.polarity], clause.frequency.english if clause.frequency else "", verb]
    return spell(*words, *after_verb(clause))


def after_verb(clause: Clause) -> list[str]:
    """The object pronoun, with the preposition its verb wants, and the complements."""
    words = []
    if clause.clitic:
        words = [clause.verb.preposition.english if clause.verb.preposition else "", object_pronoun(clause.clitic)]
    return words + [pair.english for pair in clause.complements]


def simple(clause: Clause, verb: str) -> str:
    """A simple present or past."""
    if clause.tense != "present":
        return inflect(verb, "past")
    return inflect(verb, "s") if clause.subject.index == 2 else verb


def do(clause: Clause) -> str:
    """do, does, did."""
    return "did" if clause.tense != "present" else "does" if clause.subject.index == 2 else "do"


def clause(of: Clause) -> str:
    """A whole clause."""
    return spell(subject(of), predicate(of))


def question(of: Clause, opening: str = "") -> str:
    """The clause as a question, after a question word or none: Where does Marie work."""
    auxiliary, verb = verb_group(of)
    frequency = of.frequency.english if of.frequency else ""
    return spell(opening, auxiliary or do(of), subject(of), ADVERBS[of.polarity], frequency, verb, *after_verb(of))


def degree(word: Adjective, suffix: str) -> str:
    """taller, tallest; more expensive, most expensive. suffix: er or est."""
    irregular = tables()["comparatives"].get(word.english)
    if irregular:
        return str(irregular.split()[suffix == "est"])
    text = word.english
    if text.endswith("y") and text != "shy":
        return text[:-1] + "i" + suffix
    if len(text) > 6 or text in ("famous", "patient", "modern", "polite", "huge", "tired", "ill"):
        return ("more " if suffix == "er" else "most ") + text
    if text in ("big", "sad"):
        text += text[-1]
    return text + suffix.removeprefix("e" if text.endswith("e") else "")
