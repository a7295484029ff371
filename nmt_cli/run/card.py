"""The model card: README.md of a model folder, from what is known of the model.

The card is a dictionary; every entry but the first three may be missing:

    format, source_size, target_size   of the folder and of its vocabularies
    source_language, target_language   codes such as "fr"
    step                               updates made
    data                               name -> value: pairs, hash, files ...
    scores                             list of {metric, value, signature, data}; see `nmt_cli.run.scoring.Score`
    provenance                         see `nmt_cli.run.directory.provenance`
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nmt_cli.config import Config


def render_card(card: Mapping[str, Any], config: Config, parameter_count: int) -> str:
    """The card as Markdown, with the front matter that model hubs read."""
    parts = [
        front_matter(card),
        f"# Translation {direction(card)}",
        summary(card, config, parameter_count),
        "## Use\n\n```\npip install nmt-cli\nnmt translate . < source.txt > translations.txt\n```",
        scores_section(card.get("scores") or []),
        table_section("Data", card.get("data") or {}),
        *(table_section(f"Configuration: {name}", values) for name, values in dataclasses.asdict(config).items()),
        provenance_section(card.get("provenance") or {}),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def front_matter(card: Mapping[str, Any]) -> str:
    # Quoted, because YAML takes the code of Norwegian for a boolean. JSON strings are YAML strings.
    codes = [json.dumps(card[key]) for key in ("source_language", "target_language") if card.get(key)]
    languages = ["language:", *(f"- {code}" for code in codes)] if codes else []
    return "\n".join(["---", "library_name: nmt-cli", "pipeline_tag: translation", *languages, "---"])


def direction(card: Mapping[str, Any]) -> str:
    """Such as `fr → en`, or words where the languages are not known."""
    return f"{card.get('source_language') or 'source'} → {card.get('target_language') or 'target'}"


def summary(card: Mapping[str, Any], config: Config, parameter_count: int) -> str:
    model, data = config.model, config.data
    attention = "no attention" if model.attention == "none" else f"{model.attention} attention"
    pieces = f"{card['source_size']:,} source and {card['target_size']:,} target pieces"
    steps = f", trained for {card['step']:,} updates" if isinstance(card.get("step"), int) else ""
    return (
        f"A recurrent encoder-decoder ({model.cell.upper()}, {attention}) with {parameter_count:,} parameters"
        f"{steps}. It reads and writes {data.vocabulary} {data.tokenizer} vocabularies of {pieces}."
    )


def scores_section(scores: Sequence[Mapping[str, Any]]) -> str:
    if not scores:
        return ""
    rows = [
        (s.get("metric", ""), format_value(s.get("value")), s.get("data", "validation"), f"`{s.get('signature', '')}`")
        for s in scores
    ]
    return "## Scores\n\n" + markdown_table(("metric", "score", "on", "signature"), rows)


def table_section(title: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    return f"## {title}\n\n" + markdown_table(("", ""), [(key, format_value(value)) for key, value in values.items()])


def provenance_section(provenance: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in provenance.items() if not isinstance(value, Mapping)}
    versions = provenance.get("versions")
    if isinstance(versions, Mapping):
        plain["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    return table_section("Provenance", plain)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines)


def cell(value: Any) -> str:
    """Text that stays inside its cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def format_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
