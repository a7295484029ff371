"""`nmt visualize`: open up translations, as a page, a trace or a figure."""

from __future__ import annotations

import dataclasses
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from nmt_cli.commands.notes import no_note, note, note_tally, plural
from nmt_cli.data.lines import display, is_blank, open_bytes, read_lines
from nmt_cli.data.tally import Tally
from nmt_cli.errors import UserError
from nmt_cli.run.device import Note
from nmt_cli.run.directory import Run
from nmt_cli.run.output import open_output
from nmt_cli.run.translator import Translator
from nmt_cli.visualize.curves import write_curves
from nmt_cli.visualize.heatmap import write_heatmap
from nmt_cli.visualize.images import check_format
from nmt_cli.visualize.page import build_page
from nmt_cli.visualize.recording import record
from nmt_cli.visualize.trace import Trace, as_json

PAGE = Path("walk.html")


def run(
    model: Path,
    text: list[str],
    input: Path | None,
    output: Path | None,
    compare: Path | None,
    target: list[str],
    reference: list[str],
    beam: int | None,
    length_penalty: float | None,
    heatmap: Path | None,
    training: Path | None,
    language: str,
    json: bool,
    open: bool,
    device: str,
    quiet: bool,
) -> None:
    """Write what was asked for; without --json, --heatmap or --training a page."""
    say = no_note if quiet else note
    for image in filter(None, (heatmap, training)):
        check_format(image)
    if training:
        write_curves(Run(model).metrics(), training)
        say(f"wrote {training}")
        if not text and input is None:
            return
    sentences = read_sentences(text, input)
    check_counts(sentences, target=target, reference=reference)
    if heatmap and len(sentences) > 1:
        raise UserError(f"--heatmap draws one sentence, not {len(sentences)}", "give it one")
    trace = trace_of([model, *filter(None, [compare])], sentences, target, reference, beam, length_penalty, device, say)
    if heatmap:
        write_heatmap(trace.walks[0], heatmap)
        say(f"wrote {heatmap}")
    if json:
        sys.stdout.write(as_json(trace))
    if output or not (json or heatmap or training):
        write_page(trace, output or PAGE, language, say, open)


def write_page(trace: Trace, path: Path, language: str, say: Note, show: bool) -> None:
    """The page, to a file or to stdout."""
    page = build_page(trace, language)
    with open_output(path) as write:
        write(page)
    if str(path) == "-":
        return
    say(f"wrote {path} ({len(page.encode()) / 1e6:.2f} MB); open it in any browser")
    if show:
        webbrowser.open(path.resolve().as_uri())


def read_sentences(text: Sequence[str], input: Path | None) -> list[str]:
    """The sentences given as arguments, or the lines of a file or of stdin that are not blank."""
    if text and input is not None:
        raise UserError("sentences and --input exclude each other", "give one of them")
    if text and text != ["-"]:
        return list(text)
    if not text and input is None and sys.stdin.isatty():
        raise UserError("no sentence", 'give one: nmt visualize MODEL "Je suis étudiant."')
    tally = Tally()
    path = input if input is not None else Path("-")
    with open_bytes(str(path)) as stream:
        lines = list(read_lines(stream, display(str(path)), "replace", tally))
    note_tally(tally)
    sentences = [line for line in lines if not is_blank(line)]
    if len(sentences) < len(lines):
        note(f"{plural(len(lines) - len(sentences))} with nothing to translate left out")
    if not sentences:
        raise UserError("there is nothing to translate", "give a sentence")
    return sentences


def check_counts(sentences: Sequence[str], **given: Sequence[str]) -> None:
    """Raises UserError where there is not one --target or --reference for each sentence, or none."""
    for name, texts in given.items():
        if texts and len(texts) != len(sentences):
            what = f"{len(texts)} times --{name} for {len(sentences)} sentences"
            raise UserError(what, f"give --{name} once for each sentence, in their order")


def trace_of(
    models: Sequence[Path],
    sentences: Sequence[str],
    target: Sequence[str],
    reference: Sequence[str],
    beam: int | None,
    length_penalty: float | None,
    device: str,
    say: Note,
) -> Trace:
    """Every sentence through every model."""
    facts, walks = {}, []
    for path, name in zip(models, names_of(models), strict=True):
        translator = Translator.load(path, device)
        # The numbers shown have to add up on paper, which those of a product of rounded operands do not.
        request = translator.request(
            beam=beam, length_penalty=length_penalty, batch_size=8, precision="float32", shortlist=False
        )
        facts[name] = dataclasses.asdict(translator.seq2seq.config)
        for place, sentence in enumerate(sentences):
            forced = target[place] if target else None
            expected = reference[place] if reference else None
            walks.append(record(translator, sentence, name, request, forced, expected))
            say(f"{sentence} → {walks[-1].text}")
    return Trace(facts, walks)


def names_of(models: Sequence[Path]) -> list[str]:
    """The last part of each path, or as much of it as tells them apart."""
    paths = [path.resolve() for path in models]
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names
