"""Training speed: useful tokens a second, how near to the machine's peak, memory, and what compiling costs.

    python tests/benchmarks/train.py                      on made-up pairs with the lengths of image captions
    python tests/benchmarks/train.py --data data          on a directory made by `nmt prepare`
    python tests/benchmarks/train.py --peer python3       beside the same model in torch, if that python has it
    python tests/benchmarks/train.py --epoch a --epoch b  whole epochs of two corpora, by the same model

Useful tokens are those of the text with EOS and without padding. The share of the peak is what the model's matrix
products need for the useful tokens (forward, and twice that backward), over what a large product of the same precision
reaches in the same minute. Compiling is measured with an empty cache and once more from the cache that this filled.
Updates are made by turns in rounds; a rate is the median of the rounds, with their range.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.config import resolve
from nmt_cli.data.batching import Batches, buckets
from nmt_cli.data.store import Pairs, Sentences, open_data
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.process import keep_memory
from nmt_cli.run.device import compiler_options, configure, cores, fast_precision
from nmt_cli.training.cuda_graphs import CHOICES
from nmt_cli.training.programs import Updates
from nmt_cli.training.replicas import Replicas
from nmt_cli.training.state import initial_state

FOUR_SIZES = ("embedding_size", "encoder_units", "decoder_units", "attention_units")
GNMT = {
    "decoder": "gnmt_v2", "attention": "normed_bahdanau", "input_feeding": False, "bridge": "zero", "residual_from": 3,
    "encoder_layers": 4, "bidirectional_layers": 1, "decoder_layers": 4, "tied_embeddings": "none",
}  # fmt: skip
MODELS: dict[str, dict[str, Any]] = {
    "reference": {**dict.fromkeys(FOUR_SIZES, 512), "tied_embeddings": "none"},
    "256": {**dict.fromkeys(FOUR_SIZES, 256), "tied_embeddings": "none"},
    "tf-nmt": {**dict.fromkeys(FOUR_SIZES, 512), "encoder_units": 1024, "decoder_layers": 2, "tied_embeddings": "none"},
    "gnmt": {**dict.fromkeys(FOUR_SIZES, 1024), **GNMT},
}
VOCABULARIES = {"gnmt": 32_000}  # pieces, where it is not 8,000
HEAD = (
    "model      precision  who    useful target tokens/s    padded  source+target   peak  ms/update"
    "  compile s: cold   warm  shapes  state+update MiB  process MiB"
)


def made_up(count: int, vocabulary: int) -> Pairs:
    """Pairs of random ids; the logarithm of their lengths is normal, about 13 to a line, as in Multi30k."""
    random = np.random.default_rng(0)
    target = np.clip(random.lognormal(2.55, 0.3, count).round(), 3, 45).astype(int)
    source = np.clip((target * random.lognormal(0.1, 0.15, count)).round(), 3, 50).astype(int)
    sides = ([random.integers(4, vocabulary, length).tolist() for length in lengths] for lengths in (source, target))
    return Pairs(*(Sentences.from_lists(side) for side in sides))


def peak(precision: str) -> float:
    """FLOP/s of a large square product."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    x = jnp.ones((size, size), precision)
    multiply = jax.jit(lambda x: jnp.dot(x, x, preferred_element_type=jnp.float32))
    return 2 * size**3 / min(timed(lambda: jax.block_until_ready(multiply(x))) for _ in range(6))


def timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def flop(params: Any, sources: int, targets: int) -> float:
    """Of the products with weights, in updates of so many useful tokens: 2 forward and 4 backward for each weight.

    Those of the encoder and of keys are used once a source token, all others once a target token. Embeddings
    are looked up, not multiplied; the bridge is used once a sentence. Products without weights are left out.
    """
    total = 0.0
    for path, array in jax.tree_util.tree_leaves_with_path(params):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if array.ndim == 2 and "embedding" not in name and "bridge" not in name:
            of_source = name.startswith("encoder") or name.endswith(("key_kernel", "attention/kernel"))
            total += 6.0 * array.size * (sources if of_source else targets)
    return total


class Ours:
    """A model of this project in training, on some batches."""

    def __init__(self, name: str, vocabulary: int, precision: str, batch_tokens: int, graphs: str = "steps") -> None:
        config = resolve({"model": {**MODELS[name], "dropout": 0.2}, "train": {"batch_tokens": batch_tokens}})
        self.model = Seq2Seq(config.model, vocabulary, vocabulary, jnp.dtype(precision))
        self.train, self.replicas = config.train, Replicas(jax.local_devices())
        self.rng = self.replicas.place(jax.random.key(1))
        self.options = compiler_options(jax.default_backend()) | CHOICES[graphs]

    def begin(self, batches: Sequence[Batch]) -> tuple[float, float]:
        """Make the state, and compile for all shapes: seconds with an empty cache, and from the cache."""
        params = jax.jit(partial(self.model.init, method="loss"))(self.rng, batches[0])["params"]
        self.state = self.replicas.place(initial_state(self.train, params))
        self.placed = [self.replicas.place_batch(batch) for batch in batches]
        seconds = []
        for _ in range(2):
            with Updates(self.model, self.train, self.replicas, self.options) as self.updates:
                seconds.append(timed(lambda: [self.updates.program(self.state, b, self.rng) for b in self.placed]))
        return seconds[0], seconds[1]

    def run(self) -> float:
        """Seconds that an update of each batch took, all together."""

        def once() -> None:
            for batch in self.placed:
                self.state, report = self.updates(self.state, [batch], self.rng)
            jax.block_until_ready(report)

        return timed(once)

    def memory(self) -> float:
        """Bytes of the state and of what the largest update takes beside it."""
        from nmt_cli.run.memory import needed

        programs = [program.result() for program in self.updates.programs.values()]
        return sum(array.nbytes for array in jax.tree.leaves(self.state)) + max(map(needed, programs))


class Peer:
    """The same model in torch, in a process of its own that works when it is told to."""

    def __init__(self, python: str, name: str, vocabulary: int, precision: str, batches: Sequence[Batch]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "batches.npz"
        fields = ("source", "source_mask", "target_in", "target_out", "target_mask")
        arrays = {f"{number} {field}": getattr(b, field) for number, b in enumerate(batches) for field in fields}
        np.savez(path, **arrays)
        sizes = {**MODELS[name], "vocabulary": vocabulary, "precision": precision}
        command = [python, str(Path(__file__).with_name("torch_peer.py")), str(path), json.dumps(sizes)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.described = self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit("the peer has ended: is torch installed there?")
        return line

    def run(self) -> float:
        """Seconds that an update of each batch took, all together."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.answer())

    def close(self) -> None:
        self.process.communicate("")
        self.folder.cleanup()


def rates(tokens: int, seconds: Sequence[float]) -> str:
    """Median and range."""
    found = [tokens / each for each in seconds]
    return f"{statistics.median(found):>8,.0f} ({min(found):,.0f} to {max(found):,.0f})"


def measure(given: argparse.Namespace, pairs: Pairs, name: str, vocabulary: int, precision: str) -> Iterator[str]:
    """The rows of the table for a model in a precision: ours, and the peer's."""
    clear_peak()
    shapes = buckets(pairs.source_lengths, pairs.target_lengths, given.batch_tokens, given.shapes)
    batches = Batches(pairs, shapes, "bench", 1)
    chosen = [batches.batch(0, index) for index in range(min(given.steps, len(batches)))]
    useful, sources = (sum(int(getattr(b, mask).sum()) for b in chosen) for mask in ("target_mask", "source_mask"))
    padded = sum(batch.target_mask.size for batch in chosen)
    ours = Ours(name, vocabulary, precision, given.batch_tokens, given.graphs)
    cold, warm = ours.begin(chosen)
    peer = Peer(given.peer, name, vocabulary, precision, chosen) if given.peer and name != "gnmt" else None
    seconds: list[float] = []
    theirs: list[float] = []
    fastest = peak(precision)
    for _ in range(given.rounds):
        seconds.append(ours.run())
        if peer:
            theirs.append(peer.run())
        fastest = max(fastest, peak(precision))
    work = flop(ours.state.params, sources, useful)
    for who, times in (("nmt", seconds), *([("torch", theirs)] if peer else [])):
        middle = statistics.median(times)
        row = f"{name:<9}  {precision:<9}  {who:<5}  {rates(useful, times):<26}  {padded / middle:>6,.0f}"
        row += f"  {(useful + sources) / middle:>13,.0f}  {work / middle / fastest:>5.0%}"
        row += f"  {1000 * middle / len(chosen):>9.0f}"
        if who == "nmt":
            row += f"  {cold:>15.1f}  {warm:>5.1f}  {len(ours.updates.programs):>6}  {ours.memory() / 2**20:>16,.0f}"
            row += f"  {process_peak() / 2**20:>11,.0f}"
        yield row
    if peer:
        ratio = statistics.median(theirs) / statistics.median(seconds)
        yield f"{'':<22}{peer.described}; nmt is {ratio:.2f} times as fast"
        peer.close()


def measure_epoch(given: argparse.Namespace, directory: Path) -> str:
    """How long an epoch of a corpus takes: an update of each shape is timed, and counted as often as it comes."""
    data, precision = open_data(directory, verify=False), given.precision[-1]
    pairs = data.train
    shapes = buckets(pairs.source_lengths, pairs.target_lengths, given.batch_tokens, given.shapes)
    batches = Batches(pairs, shapes, data.hash, 1)
    owners = batches.batch_bucket[batches.order(0)[1]].tolist()  # the shape of each batch of the epoch
    ours = Ours(given.models[0], data.tokenizers()[1].size, precision, given.batch_tokens, given.graphs)
    chosen = [batches.batch(0, owners.index(number)) for number in range(len(batches.buckets))]
    ours.begin(chosen)
    every = ours.placed
    ours.run()
    seconds = 0.0
    for number, batch in enumerate(every):
        ours.placed = [batch]
        seconds += owners.count(number) * statistics.median(ours.run() for _ in range(given.rounds))
    targets = int(pairs.target_lengths.sum(dtype=np.int64)) + len(pairs)
    both = targets + int(pairs.source_lengths.sum(dtype=np.int64)) + len(pairs)
    return (
        f"{directory.name:<12} {precision}  {len(pairs):>8,} pairs  {both:>11,} tokens  {len(owners):>6,} updates  "
        f"{batches.useful_share():.1%} useful  {seconds:>7,.0f} s an epoch, {1e6 * seconds / both:.0f} for a million  "
        f"{targets / seconds:>6,.0f} target tokens/s  {both / seconds:>6,.0f} source+target"
    )


def clear_peak() -> None:
    """Let the process's peak of memory begin here, where Linux allows that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def process_peak() -> float:
    """The most bytes that the process has held since then; on an accelerator, that its device has."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in statistics:
        return float(statistics["peak_bytes_in_use"])
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a directory made by nmt prepare")
    parser.add_argument("--models", nargs="+", choices=MODELS, help="gnmt needs a GPU's memory and speed")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--batch-tokens", type=int, help="target tokens in a batch: 2,000 on processors, else 12,000")
    parser.add_argument("--shapes", type=int, default=16, help="shapes of batches, at most")
    parser.add_argument("--steps", type=int, default=20, help="updates in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--graphs", choices=CHOICES, default="steps", help="how a GPU is given loops, see cuda_graphs.py"
    )
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has torch")
    parser.add_argument("--epoch", type=Path, action="append", help="measure epochs of these data directories instead")
    given = parser.parse_args()
    on_cpu = jax.default_backend() == "cpu"
    given.models = given.models or [name for name in MODELS if name != "gnmt" or not on_cpu]
    given.batch_tokens = given.batch_tokens or (2000 if on_cpu else 12_000)
    device = f"{jax.local_device_count()} x {jax.devices()[0].device_kind}, {cores()} cores"
    print(f"{device}, jax {jax.__version__}; `nmt train` would multiply in {fast_precision(jax.default_backend())}")
    with tempfile.TemporaryDirectory() as cache:
        configure(jax_compilation_cache_dir=cache, jax_persistent_cache_min_compile_time_secs=0.0)
        for directory in given.epoch or []:
            print(measure_epoch(given, directory), flush=True)
        if given.epoch:
            return
        print(HEAD)
        for name in given.models:
            vocabulary = VOCABULARIES.get(name, 8000)
            if given.data:
                vocabulary = open_data(given.data).tokenizers()[1].size
            pairs = open_data(given.data).train if given.data else made_up(20_000, vocabulary)
            for precision in given.precision:
                for row in measure(given, pairs, name, vocabulary, precision):
                    print(row, flush=True)


if __name__ == "__main__":
    keep_memory()
    main()
    sys.stdout.flush()
