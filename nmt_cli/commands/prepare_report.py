"""The report of `nmt prepare` for eyes: tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nmt_cli.data.tally import excerpt

WIDEST_BAR = 30  # characters


def show_report(report: dict[str, Any], console: Console) -> None:
    """Sizes, what was dropped and altered with places to look at, lengths, notes and warnings."""
    console.print(sizes_table(report))
    for part in ("train", "valid"):
        if report[part]:
            print_tallies(console, part, report[part])
    console.print()
    console.print(lengths_table(report["train"]))
    for note in report["notes"]:
        console.print(escape(f"note: {excerpt(note, 1000)}"))
    for warning in report["warnings"]:
        console.print(escape(f"warning: {excerpt(warning, 1000)}"), style="yellow")


def sizes_table(report: dict[str, Any]) -> Table:
    """One row for each part and side."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("pairs", "tokens", "mean", "longest", "unknown", "vocabulary", "used"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part in ("train", "valid"):
        for side in ("source", "target"):
            if report[part]:
                sums = report[part][side]
                table.add_row(
                    f"{part} {side}",
                    f"{report[part]['pairs']:,}",
                    f"{sums['tokens']:,}",
                    f"{sums['mean_length']:.1f}",
                    f"{sums['longest']:,}",
                    f"{sums['unknown']:.3%}",
                    f"{sums['vocabulary']:,}",
                    f"{sums['vocabulary_used']:.1%}",
                )
    return table


def print_tallies(console: Console, part: str, summary: dict[str, Any]) -> None:
    """Each reason with its count and the first places where it happened."""
    for title in ("dropped", "altered", "noticed"):
        if not summary[title]:
            continue
        total = sum(entry["count"] for entry in summary[title].values())
        console.print(f"\n{part}: {title} {total:,} (of {summary['read']:,} pairs read)")
        for reason, entry in summary[title].items():
            console.print(escape(f"  {entry['count']:>9,}  {reason}"))
            for example in entry["examples"]:
                console.print(
                    escape(f"{'':13}{excerpt(example['where'], 1000)}  {example['text']}".rstrip()), style="dim"
                )


def lengths_table(summary: dict[str, Any]) -> Table:
    """A histogram of sentence lengths in pieces, both sides beside each other."""
    table = Table(box=None, pad_edge=False)
    table.add_column("pieces", justify="right")
    for side in ("source", "target"):
        table.add_column(side, justify="right")
        table.add_column("", min_width=WIDEST_BAR)
    source, target = summary["source"]["lengths"], summary["target"]["lengths"]
    highest = max(*source.values(), *target.values(), 1)
    for bar in source:
        if source[bar] or target[bar]:
            cells = [
                cell for n in (source[bar], target[bar]) for cell in (f"{n:,}", "█" * round(WIDEST_BAR * n / highest))
            ]
            table.add_row(bar, *cells)
    return table
