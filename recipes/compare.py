"""Every system of the story, trained side by side on the same data.

    python recipes/compare.py train --pair de-en data-de test.de test.en --updates 2000 --seeds 1 2 3
    python recipes/compare.py speed --pair de-en data-de test.de test.en

`train` trains each recipe with `nmt train`, scores it with `nmt eval`, and writes the table of results into README.md
beside this file. What is finished is not done again, and what was interrupted goes on: run it as often as you like.
`speed` measures again how fast finished recipes train, a minute each, for a machine that other work was done on beside.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from nmt_cli.config import load_recipe, resolve
from nmt_cli.data.store import open_data
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.device import cores
from nmt_cli.run.directory import Run, replace_text
from nmt_cli.run.report import describe

STORY = ("sutskever2014", "cho2014", "bahdanau2015", "luong2015", "tf-nmt", "gnmt2016", "rnmt")
README = Path(__file__).with_name("README.md")
BEAM = 5


@dataclass(frozen=True)
class Result:
    """What one run came to. A run that diverged has a BLEU of None."""

    pair: str
    recipe: str
    updates: int
    seed: int
    made_from: dict[str, Any]  # the data's hash, the recipe's sections and what was set beyond them
    command: str  # of this script
    test: str  # name of the test set
    bleu: float | None
    signature: str
    parameters: int
    tokens_per_second: float  # useful target tokens
    minutes: float
    device: str


def train(given: argparse.Namespace) -> None:
    """Train and score whatever is not finished, and write the table of all there is."""
    for seed in given.seeds:
        for pair in given.pair:
            for recipe in given.recipes:
                train_one(given, pair, recipe, seed)
                write_section("table", table(read_results(given.runs)), given.readme)


def train_one(given: argparse.Namespace, pair: Sequence[str], recipe: str, seed: int) -> None:
    """One run: `nmt train`, `nmt eval`, and the file of its result beside it."""
    name, data, source, reference = pair
    updates = given.updates or resolve(load_recipe(recipe)).train.max_steps
    run = given.runs / name / f"{recipe}.{updates}.{seed}"
    limits = [f"train.max_steps={updates}", *([f"train.max_minutes={given.minutes}"] if given.minutes else [])]
    settings = [f"train.seed={seed}", *limits, *given.set]
    made_from = {"data": open_data(Path(data)).hash, "recipe": load_recipe(recipe), "set": settings}
    file = run.with_name(f"{run.name}.json")
    if file.exists() and read_result(file).made_from == made_from:
        return  # made from something else, `nmt train` says what, and refuses
    options = [part for setting in settings for part in ("--set", setting)]
    trained = nmt("train", data, str(run), "--recipe", recipe, *options)
    if trained.returncode not in (Exit.OK, Exit.DIVERGED):
        sys.exit(trained.returncode)
    scored = evaluate(run, source, reference) if trained.returncode == Exit.OK else {"value": None, "signature": ""}
    test = Path(source).stem
    result = Result(name, recipe, updates, seed, made_from, told(given), test, *scored.values(), *measured(run))
    write_result(file, result)


def nmt(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command line, shown before it runs."""
    print("$", shlex.join(["nmt", *arguments]), file=sys.stderr, flush=True)
    return subprocess.run([sys.executable, "-m", "nmt_cli", *arguments], text=True, **options)


def evaluate(run: Path, source: str, reference: str) -> dict[str, Any]:
    """BLEU of the run's best model, and its signature; the translations are kept beside the run."""
    files = ["--source", source, "--reference", reference, "--output", str(translations(run, source))]
    search = ["--beam", str(BEAM), "--bootstrap", "0"]
    done = nmt("eval", str(run), *files, *search, "--json", "--quiet", stdout=subprocess.PIPE)
    if done.returncode:
        sys.exit(done.returncode)
    score = json.loads(done.stdout)
    return {"value": score["value"], "signature": score["signature"]}


def translations(run: Path, source: str) -> Path:
    """Where the translations of a test set are kept."""
    return run.with_name(f"{run.name}.{Path(source).name}.translated")


def measured(run: Path) -> tuple[int, float, float, str]:
    """Parameters, target tokens a second, minutes and device, from what the run wrote down of itself."""
    facts = describe(run)
    minutes = max((record["minutes"] for record in Run(run).metrics() if "minutes" in record), default=0.0)
    parameters = facts.get("last", {}).get("parameters", 0)
    device = f"{facts['provenance'].get('device', '')}, {cores()} core{'s' * (cores() > 1)}"
    return parameters, tokens_per_second(run), minutes, device


def tokens_per_second(run: Path) -> float:
    """Useful target tokens: the median over the lines of a run's log."""
    log = Run(run).metrics()
    return statistics.median(
        [record.get("target_tokens_per_second", 0.0) for record in log if "loss" in record] or [0.0]
    )


def speed(given: argparse.Namespace) -> None:
    """Measure the speed of every recipe that has a result, and write it into the result and the table."""
    for name, data, *_ in given.pair:
        for recipe in given.recipes:
            files = sorted((given.runs / name).glob(f"{recipe}.*.json"))
            if files:
                pace = short_run(data, recipe, read_result(files[0]).made_from["set"])
            for file in files:
                write_result(file, dataclasses.replace(read_result(file), tokens_per_second=pace))
    write_section("table", table(read_results(given.runs)), given.readme)


def short_run(data: str, recipe: str, settings: Sequence[str]) -> float:
    """Target tokens a second of a few updates, without translating."""
    short = ["train.max_steps=60", "train.log_every=10", "train.eval_lines=0"]
    options = [part for setting in (*settings, *short) for part in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / recipe
        if code := nmt("train", data, str(run), "--recipe", recipe, *options).returncode:
            sys.exit(code)
        return tokens_per_second(run)


def read_result(file: Path) -> Result:
    """What `write_result` wrote."""
    return Result(**json.loads(file.read_text(encoding="utf-8")))


def write_result(file: Path, result: Result) -> None:
    """What `read_result` reads."""
    replace_text(file, json.dumps(dataclasses.asdict(result), indent=2) + "\n")


def read_results(runs: Path) -> list[Result]:
    """All results, by pair, in the order of the story, from few updates to many."""

    def order(result: Result) -> tuple[Any, ...]:
        place = STORY.index(result.recipe) if result.recipe in STORY else len(STORY)
        return result.pair, place, result.recipe, result.updates, result.seed

    return sorted(map(read_result, runs.glob("*/*.json")), key=order)


def table(results: Iterable[Result]) -> str:
    """Markdown: for each pair a table, a row for each recipe and number of updates, seeds taken together."""
    parts = []
    for pair, group in groupby(results, lambda result: result.pair):
        found = list(group)
        tests, signatures, devices, commands = (
            sorted({getattr(result, name) for result in found} - {""})
            for name in ("test", "signature", "device", "command")
        )
        parts += [
            f"**{pair}**: test set {', '.join(tests)}; beam {BEAM}, and the recipe's length penalty; "
            f"on {', '.join(devices)}; signature `{', '.join(signatures)}`.",
            "\n".join(rows(found)),
            "\n".join(["```", *commands, "```"]),
        ]
    return "\n\n".join(parts) or "Not measured yet."


def rows(results: Iterable[Result]) -> Iterable[str]:
    """The lines of one table."""
    yield "| recipe | sacreBLEU | seeds | updates | parameters | target tokens/s | minutes |"
    yield "|---|---|---|---|---|---|---|"
    for (recipe, updates), group in groupby(results, lambda result: (result.recipe, result.updates)):
        runs = list(group)
        speed = statistics.fmean(run.tokens_per_second for run in runs)
        minutes = statistics.fmean(run.minutes for run in runs)
        name = f"[{recipe}]({recipe}.toml)" if README.with_name(f"{recipe}.toml").exists() else recipe
        counts = f"{len(runs)} | {updates:,} | {runs[0].parameters / 1e6:.1f} M | {speed:,.0f} | {minutes:.0f}"
        yield f"| {name} | {scores([run.bleu for run in runs])} | {counts} |"


def scores(values: Sequence[float | None]) -> str:
    """Mean and standard deviation over seeds; how many of them diverged."""
    good = [value for value in values if value is not None]
    diverged = f"{len(values) - len(good)} diverged" if len(good) < len(values) else ""
    spread = f" ± {statistics.stdev(good):.1f}" if len(good) > 1 else ""
    mean = f"{statistics.fmean(good):.1f}{spread}" if good else ""
    return ", ".join(filter(None, [mean, diverged]))


def write_section(name: str, text: str, readme: Path) -> None:
    """Put text between the markers of a section of README.md."""
    begin, end = f"<!-- compare: {name} -->", "<!-- compare: end -->"
    before, found, rest = readme.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        sys.exit(f"{readme}: the lines {begin} and {end} are missing: put them where the {name} is to go")
    replace_text(readme, f"{before}{begin}\n{text}\n{end}{after}")


def arguments() -> argparse.ArgumentParser:
    """The command line of this script."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--pair", nargs=4, action="append", required=True, metavar=("NAME", "DATA", "SOURCE", "REFERENCE"),
        help="a name, what `nmt prepare` made, and a test set; may be repeated",
    )  # fmt: skip
    shared.add_argument("--recipes", nargs="+", default=STORY, metavar="RECIPE")
    shared.add_argument("--runs", type=Path, default=Path("runs"), help="where runs and their results are kept")
    shared.add_argument("--readme", type=Path, default=README, help="the file that the table is written into")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", parents=[shared], help="train, score and write the table")
    training.set_defaults(do=train)
    training.add_argument("--updates", type=int, help="updates of every run; without it, what each recipe says")
    training.add_argument("--minutes", type=float, help="the longest that a run may train")
    training.add_argument("--seeds", type=int, nargs="+", default=[1])
    training.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="for every run")
    timing = commands.add_parser("speed", parents=[shared], help="measure again how fast finished recipes train")
    timing.set_defaults(do=speed)
    return parser


def told(given: argparse.Namespace) -> str:
    """The command that trains them all again: as given, but for where files were and which recipes it was for."""
    pairs = [word for pair in given.pair for word in ("--pair", pair[0], *(Path(file).name for file in pair[1:]))]
    updates = ["--updates", str(given.updates)] if given.updates else []
    minutes = ["--minutes", f"{given.minutes:g}"] if given.minutes else []
    settings = [word for setting in given.set for word in ("--set", setting)]
    words = ["train", *pairs, *updates, *minutes, "--seeds", *map(str, given.seeds), *settings]
    return shlex.join(["python", "recipes/compare.py", *words])


def main() -> None:
    given = arguments().parse_args()
    try:
        given.do(given)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)


if __name__ == "__main__":
    main()
