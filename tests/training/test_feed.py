"""Batches made ahead: in order, once, exactly as asked for."""

from __future__ import annotations

import threading

import pytest

from nmt_cli.training.feed import Feed


def test_what_a_step_gets_follows_from_its_number_alone():
    with Feed(lambda step: step**2) as feed:
        assert [feed(step) for step in range(5)] == [0, 1, 4, 9, 16]
    with Feed(lambda step: step**2) as feed:  # as after a resumption
        assert [feed(step) for step in range(3, 5)] == [9, 16]


def test_the_next_ones_are_made_before_they_are_asked_for():
    made: list[int] = []
    third = threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if step == 2:
            third.set()
        return step

    with Feed(make, ahead=2) as feed:
        feed(0)
        assert third.wait(60)
        assert made == [0, 1, 2]
        assert [feed(1), feed(2)] == [1, 2]
    assert sorted(made) == sorted(set(made)), "something was made twice"


def test_an_error_comes_with_the_step_it_was_for():
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("a bad batch")
        return step

    with Feed(make) as feed:
        assert feed(0) == 0
        with pytest.raises(ValueError, match="a bad batch"):
            feed(1)


def test_the_wait_for_data_is_measured():
    ready = threading.Event()
    with Feed(lambda step: ready.wait(0.2) or step, ahead=0) as feed:
        feed(0)
        first = feed.take_wait()
        assert first > 0.15  # clocks differ by some milliseconds
        assert feed.take_wait() == 0.0
        ready.set()
        feed(1)
        assert feed.waited == pytest.approx(first + feed.take_wait())


def test_left_it_makes_nothing_more():
    made: list[int] = []
    started, go_on = threading.Event(), threading.Event()

    def make(step: int) -> None:
        made.append(step)
        if step == 1:
            started.set()
            go_on.wait(60)

    with Feed(make, ahead=3) as feed:
        feed(0)
        started.wait(60)
        threading.Timer(0.05, go_on.set).start()
    assert made == [0, 1]
