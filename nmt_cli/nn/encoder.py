"""The encoder: embeddings of the source become annotations and a final state for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.config import Model
from nmt_cli.nn import cudnn
from nmt_cli.nn.cells import CELLS
from nmt_cli.nn.dropout import drop, keep_mask, split
from nmt_cli.nn.initializers import Initial
from nmt_cli.nn.recurrence import Factor, scan
from nmt_cli.nn.taps import tap
from nmt_cli.nn.zoneout import moving_masks, zone


class Encoder(nn.Module):
    """A stack of recurrent layers, each in one direction or in both (Schuster & Paliwal 1997).

    Where only the first layer reads in both directions it is GNMT's encoder (Wu et al. 2016, section 3.2). Reading the
    source reversed (Sutskever et al. 2014, section 3.3) is going from its end to its beginning: annotations stay at
    their tokens.
    """

    config: Model
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config = self.config
        cell = partial(CELLS[config.cell], dtype=self.dtype, initial=Initial.of(config))
        sizes = [config.embedding_size] + [config.encoder_units] * (config.encoder_layers - 1)
        both = bidirectional_layers(config)
        units = [config.encoder_units // 2] * both + [config.encoder_units] * (config.encoder_layers - both)
        self.forward = [cell(*each) for each in zip(sizes, units, strict=True)]
        self.backward = [cell(*each) for each in zip(sizes[:both], units, strict=False)]

    def __call__(
        self, embedded: jax.Array, mask: jax.Array, rng: jax.Array | None = None
    ) -> tuple[jax.Array, tuple[Any, ...]]:
        """embedded [S B E], mask [S B] bool -> annotations [S B D], a cell state of [B D] for each layer.

        The final state of a bidirectional layer is that of both directions, side by side.
        Annotations at padding are zero, whatever is embedded there.
        """
        config, inputs, finals = self.config, embedded, []
        for layer, layer_rng in enumerate(split(rng, config.encoder_layers)):
            drop_rng, *state_rngs = split(layer_rng, 3)
            if layer > 0:
                shape = (1, *inputs.shape[1:]) if config.variational_dropout else inputs.shape
                inputs = drop(inputs, keep_mask(drop_rng, config.dropout, shape), config.dropout)
            cells = [self.forward[layer], *self.backward[layer : layer + 1]]
            if cudnn.runs(config, rng) and not config.reverse_source:
                runs = cudnn.run([cudnn.Weights(c.input_kernel, c.kernel, c.bias) for c in cells], inputs, mask)
            else:
                together = len(cells) == 2 and steps_together(config, rng)
                runs = (run_together if together else run_each)(config, cells, inputs, mask, state_rngs)
            states, outputs = zip(*runs, strict=True)
            output = jnp.concatenate(outputs, axis=-1)  # [S B D]
            inputs = output + inputs if is_residual(config, layer) else output
            finals.append(jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1), *states))
        tap("annotations", annotations=inputs)
        return inputs, tuple(finals)


def steps_together(config: Model, rng: jax.Array | None) -> bool:
    """Whether both directions of a layer go through one loop: in training, where a device waits for steps."""
    return rng is not None and config.cell == "lstm" and jax.default_backend() != "cpu"


def run_each(
    config: Model, cells: Sequence[Any], inputs: jax.Array, mask: jax.Array, rngs: Sequence[jax.Array | None]
) -> list[tuple[Any, jax.Array]]:
    """Each direction of a layer: inputs [S B I], mask [S B] -> final states of [B H], outputs [S B H].

    Where the mask is False the state stays as it is and the output is zero.
    """
    runs = []
    for cell, rng, reverse in zip(cells, rngs, directions(config), strict=False):
        tap("run", inputs=inputs, reverse=reverse)
        runs.append(scan(partial(masked_step, config), *made_ready(config, cell, inputs, mask, rng), reverse))
    return runs


def run_together(
    config: Model, cells: Sequence[Any], inputs: jax.Array, mask: jax.Array, rngs: Sequence[jax.Array | None]
) -> list[tuple[Any, jax.Array]]:
    """What `run_each` computes, of LSTMs, in one loop with half the steps: each multiplies for both directions."""
    turns = [-1 if reverse else 1 for reverse in directions(config)]
    ready = [made_ready(config, cell, inputs, mask, rng) for cell, rng in zip(cells, rngs, strict=True)]
    constants, states, steps = zip(*ready, strict=True)
    (factors, keep), state = (jax.tree.map(lambda *x: jnp.stack(x), *each) for each in (constants, states))
    kernel = Factor(factors["kernel"].array, "dbh,dhg->dbg", factors["kernel"].dtype)
    turned = [jax.tree.map(lambda x, turn=turn: x[::turn], step) for turn, step in zip(turns, steps, strict=True)]
    inputs_of_both = jax.tree.map(lambda *x: jnp.stack(x, axis=1), *turned)  # [S 2 B ...]
    final, outputs = scan(partial(masked_step, config), ({"kernel": kernel}, keep), state, inputs_of_both)
    return [
        (jax.tree.map(lambda x, place=place: x[place], final), outputs[::turn, place])
        for place, turn in enumerate(turns)
    ]


def directions(config: Model) -> tuple[bool, bool]:
    """Whether each direction goes from the end of a source to its beginning."""
    return config.reverse_source, True


def made_ready(
    config: Model, cell: Any, inputs: jax.Array, mask: jax.Array, rng: jax.Array | None
) -> tuple[Any, Any, Any]:
    """What the loop of one direction reads at every step, the state it begins with, and what each step is given."""
    length, batch = inputs.shape[:2]
    state_rng, zone_rng = split(rng, 2)
    projected = cell.project(cell.input_factors(), inputs)  # [S B G], ahead of the loop
    state = cell.state(jnp.zeros((batch, cell.units), projected.dtype))
    constants = (cell.factors(), keep_mask(state_rng, config.state_dropout, (batch, cell.units)))
    return constants, state, (projected, mask, moving_masks(config, zone_rng, (length, batch, cell.units)))


def masked_step(config: Model, constants: Any, state: Any, x: tuple[Any, ...]) -> tuple[Any, jax.Array]:
    """A cell's step that stands still at padding."""
    factors, keep = constants
    projected, mask, moving = x[0], x[1][..., None], x[2]
    step = CELLS[config.cell].step
    new = step(factors, state, projected, lambda hidden: drop(hidden, keep, config.state_dropout))
    new = zone(config, state, new, moving)
    new = jax.tree.map(lambda new, old: jnp.where(mask, new, old), new, state)
    tap("state", **new._asdict())
    return new, jnp.where(mask, new.hidden, 0.0)


def bidirectional_layers(config: Model) -> int:
    """How many layers, from the first, read in both directions."""
    if not config.bidirectional:
        return 0
    return min(config.bidirectional_layers or config.encoder_layers, config.encoder_layers)


def is_residual(config: Model, layer: int) -> bool:
    """Whether this layer (counted from 0) adds its input to its output (Wu et al. 2016, section 3.1)."""
    return layer > 0 and 0 < config.residual_from <= layer + 1
