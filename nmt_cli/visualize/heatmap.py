"""The alignment figure of the papers: attention weights as a matrix (Bahdanau et al. 2015, figure 3)."""

from __future__ import annotations

from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from nmt_cli.batch import EOS
from nmt_cli.data.vocabulary import SPACE_MARK
from nmt_cli.errors import UserError
from nmt_cli.visualize.images import INK, RULE, document, write_image
from nmt_cli.visualize.trace import Token, Walk

CELL = 28  # pixels
LETTER = 7.2  # width of one, about


def write_heatmap(walk: Walk, path: Path) -> None:
    """Write the alignment of one sentence; .svg, .png or .pdf by the name. Raises UserError without attention."""
    if not walk.decoder.attentions:
        raise UserError(f"{walk.model} has no attention, so there is no alignment to draw", "leave out --heatmap")
    weights = mean_weights(walk)
    labels = [label(token) for token in walk.source], [label(token) for token in walk.target]
    inches = (1.6 + 0.34 * weights.shape[1], 1.2 + 0.34 * weights.shape[0])
    write_image(path, partial(as_svg, weights, *labels), partial(plot, weights, *labels), inches)


def mean_weights(walk: Walk) -> np.ndarray:
    """[T S]: the weights, averaged over heads where there are several."""
    weights: np.ndarray = np.mean([attention.weights for attention in walk.decoder.attentions], axis=0)
    return weights


def label(token: Token) -> str:
    """A piece as readers see it."""
    return "⟨end⟩" if token.id == EOS else token.piece.removeprefix(SPACE_MARK) or SPACE_MARK


def as_svg(weights: np.ndarray, source: list[str], target: list[str]) -> str:
    """Dark for high weights, source words above, the translation's on the left."""
    left = 24 + LETTER * max(map(len, target))
    top = 24 + 0.75 * LETTER * max(map(len, source))
    parts = []
    for column, word in enumerate(source):
        place = f"translate({left + (column + 0.6) * CELL:.1f} {top - 8:.1f}) rotate(-48)"
        parts.append(f'<text transform="{place}" font-size="13" fill="{INK}">{escape(word)}</text>')
    for row, word in enumerate(target):
        y = top + (row + 0.5) * CELL
        text = f'<text x="{left - 8:.1f}" y="{y:.1f}" font-size="13" text-anchor="end" dominant-baseline="central"'
        parts.append(f'{text} fill="{INK}">{escape(word)}</text>')
        for column, weight in enumerate(weights[row]):
            shade = round(255 * (1 - float(weight)))
            where = f'x="{left + column * CELL:.1f}" y="{top + row * CELL:.1f}" width="{CELL}" height="{CELL}"'
            tip = f"<title>{escape(word)} ← {escape(source[column])}: {weight:.3f}</title>"
            parts.append(f'<rect {where} fill="rgb({shade},{shade},{shade})" stroke="#ddd">{tip}</rect>')
    return document(left + CELL * len(source) + 60, top + CELL * len(target) + 16, parts)


def plot(weights: np.ndarray, source: list[str], target: list[str], figure: Any) -> None:
    """The same with matplotlib."""
    axes = figure.subplots()
    axes.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="equal")
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(source)), source, rotation=48, ha="left", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(len(target)), target, parse_math=False)
    axes.set_xticks([place - 0.5 for place in range(1, len(source))], minor=True)
    axes.set_yticks([place - 0.5 for place in range(1, len(target))], minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.5)
    axes.tick_params(which="both", length=0, labelsize=9, labelcolor=INK)
    axes.spines[:].set_color(RULE)
