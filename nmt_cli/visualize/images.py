"""Figures for papers and slides: SVG written by ourselves, PNG and PDF by matplotlib where it is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nmt_cli.errors import Exit, UserError
from nmt_cli.run.output import open_output

FORMATS = (".svg", ".png", ".pdf")
INK, SOFT, RULE = "#1d1b22", "#66626e", "#e4e0e6"
COLOURS = ("#b0307f", "#0a6ebd", "#b87300", "#0b8a5a")
FONT = "font-family=\"system-ui, 'Noto Sans', sans-serif\""


def check_format(path: Path) -> None:
    """Raises UserError for a name that does not end in one of FORMATS, or where matplotlib is needed and missing."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: an image is one of {', '.join(FORMATS)}", "give it such a name")
    if path.suffix.lower() != ".svg":
        import_matplotlib()


def import_matplotlib() -> Any:
    """matplotlib's Figure, which needs no display."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        hint = "pip install 'nmt-cli[plot]', or ask for an .svg, which needs nothing"
        raise UserError("PNG and PDF are drawn by matplotlib, which is not installed", hint) from error
    return Figure


def write_image(path: Path, svg: Callable[[], str], plot: Callable[[Any], None], inches: tuple[float, float]) -> None:
    """Write a figure in the format that its name asks for.

    svg: makes the text of an SVG. plot: draws the same on a matplotlib Figure of this size.
    """
    check_format(path)
    if path.suffix.lower() == ".svg":
        with open_output(path) as write:
            write(svg())
        return
    figure = import_matplotlib()(figsize=inches, layout="constrained")
    plot(figure)
    try:
        figure.savefig(path, dpi=200)
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror}", "is the disk full?", Exit.RESOURCE) from error


def document(width: float, height: float, parts: list[str]) -> str:
    """An SVG document on white ground."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" {FONT}'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([f'{head} viewBox="0 0 {width:g} {height:g}">', ground, *parts, "</svg>\n"])
