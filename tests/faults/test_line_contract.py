"""Line n of what comes out belongs to line n of what went in, whatever the bytes: 0 misaligned of 10,000 inputs.

Inputs are lines made of the bytes that tools disagree on, in files of one to some hundreds of them, and between them
lines of which the translation is known. What a line is, is worked out here once more, in the plainest way: text between
bytes 0x0A.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from nmt_cli.data.store import open_data
from nmt_cli.errors import Exit
from nmt_cli.run.translator import Translator
from tests.faults.nmt import GOLDEN, call

ODD = [
    *(
        character.encode()
        for character in "\u2028\u2029\x85\v\f\x1c\x1d\x1e\t\0 \u200b\ufeff\u00a0\u2581é語👩‍👩‍👧\u202b"
    ),
    *(b"\r", b"\r", b"\xff", b"\xc3", b"\xed\xa0\x80", b"<s>", b"</s>", b"<unk>", b"|||", b'"', b"{"),
]
# Lines that the model of these tests knows by heart.
KNOWN = {"le chat dort ici.": "the cat sleeps here.", "un chien court lentement.": "a dog runs slowly."}
# Inputs, and the power of two that a file has at most of them.
QUICK, ALL = (300, 4), (40_000, 9)


def odd_file(chance: random.Random, largest: int) -> tuple[bytes, list[bytes]]:
    """A file's bytes and its lines: odd ones, blank ones, and known ones in between; some files are all UTF-8."""
    odd = ODD if chance.random() < 0.5 else [piece for piece in ODD if is_utf8(piece)]
    lines = []
    for _ in range(int(2 ** chance.uniform(0, largest))):
        if chance.random() < 0.3:
            lines.append(chance.choice(list(KNOWN)).encode())
        else:
            pieces = [chance.choice(odd) if chance.random() < 0.6 else b"mot " for _ in range(chance.randrange(0, 8))]
            lines.append(b"".join(pieces))
    ends_in_newline = chance.random() < 0.7 or not lines[-1]
    return b"\n".join(lines) + b"\n" * ends_in_newline, lines


def is_utf8(content: bytes) -> bool:
    return content.decode("utf-8", "ignore").encode() == content


def known_places(lines: list[bytes]) -> dict[int, str]:
    """Where known lines are, and which."""
    texts = [line.decode("utf-8", "replace") for line in lines]
    return {place: text for place, text in enumerate(texts) if text in KNOWN}


class Case(NamedTuple):
    """An input of a command."""

    folder: Path  # to work in
    content: bytes
    lines: list[bytes]
    chance: random.Random
    shown: Callable[[], str]  # what has come on stdout


def texts_of(lines: list[bytes]) -> list[str]:
    """Lines as a reader sees them: without the file's byte order mark, NUL and CR as spaces."""
    texts = [line.decode("utf-8", "replace").translate({0: " ", 13: " "}) for line in lines]
    return [texts[0].removeprefix("\ufeff"), *texts[1:]]


def is_alike(one: str, other: str) -> bool:
    """Whether two texts have the same words; U+2581 is how SentencePiece writes a space."""
    return one.replace("\u2581", " ").split() == other.replace("\u2581", " ").split()


def misaligned_by_translate(case: Case) -> int:
    """Known lines have their translation in their place, and blank ones a blank."""
    folder, content, lines, *_ = case
    (folder / "source").write_bytes(content)
    assert call("translate", "MODEL", folder / "source", "-o", folder / "out", "--beam", 1, "-q") == 0
    found = (folder / "out").read_bytes().split(b"\n")
    if len(found) != len(lines) + 1 or found[-1]:
        return len(lines)
    blank = [place for place, line in enumerate(lines) if not line.strip(b" \t\r\0\v\f\x1c\x1d\x1e")]
    wrong = [place for place, text in known_places(lines).items() if found[place].decode() != KNOWN[text]]
    return len(wrong) + sum(bool(found[place]) for place in blank)


def misaligned_by_prepare(case: Case) -> int:
    """Each line that is kept stands beside the number of its place; known ones are kept."""
    folder, content, lines, chance, _ = case
    (folder / "source").write_bytes(content)
    (folder / "target").write_text("".join(f"line {place}\n" for place in range(len(lines))))
    (folder / "valid").write_text("another\n")  # or some of the pairs would be held out, with numbers not learned
    mode, valid = (
        chance.choice(["skip", "replace"]),
        ["--valid-source", folder / "valid", "--valid-target", folder / "valid"],
    )
    arguments = ["-s", folder / "source", "-t", folder / "target", *valid, "--bad-lines", mode, "-q", "--json"]
    code = call("prepare", folder / "data", *arguments, "--set", "data.tokenizer=word", "--set", "data.max_ratio=99")
    assert code in (0, Exit.DATA)
    if code == Exit.DATA:  # nothing but blank lines, or none that is UTF-8
        return len(known_places(lines))
    data = open_data(folder / "data")
    source, target = data.tokenizers()
    kept = {
        int(target.decode(t).split()[1]): source.decode(s)
        for s, t in zip(data.train.sources, data.train.targets, strict=True)
    }
    texts = texts_of(lines)
    return len(known_places(lines).keys() - kept.keys()) + sum(
        not is_alike(text, texts[place]) for place, text in kept.items()
    )


def misaligned_by_eval(case: Case) -> int:
    """Against its own text a file has no edits, unless its lines have moved; one line more or less is refused."""
    folder, _, lines, chance, shown = case
    difference = chance.choice([0, 0, 1, -1])
    numbered = [line + b" %d" % place for place, line in enumerate(lines)]
    (folder / "hypothesis").write_bytes(b"\n".join(numbered) + b"\n")
    reference = [*texts_of(numbered), "more"][: len(lines) + difference]
    (folder / "reference").write_text("".join(f"{line}\n" for line in reference), encoding="utf-8", newline="\n")
    shown()
    code = call("eval", "--hypothesis", folder / "hypothesis", "-r", folder / "reference",
                "--metric", "ter", "--bootstrap", 0, "--json")  # fmt: skip
    if difference or not all(map(is_utf8, lines)):
        return len(lines) * (code != Exit.DATA)
    return len(lines) * (code != 0 or json.loads(shown())["value"] != 0.0)


def misaligned_by_score(case: Case) -> int:
    """A column of scores, a line for each pair; known pairs have the score that they have alone."""
    folder, content, lines, *_ = case
    targets = [KNOWN.get(line.decode("utf-8", "replace"), f"odd {place}") for place, line in enumerate(lines)]
    (folder / "source").write_bytes(content)
    (folder / "target").write_text("".join(f"{line}\n" for line in targets))
    arguments = ["-s", folder / "source", "-t", folder / "target", "-o", folder / "out", "-q"]
    code = call("score", "MODEL", *arguments)
    if not all(map(is_utf8, lines)):
        return len(lines) * (code != Exit.DATA)
    found = (folder / "out").read_text().split("\n")
    if code != 0 or len(found) != len(lines) + 1:
        return len(lines)
    scores = {place: float(found[place].split("\t")[0]) for place in known_places(lines)}
    return sum(abs(scores[place] - KNOWN_SCORES[text]) > 1e-3 for place, text in known_places(lines).items())


# What `nmt translate --scores` gives for lines of which the translation is known.
KNOWN_SCORES = {
    source: float(scored.split("\t")[0])
    for source, scored in zip(
        (GOLDEN / "source.txt").read_text(encoding="utf-8").split("\n")[:-1],
        (GOLDEN / "translations.tsv").read_text(encoding="utf-8").split("\n")[:-1],
        strict=True,
    )
}
COMMANDS = {
    "prepare": misaligned_by_prepare,
    "translate": misaligned_by_translate,
    "eval": misaligned_by_eval,
    "score": misaligned_by_score,
}


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(GOLDEN / "model", "cpu")


@pytest.mark.fault(1, 2, 4, 5, 11, 13, 14, 18)
@pytest.mark.parametrize(("inputs", "largest"), [QUICK, pytest.param(*ALL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_misaligned(command, inputs, largest, tmp_path, monkeypatch, capfd, figure, translator):
    translator.defaults = dataclasses.replace(translator.defaults, precision="float32")  # what is known is in float32
    monkeypatch.setattr(Translator, "load", lambda *_: translator)  # one model, compiled once
    chance, seen, misaligned = random.Random(0), 0, 0
    while seen < inputs:
        content, lines = odd_file(chance, largest)
        misaligned += COMMANDS[command](Case(tmp_path, content, lines, chance, lambda: capfd.readouterr().out))
        seen += len(lines)
        capfd.readouterr()
    if inputs == ALL[0]:
        figure(f"line contract, nmt {command}", f"{misaligned} misaligned of {seen:,} generated lines")
    assert misaligned == 0
