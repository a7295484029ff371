"""Lines are taken as they come, in order, with what went wrong after them."""

from __future__ import annotations

import threading

import pytest

from nmt_cli.run.lookahead import overlapping, take_what_is_there


def test_every_line_comes_once_and_in_order():
    lines = [str(n) for n in range(1000)]
    assert [line for taken in take_what_is_there(lines, 64) for line in taken] == lines


def test_lines_that_are_there_come_together_up_to_the_limit():
    ready = threading.Event()

    def lines():
        yield from map(str, range(10))
        ready.set()

    taken = take_what_is_there(lines(), 10)
    assert sum(len(group) for group in taken) == 10
    assert all(len(group) <= 4 for group in take_what_is_there(map(str, range(10)), 4))


def test_a_line_does_not_wait_for_the_next():
    release = threading.Event()

    def dripping():
        yield "first"
        release.wait(30)
        yield "second"

    groups = take_what_is_there(dripping(), 64)
    assert next(groups) == ["first"]
    release.set()
    assert next(groups) == ["second"]


def test_an_error_comes_after_the_lines_before_it():
    def failing():
        yield "first"
        raise ValueError("broken")

    groups = take_what_is_there(failing(), 64)
    assert next(groups) == ["first"]
    with pytest.raises(ValueError, match="broken"):
        next(groups)


def test_no_lines_are_no_groups():
    assert list(take_what_is_there([], 4)) == []


def test_the_reading_thread_ends_when_nobody_takes_lines_any_more():
    before = threading.active_count()
    groups = take_what_is_there(("line" for _ in iter(int, 1)), 2)
    next(groups)
    groups.close()
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.daemon:
            thread.join(2)
    assert threading.active_count() <= before


def test_what_is_made_comes_in_order():
    assert list(overlapping(str, range(50))) == [str(n) for n in range(50)]


def test_an_item_is_begun_before_the_one_before_is_made():
    begun = threading.Event()

    def make(item):
        if item == 1:
            begun.set()
        return begun.wait(10)

    assert list(overlapping(make, range(2))) == [True, True]


def test_what_is_made_does_not_wait_for_the_next_item():
    release = threading.Event()

    def dripping():
        yield 1
        assert release.wait(10)
        yield 2

    made = overlapping(str, dripping())
    assert next(made) == "1"
    release.set()
    assert list(made) == ["2"]


def test_what_goes_wrong_is_raised_in_its_place():
    def items():
        yield 1
        yield 0
        yield 2

    made = overlapping(lambda item: 1 // item, items())
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        next(made)

    def broken():
        yield 1
        raise OSError("gone")

    made = overlapping(str, broken())
    assert next(made) == "1"
    with pytest.raises(OSError, match="gone"):
        next(made)
