"""The gain of attention by sentence length: BLEU against the length of the source (Bahdanau et al. 2015, figure 2).

    python recipes/by_length.py --source test.fr --reference test.en runs/fr-en/bahdanau2015.* runs/fr-en/cho2014.*

Draws one curve for each run, and writes figure and numbers into README.md beside this file. What `nmt eval` has
translated for compare.py is not translated again.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compare import README, evaluate, translations, write_section

from nmt_cli.data.lines import open_bytes, read_lines
from nmt_cli.errors import UserError
from nmt_cli.run import scoring

FEWEST = 30  # sentences of a bucket below which its BLEU says nothing: it is joined with the one beside it


@dataclass(frozen=True)
class Bucket:
    """Sentences of similar length, in words of the source: both ends included."""

    shortest: int
    longest: int
    lines: list[int]  # their numbers


def main() -> None:
    """Draw BLEU against source length for some runs, and write the figure into README.md."""
    given = arguments().parse_args()
    sources, references = read_text(given.source), read_text(given.reference)
    scoring.check_counts(sources, [references], [given.source, given.reference])
    buckets = by_length([len(source.split()) for source in sources], given.words)
    curves = {}
    for run in given.run:
        if not translations(run, given.source).exists():
            evaluate(run, given.source, given.reference)
        translated = read_text(translations(run, given.source))
        scoring.check_counts(translated, [references], [str(translations(run, given.source)), given.reference])
        curves[run.name.partition(".")[0]] = [bleu(translated, references, bucket) for bucket in buckets]
    draw(given.output, buckets, curves)
    write_section("plot", figure_text(given, buckets, curves), given.readme)


def read_text(path: str) -> list[str]:
    """The lines of a file."""
    with open_bytes(path) as stream:
        return list(read_lines(stream, path))


def by_length(lengths: Sequence[int], words: int) -> list[Bucket]:
    """Lines by their length: 1 to 10 words, 11 to 20, ... for words = 10; where they are too few, two are one."""
    buckets: list[Bucket] = []
    for start in range(1, max(lengths) + 1, words):
        lines = [line for line, length in enumerate(lengths) if start <= max(length, 1) < start + words]
        if lines and buckets and min(len(lines), len(buckets[-1].lines)) < FEWEST:
            before = buckets.pop()
            buckets.append(Bucket(before.shortest, start + words - 1, before.lines + lines))
        elif lines:
            buckets.append(Bucket(start, start + words - 1, lines))
    return buckets


def bleu(translated: Sequence[str], references: Sequence[str], bucket: Bucket) -> float:
    """The corpus BLEU of the sentences in a bucket."""
    return scoring.corpus_score("bleu", [translated[n] for n in bucket.lines], [references[n] for n in bucket.lines])


def draw(path: Path, buckets: Sequence[Bucket], curves: dict[str, list[float]]) -> None:
    """The figure, with matplotlib; the same curves give the same bytes."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit("the plot is drawn by matplotlib: pip install 'nmt-cli[plot]'")
    mpl.rcParams |= {"svg.hashsalt": "nmt", "svg.fonttype": "none", "font.family": "sans-serif"}
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, values), marker in zip(curves.items(), "osD^vPX*" * len(curves), strict=False):
        axes.plot(range(len(buckets)), values, marker=marker, label=name)
    axes.set_xticks(range(len(buckets)), [f"{bucket.shortest}-{bucket.longest}" for bucket in buckets])
    axes.set(xlabel="words in the source sentence", ylabel="BLEU")
    axes.set_ylim(bottom=0)
    axes.grid(color="#dddddd")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def figure_text(given: argparse.Namespace, buckets: Sequence[Bucket], curves: dict[str, list[float]]) -> str:
    """Markdown: the figure, the command that made it and the numbers in it."""
    heads = [f"{bucket.shortest}-{bucket.longest}" for bucket in buckets]
    lines = [
        ["words in the source", *heads],
        ["---"] * (len(heads) + 1),
        ["sentences", *(f"{len(bucket.lines):,}" for bucket in buckets)],
        *([name, *(f"{value:.1f}" for value in values)] for name, values in curves.items()),
    ]
    numbers = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    image = f"![BLEU against the length of the source: {', '.join(curves)}]({given.output.name})"
    return f"{image}\n\n{numbers}\n\nMade by\n\n```\n{told(given)}\n```"


def arguments() -> argparse.ArgumentParser:
    """The command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", required=True, help="a test set")
    parser.add_argument("--reference", required=True, help="its translation")
    parser.add_argument("--words", type=int, default=10, help="lengths that share a point of the plot")
    parser.add_argument("--output", type=Path, default=README.with_name("attention-by-length.svg"))
    parser.add_argument("--readme", type=Path, default=README, help="the file that figure and numbers are written into")
    parser.add_argument("run", nargs="+", type=Path, help="runs, for example one with attention and one without")
    return parser


def told(given: argparse.Namespace) -> str:
    """The command, but for where the files were."""
    options = {"source": Path(given.source).name, "reference": Path(given.reference).name, "words": str(given.words)}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return shlex.join(["python", "recipes/by_length.py", *words, *(run.name for run in given.run)])


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
