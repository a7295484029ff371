"""`nmt score`: what a model thinks of given translations."""

from __future__ import annotations

import json as jsonlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nmt_cli import config
from nmt_cli.commands.eval import read_all
from nmt_cli.commands.notes import no_note, note, note_tally, plural
from nmt_cli.commands.translate import alignment_of, collect_flags, note_flags
from nmt_cli.data.tally import Tally
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.output import open_output
from nmt_cli.run.translation import Translation
from nmt_cli.run.translator import Translator

AT_A_TIME = 1024  # pairs that are sorted by length together


def run(
    model: Path,
    source: Path,
    target: Path,
    beside: Sequence[Path],
    output: Path,
    overrides: Sequence[str],
    alignment: bool,
    json: bool,
    device: str,
    quiet: bool,
    **search: Any,
) -> None:
    """Score line n of --target as a translation of line n of --source.

    search: settings of the search by their names; None where not given.
    """
    settings = config.search_settings(search, overrides)
    tally = Tally()
    sources, targets = read_all(source, tally), read_all(target, tally)
    check_counts(sources, targets, (source, target))
    note_tally(tally)
    translator = Translator.load(model, device, no_note if quiet else note, beside)
    flagged = Tally()
    total, tokens = 0.0, 0
    with open_output(output) as write:
        for number, pair in enumerate(scored(translator, sources, targets, alignment, settings), start=1):
            collect_flags(flagged, number, pair)
            if pair.log_probs:
                total, tokens = total + pair.n_best[0].log_prob, tokens + len(pair.log_probs)
            write(jsonlib.dumps(as_dict(pair), ensure_ascii=False) + "\n" if json else as_line(pair))
    note_flags(flagged)
    if tokens and not quiet:
        mean = total / tokens
        perplexity = math.exp(min(-mean, 700.0))
        note(f"{plural(len(sources))}, {tokens:,} tokens: {mean:.4f} a token, perplexity {perplexity:.3f}")


def scored(
    translator: Translator, sources: Sequence[str], targets: Sequence[str], alignment: bool, settings: dict[str, Any]
) -> Iterator[Translation]:
    """Every pair in its order."""
    for start in range(0, len(sources), AT_A_TIME):
        some = slice(start, start + AT_A_TIME)
        yield from translator.score(sources[some], targets[some], alignment, **settings)


def as_line(pair: Translation) -> str:
    """Score, log-probability, and log-probability for each token, with tabs between; then the alignment, if any."""
    log_prob = pair.n_best[0].log_prob if pair.log_probs else pair.score
    columns = [f"{pair.score:.4f}", f"{log_prob:.4f}", f"{log_prob / max(len(pair.log_probs), 1):.4f}"]
    if pair.alignment is not None:
        columns.append(alignment_of(pair.alignment))
    return "\t".join(columns) + "\n"


def as_dict(pair: Translation) -> dict[str, object]:
    """The same with all there is to know, for JSON."""
    shown = pair.as_dict()
    return {**shown, "log_prob": pair.n_best[0].log_prob if pair.log_probs else shown["score"]}


def check_counts(sources: Sequence[str], targets: Sequence[str], names: tuple[Path, Path]) -> None:
    """Raises UserError (DATA) naming both counts where they differ."""
    if len(sources) != len(targets):
        what = f"{names[0]} has {plural(len(sources))} and {names[1]} has {plural(len(targets))}"
        raise UserError(what, "line n of one must translate line n of the other", Exit.DATA)
