"""`nmt translate`: lines in, lines out."""

from __future__ import annotations

import dataclasses
import json as jsonlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from nmt_cli import config
from nmt_cli.commands.notes import no_note, note, note_tally, plural
from nmt_cli.data.dictionary import read_dictionary
from nmt_cli.data.lines import NOT_UTF8_REPLACED, display, open_bytes, read_lines
from nmt_cli.data.tally import Tally
from nmt_cli.errors import UserError
from nmt_cli.run.jsonlines import parse_lines
from nmt_cli.run.output import Write, open_output
from nmt_cli.run.reading import Line
from nmt_cli.run.translation import CUT, LIMIT, REPLACED, SPLIT, UNMET, Translation
from nmt_cli.run.translator import Translator

EXPLAINED = {
    CUT: "too long and cut: the rest was not read (search.max_length)",
    SPLIT: "too long and translated in parts (search.max_length)",
    LIMIT: "ended at the longest length a translation may have (search.max_ratio)",
    UNMET: "translated without a phrase that is required, or with one that is forbidden",
}


def run(
    model: Path,
    input: Path,
    beside: Sequence[Path],
    output: Path,
    n_best: int,
    overrides: Sequence[str],
    prefix: str,
    require: Sequence[str],
    forbid: Sequence[str],
    replace_unknown: bool,
    dictionary: Path | None,
    scores: bool,
    alignment: bool,
    json: bool,
    json_input: bool,
    strict: bool,
    device: str,
    quiet: bool,
    **search: Any,
) -> None:
    """Translate a file or stdin, line for line. search: settings of the search by their names; None where not given."""
    if json and scores:
        raise UserError("--scores and --json exclude each other", "--json has the scores")
    settings = config.search_settings(search, overrides)
    unknown = read_dictionary(dictionary) if dictionary else {} if replace_unknown else None
    tally = Tally()
    with open_bytes(str(input)) as stream:
        if stream.isatty() and not quiet:
            note("type one sentence a line; Ctrl-D ends")
        lines = lines_of(stream, display(str(input)), json_input, strict, tally)
        asked = (demand(line, prefix, require, forbid) for line in lines)
        translator = Translator.load(model, device, no_note if quiet else note, beside)
        translations = translator.translate_stream(asked, n_best, alignment, unknown, **settings)
        with open_output(output) as write:
            flagged = write_all(translations, write, scores=scores, json=json, n_best=n_best)
    note_tally(tally)
    note_flags(flagged)


def lines_of(stream: BinaryIO, name: str, is_json: bool, strict: bool, tally: Tally) -> Iterator[Line]:
    """The lines of a stream, each with its flags, and with its fields where it is JSON."""
    lines = flagged_lines(read_lines(stream, name, "refuse" if strict else "replace", tally), tally)
    return parse_lines(lines, name, strict, tally) if is_json else lines


def flagged_lines(texts: Iterable[str], tally: Tally) -> Iterator[Line]:
    """Lines, flagged where reading them has replaced bytes."""
    replaced = 0
    for text in texts:
        before, replaced = replaced, tally.counts[NOT_UTF8_REPLACED]
        yield Line(text, flags=(REPLACED,) if replaced > before else ())


def demand(line: Line, prefix: str, require: Sequence[str], forbid: Sequence[str]) -> Line:
    """The line with what is asked of all lines; its own prefix comes before theirs."""
    if not (prefix or require or forbid):
        return line
    return dataclasses.replace(
        line,
        prefix=line.prefix or prefix,
        require=(*line.require, *require),
        forbid=(*line.forbid, *forbid),
    )


def write_all(translations: Iterable[Translation], write: Write, *, scores: bool, json: bool, n_best: int) -> Tally:
    """Write each translation as soon as it is there. Returns which lines were flagged, counted from 1."""
    flagged = Tally()
    for index, translation in enumerate(translations):
        collect_flags(flagged, index + 1, translation)
        if json:
            write(as_json(translation, listed=n_best > 1) + "\n")
        elif n_best > 1:
            write("".join(n_best_lines(index, translation)))
        else:
            write(as_line(translation, scores))
    return flagged


def as_json(translation: Translation, listed: bool) -> str:
    """The translation as one line of JSON; escaped where a field that came along cannot be written as UTF-8."""
    shown = translation.as_dict(listed)
    text = jsonlib.dumps(shown, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return jsonlib.dumps(shown, allow_nan=False)
    return text


def as_line(translation: Translation, scores: bool) -> str:
    """Text; before it a column with the score, where wanted, and after it one with the alignment, if there is one."""
    columns = [f"{translation.score:.4f}"] if scores else []
    columns.append(translation.text)
    if translation.alignment is not None:
        columns.append(alignment_of(translation.alignment))
    return "\t".join(columns) + "\n"


def alignment_of(pairs: Iterable[tuple[int, int]]) -> str:
    """Pairs of words, source before target, as Pharaoh writes them: 0-0 1-2."""
    return " ".join(f"{source}-{target}" for source, target in pairs)


def n_best_lines(index: int, translation: Translation) -> Iterator[str]:
    """The n-best list of one line as Moses and Marian write it: index from 0 ||| text ||| features ||| score, and
    ||| alignment where there is one."""
    for hypothesis in translation.n_best:
        columns = [str(index), hypothesis.text, f"logprob= {hypothesis.log_prob:.4f}", f"{hypothesis.score:.4f}"]
        if hypothesis.alignment is not None:
            columns.append(alignment_of(hypothesis.alignment))
        yield " ||| ".join(columns) + "\n"


def collect_flags(flagged: Tally, number: int, translation: Translation) -> None:
    """Count a line under each of its flags."""
    for flag in translation.flags:
        flagged.add(flag, str(number))


def note_flags(flagged: Tally) -> None:
    """Say which lines were not translated as they should be."""
    for flag, explanation in EXPLAINED.items():
        if count := flagged.counts[flag]:
            first = [line for line, _ in flagged.examples[flag]]
            note(f"{plural(count)} {explanation}: {', '.join(first)}{', ...' if count > len(first) else ''}")
