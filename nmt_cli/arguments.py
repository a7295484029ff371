"""The arguments and options of the command line: how they are written and what they mean."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where the numbers are crunched."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"
    TPU = "tpu"


class Language(StrEnum):
    """What a page is written in; the page itself can switch."""

    EN = "en"
    KO = "ko"


class Method(StrEnum):
    """How a translation is looked for."""

    BEAM = "beam"
    SAMPLE = "sample"
    MBR = "mbr"


class BadLines(StrEnum):
    """What happens to lines that are not UTF-8."""

    REFUSE = "refuse"
    SKIP = "skip"
    REPLACE = "replace"


def recipe_names(incomplete: str) -> list[str]:
    """Shipped recipes for shell completion."""
    from nmt_cli.config import recipe_folder

    return sorted(path.stem for path in recipe_folder().glob("*.toml") if path.stem.startswith(incomplete))


def option_names(incomplete: str) -> list[tuple[str, str]]:
    """`section.key=` and its explanation, for shell completion of --set."""
    from dataclasses import fields

    from nmt_cli.config import SECTIONS

    options = ((f"{name}.{f.name}=", f.metadata["help"]) for name, section in SECTIONS.items() for f in fields(section))
    return [(option, explanation) for option, explanation in options if option.startswith(incomplete)]


def search_option_names(incomplete: str) -> list[tuple[str, str]]:
    """Those of the section [search]."""
    return [option for option in option_names(incomplete) if option[0].startswith("search.")]


RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="RECIPE",
        autocompletion=recipe_names,
        help="Settings from a TOML file, or from a shipped recipe by its name (multi30k-fr-en, ...).",
    ),
]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        default_factory=list,
        show_default=False,
        autocompletion=option_names,
        help="Change one setting, for example model.dropout=0.3. Wins over the recipe; may be repeated.",
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute. `gpu` and `tpu` fail where there is none.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes and no progress on stderr.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
FromModel = "what the model was trained with"
BeamOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="K", show_default=FromModel, help="Hypotheses kept at each step; 1 is greedy."),
]
LengthPenaltyOption = Annotated[
    float | None,
    typer.Option(metavar="ALPHA", show_default=FromModel, help="More favours longer translations; 0 is no penalty."),
]
BatchSizeOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", show_default=FromModel, help="Lines translated at a time.")
]
MethodOption = Annotated[
    Method | None,
    typer.Option(
        show_default=FromModel,
        help="Beam search; random samples; or, of random samples, the one most like the others (minimum Bayes risk).",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option(min=0, metavar="N", show_default=FromModel, help="Samples follow from it and the line.")
]
ShortlistOption = Annotated[
    bool | None,
    typer.Option(
        "--shortlist/--no-shortlist",
        show_default=FromModel,
        help="Write only what the source's pieces are likely to become, and what is frequent: faster, not the same.",
    ),
]
SearchSetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="SEARCH.KEY=VALUE",
        default_factory=list,
        show_default=False,
        autocompletion=search_option_names,
        help="Change any setting of the search, for example search.top_k=10 or search.no_repeat=3. May be repeated.",
    ),
]

DataOutput = Annotated[Path, typer.Argument(metavar="DATA", help="The directory to write.")]
SourceFiles = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        metavar="FILE",
        default_factory=list,
        show_default=False,
        help="The language to translate from: text, one sentence a line (.gz too; - is stdin). May be repeated. "
        "With --corpus: the name of its field or its language code.",
    ),
]
TargetFiles = Annotated[
    list[str],
    typer.Option(
        "--target",
        "-t",
        metavar="FILE",
        default_factory=list,
        show_default=False,
        help="The language to translate into, like --source: line n translates line n.",
    ),
]
Corpus = Annotated[
    list[str],
    typer.Option(
        metavar="CORPUS",
        default_factory=list,
        show_default=False,
        help="Both languages in one place: a .tsv, .csv, .jsonl or .parquet file, or a dataset of the "
        "Hugging Face hub (NAME or NAME:CONFIG). May be repeated.",
    ),
]
ValidSource = Annotated[
    str | None, typer.Option(metavar="FILE", help="Held-out sentences that training is steered by.")
]
ValidTarget = Annotated[str | None, typer.Option(metavar="FILE", help="Their translations.")]
ValidCorpus = Annotated[
    str | None,
    typer.Option(
        metavar="CORPUS", help="Held-out pairs in one file, or the split of a hub dataset.  [default: validation]"
    ),
]
ExistingTokenizer = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Use the tokenizer of this data directory, run or model; train none."),
]
JsonReport = Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")]
BadLinesOption = Annotated[BadLines, typer.Option(help="What to do with lines that are not UTF-8.")]

DataInput = Annotated[Path, typer.Argument(metavar="DATA", help="A directory made by `nmt prepare`.")]
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of this training: made, or resumed.")]
MaxSteps = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Stop after this many updates, all sittings together.")
]
MaxMinutes = Annotated[
    float | None, typer.Option(metavar="M", help="Stop after this many minutes of training, all sittings together.")
]
SourceEmbeddings = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Word vectors (word2vec, GloVe or fastText, as text; .gz too) that source embeddings begin with.",
    ),
]
TargetEmbeddings = Annotated[Path | None, typer.Option(metavar="FILE", help="The same for target embeddings.")]
Tensorboard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write TensorBoard events (pip install 'nmt-cli[tensorboard]').")
]
StrictCheckpoint = Annotated[
    bool, typer.Option("--strict", help="Refuse a damaged checkpoint instead of using the one before it.")
]

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="A run directory or a model folder.")]
TextInput = Annotated[Path, typer.Argument(metavar="INPUT", help="Text, one sentence a line; - is stdin.")]

OptionalModel = Annotated[Path | None, typer.Argument(metavar="MODEL", help="A run directory or a model folder.")]
SourceText = Annotated[Path | None, typer.Option("--source", "-s", metavar="FILE", help="Text for MODEL to translate.")]
Hypothesis = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Translations to score, in place of MODEL and --source.")
]
References = Annotated[
    list[Path],
    typer.Option(
        "--reference",
        "-r",
        metavar="FILE",
        default_factory=list,
        show_default=False,
        help="What they should have been. May be repeated.",
    ),
]
MetricOption = Annotated[str, typer.Option(metavar="NAMES", help="Any of bleu, chrf and ter, separated by commas.")]
Bootstrap = Annotated[
    int, typer.Option(min=0, metavar="N", help="Resamplings for the confidence interval; 0 for no interval.")
]
LowercaseOption = Annotated[bool, typer.Option("--lowercase", help="Score without regard to case.")]
TranslationsOutput = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Also write the translations here.")
]

Sentences = Annotated[
    list[str],
    typer.Argument(
        metavar="[TEXT]...",
        default_factory=list,
        show_default=False,
        help="The sentences to translate; without any, the lines of --input or stdin.",
    ),
]
SentenceFile = Annotated[
    Path | None, typer.Option("--input", "-i", metavar="FILE", help="A file of sentences; - is stdin.")
]
PageOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the page goes; - is stdout. Unless asked for something else: walk.html",
    ),
]
OtherModel = Annotated[
    Path | None, typer.Option("--compare", metavar="MODEL", help="Another model to see beside the first.")
]
ForcedTarget = Annotated[
    list[str],
    typer.Option(
        "--target",
        metavar="TEXT",
        default_factory=list,
        show_default=False,
        help="Walk through this translation instead of the model's own. Once for each sentence.",
    ),
]
ReferenceText = Annotated[
    list[str],
    typer.Option(
        "--reference",
        "-r",
        metavar="TEXT",
        default_factory=list,
        show_default=False,
        help="A right translation, to see what the model thinks of it. Once for each sentence.",
    ),
]
Heatmap = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the alignment as an image: .svg, or .png and .pdf.")
]
TrainingCurves = Annotated[
    Path | None, typer.Option("--training", metavar="FILE", help="Write a run's learning curves as an image.")
]
PageLanguage = Annotated[Language, typer.Option(help="What the page is written in at first; it can switch.")]
TraceJson = Annotated[bool, typer.Option("--json", help="Write the trace, every tensor in full, to stdout.")]
OpenPage = Annotated[bool, typer.Option("--open", help="Show the page in the browser.")]

InfoPath = Annotated[Path, typer.Argument(metavar="PATH", help="A data directory, a run or a model folder.")]
DemoDirectory = Annotated[Path, typer.Argument(metavar="DIR", help="Where the demo puts its files.")]
