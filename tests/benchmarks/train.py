"""Training speed of the reference models: bidirectional LSTM encoder, LSTM decoder, general attention, input feeding.

    python tests/benchmarks/train.py                      on made-up pairs with the lengths of image captions
    python tests/benchmarks/train.py --data data          on a directory made by `nmt prepare`

Useful tokens are target tokens with EOS and without padding. The share of the peak is what the model's matrix products
need for the useful tokens (forward, and twice that backward), over what a large product reaches in the same minute.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.config import resolve
from nmt_cli.data.batching import Batches, buckets
from nmt_cli.data.store import Pairs, Sentences, open_data
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.process import keep_memory
from nmt_cli.training.state import initial_state
from nmt_cli.training.step import Updates


def made_up(count: int, vocabulary: int) -> Pairs:
    """Pairs of random ids; the logarithm of their lengths is normal, about 13 to a line, as in Multi30k."""
    random = np.random.default_rng(0)
    target = np.clip(random.lognormal(2.55, 0.3, count).round(), 3, 45).astype(int)
    source = np.clip((target * random.lognormal(0.1, 0.15, count)).round(), 3, 50).astype(int)
    sides = ([random.integers(4, vocabulary, length).tolist() for length in lengths] for lengths in (source, target))
    return Pairs(*(Sentences.from_lists(side) for side in sides))


def peak(precision: str) -> float:
    """FLOP/s of a 2048 x 2048 x 2048 product."""
    x = jnp.ones((2048, 2048), precision)
    multiply = jax.jit(lambda x: jnp.dot(x, x, preferred_element_type=jnp.float32))
    return 2 * 2048**3 / min(timed(lambda: jax.block_until_ready(multiply(x))) for _ in range(6))


def timed(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def flop_per_target_token(units: int, vocabulary: int, source_share: float) -> float:
    """Of matrix products in one update; source_share: source tokens for each target token."""
    encoder = 2 * (units * 2 * units + units // 2 * 2 * units)  # both directions: inputs and states to gates
    decoder = 3 * units * 4 * units + 2 * units * units  # embedding, state and attentional vector to gates; attentional
    return 3 * 2 * (source_share * (encoder + units * units) + decoder + units * vocabulary)


def measure(pairs: Pairs, vocabulary: int, units: int, precision: str, batch_tokens: int, steps: int) -> str:
    """A row of the table."""
    sizes = dict.fromkeys(("embedding_size", "encoder_units", "decoder_units"), units)
    model = {**sizes, "dropout": 0.2, "tied_embeddings": "none"}
    config = resolve({"model": model, "train": {"batch_tokens": batch_tokens}})
    seq2seq = Seq2Seq(config.model, vocabulary, vocabulary, jnp.dtype(precision))
    batches = Batches(pairs, buckets(pairs.source_lengths, pairs.target_lengths, batch_tokens, 12), "bench", 1)
    chosen = [batches.batch(0, index) for index in range(min(steps, len(batches)))]
    rng, updates = jax.random.key(1), Updates(seq2seq, config.train)
    params = jax.jit(partial(seq2seq.init, method="loss"))(rng, chosen[0])["params"]
    state = initial_state(config.train, params)
    compiling = timed(lambda: [updates.program(state, batch, rng) for batch in chosen])
    seconds = []
    for batch in chosen:
        start = time.perf_counter()
        state, report = updates(state, [batch], rng)
        jax.block_until_ready(report)
        seconds.append(time.perf_counter() - start)
    useful = sum(int(batch.target_mask.sum()) for batch in chosen)
    padded = sum(batch.target_mask.size for batch in chosen)
    sources = sum(int(batch.source_mask.sum()) for batch in chosen)
    total = sum(seconds)
    share = useful / total * flop_per_target_token(units, vocabulary, sources / useful) / peak(precision)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    both = (useful + sources) / total
    return (
        f"{units:>5}  {precision:<8}  {useful / total:>8,.0f}  {padded / total:>8,.0f}  {both:>13,.0f}"
        f"  {share:>5.0%}  {1000 * statistics.median(seconds):>7.0f}  {compiling:>7.1f}  {len(updates.programs):>6}"
        f"  {memory:>6.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a directory made by nmt prepare")
    parser.add_argument("--units", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--batch-tokens", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=40)
    given = parser.parse_args()
    vocabulary = open_data(given.data).tokenizers()[1].size if given.data else 8000
    pairs = open_data(given.data).train if given.data else made_up(20_000, vocabulary)
    print(
        f"{jax.devices()[0].device_kind}, jax {jax.__version__}; target tokens/s; memory is the peak of all rows so far"
    )
    print("units  precision   useful    padded  source+target   peak  ms/step  compile  shapes     GiB")
    for units in given.units:
        for precision in given.precision:
            print(measure(pairs, vocabulary, units, precision, given.batch_tokens, given.steps), flush=True)


if __name__ == "__main__":
    keep_memory()
    main()
