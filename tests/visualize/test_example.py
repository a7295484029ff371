"""The page and the picture that the README shows."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from browser import Browser, find_browser
from renew_example import PAGE, PICTURE, renewed, trace_in

from nmt_cli.visualize.trace import VERSION, Walk


def test_the_example_does_not_bloat_the_repository():
    assert PAGE.stat().st_size < 600_000
    assert PICTURE.stat().st_size < 200_000


def test_the_example_is_the_page_of_today():
    page = PAGE.read_text(encoding="utf-8")
    is_todays = renewed(page) == page  # not in the assertion, which would print both
    assert is_todays, "run: python tests/visualize/renew_example.py"


def test_the_examples_trace_has_todays_fields():
    trace = json.loads(trace_in(PAGE.read_text(encoding="utf-8")))
    assert trace["version"] == VERSION
    assert set(trace["walks"][0]) == {"form", *(field.name for field in fields(Walk))}


@pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")
def test_the_example_opens_and_its_words_cross(tmp_path):
    browser = Browser(find_browser(), tmp_path / "browser")
    try:
        browser.open(PAGE)
        assert browser.run("document.querySelector('h1 .to').textContent") == "the European Economic Area"
        turned = "[...document.querySelectorAll('#matrix .leg')].map((leg) => leg.classList.contains('back'))"
        assert browser.run(turned)[:3] == [False, True, True]
        assert browser.errors == []
    finally:
        browser.close()
