"""French verb forms, from rules for the regular verbs and a table for the others."""

from __future__ import annotations

from functools import cache

from nmt_cli.data.demo.lexicon import tables

ENDINGS = {  # group: six endings of the present
    "er": "e es e ons ez ent",
    "ir": "is is it issons issez issent",
    "re": "s s - ons ez ent",
}
IMPERFECT = ("ais", "ais", "ait", "ions", "iez", "aient")
FUTURE = ("ai", "as", "a", "ons", "ez", "ont")


@cache
def present(infinitive: str) -> tuple[str, ...]:
    """je, tu, il, nous, vous, ils."""
    irregular = tables()["conjugations"].get(infinitive)
    if irregular:
        return tuple(irregular[0].split())
    stem, endings = (infinitive[:-2], ENDINGS[infinitive[-2:]].replace("-", "").split(" "))
    return tuple(soften(stem, ending) + ending for ending in endings)


@cache
def imperfect(infinitive: str) -> tuple[str, ...]:
    """je, tu, il, nous, vous, ils: the stem of `nous` with endings of its own, but for être."""
    if infinitive == "être":
        return tuple("ét" + ending for ending in IMPERFECT)
    stem = present(infinitive)[3].removesuffix("ons")
    if infinitive.endswith("er") and stem != "all":
        stem = infinitive[:-2] if infinitive[-4:-2] not in ("oy", "ay") else stem
        return tuple(soften(stem, ending) + ending for ending in IMPERFECT)
    return tuple(stem + ending for ending in IMPERFECT)


@cache
def future(infinitive: str) -> tuple[str, ...]:
    """je, tu, il, nous, vous, ils."""
    irregular = tables()["conjugations"].get(infinitive)
    stem = irregular[2] if irregular else infinitive.removesuffix("e")
    return tuple(stem + ending for ending in FUTURE)


@cache
def participle(infinitive: str) -> str:
    """The past participle, masculine singular."""
    irregular = tables()["conjugations"].get(infinitive)
    if irregular:
        return str(irregular[1])
    return infinitive[:-2] + {"er": "é", "ir": "i", "re": "u"}[infinitive[-2:]]


def soften(stem: str, ending: str) -> str:
    """Keep the sound of g and c before a and o: nous mangeons, il commençait."""
    if ending[:1] not in ("a", "o"):
        return stem
    if stem.endswith("g"):
        return stem + "e"
    return stem[:-1] + "ç" if stem.endswith("c") else stem
