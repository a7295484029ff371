"""Merges left out at random: SentencePiece's own cut with none left out, and the same cuts in every process."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest

from nmt_cli.data.merges import Merges

PIECES = {4: ("ab", -1.0), 5: ("abc", -3.0), 6: ("bc", -2.0), 7: ("a", -10.0), 8: ("b", -11.0), 9: ("c", -12.0)}
CODE = """
import sys
from random import Random
from tests.data.test_merges import PIECES, Merges
sys.stdout.write(repr([Merges(PIECES).recut([5, 6, 4] * 9, 0.5, Random(seed).random) for seed in range(9)]))
"""


@pytest.mark.parametrize(
    ("ids", "usual"), [([7, 8, 9], [5]), ([8, 9], [6]), ([7, 6], [5]), ([8, 7, 8, 9], [8, 5]), ([], [])]
)
def test_with_every_merge_the_likeliest_piece_is_made_first(ids, usual):
    assert Merges(PIECES).recut(ids, 0.0, Random(0).random) == usual


def test_without_any_merge_the_characters_are_left():
    assert Merges(PIECES).recut([5, 4], 1.0, Random(0).random) == [7, 8, 9, 7, 8]


def test_what_is_no_piece_stays_and_nothing_is_merged_across_it():
    assert Merges(PIECES).recut([7, 1, 8, 9, 200], 0.0, Random(0).random) == [7, 1, 6, 200]


def test_a_stretch_with_a_character_that_is_no_piece_stays_as_it_is():
    merges = Merges({**PIECES, 10: ("xa", -4.0)})
    assert merges.recut([10, 8, 1, 7, 8], 0.0, Random(0).random) == [10, 8, 1, 4]


def test_another_process_makes_the_same_cuts():
    there = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    assert there == repr([Merges(PIECES).recut([5, 6, 4] * 9, 0.5, Random(seed).random) for seed in range(9)])
