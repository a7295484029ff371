"""A sentence in French: agreement, clitics, negation, elision, contraction."""

from __future__ import annotations

from itertools import pairwise

from nmt_cli.data.demo import conjugation
from nmt_cli.data.demo.syntax import HELPERS, MASSES, Adjective, Clause, NounPhrase, Pronoun, Relative

SUBJECTS = ("je", "tu", "il", "nous", "vous", "ils")
REFLEXIVES = ("me", "te", "se", "nous", "vous", "se")
DIRECT = ("me", "te", "le", "nous", "vous", "les")
INDIRECT = ("me", "te", "lui", "nous", "vous", "leur")
# By owner: masculine, feminine, plural.
POSSESSIVES = ("mon ma mes", "ton ta tes", "son sa ses", "notre notre nos", "votre votre vos", "leur leur leurs")
BEFORE_VOWEL = {
    "beau": "bel", "nouveau": "nouvel", "vieux": "vieil", "ce": "cet", "ma": "mon", "ta": "ton", "sa": "son",
}  # fmt: skip
ELIDED = {"le", "la", "je", "me", "te", "se", "ne", "de", "que"}
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}
TENSES = {"present": conjugation.present, "imperfect": conjugation.imperfect, "future": conjugation.future}


def spell(*parts: str) -> str:
    """Join words: de + le = du, le + ami = l'ami. Stars, which keep words apart, stay for the next time."""
    words = " ".join(parts).split()
    for here in range(len(words) - 1, 0, -1):
        first, second = words[here - 1 : here + 1]
        if first in ELIDED and starts_with_vowel(second):
            words[here - 1 : here + 1] = [f"{first[:-1]}'{second}"]
        elif (first, second) in CONTRACTED:
            words[here - 1 : here + 1] = [CONTRACTED[first, second]]
    return " ".join(words)


def starts_with_vowel(word: str) -> bool:
    """Whether words before it are elided; an h is mute unless a star says otherwise."""
    return word[0].lower() in "aàâeéèêëiîoôuœh"


def agree(masculine: str, feminine: str, of: NounPhrase | Pronoun) -> str:
    """The form of an adjective or participle that goes with a noun or pronoun."""
    form = feminine if of.feminine else masculine
    return pluralize(form) if of.index > 2 else form


def pluralize(word: str) -> str:
    """The plural of a noun or an adjective."""
    if word.endswith(("s", "x", "z")):
        return word
    if word.endswith("al"):
        return word[:-1] + "ux"
    return word + ("x" if word.endswith(("eau", "eu")) and word != "bleu" else "s")


def adjective(word: Adjective, of: NounPhrase | Pronoun) -> str:
    """An adjective that agrees."""
    return agree(word.masculine, word.feminine, of)


def noun_phrase(phrase: NounPhrase) -> str:
    """Determiner, adjectives and noun in the order of French, with what follows them."""
    before = [adjective(word, phrase) for word in phrase.adjectives if word.before]
    after = [adjective(word, phrase) for word in phrase.adjectives if not word.before]
    noun = pluralize(phrase.noun.french) if phrase.plural else phrase.noun.french
    words = [*determiner(phrase, bool(before)).split(), *before, noun, *after]
    for here, (first, second) in enumerate(pairwise(words)):
        if first in BEFORE_VOWEL and starts_with_vowel(second) and here < len(words) - 1 - len(after):
            words[here] = BEFORE_VOWEL[first]
    words += ["de", noun_phrase(phrase.of)] if phrase.of else []
    words += [relative(phrase.relative, phrase)] if phrase.relative else []
    return spell(*words)


def determiner(phrase: NounPhrase, adjective_follows: bool) -> str:
    """The determiner, before elision and contraction."""
    feminine, plural = phrase.feminine, phrase.plural
    article = "les" if plural else "la" if feminine else "le"
    match phrase.determiner:
        case "definite" | "generic":
            return article
        case "indefinite" | "bare" | "some" if plural:
            return "de" if adjective_follows else "des"
        case "some" | "bare" if phrase.noun.kind in MASSES:
            return f"de {article}"
        case "indefinite" | "bare" | "some":
            return "une" if feminine else "un"
        case "any" | "none" | "no":
            return "de"
        case "this":
            return "ces" if plural else "cette" if feminine else "ce"
        case "possessive":
            assert phrase.owner
            return POSSESSIVES[phrase.owner.index].split()[2 if plural else int(feminine)]
        case "number":
            assert phrase.number
            return phrase.number.french + ("e" if feminine and phrase.number.french.endswith(" un") else "")
    return {"name": "", "several": "plusieurs", "few": "quelques", "many": "beaucoup de"}[phrase.determiner]


def relative(clause: Relative, head: NounPhrase) -> str:
    """qui dort; que tu as lu."""
    if clause.role == "subject":
        return spell("qui", predicate(clause.clause))
    return spell("que", subject(clause.clause), predicate(clause.clause, gap=head))


def subject(clause: Clause) -> str:
    """The subject before its verb."""
    return pronoun(clause.subject) if isinstance(clause.subject, Pronoun) else noun_phrase(clause.subject)


def pronoun(word: Pronoun) -> str:
    """A subject pronoun."""
    masculine = SUBJECTS[word.index]
    return masculine.replace("il", "elle") if word.feminine else masculine


def clitics(clause: Clause) -> str:
    """Reflexive and object pronouns."""
    if clause.verb.reflexive:
        return REFLEXIVES[clause.subject.index]
    if clause.clitic is None:
        return ""
    if clause.verb.to or clause.verb.preposition:
        return INDIRECT[clause.clitic.index]
    return "la" if clause.clitic.feminine and clause.clitic.index == 2 else DIRECT[clause.clitic.index]


def predicate(clause: Clause, gap: NounPhrase | None = None, inverted: str = "") -> str:
    """The verb with all that surrounds it. gap: the object that came before; inverted: the pronoun after the verb."""
    infinitive = clause.verb.french.removeprefix("se ")
    if clause.helper:
        finite = conjugation.present(clause.helper)[clause.subject.index]
        rest = [HELPERS[clause.helper].french, clitics(clause), infinitive]
    elif clause.tense == "past":
        auxiliary = "être" if clause.verb.être else "avoir"
        finite, rest = (conjugation.present(auxiliary)[clause.subject.index], [past_participle(clause, gap)])
    else:
        finite, rest = TENSES[clause.tense](infinitive)[clause.subject.index], []
    if inverted:
        link = "-t-" if finite[-1] in "aec" and inverted[0] in "ie" else "-"
        finite += link + inverted
    before = ["ne"] * bool(clause.polarity) + [clitics(clause)] * (not clause.helper)
    after = [clause.polarity, clause.frequency.french if clause.frequency else ""]
    return spell(*before, finite, *after, *rest, *(pair.french for pair in clause.complements))


def past_participle(clause: Clause, gap: NounPhrase | None) -> str:
    """The participle, agreeing with the subject (être) or with a direct object that came before it (avoir)."""
    form = conjugation.participle(clause.verb.french.removeprefix("se "))
    indirect = clause.verb.to or clause.verb.preposition
    preceding = clause.subject if clause.verb.être else gap or (None if indirect else clause.clitic)
    return agree(form, form + "e", preceding) if preceding else form


def clause(of: Clause) -> str:
    """A whole clause."""
    return spell(subject(of), predicate(of))


def question(of: Clause, opening: str = "") -> str:
    """The clause as a question by inversion, after a question word or none: Où Marie travaille-t-elle."""
    if isinstance(of.subject, Pronoun):
        return spell(opening, predicate(of, inverted=pronoun(of.subject)))
    return spell(opening, noun_phrase(of.subject), predicate(of, inverted=pronoun(of.subject.pronoun)))
