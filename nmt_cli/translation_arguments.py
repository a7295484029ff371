"""The arguments and options of `nmt translate` and `nmt score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt_cli.arguments import option_names


def search_names(incomplete: str) -> list[tuple[str, str]]:
    """`search.key=` and its explanation, for shell completion of --set."""
    return [entry for entry in option_names(incomplete) if entry[0].startswith("search.")]


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
SearchSetting = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="search.KEY=VALUE",
        default_factory=list,
        show_default=False,
        autocompletion=search_names,
        help="Change one setting of the search, for example search.max_ratio=3. May be repeated.",
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
        help="Translations of each line, best first; at most --beam. Each on a line of its own, as "
        "LINE ||| TEXT ||| logprob= LOG-PROBABILITY ||| SCORE, lines counted from 0, "
        "and ||| ALIGNMENT with --alignment.",
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
