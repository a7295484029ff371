"""What `nmt info` knows of a path: facts about a data directory, a run or a model, and what is damaged in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt_cli.config import SEAL
from nmt_cli.data.manifest import MANIFEST, verify_manifest
from nmt_cli.errors import UserError
from nmt_cli.run import checkpoint
from nmt_cli.run.directory import Run
from nmt_cli.run.model import CARD, CONFIG, WEIGHTS, read_card, siblings, weight_shapes

Facts = dict[str, Any]


def describe(path: Path) -> Facts:
    """Facts by section, as JSON can hold them, with `kind` (data, run, model), `path` and the `problems` found.

    Every file is held against its manifest. Raises UserError (USAGE) when the path is none of the three.
    """
    problems: list[str] = []
    kind = kind_of(path)
    facts = {"data": describe_data, "run": describe_run, "model": describe_model}[kind](path, problems)
    return {"kind": kind, "path": str(path), **facts, "problems": problems}


def kind_of(path: Path) -> str:
    """`data`, `run` or `model`. Raises UserError (USAGE) for anything else, with a hint."""
    if path.is_file():
        raise UserError(f"{path}: this is a file", f"give the directory it is in: nmt info {path.parent}")
    if not path.is_dir():
        raise UserError(f"{path}: there is no such directory", "give a data directory, a run or a model folder")
    if (path / WEIGHTS).exists() or (path / CARD).exists():
        return "model"
    if any(
        (path / name).exists() for name in ("checkpoints", "provenance.json", "metrics.jsonl", "lock", "best", "last")
    ):
        return "run"
    if (path / "report.json").exists() or any(path.glob("train.*")):
        return "data"
    raise UserError(f"{path}: not a data directory, a run or a model", hint_near(path))


def hint_near(path: Path) -> str:
    """A hint that names what lies in the directory, if anything there has a kind."""
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and any((entry / name).exists() for name in (MANIFEST, "checkpoints")):
            return f"perhaps you mean {entry}"
    return "nmt prepare makes the first, nmt train the others"


def describe_data(path: Path, problems: list[str]) -> Facts:
    verify(path, problems)
    return {
        "contents": read_facts(path / "report.json", problems),
        "size": {"bytes": folder_size(path)},
        "configuration": read_facts(path / CONFIG, problems),
    }


def describe_model(path: Path, problems: list[str]) -> Facts:
    verify(path, problems)
    facts: Facts = {"model": {}}
    try:
        card = read_card(path / CARD)
        facts |= {key: card.pop(key) for key in ("scores", "data", "provenance") if card.get(key)}
        facts["model"] |= card
        arrays = weight_shapes(path / WEIGHTS).values()
    except UserError as error:
        problems.append(error.what)
    except OSError as error:
        problems.append(f"{error.filename}: {error.strerror}")
    else:
        facts["model"]["parameters"] = sum(math.prod(array.shape) for array in arrays)
        facts["model"]["weights"] = ", ".join(sorted({array.dtype for array in arrays}))
    facts["model"]["bytes"] = folder_size(path)
    return {**facts, "configuration": read_facts(path / CONFIG, problems)}


def describe_run(path: Path, problems: list[str]) -> Facts:
    run = Run(path)
    metrics, sittings = run.metrics(), run.sittings()
    facts: Facts = {"training": {"now": run.holder() or "nobody trains here", "sittings": len(sittings)}}
    for name, place in (("best", run.best), ("last", run.last)):
        folder = place if place.exists() else siblings(place)[1]
        if folder.exists():
            model = describe_model(folder, problems)
            facts[name] = {**model["model"], "scores": model.get("scores", [])}
    if embeddings := run.read_embeddings():
        facts["embeddings"] = embeddings
    if metrics:
        facts["log"] = {key: value for record in metrics for key, value in record.items()}  # the latest of each
    return {
        **facts,
        "checkpoints": describe_checkpoints(run, problems),
        "size": {"bytes": folder_size(path)},
        "configuration": {key: facts for key, facts in read_facts(run.config_file, problems).items() if key != SEAL},
        "provenance": sittings[-1] if sittings else {},
    }


def describe_checkpoints(run: Run, problems: list[str]) -> Facts:
    """Step -> size, or what is wrong."""
    facts: Facts = {}
    for folder in checkpoint.saved(run):
        problem = checkpoint.damage(folder)
        if problem:
            problems.append(problem)
        facts[f"step {int(folder.name)}"] = "damaged" if problem else {"bytes": folder_size(folder)}
    return facts


def verify(path: Path, problems: list[str]) -> None:
    """Add what is wrong with a folder's files, the first of them that is."""
    try:
        verify_manifest(path)
    except UserError as error:
        problems.append(error.what)


def read_facts(path: Path, problems: list[str]) -> Facts:
    """A JSON object from a file; what cannot be read is a problem, not an error."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: {error.strerror}")
    except (ValueError, RecursionError) as error:
        problems.append(f"{path}: not JSON: {error}")
    else:
        if isinstance(facts, dict):
            return facts
        problems.append(f"{path}: not a JSON object")
    return {}


def folder_size(path: Path) -> int:
    """Bytes in all files under a folder, links not followed."""
    return sum(entry.lstat().st_size for entry in path.rglob("*") if not entry.is_dir())


def flat_rows(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested facts as rows of dotted name and value, in order; lists of objects are numbered."""
    rows: list[tuple[str, Any]] = []
    for key, fact in facts.items():
        is_numbered = isinstance(fact, list) and any(isinstance(item, Mapping) for item in fact)
        value = {str(number): item for number, item in enumerate(fact, 1)} if is_numbered else fact
        if isinstance(value, Mapping):
            rows += flat_rows(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows
