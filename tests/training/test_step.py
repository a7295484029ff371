"""One update: held against Adam by hand in NumPy, alone, accumulated, skipped and averaged."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli.batch import Batch
from nmt_cli.config import Train
from nmt_cli.nn.loss import Loss
from nmt_cli.training.programs import Updates
from nmt_cli.training.state import TrainState, initial_state
from nmt_cli.training.step import ema_decay, make_loss, update, whole_update

VOCABULARY = 9
PARAMS = {"kernel": np.linspace(-1.0, 1.0, 6, dtype=np.float32).reshape(2, 3), "bias": np.float32([0.5, -0.5])}
GRADIENTS = [
    {"kernel": np.float32(scale) * np.arange(-3, 3, dtype=np.float32).reshape(2, 3), "bias": np.float32([scale, 2.0])}
    for scale in (1.0, -0.5, 3.0)
]
RNG = jax.random.key(7)


def settings(**options: Any) -> Train:
    return Train(**{"schedule": "constant", "warmup_steps": 0, "learning_rate": 0.01, "clip_norm": 0.0, **options})


@functools.cache
def compiled_update(train: Train) -> Any:
    return jax.jit(functools.partial(update, train))


def loss_of(tokens: float, smoothed: float = 1.0) -> Loss:
    return Loss(jnp.float32(smoothed), jnp.float32(smoothed), jnp.float32(tokens))


def same(tree: Any, other: Any) -> bool:
    """Whether two trees hold the same bits."""
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    )


def batch_of(rows: int, seed: int, source_length: int = 5, target_length: int = 4) -> Batch:
    """Random sentences of random lengths."""
    rng = np.random.default_rng(seed)

    def side(length: int) -> tuple[np.ndarray, np.ndarray]:
        lengths = rng.integers(1, length + 1, rows)
        return rng.integers(4, VOCABULARY, (rows, length)).astype(np.int32), np.arange(length) < lengths[:, None]

    source, source_mask = side(source_length)
    target, target_mask = side(target_length)
    return Batch(source, source_mask, target, np.roll(target, -1, 1), target_mask)


def stacked(*batches: Batch) -> Batch:
    return Batch(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))


@dataclasses.dataclass(frozen=True)
class Bigrams:
    """A model that compiles in an instant: the next target piece from the last one, nothing of the source."""

    dropout: float = 0.0

    def apply(self, variables: Any, batch: Batch, smoothing: float = 0.0, rng: Any = None, *, method: str) -> Loss:
        assert method == "loss"
        hidden = variables["params"]["table"][batch.target_in]  # [B T V]
        if rng is not None and self.dropout:
            hidden *= jax.random.bernoulli(rng, 1.0 - self.dropout, hidden.shape)
        log_probs = jax.nn.log_softmax(hidden + variables["params"]["bias"])
        losses = -jnp.take_along_axis(log_probs, batch.target_out[..., None], -1)[..., 0]
        smoothed = (1.0 - smoothing) * losses - smoothing * log_probs.mean(-1)
        sums = [jnp.where(batch.target_mask, values, 0.0).sum() for values in (smoothed, losses)]
        return Loss(*sums, batch.target_mask.sum().astype(jnp.float32))


def fresh(train: Train) -> TrainState:
    """A state of its own: updates consume theirs."""
    table = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY))
    return initial_state(train, {"table": jnp.float32(table), "bias": jnp.zeros(VOCABULARY)})


def test_updates_are_those_of_adam_by_hand():
    train = settings(beta1=0.9, beta2=0.98, epsilon=1e-8)
    state, step = initial_state(train, PARAMS), compiled_update(train)
    expected = {name: array.astype(np.float64) for name, array in PARAMS.items()}
    first = {name: np.zeros(array.shape) for name, array in PARAMS.items()}
    second = {name: np.zeros(array.shape) for name, array in PARAMS.items()}
    for count, gradients in enumerate(GRADIENTS, 1):
        state, _ = step(state, gradients, loss_of(tokens=4.0))
        for name in expected:  # Kingma & Ba 2015, algorithm 1, on the mean gradient of 4 tokens
            mean = gradients[name].astype(np.float64) / 4.0
            first[name] = 0.9 * first[name] + 0.1 * mean
            second[name] = 0.98 * second[name] + 0.02 * mean**2
            corrected = first[name] / (1 - 0.9**count), second[name] / (1 - 0.98**count)
            expected[name] -= 0.01 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    for name in expected:
        np.testing.assert_allclose(state.params[name], expected[name], atol=1e-6)
    assert int(state.step) == len(GRADIENTS)


@pytest.mark.parametrize(("clip", "factor"), [(0.0, 1.0), (1.0, 0.4), (2.4, 0.96), (100.0, 1.0)])
def test_the_mean_gradient_is_clipped_by_its_global_norm(clip, factor):
    train = settings(optimizer="sgd", beta1=0.0, clip_norm=clip)
    gradients = {"kernel": np.zeros((2, 3), np.float32), "bias": np.float32([3.0, 4.0])}  # norm 5, of 2 tokens: 2.5
    state, report = compiled_update(train)(initial_state(train, PARAMS), gradients, loss_of(2.0))
    expected = PARAMS["bias"] - 0.01 * factor * gradients["bias"] / 2.0
    np.testing.assert_allclose(state.params["bias"], expected, rtol=1e-6)
    assert float(report.gradient_norm) == pytest.approx(2.5)


def test_what_a_plateau_did_to_the_rate_holds():
    train = settings(optimizer="sgd", beta1=0.0)
    state = initial_state(train, PARAMS)._replace(rate_scale=jnp.float32(0.25))
    state, report = compiled_update(train)(state, GRADIENTS[0], loss_of(1.0))
    assert float(report.learning_rate) == pytest.approx(0.0025)
    np.testing.assert_allclose(state.params["bias"], PARAMS["bias"] - 0.0025 * GRADIENTS[0]["bias"], rtol=1e-6)
    assert float(state.rate_scale) == 0.25


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["gradient", "loss"])
@pytest.mark.fault(53)
def test_an_update_that_is_no_number_changes_nothing_but_the_counters(bad, where):
    train = settings(ema_decay=0.9)
    step = compiled_update(train)
    state, _ = step(initial_state(train, PARAMS), GRADIENTS[0], loss_of(4.0))
    gradients = {**GRADIENTS[1], "bias": np.float32([bad if where == "gradient" else 1.0, 1.0])}
    for count in (1, 2):
        after, _ = step(state, gradients, loss_of(4.0, smoothed=bad if where == "loss" else 1.0))
        assert same(
            (after.params, after.optimizer, after.average, after.rate_scale),
            (state.params, state.optimizer, state.average, state.rate_scale),
        )
        assert (int(after.step), int(after.skipped), int(after.skipped_in_row)) == (1 + count, count, count)
        state = after
    good, _ = step(state, GRADIENTS[1], loss_of(4.0))
    assert (int(good.skipped), int(good.skipped_in_row)) == (2, 0)
    assert not same(good.params, state.params)


def test_a_batch_without_a_single_token_does_no_harm():
    train = settings()
    still = jax.tree.map(np.zeros_like, PARAMS)
    state, report = compiled_update(train)(initial_state(train, PARAMS), still, loss_of(0.0, 0.0))
    assert same(state.params, PARAMS)
    assert float(report.gradient_norm) == 0.0


def test_the_average_follows_the_parameters():
    train = settings(ema_decay=0.9)
    step = compiled_update(train)
    state, expected = initial_state(train, PARAMS), PARAMS["bias"].astype(np.float64)
    for number, gradients in enumerate(GRADIENTS):
        state, _ = step(state, gradients, loss_of(4.0))
        decay = min(0.9, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * np.asarray(state.params["bias"], np.float64)
    assert state.average is not None
    np.testing.assert_allclose(state.average["bias"], expected, atol=1e-6)


def test_the_average_forgets_fast_at_first_and_as_it_is_told_in_the_end():
    decays = [float(ema_decay(settings(ema_decay=0.99), jnp.int32(step))) for step in (0, 10, 100_000)]
    assert decays == pytest.approx([0.1, 0.55, 0.99])


def test_without_ema_there_is_no_average():
    assert initial_state(settings(), PARAMS).average is None


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_two_accumulated_batches_are_one_batch_of_both(optimizer):
    parts = [batch_of(3, 1), batch_of(3, 2)]
    parts[0] = parts[0]._replace(target_mask=parts[0].target_mask & (np.arange(4) < 2))  # sums, not means of means
    results = []
    for accumulate, batches in [(1, [stacked(*parts)]), (2, parts)]:
        train = settings(optimizer=optimizer, accumulate=accumulate, epsilon=1e-3, clip_norm=0.5)
        results.append(Updates(Bigrams(), train)(fresh(train), batches, RNG))
    (together, whole), (apart, summed) = results
    for a, b in zip(jax.tree.leaves(together.params), jax.tree.leaves(apart.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(jax.tree.leaves(whole), jax.tree.leaves(summed), rtol=1e-5)
    assert float(whole.loss.tokens) == sum(part.target_mask.sum() for part in parts)


def test_an_update_makes_the_loss_of_its_batch_smaller():
    train, batch = settings(label_smoothing=0.0), batch_of(4, 3)
    loss = make_loss(Bigrams())
    before = fresh(train)
    after, report = jax.jit(functools.partial(whole_update, Bigrams(), train))(before, batch, RNG)
    assert float(report.loss.log_loss) == pytest.approx(float(loss(before.params, batch).log_loss), rel=1e-5)
    assert float(loss(after.params, batch).log_loss) < float(report.loss.log_loss)


@pytest.fixture(scope="module")
def dropped() -> Any:
    """A compiled update with dropout."""
    return jax.jit(functools.partial(whole_update, Bigrams(0.3), settings()))


def test_dropout_is_the_same_when_a_step_is_made_again(dropped):
    first, again = (dropped(fresh(settings()), batch_of(4, 3), RNG) for _ in range(2))
    assert same(first, again)


@pytest.mark.parametrize("change", ["step", "seed"])
def test_dropout_differs_with_step_and_seed(dropped, change):
    state, batch = fresh(settings()), batch_of(4, 3)
    _, first = dropped(state, batch, RNG)
    state = state._replace(step=state.step + (change == "step"))
    _, other = dropped(state, batch, jax.random.key(8) if change == "seed" else RNG)
    assert float(first.loss.log_loss) != float(other.loss.log_loss)


def test_batches_of_one_update_do_not_share_their_dropout():
    train, batch = settings(accumulate=2), batch_of(4, 3)
    updates = Updates(Bigrams(0.3), train)
    state = fresh(train)
    program = updates.program(state, batch, RNG)
    losses = [float(program(state.params, batch, RNG, state.step, index)[1].log_loss) for index in range(2)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_shape_is_compiled_once(accumulate):
    train = settings(accumulate=accumulate)
    updates, state = Updates(Bigrams(), train), fresh(train)
    updates.whole, updates.part = mock.Mock(wraps=updates.whole), mock.Mock(wraps=updates.part)
    small, large = batch_of(3, 1), batch_of(2, 2, 6, 3)
    for batch in [small, small, large, batch_of(3, 4), large]:
        state, _ = updates(state, [batch] * accumulate, RNG)
    assert updates.whole.lower.call_count + updates.part.lower.call_count == 2
    assert int(state.step) == 5


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_new_state_takes_the_place_of_the_old_one(accumulate):
    train = settings(accumulate=accumulate, ema_decay=0.9)
    before = fresh(train)
    with Updates(Bigrams(), train) as updates:
        after, _ = updates(before, [batch_of(3, 1)] * accumulate, RNG)
    assert all(array.is_deleted() for array in jax.tree.leaves((before.params, before.optimizer, before.average)))
    assert int(after.step) == 1


def test_programs_asked_for_ahead_are_there_when_they_are_needed():
    train, shapes = settings(), [batch_of(3, 1), batch_of(2, 2, 6, 3)]
    with Updates(Bigrams(), train) as updates:
        state = fresh(train)
        for batch in shapes:
            updates.ask(state, batch, RNG)
        for batch in shapes:
            state, _ = updates(state, [batch], RNG)
    assert int(state.step) == len(updates.seconds) == 2


def test_what_cannot_be_compiled_is_an_error_of_the_update_that_needs_it():
    train = settings()
    with Updates(Bigrams(), train) as updates:
        updates.whole = mock.Mock(lower=mock.Mock(side_effect=ValueError("no such program")))
        updates.ask(fresh(train), batch_of(3, 1), RNG)
        with pytest.raises(ValueError, match="no such program"):
            updates(fresh(train), [batch_of(3, 1)], RNG)


def planted(**options: Any) -> tuple[Train, TrainState]:
    """A state whose table begins with two vectors from a file."""
    train = settings(optimizer="adamw", weight_decay=0.5, ema_decay=0.5, **options)
    rows = np.full((2, VOCABULARY), 0.25, np.float32)
    table = np.random.default_rng(0).normal(size=(VOCABULARY, VOCABULARY)).astype(np.float32)
    params = {"table": jnp.asarray(table), "bias": jnp.zeros(VOCABULARY)}
    return train, initial_state(train, params, {"table": (np.int32([2, 5]), rows)})


def test_tables_begin_with_the_vectors_given():
    _, state = planted()
    np.testing.assert_array_equal(state.params["table"][np.array([2, 5])], 0.25)
    assert state.average is not None
    assert same(state.average, state.params)
    assert (np.asarray(state.params["table"]) == 0.25).sum() == 2 * VOCABULARY
    assert state.frozen is None


@pytest.mark.parametrize("frozen", [False, True])
def test_only_frozen_vectors_stay_as_they_are(frozen):
    train, before = planted(freeze_embeddings=frozen, source_embeddings="vectors.txt")
    start = np.asarray(before.params["table"])
    state, _ = jax.jit(functools.partial(whole_update, Bigrams(), train))(before, batch_of(4, 3), RNG)
    for table in (state.params["table"], state.average["table"]):
        moved = (np.asarray(table) != start).any(1)  # weight decay moves every row that it may
        assert moved.tolist() == [not frozen or row not in (2, 5) for row in range(VOCABULARY)]
