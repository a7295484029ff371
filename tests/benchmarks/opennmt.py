"""Training speed beside OpenNMT-py, by turns: its own `onmt_train` is stopped while ours works, and goes on afterwards.

    python tests/benchmarks/opennmt.py DATA --peer onmt_train --peer-config train.yaml --model reference

DATA is made by `nmt prepare`, the peer's configuration from the same text with the same number of pieces. Useful target
tokens a second (with EOS, without padding) are what both are measured by: the peer's from its own log, which must
report every few updates (`report_every: 4`) and have enough of them to make (`train_steps: 100000`). Ours are the
updates of the first batches of an epoch, in both precisions. The first report after a pause is not counted.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nmt_cli.batch import Batch
from nmt_cli.data.batching import Batches, buckets
from nmt_cli.data.store import Prepared, open_data
from nmt_cli.process import keep_memory
from nmt_cli.run.device import configure, cores
from tests.benchmarks.train import MODELS, Ours, flop, peak

REPORT = re.compile(r"Step (\d+)/.*bsz: *\d+/ *(\d+)/ *\d+")
PRECISIONS = "float32", "bfloat16"


class OpenNMT:
    """A training of the peer's, which stands still unless it is being measured."""

    def __init__(self, program: str, config: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
        self.process = subprocess.Popen(
            [program, "-config", str(config)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip
        for _ in range(2):  # it has begun, and found its pace
            self.step = self.report()[0]
        self.process.send_signal(signal.SIGSTOP)

    def report(self) -> tuple[int, int]:
        """The next report of its log: the update's number, and the target tokens of a batch."""
        for line in self.process.stdout:
            if found := REPORT.search(line):
                return int(found[1]), int(found[2])
        sys.exit("the peer has ended")

    def rate(self, reports: int) -> float:
        """Target tokens a second over so many reports."""
        self.process.send_signal(signal.SIGCONT)
        last, _ = self.report()
        start, tokens = time.perf_counter(), 0
        for _ in range(reports):
            step, of_a_batch = self.report()
            tokens += (step - last) * of_a_batch
            last = step
        seconds = time.perf_counter() - start
        self.process.send_signal(signal.SIGSTOP)
        return tokens / seconds


def summary(values: Sequence[float], form: str) -> str:
    """Median and range."""
    middle, least, most = (form.format(of(values)) for of in (statistics.median, min, max))
    return f"{middle} ({least} to {most})"


def begin(given: argparse.Namespace, batches: Sequence[Batch], vocabulary: int) -> dict[str, Ours]:
    """Our models by their precision, compiled and warm."""
    ours = {precision: Ours(given.model, vocabulary, precision, given.batch_tokens) for precision in PRECISIONS}
    for model in ours.values():
        model.begin(batches)
        model.run()
    return ours


def measure(given: argparse.Namespace, data: Prepared) -> None:
    """Print the rates of all rounds, how many times the peer's they are, and their share of what the machine can."""
    pairs = data.train
    shapes = buckets(pairs.source_lengths, pairs.target_lengths, given.batch_tokens, given.shapes)
    batches = Batches(pairs, shapes, data.hash, 1)
    chosen = [batches.batch(0, index) for index in range(given.steps)]
    useful, sources = (sum(int(getattr(b, mask).sum()) for b in chosen) for mask in ("target_mask", "source_mask"))
    ours, peer = begin(given, chosen, data.tokenizers()[1].size), OpenNMT(given.peer, given.peer_config)
    theirs: list[float] = []
    rates: dict[str, list[float]] = {precision: [] for precision in ours}
    peaks: dict[str, list[float]] = {precision: [] for precision in ours}
    for _ in range(given.rounds):
        theirs.append(peer.rate(given.reports))
        for precision, model in ours.items():
            rates[precision].append(useful / model.run())
            peaks[precision].append(peak(precision))
    peer.process.kill()
    print(f"OpenNMT-py  {summary(theirs, '{:,.0f}')}")
    for precision, found in rates.items():
        times = [mine / their for mine, their in zip(found, theirs, strict=True)]
        work = flop(ours[precision].state.params, sources, useful) / useful
        shares = [work * mine / most for mine, most in zip(found, peaks[precision], strict=True)]
        row = f"{precision:<11} {summary(found, '{:,.0f}')}: {summary(times, '{:.2f}')} times the peer's"
        print(f"{row}, {summary(shares, '{:.0%}')} of {statistics.median(peaks[precision]) / 1e9:,.0f} GFLOP/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="without it, nothing is measured")
    parser.add_argument("--peer", help="the program onmt_train")
    parser.add_argument("--peer-config", type=Path)
    parser.add_argument("--model", choices=MODELS, default="reference")
    parser.add_argument("--batch-tokens", type=int, default=2440, help="of about 128 captions, padding included")
    parser.add_argument("--shapes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20, help="our updates in a round")
    parser.add_argument("--reports", type=int, default=6, help="of the peer's, in a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.data is None or given.peer is None:
        print("nothing to measure with: give DATA --peer PROGRAM --peer-config FILE")
        return
    print(f"{given.model}, {given.data}, {given.rounds} rounds, {cores()} cores: useful target tokens a second")
    with tempfile.TemporaryDirectory() as cache:  # as long as anything is compiled
        configure(jax_compilation_cache_dir=cache, jax_persistent_cache_min_compile_time_secs=0.0)
        measure(given, open_data(given.data))


if __name__ == "__main__":
    keep_memory()
    main()
