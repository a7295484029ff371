"""From what was heard of the model's taps to the parts of a trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from nmt_cli import config
from nmt_cli.nn.encoder import is_residual
from nmt_cli.nn.taps import Tap
from nmt_cli.visualize.trace import Array, Attention, Cell, Choice, Decoder, Encoder, Run, Token, Values

ORDERED = ("state", "attention", "combine", "output")  # taps that are parts of a decoder's step


def encoder_of(heard: Sequence[Tap]) -> Encoder:
    """Each direction of each layer announces itself and then says each of its steps; the annotations come last."""
    runs: list[Run] = []
    inputs: list[Array] = []
    layers = {False: 0, True: 0}  # by direction
    starts = [place for place, tap in enumerate(heard) if tap.kind == "run"]
    for start, end in zip(starts, [*starts[1:], len(heard)], strict=True):
        said = heard[start].values
        reverse = bool(said["reverse"])
        if layers[reverse] == len(inputs):
            inputs.append(np.asarray(said["inputs"][:, 0], np.float32))
        steps = cell_steps(heard[start + 1 : end])
        cell = stack([{name: value[0] for name, value in step.items()} for step in steps[:: -1 if reverse else 1]])
        runs.append(Run(layers[reverse], reverse, cell))
        layers[reverse] += 1
    (annotations,) = (tap.values["annotations"] for tap in heard if tap.kind == "annotations")
    return Encoder(inputs, runs, np.asarray(annotations[:, 0], np.float32))


def decoder_of(
    model: config.Model,
    memory: Any,
    initial: list[Values],
    fed: list[Token],
    steps: Sequence[Sequence[Tap]],
    choices: list[Choice],
) -> Decoder:
    """All steps, of what was heard in each."""
    output = said_as("output", steps)
    return Decoder(
        order=[kind for kind, _ in groupby(tap.kind for tap in steps[0] if tap.kind in ORDERED)],
        initial=initial,
        fed=fed,
        embedded=output["embedded"],
        cells=cells_of(model, steps),
        attentions=attentions_of(steps, memory),
        combined=said_as("combine", steps),
        attentional=output["attentional"],
        choices=choices,
    )


def cells_of(model: config.Model, steps: Sequence[Sequence[Tap]]) -> list[Cell]:
    """Cells in the order in which a step computes them; Sennrich et al.'s decoder has two in its first layer."""
    steps_of_cells = zip(*([single(cell) for cell in cell_steps(heard)] for heard in steps), strict=True)
    made = [stack(list(cell)) for cell in steps_of_cells]
    layers = [0] * (len(made) - model.decoder_layers) + list(range(model.decoder_layers))
    cells: list[Cell] = []
    for values, layer, reads in zip(made, layers, reads_of(model), strict=True):
        handed_up = None
        if is_residual(model, layer):
            below = cells[-1].handed_up
            handed_up = values["hidden"] + (cells[-1].values["hidden"] if below is None else below)
        cells.append(Cell(layer, reads, values, handed_up))
    return cells


def reads_of(model: config.Model) -> list[list[str]]:
    """What each cell reads besides its state (nn/architectures.py), by the names of `Cell`."""
    first = {
        "luong": ["embedded", "attentional_before"] if model.input_feeding else ["embedded"],
        "gnmt_v2": ["embedded", "context_before"],
        "conditional": ["embedded"],
    }.get(model.decoder, ["embedded", "context"])
    second = [["context"]] if model.decoder == "conditional" else []
    above = ["below", "context"] if model.decoder in ("gnmt", "gnmt_v2") else ["below"]
    return [first, *second, *[above] * (model.decoder_layers - 1)]


def attentions_of(steps: Sequence[Sequence[Tap]], memory: Any) -> list[Attention]:
    """Energies and weights of a step are [S], or [N S] of N heads; each head has its share of values and context."""
    said = said_as("attention", steps)
    if not said:
        return []
    more = {**said_as("window", steps), **said_as("coverage", steps)}
    if said["weights"].ndim == 2:
        return [Attention(**said, values=None, **more)]
    heads = said["weights"].shape[1]
    contexts = np.split(said["context"], heads, axis=-1)
    values = np.split(np.asarray(memory.values[0], np.float32), heads, axis=-1)
    return [
        Attention(said["query"], said["energies"][:, n], said["weights"][:, n], contexts[n], values[n], **more)
        for n in range(heads)
    ]


def said_as(kind: str, steps: Iterable[Sequence[Tap]]) -> Values:
    """What taps of one kind said in each step, over time; nothing where there was none."""
    return stack([single(tap.values) for heard in steps for tap in heard if tap.kind == kind])


def cell_steps(heard: Sequence[Tap]) -> list[dict[str, Any]]:
    """Each step of a cell: its new state, and before it the gates, where the cell tells them."""
    steps: list[dict[str, Any]] = []
    gates: dict[str, Any] = {}
    for tap in heard:
        if tap.kind == "gates":
            gates = tap.values
        elif tap.kind == "state":
            steps.append({**gates, **tap.values})
            gates = {}
    return steps


def single(values: dict[str, Any]) -> Values:
    """What was said of one sentence and one hypothesis, without their axes."""
    return {name: np.asarray(value[0, 0], np.float32) for name, value in values.items()}


def stack(steps: Sequence[Values]) -> Values:
    """Values of each step -> values over time; nothing of nothing."""
    names = steps[0] if steps else {}
    return {name: np.stack([np.asarray(step[name], np.float32) for step in steps]) for name in names}
