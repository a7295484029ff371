"""`nmt translate`: lines in, lines out."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt_cli.commands.notes import no_note, note, note_tally, plural
from nmt_cli.data.lines import display, open_bytes, read_lines
from nmt_cli.data.tally import Tally
from nmt_cli.errors import UserError
from nmt_cli.run.output import Write, open_output
from nmt_cli.run.translation import CUT, LIMIT, Translation
from nmt_cli.run.translator import Translator

EXPLAINED = {
    CUT: "too long and cut: the rest was not translated (search.max_length)",
    LIMIT: "ended at the longest length a translation may have (search.max_ratio)",
}


def run(
    model: Path,
    input: Path,
    output: Path,
    beam: int | None,
    n_best: int,
    length_penalty: float | None,
    batch_size: int | None,
    scores: bool,
    json: bool,
    strict: bool,
    device: str,
    quiet: bool,
) -> None:
    """Translate a file or stdin, line for line."""
    if json and scores:
        raise UserError("--scores and --json exclude each other", "--json has the scores")
    tally = Tally()
    with open_bytes(str(input)) as stream:
        if stream.isatty() and not quiet:
            note("type one sentence a line; Ctrl-D ends")
        lines = read_lines(stream, display(str(input)), "refuse" if strict else "replace", tally)
        translator = Translator.load(model, device, no_note if quiet else note)
        translations = translator.translate_stream(
            lines, n_best, beam=beam, length_penalty=length_penalty, batch_size=batch_size
        )
        with open_output(output) as write:
            flagged = write_all(translations, write, scores=scores, json=json, n_best=n_best)
    note_tally(tally)
    note_flags(flagged)


def write_all(translations: Iterable[Translation], write: Write, *, scores: bool, json: bool, n_best: int) -> Tally:
    """Write each translation as soon as it is there. Returns which lines were flagged, counted from 1."""
    flagged = Tally()
    for index, translation in enumerate(translations):
        for flag in translation.flags:
            flagged.add(flag, str(index + 1))
        if json:
            write(jsonlib.dumps(translation.as_dict(), ensure_ascii=False) + "\n")
        elif n_best > 1:
            write("".join(n_best_lines(index, translation)))
        else:
            write(f"{translation.score:.4f}\t{translation.text}\n" if scores else f"{translation.text}\n")
    return flagged


def n_best_lines(index: int, translation: Translation) -> Iterator[str]:
    """The n-best list of one line as Moses and Marian write it: index from 0 ||| text ||| features ||| score."""
    for hypothesis in translation.n_best:
        yield f"{index} ||| {hypothesis.text} ||| logprob= {hypothesis.log_prob:.4f} ||| {hypothesis.score:.4f}\n"


def note_flags(flagged: Tally) -> None:
    """Say which lines were not translated as they should be."""
    for flag, explanation in EXPLAINED.items():
        if count := flagged.counts[flag]:
            first = [line for line, _ in flagged.examples[flag]]
            note(f"{plural(count)} {explanation}: {', '.join(first)}{', ...' if count > len(first) else ''}")
