"""The `nmt` command: signatures and help texts.

The work is done in `nmt_cli.commands`, loaded when a command runs: `run` in `commands/train.py` takes what `train`
takes here, by the same names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nmt_cli import __version__, arguments, calling, translating
from nmt_cli.process import keep_memory, leave

app = typer.Typer(
    name="nmt",
    help="Train a translator on your own sentence pairs, translate with it, and measure it. "
    "Recurrent networks with attention, on CPU, GPU or TPU.",
    epilog="New here? `nmt demo` shows it all at work in a minute or two, without a network. "
    "`nmt COMMAND --help` explains a command.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Help without rich takes a third of the time; rich markup alone would break the promise of 0.3 s.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


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
    directory: arguments.DataOutput,
    *,
    source: arguments.SourceFiles,
    target: arguments.TargetFiles,
    corpus: arguments.Corpus,
    valid_source: arguments.ValidSource = None,
    valid_target: arguments.ValidTarget = None,
    valid_corpus: arguments.ValidCorpus = None,
    tokenizer: arguments.ExistingTokenizer = None,
    recipe: arguments.RecipeOption = None,
    overrides: arguments.SetOption,
    bad_lines: arguments.BadLinesOption = arguments.BadLines.REFUSE,
    quiet: arguments.QuietOption = False,
    json: arguments.JsonReport = False,
) -> None:
    """Turn sentence pairs into a vocabulary and training data.

    Says how many pairs were kept, and what was dropped or altered, and why.

    \b
    Examples:
      nmt prepare data -s train.fr -t train.en --valid-source val.fr --valid-target val.en
      nmt prepare data --corpus pairs.tsv -s fr -t en
    """
    calling.call("prepare", locals())


@app.command()
def train(
    data_directory: arguments.DataInput,
    run_directory: arguments.RunDirectory,
    *,
    recipe: arguments.RecipeOption = None,
    overrides: arguments.SetOption,
    max_steps: arguments.MaxSteps = None,
    max_minutes: arguments.MaxMinutes = None,
    source_embeddings: arguments.SourceEmbeddings = None,
    target_embeddings: arguments.TargetEmbeddings = None,
    device: arguments.DeviceOption = arguments.Device.AUTO,
    tensorboard: arguments.Tensorboard = False,
    strict: arguments.StrictCheckpoint = False,
    quiet: arguments.QuietOption = False,
) -> None:
    """Train a model, or go on where training stopped.

    Ctrl-C saves and stops; the same command again goes on from there. RUN/best is the best model so far.

    \b
    Examples:
      nmt train data run
      nmt train data run --recipe multi30k-fr-en --set train.max_steps=2000
    """
    calling.call("train", locals())


app.command()(translating.translate)
app.command()(translating.score)
app.command()(translating.average)


@app.command("eval")
def evaluate(
    model: arguments.OptionalModel = None,
    *,
    source: arguments.SourceText = None,
    hypothesis: arguments.Hypothesis = None,
    reference: arguments.References,
    metric: arguments.MetricOption = "bleu",
    beam: arguments.BeamOption = None,
    length_penalty: arguments.LengthPenaltyOption = None,
    method: arguments.MethodOption = None,
    shortlist: arguments.ShortlistOption = None,
    overrides: arguments.SearchSetOption,
    batch_size: arguments.BatchSizeOption = None,
    bootstrap: arguments.Bootstrap = 1000,
    lowercase: arguments.LowercaseOption = False,
    output: arguments.TranslationsOutput = None,
    json: arguments.JsonOption = False,
    device: arguments.DeviceOption = arguments.Device.AUTO,
    quiet: arguments.QuietOption = False,
) -> None:
    """Score translations against references.

    Scores are sacrebleu's, with the signature that makes them comparable.

    \b
    Examples:
      nmt eval run --source test.fr --reference test.en
      nmt eval --hypothesis output.en --reference test.en --metric bleu,chrf
    """
    calling.call("eval", locals())


@app.command()
def visualize(
    model: arguments.ModelArgument,
    text: arguments.Sentences,
    *,
    input: arguments.SentenceFile = None,
    output: arguments.PageOutput = None,
    compare: arguments.OtherModel = None,
    target: arguments.ForcedTarget,
    reference: arguments.ReferenceText,
    beam: arguments.BeamOption = None,
    length_penalty: arguments.LengthPenaltyOption = None,
    heatmap: arguments.Heatmap = None,
    training: arguments.TrainingCurves = None,
    language: arguments.PageLanguage = arguments.Language.EN,
    json: arguments.TraceJson = False,
    open: arguments.OpenPage = False,
    device: arguments.DeviceOption = arguments.Device.AUTO,
    quiet: arguments.QuietOption = False,
) -> None:
    """Look inside a translation, step by step.

    Every vector, gate, attention weight and hypothesis on the way from the source to the translation, in one file
    that opens offline in any browser.

    \b
    Examples:
      nmt visualize run "Je suis étudiant." -o walk.html --open
      nmt visualize run "Je suis étudiant." --heatmap alignment.svg
      nmt visualize run --training curves.svg
    """
    calling.call("visualize", locals())


@app.command()
def info(path: arguments.InfoPath, *, json: arguments.JsonOption = False) -> None:
    """Say what a data directory, run or model is.

    Sizes, settings, scores, and where it came from.

    \b
    Examples:
      nmt info run
      nmt info data --json
    """
    calling.call("info", locals())


@app.command()
def verify(path: arguments.InfoPath, *, json: arguments.JsonOption = False) -> None:
    """Check that no file has changed since it was written.

    Reads every byte of a data directory, a model, or a run with all its checkpoints and models, and holds it against
    the SHA-256 it was written with. Names each file that is damaged or missing; the exit code is 4 then.

    \b
    Examples:
      nmt verify run
      nmt verify run/best --json
    """
    calling.call("verify", locals())


@app.command()
def demo(
    directory: arguments.DemoDirectory = Path("demo"), *, device: arguments.DeviceOption = arguments.Device.AUTO
) -> None:
    """See it all at work on a small French-English corpus.

    Prepares, trains, translates and scores, showing each command. Needs no network and a minute or two.
    """
    calling.call("demo", locals())


def main() -> None:
    """Run the command line in this process."""
    app(prog_name="nmt")


def start() -> None:
    """The `nmt` program: the command line, in a process made fit for it."""
    command = sys.argv[1:2]
    if command in (["train"], ["translate"]):
        keep_memory()
    try:
        main()
    except SystemExit as end:
        if command == ["translate"] and isinstance(end.code, int):
            leave(end.code)
        raise
