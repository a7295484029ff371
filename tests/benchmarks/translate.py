"""Translating speed, from a shell's point of view: whole files, a pipe, one line after the other, and starting.

    python tests/benchmarks/translate.py run --source test.fr
    python tests/benchmarks/translate.py run --source test.fr --peer onmt_translate --peer-model model.pt \\
        --peer-source test.pieces --peer-environment TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 --shortlist

The commands are measured as they are, starting included, and by turns: each is run once in every round, and the median
of the rounds and their range are shown. The compile cache is warm, in a directory of the benchmark's own, but where
starting cold is measured. Target tokens are the pieces of the translations, and the end of each.

A peer is OpenNMT-py's `onmt_translate`, or a program with the same options. It reads pieces, cut as its model was
trained with; its own time is that of its whole process too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nmt_cli.run.device import cores

NMT = [sys.executable, "-m", "nmt_cli", "translate"]
FIRST_TRANSLATION = 3.0  # seconds from the start of the process, promised with a warm cache
NEXT_LINE = 0.060  # seconds from a line to its translation, promised


class Run(NamedTuple):
    """What a command took: seconds, and its largest resident memory in MiB."""

    seconds: float
    memory: float


def execute(command: list[str], output: Path, environment: dict[str, str], source: Path | None = None) -> Run:
    """Run a command with stdin from a file, through a pipe; stdout goes to a file."""
    feeder = subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE) if source else None
    start = time.perf_counter()
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdin=feeder.stdout if feeder else subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )  # fmt: skip
        if feeder:
            feeder.stdout.close()
        complaint = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.stderr.close()
    if feeder:
        feeder.wait()
    if status:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}:\n{complaint.decode()[-2000:]}")
    return Run(seconds, used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def ask_line_by_line(command: list[str], lines: list[bytes], environment: dict[str, str]) -> Iterator[float]:
    """Seconds from the start of the process to the first answer, then those from each line to its answer."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )  # fmt: skip
    for line in lines:
        process.stdin.write(line)
        process.stdin.flush()
        if not process.stdout.readline():
            sys.exit(f"{' '.join(command)} gave no answer")
        yield time.perf_counter() - start
        start = time.perf_counter()
    process.stdin.close()
    process.stdout.close()
    process.wait()


def tokens_in(path: Path, is_json: bool) -> int:
    """Pieces of the translations in a file, and the end of each."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return sum(len(json.loads(line)["tokens"]) + 1 if is_json else len(line.split()) + 1 for line in lines)


def summary(values: list[float], digits: int) -> str:
    """Median and range."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def commands(given: argparse.Namespace, beam: int, scratch: Path) -> dict[str, tuple[list[str], Path | None]]:
    """What is measured with a beam, by name: the command, and what is piped into it."""
    options = ["--beam", str(beam), "--quiet", "--device", given.device, *given.options]
    measured = {
        "file": ([*NMT, given.model, str(given.source), *options], None),
        "pipe": ([*NMT, given.model, *options], given.source),
    }
    if given.shortlist:
        measured["short"] = ([*measured["file"][0], "--shortlist"], None)
    if given.peer:
        peer_files = ["-src", str(given.peer_source), "-output", str(scratch / "peer.out")]
        sizes = ["-beam_size", str(beam), "-batch_size", "64", "-max_length", "100"]
        measured["peer"] = ([given.peer, "-model", given.peer_model, *peer_files, *sizes], None)
    return measured


def measure_speed(given: argparse.Namespace, beam: int, scratch: Path, environment: dict[str, str]) -> None:
    """Rows of the table of a beam: every command once a round, by turns."""
    lines = given.source.read_bytes().count(b"\n")
    measured = commands(given, beam, scratch)
    peer = dict(pair.split("=", 1) for pair in given.peer_environment)
    tokens = {}
    for name in set(measured) - {"peer"}:
        command, piped = measured[name]
        execute([*command, "--json"], scratch / name, environment, piped)  # which also fills the cache
        tokens[name] = tokens_in(scratch / name, is_json=True)
    runs: dict[str, list[Run]] = {name: [] for name in measured}
    for _ in range(given.repeats):
        for name, (command, piped) in measured.items():
            own = peer if name == "peer" else environment
            runs[name].append(execute(command, scratch / name, own, piped))
    if given.peer:
        tokens["peer"] = tokens_in(scratch / "peer.out", is_json=False)
    if (scratch / "file").read_bytes() != (scratch / "pipe").read_bytes():
        sys.exit("the file and the pipe were translated differently")
    for name, own in runs.items():
        speeds = [lines / run.seconds for run in own]
        rates = summary([tokens[name] / run.seconds for run in own], 0)
        memory = max(run.memory for run in own)
        print(f"{name:6} {beam:>4}   {summary(speeds, 1):28} {rates:34} {memory:>7,.0f} MiB", flush=True)
    for name in [name for name in ("file", "short") if given.peer and name in runs]:
        ratios = [peer.seconds / own.seconds for own, peer in zip(runs[name], runs["peer"], strict=True)]
        print(f"{name} / peer, beam {beam}: {summary(ratios, 2)} times as fast")


def measure_start(given: argparse.Namespace, beam: int, scratch: Path, environment: dict[str, str]) -> None:
    """Starting, with and without what has been compiled, and the time from a line to its translation."""
    lines = [line + b"\n" for line in given.source.read_bytes().split(b"\n")[: given.latency_lines] if line]
    command = [*NMT, given.model, "--beam", str(beam), "--quiet", "--device", given.device, *given.options]
    cold, warm, waits = [], [], []
    for round in range(given.repeats):
        fresh = {**environment, "XDG_CACHE_HOME": str(scratch / f"cold-{beam}-{round}")}
        cold += ask_line_by_line(command, lines[:1], fresh)
        first, *others = ask_line_by_line(command, lines, environment)
        if round:  # the first round compiles what the cache does not have yet
            warm.append(first)
            waits += others
    print(f"start, beam {beam}: first translation after {summary(warm, 2)} s warm, {summary(cold, 2)} s cold")
    middle, late = percentile(waits, 0.5), percentile(waits, 0.95)
    print(f"one line after the other, beam {beam}: p50 {1000 * middle:.1f} ms, p95 {1000 * late:.1f} ms")
    for promise, found, unit in ((FIRST_TRANSLATION, statistics.median(warm), "s"), (NEXT_LINE, middle, "s")):
        print(f"  promise within {promise} {unit}: {'kept' if found <= promise else 'BROKEN'}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", help="a run or a model folder; without one, nothing is measured")
    parser.add_argument("--source", type=Path, help="text to translate, a sentence a line")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--repeats", type=int, default=3, help="rounds; at least 3")
    parser.add_argument("--latency-lines", type=int, default=200, help="lines that are given one after the other")
    parser.add_argument("--shortlist", action="store_true", help="measure the file with --shortlist, too")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="the rest goes to nmt translate")
    parser.add_argument("--peer", help="the program onmt_translate")
    parser.add_argument("--peer-model")
    parser.add_argument("--peer-source", type=Path, help="the same text, cut into the peer's pieces")
    parser.add_argument("--peer-environment", nargs="*", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    if given.model is None or given.source is None:
        print("no model and no text to measure with: give MODEL --source FILE")
        return
    given.repeats = max(given.repeats, 3)
    size = sum(1 for line in given.source.read_bytes().split(b"\n") if line)
    print(f"{given.model}, {size:,} lines; medians and ranges of {given.repeats} rounds; {cores()} cores")
    print("what   beam   sentences/s                  target tokens/s                    memory")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        environment = {"XDG_CACHE_HOME": str(scratch / "cache")}
        for beam in given.beams:
            measure_speed(given, beam, scratch, environment)
        for beam in given.beams:
            measure_start(given, beam, scratch, environment)
    print(f"largest process of all: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10:,.0f} MiB")


if __name__ == "__main__":
    main()
