import random

import numpy as np
import pytest

from nmt_cli.data import alignment
from nmt_cli.data.alignment import LEAST_LINES, check_counts, first_gap, shift_warning, shifted_stretches
from nmt_cli.errors import Exit, UserError

NAMES = ("a.fr", "a.en")


def corpus(lines=2000, seed=0):
    """Lengths of sentences and of their translations, some 10 % longer or shorter."""
    chance = random.Random(seed)
    source = [max(1, round(chance.lognormvariate(4, 0.5))) for _ in range(lines)]
    target = [max(1, round(n * chance.gauss(1.1, 0.1))) for n in source]
    return np.array(source, np.uint16), np.array(target, np.uint16)


@pytest.mark.fault(17)
@pytest.mark.parametrize("seed", range(5))
def test_true_pairs_raise_no_suspicion(seed):
    assert list(shifted_stretches(*corpus(seed=seed))) == []
    assert shift_warning(*corpus(seed=seed), NAMES) == ""


@pytest.mark.fault(17)
@pytest.mark.parametrize("shift", [1, -2, 5, 37])
def test_lines_shifted_from_the_middle_on_are_found_there(shift):
    source, target = corpus()
    target[1000:] = np.roll(target[1000:], shift)
    found = list(shifted_stretches(source, target))
    assert abs(found[0][0] - 1001) <= 20
    assert sum(stop - start for start, stop in found) >= 800
    assert f"line {found[0][0]} on" in shift_warning(source, target, NAMES)


@pytest.mark.fault(17)
@pytest.mark.parametrize("place", [30, 700, 1970])
@pytest.mark.parametrize("shift", [1, -1, 3])
def test_twenty_shifted_lines_are_found(place, shift):
    source, target = corpus()
    target[place : place + 20] = np.roll(target[place : place + 20], shift)
    (start, stop), *others = shifted_stretches(source, target)
    assert others == []
    assert place - 5 <= start <= place + 8
    assert place + 12 <= stop <= place + 27


@pytest.mark.fault(17)
def test_a_file_shifted_from_its_first_line_on_is_found(monkeypatch):
    monkeypatch.setattr(alignment, "BLOCK", 300)  # and blocks are judged each for itself
    source, target = corpus()
    found = list(shifted_stretches(source, np.roll(target, 1)))
    assert sum(stop - start for start, stop in found) > 1800
    assert found == sorted(found)


def test_unrelated_lengths_are_not_called_shifted():
    chance = np.random.default_rng(0)
    source, target = (chance.integers(5, 200, 2000).astype(np.uint16) for _ in range(2))
    assert list(shifted_stretches(source, target)) == []


@pytest.mark.parametrize("lines", [0, 1, 50, LEAST_LINES - 1])
def test_too_few_lines_are_not_judged(lines):
    source, target = corpus(lines)
    assert list(shifted_stretches(source, target[::-1].copy())) == []


def test_lines_of_equal_length_are_not_suspicious():
    same = np.full(1000, 20, np.uint16)
    assert list(shifted_stretches(same, same)) == []


@pytest.mark.fault(17)
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["multi30k/train.{}:fr:en", "multi30k/train.{}:de:en", "noisy/callhome_train.{}:es:en"], ids=str
)
def test_of_twenty_shifted_lines_in_real_text_most_are_found_and_nothing_else(real_text, name, figure):
    path, *languages = name.split(":")
    source, target = (lengths_of(real_text / path.format(language)) for language in languages)
    assert list(shifted_stretches(source, target)) == []
    chance, found = random.Random(0), 0
    for _ in range(20):
        start, shifted = chance.randrange(100, len(source) - 100), target.copy()
        shifted[start : start + 20] = np.roll(shifted[start : start + 20], chance.choice([1, -1, 2]))
        found += any(abs(line - start) <= 12 for line, _ in shifted_stretches(source, shifted))
    figure(f"20 shifted lines in {path.format(languages[0])}", f"found {found} of 20, no other alarm")
    assert found >= 15


def lengths_of(path):
    return np.array([min(len(line.decode()), 65_535) for line in path.read_bytes().split(b"\n")[:-1]], np.uint16)


@pytest.mark.parametrize("missing", [1, 3, 40])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.fault(16)
def test_the_place_of_missing_lines_is_found(missing, side, monkeypatch):
    monkeypatch.setattr(alignment, "BLOCK", 300)
    lengths = list(corpus())
    lengths[side] = np.delete(lengths[side], slice(700, 700 + missing))
    assert abs(first_gap(*lengths) - 701) <= 5


@pytest.mark.parametrize("more", ["source", "target"])
@pytest.mark.fault(16)
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


@pytest.mark.fault(16)
def test_an_empty_side_is_refused():
    source, _ = corpus()
    with pytest.raises(UserError, match=r"has 2000 lines and a\.en has 0"):
        check_counts(source, source[:0], NAMES)
