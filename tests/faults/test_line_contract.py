"""Line n of what comes out belongs to line n of what went in, whatever the bytes: 0 misaligned of 10,000 inputs.

Inputs are files of a few lines made of the bytes that tools disagree on. What a line is, is worked out here once more,
in the plainest way: text between bytes 0x0A.
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest

from nmt_cli import commands
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
QUICK, ALL = 60, 10_000
COMMAND_FILES = Path(commands.__file__).parent


def odd_file(chance: random.Random) -> tuple[bytes, list[bytes]]:
    """A file's bytes and its lines: odd ones, blank ones, and known ones in between."""
    lines = []
    for _ in range(chance.randrange(1, 7)):
        kind = chance.random()
        if kind < 0.3:
            lines.append(chance.choice(list(KNOWN)).encode())
        else:
            pieces = [chance.choice(ODD) if chance.random() < 0.6 else b"mot " for _ in range(chance.randrange(0, 8))]
            lines.append(b"".join(pieces))
    ends_in_newline = chance.random() < 0.7 or not lines[-1]
    return b"\n".join(lines) + b"\n" * ends_in_newline, lines


def texts_of(lines: list[bytes]) -> list[str]:
    """Lines as a reader sees them: without the file's byte order mark, NUL and CR as spaces."""
    texts = [line.decode("utf-8", "replace").translate({0: " ", 13: " "}) for line in lines]
    return [texts[0].removeprefix("\ufeff"), *texts[1:]]


def is_alike(one: str, other: str) -> bool:
    """Whether two texts have the same words; U+2581 is how SentencePiece writes a space."""
    return one.replace("\u2581", " ").split() == other.replace("\u2581", " ").split()


def misaligned_by_translate(folder: Path, chance: random.Random) -> bool:
    content, lines = odd_file(chance)
    (folder / "source").write_bytes(content)
    assert call("translate", "MODEL", folder / "source", "-o", folder / "out", "--beam", 1, "-q") == 0
    found = (folder / "out").read_bytes().split(b"\n")
    known = [place for place, line in enumerate(lines) if line.decode("utf-8", "replace") in KNOWN]
    return (
        len(found) != len(lines) + 1
        or found[-1] != b""
        or any(found[place].decode() != KNOWN[lines[place].decode()] for place in known)
        or any(found[place] for place, line in enumerate(lines) if not line.strip(b" \t\r\0\v\f\x1c\x1d\x1e"))
    )


def misaligned_by_prepare(folder: Path, chance: random.Random) -> bool:
    content, lines = odd_file(chance)
    (folder / "source").write_bytes(content)
    (folder / "target").write_text("".join(f"line {place}\n" for place in range(len(lines))))
    mode = chance.choice(["skip", "replace"])
    arguments = ["-s", folder / "source", "-t", folder / "target", "--bad-lines", mode, "-q", "--json"]
    code = call("prepare", folder / "data", *arguments, "--set", "data.tokenizer=word", "--set", "data.max_ratio=99")
    assert code in (0, Exit.DATA)
    if code == Exit.DATA:  # nothing but blank lines, or none that is UTF-8
        return any(line in (known.encode() for known in KNOWN) for line in lines)
    data = open_data(folder / "data")
    source, target = data.tokenizers()
    kept = [(source.decode(s), target.decode(t)) for s, t in zip(data.train.sources, data.train.targets, strict=True)]
    places = [int(text.split()[1]) for _, text in kept]
    known = [place for place, line in enumerate(lines) if line.decode("utf-8", "replace") in KNOWN]
    return not set(known) <= set(places) or not all(
        is_alike(text, texts_of(lines)[place]) for place, (text, _) in zip(places, kept, strict=True)
    )


def misaligned_by_eval(folder: Path, chance: random.Random, capfd: pytest.CaptureFixture[str]) -> bool:
    """Against its own text a file has no edits, unless its lines have moved; one line more or less is refused."""
    _, lines = odd_file(chance)
    difference = chance.choice([0, 0, 1, -1])
    numbered = [line + b" %d" % place for place, line in enumerate(lines)]
    (folder / "hypothesis").write_bytes(b"\n".join(numbered) + b"\n")
    reference = [*texts_of(numbered), "more"][: len(lines) + difference]
    (folder / "reference").write_text("".join(f"{line}\n" for line in reference), encoding="utf-8", newline="\n")
    capfd.readouterr()
    code = call("eval", "--hypothesis", folder / "hypothesis", "-r", folder / "reference",
                "--metric", "ter", "--bootstrap", 0, "--json")  # fmt: skip
    is_utf8 = all(line.decode("utf-8", "ignore").encode() == line for line in lines)
    if difference or not is_utf8:
        return code != Exit.DATA
    return code != 0 or json.loads(capfd.readouterr().out)["value"] != 0.0


def misaligned_by_score(folder: Path, chance: random.Random) -> bool:
    """A column of scores, a line for each pair; known pairs have the score that they have alone."""
    content, lines = odd_file(chance)
    targets = [KNOWN.get(line.decode("utf-8", "replace"), f"odd {place}") for place, line in enumerate(lines)]
    (folder / "source").write_bytes(content)
    (folder / "target").write_text("".join(f"{line}\n" for line in targets))
    arguments = ["-s", folder / "source", "-t", folder / "target", "-o", folder / "out", "-q"]
    code = call("score", "MODEL", *arguments)
    if any(line.decode("utf-8", "ignore").encode() != line for line in lines):
        return code != Exit.DATA
    found = (folder / "out").read_text().split("\n")
    scores = [
        (line.decode(), float(columns.split("\t")[0]))
        for line, columns in zip(lines, found, strict=False)
        if line.decode() in KNOWN
    ]
    return (
        code != 0
        or len(found) != len(lines) + 1
        or any(abs(score - KNOWN_SCORES[line]) > 1e-3 for line, score in scores)
    )


# What `nmt translate --scores` gives for lines of which the translation is known.
KNOWN_SCORES = {
    source: float(scored.split("\t")[0])
    for source, scored in zip(
        (GOLDEN / "source.txt").read_text(encoding="utf-8").split("\n")[:-1],
        (GOLDEN / "translations.tsv").read_text(encoding="utf-8").split("\n")[:-1],
        strict=True,
    )
}
# `score` is tested where this version has it.
COMMANDS = [name for name in ("prepare", "translate", "eval", "score") if (COMMAND_FILES / f"{name}.py").is_file()]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(GOLDEN / "model", "cpu")


@pytest.mark.fault(1, 2, 4, 5, 11, 13, 14, 18)
@pytest.mark.parametrize("inputs", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_misaligned(command, inputs, tmp_path, monkeypatch, capfd, figure, translator):
    translator.defaults = dataclasses.replace(translator.defaults, precision="float32")  # what is known is in float32
    monkeypatch.setattr(Translator, "load", lambda *_: translator)  # one model, compiled once
    chance, misaligned = random.Random(0), 0
    for _ in range(inputs):
        if command == "translate":
            misaligned += misaligned_by_translate(tmp_path, chance)
        elif command == "prepare":
            misaligned += misaligned_by_prepare(tmp_path, chance)
        elif command == "score":
            misaligned += misaligned_by_score(tmp_path, chance)
        else:
            misaligned += misaligned_by_eval(tmp_path, chance, capfd)
        capfd.readouterr()
    if inputs == ALL:
        figure(f"line contract, nmt {command}", f"{misaligned} misaligned of {inputs:,} inputs")
    assert misaligned == 0
