"""The `nmt` command: signatures and help texts. The work is done in `nmt_cli.commands`, loaded when a command runs."""

from __future__ import annotations

import importlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from nmt_cli import __version__
from nmt_cli.errors import Exit, UserError

app = typer.Typer(
    name="nmt",
    help="Neural machine translation with recurrent models and attention: prepare a corpus, train, translate, "
    "measure. Start with `nmt demo`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Device(StrEnum):
    """Where the numbers are crunched."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"
    TPU = "tpu"


class BadLines(StrEnum):
    """What happens to lines that are not UTF-8."""

    REFUSE = "refuse"
    SKIP = "skip"
    REPLACE = "replace"


RecipeOption = Annotated[
    str | None,
    typer.Option("--recipe", "-r", help="A TOML file, or the name of a shipped recipe (multi30k-fr-en, ...)."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override one option of the recipe: section.key=value. Repeatable.")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute. `gpu` fails when there is none.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress on stderr.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
ModelArgument = Annotated[Path, typer.Argument(help="A run directory, or a model folder.", show_default=False)]
MetricOption = Annotated[str, typer.Option(help="Any of bleu, chrf, ter, separated by commas.")]


def call(command: str, **arguments: Any) -> None:
    """Load `nmt_cli.commands.<command>` and run it."""
    importlib.import_module(f"nmt_cli.commands.{command}").run(**arguments)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nmt-cli {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def prepare(
    data: Annotated[Path, typer.Argument(help="The data directory to write.", show_default=False)],
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            help="Source side: a text file (.gz too, - for stdin), or the field of --corpus that holds it. "
            "Repeat it for several files.",
        ),
    ] = None,
    target: Annotated[list[str] | None, typer.Option("--target", "-t", help="Target side, like --source.")] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option(
            help="Pairs in one place: a .tsv, .csv, .jsonl or .parquet file, or the name of a dataset on the "
            "Hugging Face hub (NAME, NAME:CONFIG). --source and --target then name its fields or languages.",
        ),
    ] = None,
    valid_source: Annotated[str | None, typer.Option(help="Source side of the validation set.")] = None,
    valid_target: Annotated[str | None, typer.Option(help="Target side of the validation set.")] = None,
    valid_corpus: Annotated[
        str | None,
        typer.Option(help="Validation pairs in one file, or the split of a hub dataset (default: validation)."),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Use the tokenizer of this data directory, run or model instead of training one."),
    ] = None,
    recipe: RecipeOption = None,
    set_: SetOption = None,
    bad_lines: Annotated[BadLines, typer.Option(help="What to do with lines that are not UTF-8.")] = BadLines.REFUSE,
    quiet: QuietOption = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")] = False,
) -> None:
    """Turn a parallel corpus into vocabularies and arrays of ids.

    Example: nmt prepare data --source train.fr --target train.en --valid-source val.fr --valid-target val.en
    """
    call(
        "prepare",
        directory=data,
        source=source or [],
        target=target or [],
        corpus=corpus or [],
        valid_source=valid_source,
        valid_target=valid_target,
        valid_corpus=valid_corpus,
        tokenizer=tokenizer,
        recipe=recipe,
        overrides=set_ or [],
        bad_lines=bad_lines.value,
        quiet=quiet,
        json=json,
    )


@app.command()
def train(
    data: Annotated[Path, typer.Argument(help="A directory made by `nmt prepare`.", show_default=False)],
    run: Annotated[Path, typer.Argument(help="The run directory: made if new, resumed if not.", show_default=False)],
    recipe: RecipeOption = None,
    set_: SetOption = None,
    max_steps: Annotated[int | None, typer.Option(help="Stop after this many updates (train.max_steps).")] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop after this many minutes of training, all sittings together.")
    ] = None,
    device: DeviceOption = Device.AUTO,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events (extra: tensorboard).")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a damaged checkpoint instead of using the one before.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Train a model. The same command again resumes where it stopped.

    Example: nmt train data run --recipe multi30k-fr-en
    """
    call(
        "train",
        data_directory=data,
        run_directory=run,
        recipe=recipe,
        overrides=set_ or [],
        max_steps=max_steps,
        max_minutes=max_minutes,
        device=device.value,
        tensorboard=tensorboard,
        strict=strict,
        quiet=quiet,
    )


@app.command()
def translate(
    model: ModelArgument,
    input: Annotated[Path, typer.Argument(help="Text, one sentence a line; - is stdin.")] = Path("-"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Where translations go; - is stdout.")] = Path("-"),
    beam: Annotated[int | None, typer.Option(help="Hypotheses kept at each step; 1 is greedy.")] = None,
    n_best: Annotated[int, typer.Option(help="Translations per line, best first, at most --beam.", min=1)] = 1,
    length_penalty: Annotated[float | None, typer.Option(help="Alpha of the length penalty; 0 for none.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Lines translated at a time.", min=1)] = None,
    scores: Annotated[bool, typer.Option("--scores", help="Put the score and a tab before each translation.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line: text, score, tokens, flags.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse input that is not UTF-8 instead of replacing bytes.")
    ] = False,
    device: DeviceOption = Device.AUTO,
    quiet: QuietOption = False,
) -> None:
    """Translate lines: text in on stdin, text out on stdout, line for line.

    Example: echo "Bonjour !" | nmt translate run
    """
    call(
        "translate",
        model=model,
        input=input,
        output=output,
        beam=beam,
        n_best=n_best,
        length_penalty=length_penalty,
        batch_size=batch_size,
        scores=scores,
        json=json,
        strict=strict,
        device=device.value,
        quiet=quiet,
    )


@app.command("eval")
def evaluate(
    model: Annotated[Path | None, typer.Argument(help="A run directory or a model folder.", show_default=False)] = None,
    source: Annotated[Path | None, typer.Option("--source", "-s", help="Text for the model to translate.")] = None,
    hypothesis: Annotated[
        Path | None, typer.Option(help="Translations to score, instead of MODEL and --source.")
    ] = None,
    reference: Annotated[
        list[Path] | None, typer.Option("--reference", "-r", help="Reference translations. Repeat it for several.")
    ] = None,
    metric: MetricOption = "bleu",
    beam: Annotated[int | None, typer.Option(help="Hypotheses kept at each step; 1 is greedy.")] = None,
    length_penalty: Annotated[float | None, typer.Option(help="Alpha of the length penalty; 0 for none.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Lines translated at a time.", min=1)] = None,
    bootstrap: Annotated[int, typer.Option(help="Resamplings for confidence intervals; 0 for none.", min=0)] = 1000,
    lowercase: Annotated[bool, typer.Option("--lowercase", help="Score without regard to case.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the translations here.")] = None,
    json: JsonOption = False,
    device: DeviceOption = Device.AUTO,
    quiet: QuietOption = False,
) -> None:
    """Score translations against references with sacrebleu, signature included.

    Example: nmt eval run --source test.fr --reference test.en --metric bleu,chrf
    """
    call(
        "eval",
        model=model,
        source=source,
        hypothesis=hypothesis,
        reference=reference or [],
        metric=metric,
        beam=beam,
        length_penalty=length_penalty,
        batch_size=batch_size,
        bootstrap=bootstrap,
        lowercase=lowercase,
        output=output,
        json=json,
        device=device.value,
        quiet=quiet,
    )


@app.command()
def info(
    path: Annotated[Path, typer.Argument(help="A data directory, a run or a model folder.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Say what a data directory, run or model is: sizes, configuration, scores, provenance.

    Example: nmt info run
    """
    call("info", path=path, json=json)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Where the demo works.")] = Path("demo"),
    device: DeviceOption = Device.AUTO,
) -> None:
    """Prepare, train, translate and score an embedded French-English corpus, offline, in a minute or two.

    Example: nmt demo
    """
    call("demo", directory=directory, device=device.value)


def main() -> None:
    """Run the command line; turn what went wrong into a message on stderr and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"nmt: {error}", file=sys.stderr)
        sys.exit(error.code)
    except BrokenPipeError:
        # The reader of stdout has gone. Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.CLOSED_PIPE)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except OSError as error:
        print(f"nmt: {error.strerror or error}: {error.filename or 'stdout'}", file=sys.stderr)
        sys.exit(Exit.RESOURCE)
