"""`nmt demo`: the whole way on the embedded corpus, by the commands that a user would type."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nmt_cli.data.demo.corpus import write_corpus
from nmt_cli.data.staging import writing
from nmt_cli.errors import UserError

SHOWCASE = (
    "Je suis étudiant.",
    "la zone économique européenne",
    "une petite maison blanche",
    "Le chat ne mange jamais de fromage.",
    "Où avez-vous dormi hier soir ?",
    "Voici Marie. Je lui parle souvent.",
    "Ma sœur est plus grande que mon frère.",
    "Le livre que tu as lu est intéressant.",
    "L'accord sur la zone économique européenne a été signé en août 1992.",
)


def run(directory: Path, device: str) -> None:
    """Write the corpus, prepare, train, translate and score, each command echoed before it runs.

    Run again in the same directory, it goes on where it stopped. Ends with the exit code of the first command that
    fails. Raises UserError when the directory holds the work of another version of the corpus.
    """
    show(directory, device, execute_nmt)


def show(directory: Path, device: str, execute: Callable[[Sequence[str]], int]) -> None:
    """`run`, with what runs the arguments of one `nmt` command and returns its exit code."""
    corpus, data, model = directory / "corpus", directory / "data", directory / "run"
    prepared = (data / "MANIFEST.json").is_file()
    with writing(directory):
        write_demo(corpus, prepared)
    on_device = [] if device == "auto" else ["--device", device]
    for command in commands(corpus, data, model):
        if command[0] == "prepare" and prepared:
            print(f"# {data} is prepared", flush=True)
            continue
        if command[0] == "translate":
            echo(["cat", str(corpus / "showcase.fr")])
            print("\n".join(SHOWCASE), flush=True)
        arguments = command if command[0] == "prepare" else [*command, *on_device]
        echo(["nmt", *arguments])
        code = execute(arguments)
        if code:
            raise SystemExit(code)


def commands(corpus: Path, data: Path, model: Path) -> list[list[str]]:
    """The arguments of the four commands."""
    train, valid, test = ({side: str(corpus / f"{part}.{side}") for side in ("fr", "en")} for part in PARTS)
    return [
        [
            *("prepare", str(data), "--recipe", "demo", "--source", train["fr"], "--target", train["en"]),
            *("--valid-source", valid["fr"], "--valid-target", valid["en"]),
        ],
        ["train", str(data), str(model), "--recipe", "demo"],
        ["translate", str(model), str(corpus / "showcase.fr")],
        ["eval", str(model), "--source", test["fr"], "--reference", test["en"]],
    ]


PARTS = ("train", "valid", "test")


def write_demo(corpus: Path, prepared: bool) -> None:
    """Write the corpus and the showcase; refuse to change a corpus that was prepared already."""
    before = contents(corpus)
    written = write_corpus(corpus)
    (corpus / "showcase.fr").write_text("".join(line + "\n" for line in SHOWCASE), encoding="utf-8", newline="\n")
    if prepared and contents(corpus) != before:
        raise UserError(
            f"{corpus.parent} was made from another corpus than this version's",
            "give another directory, or delete this one",
        )
    print(f"# {corpus}: {len(written.train)} sentence pairs, and {len(written.test)} for the test", flush=True)


def contents(corpus: Path) -> dict[str, bytes]:
    """What the training and validation files hold."""
    return {path.name: path.read_bytes() for part in PARTS[:2] for path in sorted(corpus.glob(f"{part}.*"))}


def echo(command: Sequence[str]) -> None:
    """Show a command as one would type it."""
    print(f"\n$ {shlex.join(command)}", flush=True)


def execute_nmt(arguments: Sequence[str]) -> int:
    """Run `nmt` in a process of its own; returns its exit code, 128 and the signal if one ended it."""
    process = subprocess.Popen([sys.executable, "-m", "nmt_cli", *arguments])  # noqa: S603 (our own commands)
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reached the command too: let it save what it has.
        return code if code >= 0 else 128 - code
