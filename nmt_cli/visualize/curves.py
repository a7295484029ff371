"""Learning curves: loss, the quality of validation translations and speed, from a run's log."""

from __future__ import annotations

import math
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

    def line(name: str) -> Points:
        numbers = [(record["step"], record.get(name)) for record in records]
        return [(float(step), float(value)) for step, value in numbers if isinstance(value, int | float)]

    panels = [
        Panel("loss, nats per target token", {"training": line("loss"), "validation": line("valid_loss")}),
        Panel("validation score", {"BLEU": line("valid_bleu"), "chrF": line("valid_chrf")}),
        Panel("target tokens per second", {"throughput": line("target_tokens_per_second")}),
        Panel("learning rate", {"learning rate": line("learning_rate")}),
    ]
    kept = [Panel(panel.title, {name: points for name, points in panel.lines.items() if points}) for panel in panels]
    return [panel for panel in kept if panel.lines]


def as_svg(panels: list[Panel]) -> str:
    """The panels below each other."""
    steps = [step for panel in panels for points in panel.lines.values() for step, _ in points]
    span = padded(min(steps), max(steps))
    parts = [part for place, panel in enumerate(panels) for part in draw_panel(panel, place * (HEIGHT + MARGIN), span)]
    return document(WIDTH + 2 * MARGIN, len(panels) * (HEIGHT + MARGIN) + 20, parts)


def draw_panel(panel: Panel, top: float, span: tuple[float, float]) -> list[str]:
    """Title, ticks, lines and their names. span: the first and the last step of all panels."""
    values = [value for points in panel.lines.values() for _, value in points]
    (first, last), (low, high) = span, padded(min(values), max(values))

    def x(step: float) -> float:
        return MARGIN + WIDTH * (step - first) / (last - first)

    def y(value: float) -> float:
        return top + 36 + (HEIGHT - 16) * (1 - (value - low) / (high - low))

    parts = [text(MARGIN, top + 22, panel.title, INK, 14)]
    for value in ticks(low, high):
        parts.append(f'<path d="M{MARGIN} {y(value):.1f}h{WIDTH}" stroke="{RULE}"/>')
        parts.append(text(MARGIN - 6, y(value) + 4, short(value), SOFT, 11, "end"))
    parts += [text(x(step), top + HEIGHT + 36, short(step), SOFT, 11, "middle") for step in ticks(first, last)]
    for place, (name, points) in enumerate(panel.lines.items()):
        course = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
        colour = COLOURS[place]
        parts.append(f'<polyline points="{course}" fill="none" stroke="{colour}" stroke-width="2"/>')
        step, value = points[-1]
        parts.append(f'<circle cx="{x(step):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>')
        parts.append(text(MARGIN + WIDTH - 130 * place, top + 22, f"{name} {short(value)}", colour, 12, "end"))
    return parts


def padded(low: float, high: float) -> tuple[float, float]:
    """A range that is not empty."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers from low to high, three to six of them."""
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(power * share for share in (0.2, 0.5, 1.0, 2.0) if (high - low) / (power * share) <= 5)
    return [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def short(value: float) -> str:
    """A number in as many digits as it needs."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def text(x: float, y: float, words: str, colour: str, size: int, anchor: str = "start") -> str:
    """An SVG text; words are ours and need no escaping."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def plot(panels: list[Panel], figure: Any) -> None:
    """The same with matplotlib."""
    for panel, axes in zip(panels, figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0], strict=True):
        for colour, (name, points) in zip(COLOURS, panel.lines.items(), strict=False):
            axes.plot(*zip(*points, strict=True), color=colour, label=name)
        axes.set_title(panel.title, loc="left", fontsize=11, color=INK)
        axes.grid(color=RULE)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelsize=9, labelcolor=SOFT)
        if len(panel.lines) > 1:
            axes.legend(frameon=False, fontsize=9)
    axes.set_xlabel("step", fontsize=9, color=SOFT)
