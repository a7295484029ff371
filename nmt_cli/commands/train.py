"""`nmt train`: the loop that turns prepared data into a model, from top to bottom."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.commands.display import Display
from nmt_cli.commands.interrupts import Interrupted, Interrupts
from nmt_cli.commands.train_batches import (
    compile_all,
    gather,
    make_batches,
    make_feeder,
    not_enough_memory,
    update_options,
)
from nmt_cli.commands.train_embeddings import no_vectors, read_vectors
from nmt_cli.commands.train_report import account, describe, describe_left_out, farewell, summary
from nmt_cli.config import Config
from nmt_cli.data.batching import Batches
from nmt_cli.data.embeddings import Vectors
from nmt_cli.data.lexicon import model_files
from nmt_cli.data.store import Prepared, open_data
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run import checkpoint
from nmt_cli.run.device import select_device, use_compile_cache
from nmt_cli.run.directory import Run
from nmt_cli.run.events import Events
from nmt_cli.run.model import save_model
from nmt_cli.run.settings import refuse_other_data, settle
from nmt_cli.run.translator import Translator
from nmt_cli.run.validation import Validation, Validator
from nmt_cli.training.feed import Feed
from nmt_cli.training.programs import Updates
from nmt_cli.training.standing import Standing, due, finished
from nmt_cli.training.state import TrainState, initial_state
from nmt_cli.training.step import StepReport, make_loss

HOPELESS = 20  # updates in a row without a finite loss, after which training gives up


@dataclass(frozen=True)
class Sitting:
    """What one process trains and where: the same from its first step to its last."""

    run: Run
    data: Prepared
    config: Config
    display: Display
    events: Events | None  # for TensorBoard

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a record to the log of the run."""
        self.run.log(record)
        if self.events:
            self.events.write(record)


def run(
    data_directory: Path,
    run_directory: Path,
    recipe: str | None,
    overrides: Sequence[str],
    max_steps: int | None,
    max_minutes: float | None,
    source_embeddings: Path | None,
    target_embeddings: Path | None,
    device: str,
    tensorboard: bool,
    strict: bool,
    quiet: bool,
) -> None:
    """Train in a run directory, from the start or from its newest checkpoint. Raises UserError."""
    given = {"max_steps": max_steps, "max_minutes": max_minutes}
    files = {"source_embeddings": source_embeddings, "target_embeddings": target_embeddings}
    told = {name: json.dumps(value, default=str) for name, value in {**given, **files}.items() if value is not None}
    overrides = [*overrides, *(f"train.{name}={value}" for name, value in told.items())]
    place = Run(run_directory)
    with place.locked(), Interrupts() as interrupts, Display(quiet) as display:
        events = Events(place.path / "tensorboard") if tensorboard else None
        described = select_device(device)
        display.note(f"device: {described}")
        use_compile_cache(display.note)
        data = open_data(data_directory)
        config = settle(place, data, recipe, overrides, jax.default_backend())
        place.record_sitting(shlex.join(["nmt", *sys.argv[1:]]), described, data.hash)
        try:
            train(Sitting(place, data, config, display, events), interrupts, strict)
        except Interrupted as signal:
            what = f"stopped by {signal} before the first update of this sitting"
            raise UserError(what, "the same command starts again", signal.code) from None
        except jax.errors.JaxRuntimeError as error:
            raise not_enough_memory(error, config.train) from error


def train(sitting: Sitting, interrupts: Interrupts, strict: bool) -> None:
    """The loop: validate, save, stop, step, log. Two threads work beside it: one compiles, one makes batches."""
    data, settings, display = sitting.data, sitting.config.train, sitting.display
    source, target = data.tokenizers()
    model = Seq2Seq(sitting.config.model, source.size, target.size, jnp.dtype(settings.precision))
    state, standing = begin(sitting, model, strict)
    batches = make_batches(data, settings, display)
    measure = make_validator(sitting, model)
    replicas = gather(display)
    state, rng = replicas.place((state, jax.random.key(settings.seed)))
    step, pending = int(state.step), list[StepReport]()
    options = update_options(settings, display)
    with (
        Updates(model, settings, replicas, options) as updates,
        Feed(make_feeder(batches, settings, replicas)) as feed,
    ):
        if not finished(step, standing, settings):
            compile_all(updates, batches, state, rng, settings, display)
            interrupts.check()
        window = start = time.monotonic()  # when the updates not yet logged would have begun, done in one go
        began = window - 60 * standing.minutes
        try:
            while True:
                aside = time.monotonic()
                standing.tick(began)
                ending = finished(step, standing, settings)
                if measure and standing.validated != step and (ending or due(step, settings.eval_every)):
                    params = replicas.one(state.for_translation)
                    state = judge(sitting, state, standing, measure(params, interrupts.check))
                    standing.tick(began)
                    ending = ending or finished(step, standing, settings)
                # Beyond an update that was no number may lie nothing but such: the checkpoint before is worth more.
                if ending or (due(step, settings.save_every) and not state.skipped_in_row):
                    save(sitting, state, standing, has_validation=measure is not None)
                if ending:
                    if updates.seconds:
                        display.note(account(updates.seconds, feed.waited, time.monotonic() - start))
                    display.note(farewell(sitting.run.path, step, ending, standing.best_step))
                    return
                interrupts.check()
                window += time.monotonic() - aside
                state, report = updates(state, feed(step), rng)
                step, pending = step + 1, [*pending, report]
                if len(pending) > 1:  # never more than one step ahead of the device
                    pending[-2] = jax.device_get(pending[-2])
                seconds = time.monotonic() - window
                if due(step, settings.log_every) or finished(step, standing, settings):
                    log(sitting, state, standing, pending, seconds, feed.take_wait(), batches)
                    pending, window = [], time.monotonic()
                elif len(pending) > 1 and display.is_due():
                    now = summary(step, pending[:-1], seconds, settings.accumulate / len(batches))
                    display.draw(step, settings.max_steps, f"{describe(now)}  {standing.last_scores}")
        except Interrupted as signal:
            standing.tick(began)
            save(sitting, state, standing, has_validation=measure is not None)
            what = f"stopped by {signal} after step {step:,}, which is saved"
            raise UserError(what, "the same command goes on from there", signal.code) from None


def begin(sitting: Sitting, model: Seq2Seq, strict: bool) -> tuple[TrainState, Standing]:
    """The state to go on from: the newest checkpoint's, or a new one."""
    place, data, settings, note = sitting.run, sitting.data, sitting.config.train, sitting.display.note
    one = np.ones((1, 1), np.int32)
    batch = Batch(one, one > 0, one, one, one > 0)

    def fresh(vectors: Mapping[str, Vectors]) -> TrainState:
        params = model.init(jax.random.key(settings.seed), batch, method="loss")["params"]
        return initial_state(settings, params, vectors)

    restored = checkpoint.restore(place, jax.eval_shape(fresh, no_vectors(sitting.config)), strict=strict)
    if restored is None:
        state = jax.jit(fresh)(read_vectors(place, data, sitting.config, note))
        size = sum(array.size for array in jax.tree.leaves(state.params))
        note(f"new run {place.path}: {size:,} parameters, {settings.precision}, {data.pair_count:,} pairs")
        place.rewind_log(0, 0)  # a sitting that was killed before its first checkpoint may have begun one
        return state, Standing(data.hash)
    step, state, progress = restored
    standing = Standing(**progress)
    refuse_other_data(place, data, standing.data_hash)
    place.rewind_log(step, standing.validated)
    note(f"going on from step {step:,} of {place.path}")
    return jax.device_put(state), standing


def make_validator(sitting: Sitting, model: Seq2Seq) -> Validator | None:
    """What measures the model; None without a validation set."""
    data, config, note = sitting.data, sitting.config, sitting.display.note
    if data.valid is None or not len(data.valid):
        note("no validation pairs: only the last model is kept (see nmt prepare --valid-source)")
        return None
    exact = model.clone(dtype=jnp.float32)
    source, target = data.tokenizers()
    translator = Translator(exact, None, source, target, dataclasses.replace(config.search, shortlist=False), note)
    return Validator(data, config.train, translator, make_loss(model))


def judge(sitting: Sitting, state: TrainState, standing: Standing, result: Validation) -> TrainState:
    """Report a validation and keep the model if it is the best; returns the state, its rate lowered on a plateau."""
    step, settings = int(state.step), sitting.config.train
    metric, rank = result.rank(settings.metric)
    if metric != standing.metric:  # scores of two metrics do not compare
        standing.metric, standing.best = metric, None
    is_best = math.isfinite(result.loss) and (standing.best is None or rank > standing.best)
    standing.validated = step
    standing.stalls = 0 if is_best else standing.stalls + 1
    standing.last_scores = "  ".join(
        [*(f"{score.metric} {score.value:.2f}" for score in result.scores), f"perplexity {result.perplexity:.2f}"]
    )
    if is_best:
        standing.best, standing.best_step = rank, step
        publish(sitting.run.best, sitting, state, result)
    publish(sitting.run.last, sitting, state, result)
    sitting.log({"step": step, **result.record()})
    note = sitting.display.note
    note(f"step {step:,} validation: {standing.last_scores}{'  (best)' if is_best else ''}")
    for source, reference, translation in result.samples:
        note(f"    source      {source}\n    reference   {reference}\n    translation {translation}")
    if settings.schedule == "plateau" and standing.stalls and standing.stalls % (settings.plateau_patience + 1) == 0:
        note(f"no gain in {standing.stalls} validations: learning rate times {settings.plateau_factor:g}")
        state = state._replace(rate_scale=state.rate_scale * settings.plateau_factor)
    return state


def publish(folder: Path, sitting: Sitting, state: TrainState, result: Validation | None) -> None:
    """Write the model as a folder that can be used and given away."""
    data = sitting.data
    source, target = data.tokenizers()
    scores = [{**dataclasses.asdict(score), "data": "validation"} for score in result.scores] if result else []
    card = {
        "step": int(state.step),
        "data": {"pairs": data.pair_count, "hash": data.hash},
        "scores": scores,
        "provenance": sitting.run.sittings()[-1],
    }
    params = jax.device_get(state.for_translation)
    save_model(folder, params, sitting.config, (source.size, target.size), model_files(data.directory), card)


def save(sitting: Sitting, state: TrainState, standing: Standing, has_validation: bool) -> None:
    """A checkpoint; and a model to translate with where no validation makes one."""
    step, progress = int(state.step), dataclasses.asdict(standing)
    checkpoint.save(sitting.run, step, state, progress, sitting.config.train.keep)
    if not has_validation:
        publish(sitting.run.last, sitting, state, None)


def log(
    sitting: Sitting,
    state: TrainState,
    standing: Standing,
    reports: Sequence[StepReport],
    seconds: float,
    waited: float,
    batches: Batches,
) -> None:
    """Write the updates since the last line of the log, and show them; they have taken, and waited for data, seconds.

    Raises UserError (DIVERGED) when too many of them in a row were not finite.
    """
    step, settings, display = int(state.step), sitting.config.train, sitting.display
    reports = jax.device_get(reports)
    record = summary(step, reports, seconds, settings.accumulate / len(batches))
    record |= {"skipped": int(state.skipped), "minutes": standing.minutes, "waiting_for_data": waited / seconds}
    if batches.dropout:
        place = divmod(step * settings.accumulate, len(batches))
        record |= {"pairs_cut_as_prepared": batches.dropout.take_count(*place)}
    sitting.log(record)
    display.log(step, settings.max_steps, f"{describe(record)}  {standing.last_scores}".rstrip())
    if left_out := describe_left_out(step, reports):
        display.note(left_out)
    in_row = int(state.skipped_in_row)
    if in_row >= HOPELESS:
        what = f"the loss has not been a number for {in_row} updates, up to step {step:,}"
        hint = f"best/ and the checkpoints in {sitting.run.path} are untouched; a new run with a lower "
        raise UserError(what, f"{hint}train.learning_rate or train.clip_norm may do better", Exit.DIVERGED)
