"""What makes sense with what."""

from __future__ import annotations

from nmt_cli.data.demo import lexicon
from nmt_cli.data.demo.syntax import HUMANS, KIN, Adjective, Clause, Noun, NounPhrase, Pronoun, Verb

# Kinds of objects to which one does something again and again.
DAILY = {*HUMANS, "food", "dish", "drink", "text", "language", "subject", "sport", "instrument", "venue"}


def is_daily(verb: Verb) -> bool:
    """Whether one does it again and again."""
    return not verb.what or bool(DAILY & set(verb.what))


def attributes(noun: Noun) -> list[Adjective]:
    """The adjectives that can stand beside the noun; a state can only be said of it."""
    fitting = [word for word in lexicon.adjectives() if noun.kind in word.of and not word.state]
    return [] if noun.kind in KIN else fitting


def said_of(subject: NounPhrase | Pronoun) -> list[Adjective]:
    """The adjectives that can be said of it with `to be`."""
    kind = "person" if isinstance(subject, Pronoun) or subject.human else subject.noun.kind
    said = [word for word in lexicon.adjectives() if kind in word.of]
    return [word for word in said if not word.before or word.english in ("small", "big", "young", "new")]


def owner_by(clause: Clause) -> Pronoun | None:
    """Whose a possessive in the object is: the subject's, so that son is clearly his or hers; else a speaker's."""
    subject = clause.subject
    if isinstance(subject, Pronoun):
        return subject
    return subject.pronoun if subject.human else None
