"""The author of the demo corpus: puts words together that make sense together."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from nmt_cli.data.demo import french, lexicon
from nmt_cli.data.demo.sense import attributes, is_daily, owner_by
from nmt_cli.data.demo.syntax import (
    HELPERS,
    HUMANS,
    KIN,
    MASSES,
    Adjective,
    Clause,
    Noun,
    NounPhrase,
    Pair,
    Pronoun,
    Verb,
)
from nmt_cli.data.demo.writing import phrase_pair

Choice = TypeVar("Choice")

# How often each tense (or helper, whose tense is the present) is used, by the aspect of the verb.
TENSES: dict[str, dict[str, int]] = {
    "action": {
        "present": 9, "past": 7, "imperfect": 3, "future": 3,
        "aller": 2, "venir": 1, "vouloir": 2, "pouvoir": 1, "devoir": 1,
    },
    "event": {"present": 3, "past": 8, "future": 4, "aller": 3, "venir": 1},
    "perception": {"present": 6, "past": 5, "future": 2, "pouvoir": 2, "vouloir": 1},
    "state": {"present": 6, "imperfect": 2, "future": 1},
}  # fmt: skip
POLARITIES = {"": 14, "pas": 4, "jamais": 1, "plus": 1}
PRONOUNS = tuple(
    Pronoun(person, plural, feminine) for person in (1, 2, 3) for plural in (False, True) for feminine in (False, True)
)
SPEAKERS = tuple(pronoun for pronoun in PRONOUNS if pronoun.person < 3)
QUANTITIES = ("number", "several", "few", "many")
COUNTED = {"definite": 5, "indefinite": 5, "this": 2, "possessive": 2, "number": 2, "several": 1, "few": 1, "many": 1}


class Author:
    """Chooses words and phrases; the same seed makes the same choices."""

    def __init__(self, seed: int) -> None:
        # random() is the one method whose numbers Python promises never to change.
        self.random = random.Random(seed).random  # noqa: S311 (no secrets here)
        self.used: Counter[object] = Counter()

    def chance(self, probability: float) -> bool:
        """True this often."""
        return self.random() < probability

    def any(self, choices: Sequence[Choice]) -> Choice:
        """One of these; of two drawn the one less used so far, so that every word gets its turn."""
        drawn = [choices[int(self.random() * len(choices))] for _ in range(2)]
        chosen = min(drawn, key=lambda choice: self.used[choice])
        self.used[chosen] += 1
        return chosen

    def weighted(self, weights: dict[str, int]) -> str:
        """One of the keys, as often as its weight says."""
        point = self.random() * sum(weights.values())
        for choice, weight in weights.items():
            point -= weight
            if point < 0:
                return choice
        raise AssertionError("weights are positive")

    # Noun phrases

    def noun(self, kinds: tuple[str, ...]) -> Noun:
        """A noun of one of these kinds; each kind is as likely as the others."""
        return self.any(lexicon.nouns_of((self.any(kinds),)))

    def noun_phrase(self, noun: Noun, determiners: dict[str, int], owner: Pronoun | None = None) -> NounPhrase:
        """The noun with a determiner it can have; owner: of a possessive, else somebody who speaks."""
        if noun.kind in ("name", "city", "country"):
            return NounPhrase(noun, "name")
        if noun.kind in ("sky", "instrument"):
            return NounPhrase(noun)
        determiner = "possessive" if noun.kind in KIN else self.weighted(determiners)
        if noun.kind in MASSES and determiner in ("indefinite", *QUANTITIES):
            determiner = "some"
        phrase = NounPhrase(noun, determiner, adjectives=self.adjectives(noun))
        if determiner in QUANTITIES or (noun.kind not in (*MASSES, "parent") and self.chance(0.25)):
            phrase = replace(phrase, plural=True)
        if determiner == "number":
            numbers = lexicon.pairs("numbers")
            return replace(phrase, number=self.any(numbers[:9] if self.chance(0.6) else numbers))
        return replace(phrase, owner=owner or self.any(SPEAKERS)) if determiner == "possessive" else phrase

    def adjectives(self, noun: Noun, often: float = 0.3) -> tuple[Adjective, ...]:
        """No adjective, one, or one before the noun and one after it."""
        fitting = attributes(noun)
        if not fitting or not self.chance(often):
            return ()
        first = self.any(fitting)
        # Two opinions of one thing sound odd; what is seen of it goes with anything.
        others = [word for word in fitting if word.before != first.before and (word.seen or first.seen)]
        return (first, self.any(others)) if others and self.chance(0.3) else (first,)

    def person(self, owner: Pronoun | None = None) -> NounPhrase:
        """Somebody; owner: whose relatives or friends it may be."""
        return self.noun_phrase(self.noun(HUMANS), {"definite": 6, "this": 1}, owner)

    def place(self) -> Pair:
        """Where something happens: dans le jardin."""
        noun = self.noun(("room", "area"))
        phrase = NounPhrase(noun, "this" if self.chance(0.1) else "definite")
        return phrase_pair(phrase, "dans", "on" if noun.english == "farm" else "in")

    def subject(self, verb: Verb) -> NounPhrase | Pronoun:
        """Somebody, or some animal, that can do it."""
        if "animal" in verb.who and self.chance(0.3):
            return self.noun_phrase(self.noun(("animal",)), {"definite": 6, "this": 1, "number": 1})
        return self.any(PRONOUNS) if self.chance(0.5) else self.person()

    # Clauses

    def clause(
        self,
        verb: Verb | None = None,
        tense: str = "",
        subject: NounPhrase | Pronoun | None = None,
        plain: bool = False,
    ) -> Clause:
        """Somebody does something, at some time perhaps; plain: neither negated nor timed."""
        verb = verb or self.any(lexicon.verbs())
        tense = tense or self.weighted(TENSES[verb.aspect])
        if verb.aspect == "event" and tense == "present" and (plain or not is_daily(verb)):
            tense = "past"
        if tense == verb.french:  # nobody says "is going to go"
            tense = "future"
        helper = tense if tense in HELPERS else ""
        clause = Clause(subject or self.subject(verb), verb, "present" if helper else tense, helper=helper)
        if plain:
            return self.completed(replace(clause, ongoing=verb.aspect == "action"))
        polarity = self.weighted(POLARITIES)
        odd = (clause.tense == "past" and polarity == "plus") or (verb.aspect == "state" and polarity == "jamais")
        if helper != "venir" and not odd:
            clause = replace(clause, polarity=polarity)
        return self.completed(self.timed(clause))

    def verb(self, aspects: Sequence[str], what: Sequence[str] | None = None) -> Verb:
        """A verb of these aspects; what: kinds of objects it can take, directly ((): it takes none)."""
        verbs = [verb for verb in lexicon.verbs() if verb.aspect in aspects]
        if what is not None:
            verbs = [verb for verb in verbs if (set(verb.what) & set(what) if what else not verb.what)]
            verbs = [verb for verb in verbs if not (verb.preposition or verb.generic or verb.to)]
        return self.any(verbs)

    def timed(self, clause: Clause) -> Clause:
        """The clause with how often or when it happens, where that makes sense; times come last."""
        verb, tense = clause.verb, clause.helper or clause.tense
        if verb.aspect in ("state", "perception") or clause.polarity in ("jamais", "plus") or tense == "venir":
            return clause
        if tense in ("present", "imperfect") and is_daily(verb) and (verb.aspect == "event" or self.chance(0.35)):
            if self.chance(0.4) and clause.polarity == "":
                return replace(clause, frequency=self.any(lexicon.pairs("frequency")), habitual=True)
            if clause.polarity == "" or tense == "present":
                return replace(clause, complements=(self.habit(),), habitual=True)
        clause = replace(clause, ongoing=tense == "imperfect")
        times = {"present": "present", "past": "past", "future": "future", "aller": "future"}.get(tense)
        if times and self.chance(0.3):
            return replace(clause, complements=(self.time(times),))
        return clause

    def habit(self) -> Pair:
        """When something happens again and again."""
        day = self.any(lexicon.pairs("days"))
        habits = [
            Pair(f"le {day.french}", f"on {day.english}s"),
            self.hour(),
            self.any(lexicon.pairs("times", "habit")),
        ]
        return self.any(habits)

    def hour(self) -> Pair:
        """A time of day, of the twelve hours."""
        hour = self.any(lexicon.pairs("numbers")[:10])
        if self.chance(0.2):
            return Pair(f"à {hour.french} heures et demie", f"at half past {hour.english}")
        return self.any([Pair(f"à {hour.french} heures", f"at {hour.english} o'clock"), Pair("à midi", "at noon")])

    def time(self, tense: str) -> Pair:
        """A moment in the past, present or future."""
        day, times = self.any(lexicon.pairs("days")), lexicon.pairs("times", tense)
        count = self.any(lexicon.pairs("numbers")[:9])
        if tense == "past" and self.chance(0.3):
            return self.any([
                Pair(f"il y a {count.french} jours", f"{count.english} days ago"),
                Pair(f"{day.french} dernier", f"last {day.english}"),
            ])  # fmt: skip
        if tense == "future" and self.chance(0.3):
            return self.any([
                Pair(f"dans {count.french} jours", f"in {count.english} days"),
                Pair(f"{day.french} prochain", f"next {day.english}"),
            ])  # fmt: skip
        return self.any(times)

    def completed(self, clause: Clause) -> Clause:
        """The clause with an object before its time, or with manner or place."""
        verb = clause.verb
        if not verb.what:
            extra = [self.place()] if verb.aspect == "action" and self.chance(0.4) else []
            return replace(clause, complements=(*extra, *clause.complements))
        if self.chance(0.2) and (clitic := self.clitic(clause)):
            given = [self.object(clause)] if verb.to else []
            return replace(clause, clitic=clitic, complements=(*given, *clause.complements))
        objects = [self.object(clause)]
        if verb.to:
            objects.append(phrase_pair(self.person(owner_by(clause)), "à", "to"))
        return replace(clause, complements=(*objects, *clause.complements))

    def object(self, clause: Clause) -> Pair:
        """What the verb is done to, with the verb's preposition."""
        preposition = clause.verb.preposition or Pair("", "")
        phrase = self.object_phrase(clause)
        # The French name of a country comes with a preposition of its own: en France, au Japon.
        return phrase_pair(phrase, "" if phrase.noun.kind == "country" else preposition.french, preposition.english)

    def object_phrase(self, clause: Clause) -> NounPhrase:
        """The object: of a kind that the verb takes, with a determiner that suits its negation and its time."""
        verb, noun = clause.verb, self.noun(clause.verb.what)
        if verb.generic:
            return NounPhrase(noun, "generic", plural=noun.kind not in MASSES)
        owner = owner_by(clause)
        if noun.human or noun.kind == "instrument" or verb.preposition:
            determiners = {"definite": 5, "this": 1}
        elif noun.kind in MASSES or verb.some:
            determiners = self.partitives(clause)
        elif clause.polarity or clause.habitual:
            determiners = {"definite": 4, "this": 1, "possessive": 2}
        else:
            determiners = COUNTED
        if verb.french == "avoir":
            determiners = {key: weight for key, weight in determiners.items() if key not in ("definite", "this")}
        return self.noun_phrase(noun, determiners, owner)

    def partitives(self, clause: Clause) -> dict[str, int]:
        """The determiners of what one can have some of."""
        if clause.verb.french not in ("manger", "boire", "acheter", "vendre", "avoir", "vouloir", "préparer"):
            return {"definite": 1, "this": 1}
        some = {"": "some", "pas": "any"}.get(clause.polarity, "none")
        if clause.habitual and some == "some":
            return {"bare": 1}
        return {some: 3, "definite": 1} if clause.polarity else {**COUNTED, "possessive": 0, "some": 2}

    def clitic(self, clause: Clause) -> Pronoun | None:
        """A pronoun as object, where its English can be told from the French sentence alone."""
        verb, subject = clause.verb, clause.subject
        personal, impersonal = (set(verb.what) & set(HUMANS) or verb.to, set(verb.what) - set(HUMANS))
        if verb.generic or clause.helper == "venir" or (verb.preposition and not personal):
            return None
        word = self.any(PRONOUNS)
        if word.person < 3:
            same = (word.person == 1 and subject.index in (0, 3)) or (word.person == 2 and subject.index in (1, 4))
            return None if same or not personal else word
        if personal and not verb.to and impersonal:
            return word if word.plural else None
        if personal and (verb.to or verb.preposition):
            return word if word.plural else None
        # l'invite may be him or her, unless a participle tells: l'a invitée.
        elided = french.starts_with_vowel(verb.french) and clause.tense != "past"
        return replace(word, human=bool(personal)) if word.plural or not (personal and elided) else None
