"""Resident memory does not grow with the corpus: the whole commands, on millions of lines."""

from __future__ import annotations

import gzip
import subprocess
import sys
from itertools import cycle, islice

import pytest

from tests.faults.nmt import GOLDEN

PREPARE_CEILING = 2500  # MB; most of it is what SentencePiece needs for the million lines it sees at most
TRANSLATE_CEILING = 1000  # MB; most of it is JAX
GROWTH = 1.1  # twice the input may take so many times the memory: what is measured varies by some percent


# A process counts the memory of the one that it was forked from: so a small one, and not the tests, starts the command.
START = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak(*arguments: object, **streams: object) -> int:
    """The most MB of memory that `nmt ARGUMENTS` was resident in."""
    command = [sys.executable, "-c", START, sys.executable, "-m", "nmt_cli", *map(str, arguments)]
    finished = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, **streams)
    return int(finished.stdout) // (1 << 20 if sys.platform == "darwin" else 1 << 10)


@pytest.mark.slow
@pytest.mark.fault(30)
def test_preparing_two_million_pairs_takes_no_more_memory_than_one_million(tmp_path, real_text, figure):
    peaks = []
    for times in (5, 10):
        for side in ("fr", "en"):
            packed = (real_text / "europarl-fr-en" / f"train.200k.{side}.gz").read_bytes()
            (tmp_path / f"{side}.gz").write_bytes(packed * times)
        sides = ["-s", tmp_path / "fr.gz", "-t", tmp_path / "en.gz"]
        peaks.append(peak("prepare", tmp_path / "data", *sides, "--set", "data.vocabulary_size=8000", "-q"))
    figure("memory of `nmt prepare`", f"{peaks[0]} MB for 1 million pairs, {peaks[1]} MB for 2 million")
    assert peaks[1] < min(GROWTH * peaks[0], PREPARE_CEILING)


@pytest.mark.slow
@pytest.mark.fault(30)
def test_translating_a_million_lines_takes_no_more_memory_than_half_a_million(tmp_path, figure):
    lines = [line for line in (GOLDEN / "source.txt").read_text(encoding="utf-8").splitlines() if len(line) < 32]
    peaks = []
    for count in (1_000_000, 500_000, 1_000_000):  # the first compiles all programs, which takes memory too
        with gzip.open(tmp_path / "source.gz", "wt", encoding="utf-8", compresslevel=1) as file:
            file.writelines(f"{line}\n" for line in islice(cycle(lines), count))
        out = tmp_path / "translations"
        options = ["--beam", 1, "--batch-size", 512, "--device", "cpu", "-q", "-o", out]
        peaks.append(peak("translate", GOLDEN / "model", tmp_path / "source.gz", *options, stderr=subprocess.DEVNULL))
        with out.open("rb") as translations:
            assert sum(1 for _ in translations) == count
    half, whole = peaks[1:]
    figure(
        "memory of `nmt translate`", f"{half} MB for 500,000 lines, {whole} for 1 million, {peaks[0]} with compiling"
    )
    assert whole < GROWTH * half
    assert max(peaks) < TRANSLATE_CEILING
