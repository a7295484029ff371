"""The shape of a sentence, the same for both languages: words, noun phrases and clauses without inflection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Pair(NamedTuple):
    """The same words in both languages."""

    french: str
    english: str


@dataclass(frozen=True)
class Noun:
    """A noun, a proper name or a place name."""

    french: str
    english: str
    kind: str
    feminine: bool = False
    english_plural: str = ""

    @property
    def human(self) -> bool:
        return self.kind in HUMANS


KIN = ("family", "parent")
HUMANS = ("person", *KIN, "profession", "name")
MASSES = ("dish", "drink", "subject", "language", "sport")  # not counted


@dataclass(frozen=True)
class Adjective:
    """An adjective. `rank` is its place in the English order of adjectives, from opinion to relation."""

    masculine: str
    feminine: str
    english: str
    of: tuple[str, ...]  # the kinds of noun that can be so
    rank: int
    before: bool  # in French it precedes its noun
    group: str  # of the lexicon

    @property
    def state(self) -> bool:
        """Whether it can only be said with `to be`."""
        return self.group == "state"

    @property
    def seen(self) -> bool:
        """Whether it is no opinion."""
        return self.group in ("use", "shape", "colour", "coat", "nationality")


@dataclass(frozen=True)
class Verb:
    """A verb with what it takes."""

    french: str
    english: str
    who: tuple[str, ...] = HUMANS
    what: tuple[str, ...] = ()
    preposition: Pair | None = None
    aspect: str = "action"  # action, event, state or perception
    some: bool = False
    generic: bool = False
    to: bool = False
    être: bool = False

    @property
    def reflexive(self) -> bool:
        return self.french.startswith("se ")


@dataclass(frozen=True)
class Pronoun:
    """A personal pronoun; person is 1, 2 or 3. In the third person `human` tells he and she from it."""

    person: int
    plural: bool = False
    feminine: bool = False
    human: bool = True

    @property
    def index(self) -> int:
        """Its row in a conjugation table: je tu il nous vous ils."""
        return self.person - 1 + 3 * self.plural


@dataclass(frozen=True)
class NounPhrase:
    """A noun with its determiner (see the list below) and adjectives, and what specifies it."""

    noun: Noun
    determiner: str = "definite"
    plural: bool = False
    adjectives: tuple[Adjective, ...] = ()
    owner: Pronoun | None = None  # of a possessive determiner
    number: Pair | None = None
    of: NounPhrase | None = None  # the neighbour's garden
    relative: Relative | None = None

    @property
    def feminine(self) -> bool:
        return self.noun.feminine

    @property
    def human(self) -> bool:
        return self.noun.human

    @property
    def index(self) -> int:
        """Its row in a conjugation table."""
        return 5 if self.plural else 2

    @property
    def pronoun(self) -> Pronoun:
        """The pronoun that stands for it."""
        return Pronoun(3, self.plural, self.feminine, self.human)


# Determiners, French = English. How they look depends on gender, number and the next letter.
#   name        nothing = nothing            definite    le, la, les = the       this        ce = this
#   indefinite  un, une, des = a, some       some        du, de la = some        bare        du, de la, des = nothing
#   any         de = a, any                  none        de = nothing            no          de = no
#   generic     le, la, les = nothing        possessive  mon = my                number      deux = two
#   several     plusieurs = several          few         quelques = a few        many        beaucoup de = a lot of


@dataclass(frozen=True)
class Clause:
    """Who does what. Complements come after the verb, in the same order in both languages."""

    subject: NounPhrase | Pronoun
    verb: Verb
    tense: str = "present"  # present, past (passé composé), imperfect, future
    polarity: str = ""  # pas, jamais, plus
    helper: str = ""  # a key of HELPERS: the verb is its infinitive
    clitic: Pronoun | None = None  # before the French verb, after the English one
    frequency: Pair | None = None
    complements: tuple[Pair, ...] = ()
    habitual: bool = False  # what happens again and again has no progressive
    ongoing: bool = False  # an imperfect that is "was doing", not "used to do"


# Verbs that take an infinitive, with the words between.
HELPERS = {
    "aller": Pair("", "going to"),
    "venir": Pair("de", "just"),
    "vouloir": Pair("", "want to"),
    "pouvoir": Pair("", "can"),
    "devoir": Pair("", "must"),
}


@dataclass(frozen=True)
class Relative:
    """A relative clause, whose noun is its subject (the dog that sleeps) or its object (the book that you read)."""

    clause: Clause  # with the noun phrase itself as subject, or none as object
    role: str  # subject or object
