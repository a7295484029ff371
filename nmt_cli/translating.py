"""`nmt translate`, `nmt score` and `nmt average`: signatures, options and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_cli import arguments, calling

Beside = Annotated[
    list[Path],
    typer.Option(
        "--with",
        metavar="MODEL",
        default_factory=list,
        show_default=False,
        help="Another model that works together with the first (an ensemble): what they think of each piece is "
        "averaged. May be repeated.",
    ),
]
Prefix = Annotated[str, typer.Option(metavar="TEXT", help="What every translation begins with.", show_default=False)]
Require = Annotated[
    list[str],
    typer.Option(
        metavar="PHRASE",
        default_factory=list,
        show_default=False,
        help="A phrase that every translation contains. May be repeated.",
    ),
]
Forbid = Annotated[
    list[str],
    typer.Option(
        metavar="PHRASE",
        default_factory=list,
        show_default=False,
        help="A phrase that no translation contains. May be repeated.",
    ),
]
ReplaceUnknown = Annotated[
    bool,
    typer.Option(
        "--replace-unknown",
        help="In the place of an unknown word put the source word that was looked at most (for word vocabularies).",
    ),
]
Dictionary = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Its translation instead, from lines of WORD<tab>TRANSLATION; else the word."),
]
Scores = Annotated[bool, typer.Option("--scores", help="Put the score and a tab before each translation.")]
Alignment = Annotated[
    bool,
    typer.Option(
        "--alignment",
        help="Put a tab and the alignment after it: i-j for each word j, and the word i of the line that was looked at "
        "most, counted from 0. With --json also the weights, and where all pieces stand.",
    ),
]
JsonLines = Annotated[
    bool,
    typer.Option("--json", help="One JSON object a line: text, score, tokens and their log-probabilities, flags."),
]
JsonInput = Annotated[
    bool,
    typer.Option(
        "--json-input",
        help='Lines are JSON objects with "text" and, if wanted, "prefix", "require" and "forbid" (see those options). '
        "Other fields come back with --json.",
    ),
]
StrictInput = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse input that is not UTF-8 or, with --json-input, not JSON; else its bytes are replaced, and such "
        "a line is left untranslated.",
    ),
]
PairSource = Annotated[
    Path, typer.Option("--source", "-s", metavar="FILE", help="Text, one sentence a line; - is stdin.")
]
PairTarget = Annotated[Path, typer.Option("--target", "-t", metavar="FILE", help="Its translations, line for line.")]
ScoreOutput = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where scores go; - is stdout.")]
PairAlignment = Annotated[
    bool, typer.Option("--alignment", help="Add a column with the alignment of words: i-j, counted from 0.")
]
PairJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, with the numbers of each piece.")]
NBest = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Translations of each line, best first and no text twice; at most --beam, or samples with --method "
        "sample. Each on a line of its own, as LINE ||| TEXT ||| logprob= LOG-PROBABILITY ||| SCORE, lines counted "
        "from 0, and ||| ALIGNMENT with --alignment.",
    ),
]
TextOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where translations go; - is stdout. They are written to FILE.partial, which becomes FILE at the end.",
    ),
]
TrainedRun = Annotated[Path, typer.Argument(metavar="RUN", help="The directory of a training.")]
ModelOutput = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="MODEL", help="The folder to write.  [default: RUN/average]")
]
LastCheckpoints = Annotated[
    int | None,
    typer.Option(min=1, metavar="K", show_default="all there are", help="Average the last K checkpoints."),
]
CheckpointStep = Annotated[
    list[int],
    typer.Option(
        metavar="N",
        default_factory=list,
        show_default=False,
        help="Average the checkpoints of these steps. May be repeated.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the model that is there already.")]


def translate(
    model: arguments.ModelArgument,
    input: arguments.TextInput = Path("-"),
    *,
    beside: Beside,
    output: TextOutput = Path("-"),
    beam: arguments.BeamOption = None,
    n_best: NBest = 1,
    length_penalty: arguments.LengthPenaltyOption = None,
    method: arguments.MethodOption = None,
    seed: arguments.SeedOption = None,
    batch_size: arguments.BatchSizeOption = None,
    shortlist: arguments.ShortlistOption = None,
    overrides: arguments.SearchSetOption,
    prefix: Prefix = "",
    require: Require,
    forbid: Forbid,
    replace_unknown: ReplaceUnknown = False,
    dictionary: Dictionary = None,
    scores: Scores = False,
    alignment: Alignment = False,
    json: JsonLines = False,
    json_input: JsonInput = False,
    strict: StrictInput = False,
    device: arguments.DeviceOption = arguments.Device.AUTO,
    quiet: arguments.QuietOption = False,
) -> None:
    """Translate text: a line out for every line in.

    A line longer than search.max_length pieces is translated in parts: after sentences, else after clauses, else
    between words; search.long_lines=cut cuts it. Flags say what happened to a line: empty, split, cut, replaced (its
    bytes), unreadable (as JSON), limit (its translation did not end), unmet (a phrase is missing, or unwanted).

    \b
    Examples:
      echo "Un chien court." | nmt translate run
      nmt translate run test.fr -o test.en --beam 10
      nmt translate run test.fr --method sample --n-best 5 --seed 7
      nmt translate run test.fr --with other-run --alignment --json
      nmt translate run requests.jsonl --json-input --json
    """
    calling.call("translate", locals())


def score(
    model: arguments.ModelArgument,
    *,
    source: PairSource,
    target: PairTarget,
    beside: Beside,
    output: ScoreOutput = Path("-"),
    length_penalty: arguments.LengthPenaltyOption = None,
    batch_size: arguments.BatchSizeOption = None,
    shortlist: arguments.ShortlistOption = None,
    overrides: arguments.SearchSetOption,
    alignment: PairAlignment = False,
    json: PairJson = False,
    device: arguments.DeviceOption = arguments.Device.AUTO,
    quiet: arguments.QuietOption = False,
) -> None:
    """Say how likely given translations are.

    A line for every pair: its score (as `nmt translate --scores` has it: log-probability over length penalty), its
    log-probability, and that for each token, in nats, with tabs between. A text is cut into pieces in the usual way;
    where search had found it as other pieces, it had another score. A blank source has the score 0 with a blank
    translation and -inf with any other; a blank translation is scored as one that ends at once. Sides longer than
    the model reads and writes are cut, and flagged.

    \b
    Examples:
      nmt score run --source test.fr --target test.en
      nmt score run -s test.fr -t test.en --alignment --json
    """
    calling.call("score", locals())


def average(
    run_directory: TrainedRun,
    *,
    output: ModelOutput = None,
    last: LastCheckpoints = None,
    step: CheckpointStep,
    force: Force = False,
    quiet: arguments.QuietOption = False,
) -> None:
    """Make a model of the mean of a training's checkpoints.

    It often translates better than each of them. How many checkpoints there are is for train.keep to say.

    \b
    Examples:
      nmt average run
      nmt average run --last 5 -o averaged
    """
    calling.call("average", locals())
