"""The demo corpus on disk: pairs divided into train, valid and test, none of which shares a sentence with another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nmt_cli.data.demo import lexicon
from nmt_cli.data.demo.author import Author
from nmt_cli.data.demo.grammar import sentence
from nmt_cli.data.demo.syntax import Pair

SEED = 1992
TRAIN, VALID, TEST = 10_000, 200, 300
KNOWN = 3  # times a word of a held-out sentence stands in the training part, at least


class Corpus(NamedTuple):
    """The three parts of a corpus."""

    train: tuple[Pair, ...]
    valid: tuple[Pair, ...]
    test: tuple[Pair, ...]


@cache
def make_corpus(seed: int = SEED) -> Corpus:
    """The corpus of a seed, always the same.

    A held-out sentence has no source and no target in common with the training part, but all its words.
    """
    pairs = invent(Author(seed), TRAIN + 3 * (VALID + TEST))
    fixed = list(lexicon.pairs("fixed"))
    kept = [pair for pair in pairs if pair not in fixed]
    train, rest = fixed + kept[: TRAIN - len(fixed)], kept[TRAIN - len(fixed) :]
    known = [frequent_words(pair.french for pair in train), frequent_words(pair.english for pair in train)]
    seen = {text for pair in train for text in pair}
    held_out = []
    for pair in rest:
        words_known = all(set(words(text)) <= side for text, side in zip(pair, known, strict=True))
        if words_known and len(words(pair.french)) > 2 and not seen & set(pair):
            held_out.append(pair)
            seen.update(pair)
    return Corpus(tuple(train), tuple(held_out[:VALID]), tuple(held_out[VALID : VALID + TEST]))


def invent(author: Author, count: int) -> list[Pair]:
    """This many pairs, no French sentence twice."""
    pairs: dict[str, Pair] = {}
    while len(pairs) < count:
        pair = sentence(author)
        pairs.setdefault(pair.french, pair)
    return list(pairs.values())


def frequent_words(texts: Iterable[str]) -> set[str]:
    """The words that stand in these texts often enough to be learned."""
    counts = Counter(word for text in texts for word in words(text))
    return {word for word, count in counts.items() if count >= KNOWN}


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation; l'homme is two."""
    return text.lower().replace("'", "' ").translate(str.maketrans("", "", ".,?!")).split()


def write_corpus(folder: Path) -> Corpus:
    """Write train, valid and test, each with .fr and .en, one sentence a line; returns what was written."""
    corpus = make_corpus()
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in zip(corpus._fields, corpus, strict=True):
        for suffix, texts in zip(("fr", "en"), zip(*pairs, strict=True), strict=True):
            path = folder / f"{name}.{suffix}"
            path.write_text("".join(text + "\n" for text in texts), encoding="utf-8", newline="\n")
    return corpus
