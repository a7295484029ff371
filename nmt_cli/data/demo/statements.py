"""Statements about what is, what there is and what somebody does."""

from __future__ import annotations

from dataclasses import replace

from nmt_cli.data.demo import english, french, lexicon
from nmt_cli.data.demo.author import PRONOUNS, Author
from nmt_cli.data.demo.sense import said_of
from nmt_cli.data.demo.syntax import HUMANS, MASSES, Clause, NounPhrase, Pair, Pronoun, Relative
from nmt_cli.data.demo.writing import BE, FEEL, alone, clause_pair, comma, joined, phrase_pair, so, spoken

SEEN = ("home", "area", "vehicle", "animal", "clothing", "furniture", "text", "food")
COMPARED = ("name", "family", "parent", "animal", "vehicle", "clothing", "furniture", "home")
COMPARABLE = {
    "tall", "big", "small", "old", "rich", "poor", "heavy", "light", "expensive", "modern", "kind", "patient", "brave",
    "intelligent", "serious", "shy", "polite", "lazy", "happy", "sad", "tired", "funny", "dirty", "practical",
}  # fmt: skip
ABSOLUTE = {"delicious", "excellent", "magnificent", "alone", "absent", "square", "round", "new"}  # not "very new"
REASONS = ("happy", "tired", "ill", "sad", "worried")
KITCHEN = ("food", "drink", "dish")
SUPERLATIVES = ("big", "small", "beautiful", "pretty", "old")


def act(author: Author) -> Pair:
    """Somebody does something."""
    return spoken(clause_pair(author.clause()))


def act_together(author: Author) -> Pair:
    """Two that act in one sentence, too long to be kept in mind as a whole."""
    return spoken(joined(clause_pair(author.clause()), Pair("et", "and"), clause_pair(author.clause())))


def be_so(author: Author) -> Pair:
    """Somebody or something is so."""
    subject: NounPhrase | Pronoun
    if author.chance(0.6):
        subject = author.any(PRONOUNS) if author.chance(0.5) else plain(author.person())
    else:
        determiners = {"definite": 4, "this": 2, "possessive": 2}
        subject = plain(author.noun_phrase(author.noun(SEEN), determiners))
    word = author.any(said_of(subject))
    degrees = [Pair("", ""), Pair("", ""), Pair("très", "very"), Pair("trop", "too")]
    polarity = author.weighted({"": 5, "pas": 2, "plus": 2 * word.state, "jamais": word.state})
    absolute = word.english in ABSOLUTE or word.group in ("colour", "coat", "nationality")
    degree = author.any(degrees[:1] if absolute or polarity in ("plus", "jamais") else degrees)
    tense = author.weighted({"present": 6, "imperfect": 3, "future": 1})
    return spoken(clause_pair(Clause(subject, BE, tense, polarity, complements=(so(word, subject, degree),))))


def plain(phrase: NounPhrase) -> NounPhrase:
    """Without its adjectives."""
    return replace(phrase, adjectives=())


def be_profession(author: Author) -> Pair:
    """I am a student: French has no article."""
    subject: NounPhrase | Pronoun = author.any(PRONOUNS)
    if author.chance(0.4):
        subject = author.noun_phrase(author.noun(("name", "family", "parent")), {"possessive": 1})
    jobs = [noun for noun in lexicon.nouns_of(("profession",)) if noun.feminine == subject.feminine]
    job = NounPhrase(author.any(jobs), "name", plural=subject.index > 2)
    article = "" if job.plural else "a"
    polarity = author.weighted({"": 5, "pas": 2, "plus": 1})
    tense = author.weighted({"present": 6, "imperfect": 2})
    return spoken(clause_pair(Clause(subject, BE, tense, polarity, complements=(phrase_pair(job, "", article),))))


def feel(author: Author) -> Pair:
    """Avoir faim is to be hungry, avoir vingt ans to be twenty years old."""
    subject = author.any(PRONOUNS) if author.chance(0.6) else plain(author.person())
    feeling = author.any(lexicon.pairs("feelings"))
    polarity = author.weighted({"": 5, "pas": 3, "jamais": 1, "plus": 1})
    if author.chance(0.3):
        number = author.any(lexicon.pairs("numbers"))
        feeling, polarity = (Pair(f"{number.french} ans", f"{number.english} years old"), "")
    tense = author.weighted({"present": 5, "imperfect": 2})
    return spoken(clause_pair(Clause(subject, FEEL, tense, polarity, complements=(feeling,))))


def compare(author: Author) -> Pair:
    """Taller than, as big as, not as big as."""
    kind = author.any(COMPARED)
    determiners = {"definite": 1} if kind == "animal" else {"possessive": 2, "this": 1, "definite": 1}
    subject = plain(author.noun_phrase(author.noun((kind,)), determiners))
    others = [noun for noun in lexicon.nouns_of((kind,)) if noun != subject.noun]
    other = plain(author.noun_phrase(author.any(others), determiners))
    word = author.any([word for word in said_of(subject) if word.english in COMPARABLE])
    form = french.adjective(word, subject)
    as_much = Pair(f"aussi {form} que", f"as {word.english} as")
    more = Pair(f"plus {form} que", f"{english.degree(word, 'er')} than")
    how, polarity = (more, "") if author.chance(0.5) else (as_much, author.weighted({"": 1, "pas": 1}))
    tense = author.weighted({"present": 5, "imperfect": 1})
    return spoken(clause_pair(Clause(subject, BE, tense, polarity, complements=(joined(how, phrase_pair(other)),))))


def be_best(author: Author) -> Pair:
    """The biggest house in the city."""
    noun = author.noun(("home", "monument", "venue"))
    words = [word for word in lexicon.adjectives() if word.before and noun.kind in word.of]
    word = author.any([word for word in words if word.english in SUPERLATIVES])
    areas = [noun for noun in lexicon.nouns_of(("area",)) if noun.english in ("city", "village", "street")]
    article, form = ("la", word.feminine) if noun.feminine else ("le", word.masculine)
    best = Pair(f"c'est {article} plus {form} {noun.french}", f"it is the {english.degree(word, 'est')} {noun.english}")
    return spoken(joined(best, phrase_pair(NounPhrase(author.any(areas)), "de", "in")))


def there_is(author: Author) -> Pair:
    """Il y a."""
    noun = author.noun(("animal", "person", "thing", "food", "drink", "dish", "profession"))
    negated, past = author.chance(0.3), author.chance(0.3)
    phrase = author.noun_phrase(noun, {"number": 3, "indefinite": 3, "several": 1, "few": 1, "many": 2})
    if negated:
        phrase = NounPhrase(noun, "no", plural=noun.kind not in MASSES)
    having = "y avait" if past else "y a"
    there = Pair(f"il n'{having} pas" if negated else f"il {having}", f"there {english.be(phrase.index, past)}")
    inside = Pair("dans la cuisine", "in the kitchen") if noun.kind in KITCHEN else author.place()
    at_home = noun.kind == "thing" or noun.kind in KITCHEN
    where = on_furniture(author, noun.kind) if at_home and author.chance(0.5) else inside
    return spoken(joined(there, phrase_pair(phrase), where))


def on_furniture(author: Author, kind: str) -> Pair:
    """On the table, which is the place for what one eats."""
    tops = ("table",) if kind in KITCHEN else ("table", "chair", "desk", "bed", "carpet")
    noun = author.any([noun for noun in lexicon.nouns_of(("furniture",)) if noun.english in tops])
    return phrase_pair(NounPhrase(noun), "sur", "on")


def who_does(author: Author) -> Pair:
    """I know the girl who is singing. The man who is singing is tall."""
    head = NounPhrase(author.noun(("person", "profession")))
    tense = author.weighted({"present": 3, "past": 2})
    head = replace(head, relative=Relative(author.clause(author.verb(("action",)), tense, head, plain=True), "subject"))
    if author.chance(0.4):
        return spoken(clause_pair(Clause(head, BE, complements=(so(author.any(said_of(head)), head),))))
    finding = lexicon.verb(author.any(("connaître", "chercher", "rencontrer", "voir")))
    tense = "past" if finding.aspect == "event" else "present"
    subject = author.any(PRONOUNS)
    return spoken(clause_pair(Clause(subject, finding, tense, complements=(phrase_pair(head),))))


def what_is_done(author: Author) -> Pair:
    """The book that you are reading is interesting."""
    verb = author.verb(("action", "event", "perception"), SEEN)
    noun = author.noun(tuple(kind for kind in verb.what if kind in SEEN))
    head = NounPhrase(noun, plural=author.chance(0.25))
    subject = author.any(PRONOUNS) if author.chance(0.7) else plain(author.person())
    tense = "past" if verb.aspect == "event" else author.weighted({"present": 1, "past": 2})
    head = replace(head, relative=Relative(Clause(subject, verb, tense), "object"))
    if author.chance(0.3):
        return spoken(joined(Pair("voici", f"here {english.be(head.index)}"), phrase_pair(head)))
    return spoken(clause_pair(Clause(head, BE, complements=(so(author.any(said_of(head)), head),))))


def when(author: Author) -> Pair:
    """When I arrived, she was sleeping."""
    event = author.clause(author.verb(("event",), ()), "past", plain=True)
    action = author.clause(author.verb(("action",)), "imperfect", plain=True)
    return spoken(joined(Pair("quand", "when"), comma(clause_pair(event)), clause_pair(action)))


def because(author: Author) -> Pair:
    """He is sleeping because he is tired."""
    tense = author.weighted({"present": 1, "past": 1})
    clause = author.clause(author.verb(("action",), ()), tense, plain=True)
    clause = replace(clause, polarity=author.weighted({"": 2, "pas": 1}))
    who = clause.subject if isinstance(clause.subject, Pronoun) else clause.subject.pronoun
    tense = "present" if tense == "present" else "imperfect"
    reason = Clause(who, FEEL, tense, complements=(author.any(lexicon.pairs("feelings")[:5]),))
    if who.human and author.chance(0.5):
        reasons = REASONS[1:] if clause.polarity else REASONS
        word = author.any([word for word in said_of(who) if word.english in reasons])
        reason = Clause(who, BE, tense, complements=(so(word, who),))
    return spoken(joined(clause_pair(clause), Pair("parce que", "because"), clause_pair(reason)))


def while_others(author: Author) -> Pair:
    """Paul is working and Marie is sleeping; Paul is working, but Marie is not sleeping."""
    tense = author.weighted({"present": 3, "past": 2, "future": 1})
    first = author.clause(author.verb(("action",)), tense, plain=True)
    second = replace(author.clause(author.verb(("action",), ()), tense, plain=True), complements=())
    if first.subject.index == second.subject.index:
        return while_others(author)
    if author.chance(0.5):
        return spoken(joined(clause_pair(first), Pair("et", "and"), clause_pair(second)))
    but = clause_pair(replace(second, polarity="pas"))
    return spoken(joined(comma(clause_pair(first)), Pair("mais", "but"), but))


def here_is(author: Author) -> Pair:
    """Here is Marie. I often talk to her: what the pronoun stands for is said before."""
    who = plain(author.person())
    verb = author.verb(("action", "event", "state"))
    while not set(HUMANS) & set(verb.what):
        verb = author.verb(("action", "event", "state"))
    subject = author.any([word for word in PRONOUNS if word.person < 3])
    tense = "past" if verb.aspect == "event" else "present"
    clause = Clause(subject, verb, tense, clitic=who.pronoun)
    here = joined(Pair("voici", f"here {english.be(who.index)}"), phrase_pair(who))
    return Pair(*(" ".join(both) for both in zip(spoken(here), spoken(clause_pair(clause)), strict=True)))


def belong(author: Author) -> Pair:
    """It is my brother's book."""
    owner = plain(author.noun_phrase(author.noun(HUMANS), {"definite": 1}))
    noun = author.noun(("text", "thing", "vehicle", "clothing", "home", "animal", "furniture"))
    thing = NounPhrase(noun, "definite", author.chance(0.25), author.adjectives(noun), of=owner)
    this = Pair("ce sont", "these are") if thing.plural else Pair("c'est", "it is")
    return spoken(joined(this, phrase_pair(thing)))


def phrase_alone(author: Author) -> Pair:
    """A small white house: no sentence, no full stop."""
    noun = author.noun(
        ("home", "vehicle", "animal", "clothing", "furniture", "thing", "text", "dish", "person", "venue")
    )
    phrase = author.noun_phrase(noun, {"definite": 3, "indefinite": 4, "this": 1, "possessive": 1, "number": 2})
    return alone(phrase_pair(replace(phrase, adjectives=author.adjectives(noun, often=0.9))))


def tell_time(author: Author) -> Pair:
    """It is eight o'clock; today is Monday."""
    hour, day = (author.any(lexicon.pairs("numbers")[:10]), author.any(lexicon.pairs("days")))
    if author.chance(0.3):
        return spoken(Pair(f"nous sommes {day.french}", f"today is {day.english}"))
    if author.chance(0.5):
        return spoken(joined(Pair("il est", "it is"), Pair(f"{hour.french} heures", f"{hour.english} o'clock")))
    return spoken(joined(Pair("il est", "it is"), Pair(f"{hour.french} heures et demie", f"half past {hour.english}")))
