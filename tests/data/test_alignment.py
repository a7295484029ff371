import random

import numpy as np
import pytest

from nmt_cli.data.alignment import WINDOW, check_counts, first_gap, shift_warning, shifted_windows
from nmt_cli.errors import Exit, UserError

NAMES = ("a.fr", "a.en")


def corpus(lines=2000, seed=0):
    """Lengths of sentences and of their translations, some 10 % longer or shorter."""
    chance = random.Random(seed)
    source = [max(1, round(chance.lognormvariate(4, 0.5))) for _ in range(lines)]
    target = [max(1, round(n * chance.gauss(1.1, 0.1))) for n in source]
    return np.array(source, np.uint16), np.array(target, np.uint16)


def test_true_pairs_raise_no_suspicion():
    assert shifted_windows(*corpus()) == []
    assert shift_warning(*corpus(), NAMES) == ""


@pytest.mark.parametrize("shift", [1, -2, 5, 37])
def test_lines_shifted_from_the_middle_on_are_found_there(shift):
    source, target = corpus()
    target[1000:] = np.roll(target[1000:], shift)
    found = shifted_windows(source, target)
    assert 1000 - WINDOW < found[0] <= 1000 + WINDOW
    assert len(found) >= 8
    assert f"line {found[0]} on" in shift_warning(source, target, NAMES)


def test_unrelated_lengths_without_a_better_shift_are_not_called_shifted():
    chance = np.random.default_rng(0)
    source, target = (chance.integers(5, 200, 2000).astype(np.uint16) for _ in range(2))
    assert shifted_windows(source, target) == []


@pytest.mark.parametrize("lines", [0, 1, 50, WINDOW + 9])
def test_too_few_lines_are_not_judged(lines):
    source, target = corpus(lines)
    assert shifted_windows(source, target[::-1].copy()) == []


def test_lines_of_equal_length_are_not_suspicious():
    same = np.full(1000, 20, np.uint16)
    assert shifted_windows(same, same) == []


@pytest.mark.parametrize("missing", [1, 3, 40])
@pytest.mark.parametrize("side", [0, 1])
def test_the_place_of_missing_lines_is_found(missing, side):
    lengths = list(corpus())
    lengths[side] = np.delete(lengths[side], slice(700, 700 + missing))
    assert abs(first_gap(*lengths) - 701) <= 5


@pytest.mark.parametrize("more", ["source", "target"])
def test_counts_that_differ_by_one_are_refused_with_both_counts_and_the_line(more):
    source, target = corpus()
    if more == "source":
        target = np.delete(target, 700)
    else:
        source = np.delete(source, 700)
    with pytest.raises(UserError, match=f"a.fr has {len(source)} lines and a.en has {len(target)}") as error:
        check_counts(source, target, NAMES)
    assert error.value.code == Exit.DATA
    assert "line 70" in str(error.value) or "line 69" in str(error.value)


def test_a_missing_end_is_called_that():
    source, target = corpus()
    with pytest.raises(UserError, match="the end is missing"):
        check_counts(source, target[:1500], NAMES)


def test_an_empty_side_is_refused():
    source, _ = corpus()
    with pytest.raises(UserError, match=r"has 2000 lines and a\.en has 0"):
        check_counts(source, source[:0], NAMES)
