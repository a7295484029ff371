"""BLEU by sentence length: which sentences share a point, and that the plot is the same again."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

RECIPES = Path(__file__).parent.parent / "recipes"


@pytest.fixture
def by_length(monkeypatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(RECIPES))
    return SimpleNamespace(**runpy.run_path(str(RECIPES / "by_length.py")))


def test_lines_are_grouped_by_length_and_none_is_lost(by_length):
    lengths = [5] * 40 + [15] * 50 + [35] * 3 + [0]
    buckets = by_length.by_length(lengths, 10)
    assert [(bucket.shortest, bucket.longest, len(bucket.lines)) for bucket in buckets] == [(1, 10, 41), (11, 40, 53)]
    assert sorted(line for bucket in buckets for line in bucket.lines) == list(range(len(lengths)))


def test_too_few_short_lines_are_grouped_with_the_longer_ones(by_length):
    (bucket,) = by_length.by_length([2] * 3 + [8] * 40, 5)
    assert (bucket.shortest, bucket.longest, len(bucket.lines)) == (1, 10, 43)


def test_bleu_of_a_bucket_is_that_of_its_sentences_alone(by_length):
    right, wrong = "the cat is on the mat today", "nothing of the sort was ever said"
    bucket = by_length.Bucket(1, 10, [0, 2])
    assert by_length.bleu([right, wrong, right], [right] * 3, bucket) == pytest.approx(100.0)


def test_a_plot_without_matplotlib_says_how_to_get_it(by_length, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match=r"nmt-cli\[plot\]"):
        by_length.draw(tmp_path / "plot.svg", [], {})


def test_a_plot_is_the_same_bytes_again(by_length, tmp_path):
    pytest.importorskip("matplotlib", reason="the plot is drawn by matplotlib, of the extra `plot`")
    buckets = [by_length.Bucket(1, 10, [0]), by_length.Bucket(11, 20, [1])]
    for name in ("one.svg", "two.svg"):
        by_length.draw(tmp_path / name, buckets, {"bahdanau2015": [30.0, 28.0], "cho2014": [20.0, 10.0]})
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"words in the source sentence" in (tmp_path / "one.svg").read_bytes()
