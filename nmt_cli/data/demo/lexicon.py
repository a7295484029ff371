"""The words of the demo corpus, read from lexicon.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any

from nmt_cli.data.demo.syntax import HUMANS, Adjective, Noun, Pair, Verb


@cache
def tables() -> dict[str, Any]:
    """lexicon.toml as it is."""
    text = resources.files("nmt_cli.data.demo").joinpath("lexicon.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def pairs(*path: str) -> tuple[Pair, ...]:
    """A table of French = English."""
    table = tables()
    for name in path:
        table = table[name]
    return tuple(Pair(french, english) for french, english in table.items())


@cache
def nouns() -> tuple[Noun, ...]:
    """Every common noun, place and given name."""
    plurals = tables()["english_plurals"]
    common = [
        Noun(french, english, kind, gender == "f", plurals.get(english, ""))
        for kind, genders in tables()["nouns"].items()
        for gender, words in genders.items()
        for french, english in words.items()
    ]
    names = [Noun(name, name, "name", gender == "f") for gender, words in tables()["names"].items() for name in words]
    places = [Noun(*pair, "city") for pair in pairs("cities")] + [Noun(*pair, "country") for pair in pairs("countries")]
    return tuple(common + names + places)


@cache
def nouns_of(kinds: tuple[str, ...]) -> tuple[Noun, ...]:
    """The nouns of these kinds."""
    return tuple(noun for noun in nouns() if noun.kind in expand(kinds))


@cache
def adjectives() -> tuple[Adjective, ...]:
    """Every adjective, once for each of its meanings."""
    return tuple(
        Adjective(masculine, feminine, english, tuple(group["of"]), rank, group.get("before", False), name)
        for rank, (name, group) in enumerate(tables()["adjectives"].items())
        for french, english in group["words"].items()
        for masculine, feminine in [french.split()]
    )


@cache
def verbs() -> tuple[Verb, ...]:
    """Every verb; what stands in parentheses after it tells apart two that are written alike."""
    return tuple(read_verb(french, dict(entry)) for french, entry in tables()["verbs"].items())


def read_verb(french: str, entry: dict[str, Any]) -> Verb:
    """One line of the table of verbs."""
    entry["who"] = expand(entry.get("who", ("human",)))
    entry["what"] = expand(entry.get("what", ()))
    if "preposition" in entry:
        entry["preposition"] = Pair(*entry["preposition"])
    return Verb(french.partition(" (")[0], **entry)


def verb(french: str) -> Verb:
    """The first verb written so."""
    return next(verb for verb in verbs() if verb.french == french)


def expand(kinds: Iterable[str]) -> tuple[str, ...]:
    """Kinds of noun, with `human` spelled out."""
    return tuple(kind for name in kinds for kind in (HUMANS if name == "human" else (name,)))
