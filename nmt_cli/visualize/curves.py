"""Learning curves: loss, the quality of validation translations and speed, from a run's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nmt_cli.errors import UserError
from nmt_cli.visualize.images import COLOURS, INK, RULE, SOFT, document, write_image

WIDTH, HEIGHT, MARGIN = 640, 190, 58  # of one panel, pixels

Points = list[tuple[float, float]]  # (step, value)


@dataclass(frozen=True)
class Panel:
    """One diagram: lines over steps."""

    title: str
    lines: dict[str, Points]


def write_curves(records: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write the curves of a log; .svg, .png or .pdf by the name. Raises UserError when nothing is logged yet."""
    panels = panels_of(list(records))
    if not panels:
        raise UserError("nothing is logged in this run yet", "train some steps first")
    write_image(path, partial(as_svg, panels), partial(plot, panels), (8.0, 2.6 * len(panels)))


def panels_of(records: list[Mapping[str, Any]]) -> list[Panel]:
    """What was logged: losses in nats per token, scores, tokens per second, learning rate."""

    def line(name: str, section: str = "") -> Points:
        rows = [(record["step"], (record.get(section) or {}) if section else record) for record in records]
        return [(float(step), float(row[name])) for step, row in rows if isinstance(row.get(name), int | float)]

    panels = [
        Panel("loss, nats per target token", {"training": line("loss"), "validation": line("loss", "valid")}),
        Panel("validation score", {"BLEU": line("bleu", "valid"), "chrF": line("chrf", "valid")}),
        Panel("target tokens per second", {"throughput": line("target_tokens_per_second")}),
        Panel("learning rate", {"learning rate": line("learning_rate")}),
    ]
    kept = [Panel(panel.title, {name: points for name, points in panel.lines.items() if points}) for panel in panels]
    return [panel for panel in kept if panel.lines]


def as_svg(panels: list[Panel]) -> str:
    """The panels below each other."""
    parts = [part for place, panel in enumerate(panels) for part in draw_panel(panel, place * (HEIGHT + MARGIN))]
    return document(WIDTH + 2 * MARGIN, len(panels) * (HEIGHT + MARGIN) + 20, parts)


def draw_panel(panel: Panel, top: float) -> list[str]:
    """Title, frame, ticks, lines and their names."""
    steps = [step for points in panel.lines.values() for step, _ in points]
    values = [value for points in panel.lines.values() for _, value in points]
    (first, last), (low, high) = padded(min(steps), max(steps)), padded(min(values), max(values))

    def x(step: float) -> float:
        return MARGIN + WIDTH * (step - first) / (last - first)

    def y(value: float) -> float:
        return top + 36 + (HEIGHT - 16) * (1 - (value - low) / (high - low))

    parts = [text(MARGIN, top + 22, panel.title, INK, 14)]
    for value in (low, (low + high) / 2, high):
        parts.append(f'<path d="M{MARGIN} {y(value):.1f}h{WIDTH}" stroke="{RULE}"/>')
        parts.append(text(MARGIN - 6, y(value) + 4, f"{value:.4g}", SOFT, 11, "end"))
    ends = (min(steps), max(steps))
    parts += [text(x(step), top + HEIGHT + 36, f"{step:,.0f}", SOFT, 11, "middle") for step in ends]
    for place, (name, points) in enumerate(panel.lines.items()):
        course = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        colour = COLOURS[place]
        parts.append(f'<polyline points="{course}" fill="none" stroke="{colour}" stroke-width="2"/>')
        step, value = points[-1]
        parts.append(f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>')
        parts.append(text(MARGIN + WIDTH - 130 * place, top + 22, f"{name} {value:.4g}", colour, 12, "end"))
    return parts


def padded(low: float, high: float) -> tuple[float, float]:
    """A range that is not empty."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def text(x: float, y: float, words: str, colour: str, size: int, anchor: str = "start") -> str:
    """An SVG text; words are ours and need no escaping."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def plot(panels: list[Panel], figure: Any) -> None:
    """The same with matplotlib."""
    for panel, axes in zip(panels, figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0], strict=True):
        for colour, (name, points) in zip(COLOURS, panel.lines.items(), strict=False):
            axes.plot(*zip(*points, strict=True), color=colour, label=name)
        axes.set_title(panel.title, loc="left", fontsize=10)
        axes.legend(frameon=False, fontsize=8)
        axes.grid(color=RULE)
    axes.set_xlabel("step")
