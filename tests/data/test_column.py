from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data import column
from nmt_cli.data.column import Column, Repeats, in_order

HASHES = st.lists(st.integers(0, 5) | st.integers(0, 2**64 - 1), max_size=50)


def column_of(numbers, code="Q"):
    filled = Column(code)
    for number in numbers:
        filled.append(number)
    return filled


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """So that a few numbers take several blocks and parts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in (("BUFFERED", 3), ("BLOCK", 8), ("PART", 7)):
            patch.setattr(column, name, size)
        yield


def test_slices_are_what_was_added():
    lengths = column_of(range(10), "H")
    assert lengths[:].tolist() == list(range(10))
    assert lengths[2:5].tolist() == [2, 3, 4]
    assert lengths[8:99].tolist() == [8, 9]
    assert lengths[12:].tolist() == []
    lengths.append(65_535)
    assert (len(lengths), lengths[-1:].tolist()) == (11, [65_535])


@given(HASHES)
def test_parts_in_order_are_the_sorted_whole(numbers):
    parts = list(in_order(column_of(numbers)))
    assert [value for values, _ in parts for value in values.tolist()] == sorted(numbers)
    assert [numbers[place] for _, places in parts for place in places.tolist()] == sorted(numbers)
    assert [len(set(values.tolist())) for values, _ in parts] == [len(np.unique(values)) for values, _ in parts]


@given(HASHES)
def test_equal_numbers_come_in_one_part(numbers):
    seen = Counter(value for values, _ in in_order(column_of(numbers)) for value in set(values.tolist()))
    assert set(seen.values()) <= {1}


@given(HASHES)
def test_all_but_the_first_of_equal_numbers_have_come_before(numbers):
    assert list(Repeats(column_of(numbers))) == [number in numbers[:place] for place, number in enumerate(numbers)]
