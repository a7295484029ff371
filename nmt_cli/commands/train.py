"""`nmt train`: the loop that turns prepared data into a model, from top to bottom."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nmt_cli.batch import Batch
from nmt_cli.commands.display import Display
from nmt_cli.commands.interrupts import Interrupted, Interrupts
from nmt_cli.config import Config
from nmt_cli.data.batching import Batches, buckets
from nmt_cli.data.store import Prepared, open_data
from nmt_cli.data.tokenizer import tokenizer_files
from nmt_cli.errors import Exit, UserError
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run import checkpoint
from nmt_cli.run.device import compile_aloud, select_device, use_compile_cache
from nmt_cli.run.directory import Run
from nmt_cli.run.model import save_model
from nmt_cli.run.settings import settle
from nmt_cli.run.translator import Translator
from nmt_cli.run.validation import Validation, Validator
from nmt_cli.training.state import TrainState, initial_state
from nmt_cli.training.step import StepReport, Updates, make_loss

SHAPES = 12  # of batches: more would pad less and compile longer
HOPELESS = 20  # updates in a row without a finite loss, after which training gives up


@dataclass
class Standing:
    """What a training remembers besides its arrays; kept with every checkpoint."""

    data_hash: str
    minutes: float = 0.0  # spent in the loop, all sittings together
    validated: int = -1  # the step of the last validation
    best: float | None = None  # the best validation score, higher is better
    best_step: int = 0
    stalls: int = 0  # validations since then
    last_scores: str = ""  # for the display


def run(
    data_directory: Path,
    run_directory: Path,
    recipe: str | None,
    overrides: Sequence[str],
    max_steps: int | None,
    max_minutes: float | None,
    device: str,
    tensorboard: bool,
    strict: bool,
    quiet: bool,
) -> None:
    """Train in a run directory, from the start or from its newest checkpoint. Raises UserError."""
    limits = {"max_steps": max_steps, "max_minutes": max_minutes}
    overrides = [*overrides, *(f"train.{name}={value}" for name, value in limits.items() if value is not None)]
    place = Run(run_directory)
    with place.locked(), Interrupts() as interrupts, Display(quiet) as display:
        described = select_device(device)
        display.note(f"device: {described}")
        use_compile_cache(display.note)
        data = open_data(data_directory)
        config = settle(place, data, recipe, overrides, jax.default_backend())
        place.record_sitting(" ".join(["nmt", *sys.argv[1:]]), described, data.hash)
        train(place, data, config, display, interrupts, strict)


def train(place: Run, data: Prepared, config: Config, display: Display, interrupts: Interrupts, strict: bool) -> None:
    """The loop: validate, save, stop, step, log."""
    settings = config.train
    source, target = data.tokenizers()
    model = Seq2Seq(config.model, source.size, target.size, jnp.dtype(settings.precision))
    state, standing = begin(place, data, config, model, display, strict)
    batches = make_batches(data, config)
    updates = Updates(model, settings, partial(compile_aloud, note=display.note))
    measure = make_validator(data, config, model, display)
    rng = jax.random.key(settings.seed)
    step, pending, clock = int(state.step), list[StepReport](), time.monotonic()
    try:
        if not finished(step, standing, config):
            compile_all(updates, batches, state, rng, interrupts, display)
        window = clock = time.monotonic()
        while True:
            now = time.monotonic()
            standing.minutes, clock = standing.minutes + (now - clock) / 60, now
            ending = finished(step, standing, config)
            if measure and standing.validated != step and (ending or due(step, settings.eval_every)):
                result = measure(parameters(state), interrupts.check)
                state = judge(place, data, config, state, standing, result, display)
                window = time.monotonic()
            if ending or due(step, settings.save_every):
                save(place, data, config, state, standing)
            if ending:
                display.note(f"finished at step {step:,}: {ending}. Try: nmt translate {place.path}")
                return
            interrupts.check()
            state, report = updates(state, next_batches(batches, step, settings.accumulate), rng)
            step, pending = step + 1, [*pending, report]
            if len(pending) > 1:  # never more than one step ahead of the device
                jax.block_until_ready(pending[-2])
            if due(step, settings.log_every) or finished(step, standing, config):
                log(place, config, state, standing, pending, time.monotonic() - window, len(batches), display)
                pending, window = [], time.monotonic()
    except Interrupted as signal:
        save(place, data, config, state, standing)
        what = f"stopped by {signal} after step {int(state.step):,}, which is saved"
        raise UserError(what, "the same command goes on from there", signal.code) from None


def due(step: int, every: int) -> bool:
    """Whether something done every so many steps is to be done after this one."""
    return step > 0 and step % every == 0


def finished(step: int, standing: Standing, config: Config) -> str:
    """Why the training is at its end, or "" when it is not."""
    settings = config.train
    if step >= settings.max_steps:
        return f"train.max_steps = {settings.max_steps}"
    if settings.max_minutes and standing.minutes >= settings.max_minutes:
        return f"train.max_minutes = {settings.max_minutes:g}"
    if settings.patience and standing.stalls >= settings.patience:
        return f"no gain in {standing.stalls} validations"
    return ""


def begin(
    place: Run, data: Prepared, config: Config, model: Seq2Seq, display: Display, strict: bool
) -> tuple[TrainState, Standing]:
    """The state to go on from: the newest checkpoint's, or a new one."""
    one = np.ones((1, 1), np.int32)
    batch = Batch(one, one > 0, one, one, one > 0)

    def fresh() -> TrainState:
        params = model.init(jax.random.key(config.train.seed), batch, method="loss")["params"]
        return initial_state(config.train, params)

    restored = checkpoint.restore(place, jax.eval_shape(fresh), strict=strict)
    if restored is None:
        state, standing = jax.jit(fresh)(), Standing(data.hash)
        size = sum(array.size for array in jax.tree.leaves(state.params))
        display.note(f"new run {place.path}: {size:,} parameters, {config.train.precision}, {data.pair_count:,} pairs")
        return state, standing
    step, state, progress = restored
    standing = Standing(**progress)
    if standing.data_hash != data.hash:
        what = f"{place.path} was trained on other data than {data.directory}"
        raise UserError(what, "give the data it began with, or train in a new run directory")
    place.rewind_log(step)
    display.note(f"going on from step {step:,} of {place.path}")
    return jax.device_put(state), standing


def make_batches(data: Prepared, config: Config) -> Batches:
    """The training batches of every epoch."""
    settings = config.train
    shapes = buckets(data.train.source_lengths, data.train.target_lengths, settings.batch_tokens, SHAPES)
    return Batches(data.train, shapes, data.hash, settings.seed)


def next_batches(batches: Batches, step: int, accumulate: int) -> list[Batch]:
    """The batches of an update: where the data stands follows from the step alone."""
    numbers = range(step * accumulate, (step + 1) * accumulate)
    return [batches.batch(*divmod(number, len(batches))) for number in numbers]


def compile_all(
    updates: Updates, batches: Batches, state: TrainState, rng: jax.Array, interrupts: Interrupts, display: Display
) -> None:
    """Compile every shape ahead of the first step, so that none stops the training later."""
    start = time.monotonic()
    shapes = batches.buckets
    display.note(f"compiling {len(shapes)} shapes of batches; {batches.useful_share():.0%} of their tokens are text")
    for rows, source_length, target_length in shapes:
        interrupts.check()
        source, target = np.zeros((rows, source_length), np.int32), np.zeros((rows, target_length), np.int32)
        updates.program(state, Batch(source, source > 0, target, target, target > 0), rng)
    display.note(f"compiled in {time.monotonic() - start:.1f} s")


def make_validator(data: Prepared, config: Config, model: Seq2Seq, display: Display) -> Validator | None:
    """What measures the model; None without a validation set."""
    if data.valid is None or not len(data.valid):
        display.note("no validation pairs: best is the last model (see nmt prepare --valid-source)")
        return None
    exact = model.clone(dtype=jnp.float32)
    source, target = data.tokenizers()
    translator = Translator(exact, None, source, target, config.search, display.note)
    return Validator(data, config.train, translator, make_loss(model))


def parameters(state: TrainState) -> Any:
    """The parameters that translate: the moving average where there is one."""
    return state.params if state.average is None else state.average


def judge(
    place: Run,
    data: Prepared,
    config: Config,
    state: TrainState,
    standing: Standing,
    result: Validation,
    display: Display,
) -> TrainState:
    """Report a validation and keep the model if it is the best; returns the state, its rate lowered on a plateau."""
    step, settings = int(state.step), config.train
    score = result.score(settings.metric)
    is_best = standing.best is None or score > standing.best
    standing.validated = step
    standing.stalls = 0 if is_best else standing.stalls + 1
    standing.last_scores = f"perplexity {result.perplexity:.2f}"
    if result.bleu is not None:
        standing.last_scores = f"BLEU {result.bleu:.2f}  {standing.last_scores}"
    if is_best:
        standing.best, standing.best_step = score, step
        publish(place.best, data, config, state, result)
    publish(place.last, data, config, state, result)
    place.log({"step": step, "valid": result._asdict() | {"samples": None, "perplexity": result.perplexity}})
    display.note(f"step {step:,} validation: {standing.last_scores}{'  (best)' if is_best else ''}")
    for source, reference, translation in result.samples:
        display.note(f"    source      {source}\n    reference   {reference}\n    translation {translation}")
    if settings.schedule == "plateau" and standing.stalls > settings.plateau_patience:
        state = state._replace(rate_scale=state.rate_scale * settings.plateau_factor)
    return state


def publish(folder: Path, data: Prepared, config: Config, state: TrainState, result: Validation | None) -> None:
    """Write the model as a folder that can be used and given away."""
    source, target = data.tokenizers()
    scores = (
        [] if result is None or result.bleu is None else [{"metric": "bleu", "value": result.bleu, "data": "valid"}]
    )
    card = {"step": int(state.step), "data": {"pairs": data.pair_count, "hash": data.hash}, "scores": scores}
    params = jax.device_get(parameters(state))
    save_model(folder, params, config, (source.size, target.size), tokenizer_files(data.directory), card)


def save(place: Run, data: Prepared, config: Config, state: TrainState, standing: Standing) -> None:
    """A checkpoint; and a model to translate with where no validation has made one."""
    step = int(state.step)
    checkpoint.save(place, step, state, dataclasses.asdict(standing), config.train.keep)
    if data.valid is None:
        publish(place.last, data, config, state, None)


def log(
    place: Run, config: Config, state: TrainState, standing: Standing, reports: Sequence[StepReport], seconds: float,
    epoch_length: int, display: Display,
) -> None:  # fmt: skip
    """Write the updates since the last line of the log, and show them. Raises UserError (DIVERGED)."""
    reports = jax.device_get(reports)
    step, settings = int(state.step), config.train
    tokens = sum(float(report.loss.tokens) for report in reports)
    log_loss = sum(float(report.loss.log_loss) for report in reports) / max(tokens, 1.0)
    rate = tokens / max(seconds, 1e-9)
    record = {
        "step": step,
        "epoch": step * settings.accumulate / epoch_length,
        "loss": log_loss,
        "smoothed_loss": sum(float(report.loss.smoothed) for report in reports) / max(tokens, 1.0),
        "learning_rate": float(reports[-1].learning_rate),
        "gradient_norm": float(reports[-1].gradient_norm),
        "target_tokens_per_second": rate,
        "skipped": int(state.skipped),
        "minutes": standing.minutes,
    }
    place.log(record)
    perplexity = math.exp(min(log_loss, 700.0)) if math.isfinite(log_loss) else math.nan
    text = f"epoch {record['epoch']:.1f}  loss {log_loss:.3f}  perplexity {perplexity:.1f}  {rate:,.0f} tokens/s"
    skipped = f"  {record['skipped']} updates skipped" if record["skipped"] else ""
    display.advance(step, settings.max_steps, f"{text}{skipped}  {standing.last_scores}".rstrip(), log=True)
    if int(state.skipped_in_row) >= HOPELESS:
        what = f"the loss has not been a number for {int(state.skipped_in_row)} updates, up to step {step:,}"
        hint = f"lower train.learning_rate or train.clip_norm; best/ and the checkpoints in {place.path} are untouched"
        raise UserError(what, hint, Exit.DIVERGED)
