"""`nmt eval`: how good translations are, by sacrebleu."""

from __future__ import annotations

import dataclasses
import json as jsonlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt_cli import config
from nmt_cli.commands.notes import no_note, note, note_tally
from nmt_cli.data.lines import open_bytes, read_lines
from nmt_cli.data.tally import Tally
from nmt_cli.errors import UserError
from nmt_cli.run import scoring
from nmt_cli.run.output import open_output


def run(
    model: Path | None,
    source: Path | None,
    hypothesis: Path | None,
    reference: Sequence[Path],
    metric: str,
    overrides: Sequence[str],
    bootstrap: int,
    lowercase: bool,
    output: Path | None,
    json: bool,
    device: str,
    quiet: bool,
    **search: Any,
) -> None:
    """Score a model's translations of --source, or --hypothesis, against --reference.

    search: settings of the search by their names; None where not given.
    """
    metrics = scoring.parse_metrics(metric)
    settings = config.search_settings(search, overrides)
    check_choice(model, source, hypothesis, reference)
    given = hypothesis or source
    assert given is not None
    tally = Tally()
    texts, references = read_all(given, tally), [read_all(path, tally) for path in reference]
    names = [str(given), *map(str, reference)]
    scoring.check_counts(texts, references, names)
    note_tally(tally)
    if hypothesis in reference:
        note(f"{hypothesis} is both hypothesis and reference: the score says nothing")
    if model is not None:
        texts = translate(model, texts, settings, device, quiet)
    if output is not None:
        with open_output(output) as write:
            write("".join(f"{text}\n" for text in texts))
    scores = scoring.score(texts, references, metrics, lowercase=lowercase, bootstrap=bootstrap, names=names)
    with open_output(Path("-")) as write:
        for score in scores:
            write((jsonlib.dumps(dataclasses.asdict(score)) if json else str(score)) + "\n")


def check_choice(model: Path | None, source: Path | None, hypothesis: Path | None, reference: Sequence[Path]) -> None:
    """Refuse (usage) all but MODEL with --source, or --hypothesis alone, with at least one --reference."""
    usage = "nmt eval MODEL --source FILE --reference FILE, or nmt eval --hypothesis FILE --reference FILE"
    if not reference:
        raise UserError("there is nothing to compare with: --reference is missing", usage)
    if (model is None) != (source is None) or (hypothesis is None) == (model is None):
        raise UserError("give either MODEL and --source, or --hypothesis", usage)


def read_all(path: Path, tally: Tally) -> list[str]:
    """All lines of a file. Raises UserError (DATA) where they are not UTF-8."""
    with open_bytes(str(path)) as stream:
        return list(read_lines(stream, "stdin" if str(path) == "-" else str(path), "refuse", tally))


def translate(model: Path, lines: list[str], settings: dict[str, Any], device: str, quiet: bool) -> list[str]:
    """The model's translations."""
    # JAX takes seconds to load, and --hypothesis does without it.
    from nmt_cli.commands.translate import collect_flags, note_flags
    from nmt_cli.run.translator import Translator

    translator = Translator.load(model, device, no_note if quiet else note)
    found = translator.translate(lines, **settings)
    flagged = Tally()
    for number, translation in enumerate(found, start=1):
        collect_flags(flagged, number, translation)
    note_flags(flagged)
    return [translation.text for translation in found]
