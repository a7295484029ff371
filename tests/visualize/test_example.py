"""The page and the picture that the README shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser, find_browser

EXAMPLE = Path(__file__).parent / "example"


def test_the_example_does_not_bloat_the_repository():
    assert (EXAMPLE / "walkthrough.html").stat().st_size < 600_000
    assert (EXAMPLE / "walkthrough.png").stat().st_size < 200_000


@pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")
def test_the_example_opens_and_its_words_cross(tmp_path):
    browser = Browser(find_browser(), tmp_path / "browser")
    try:
        browser.open(EXAMPLE / "walkthrough.html")
        assert browser.run("document.querySelector('h1 .to').textContent") == "the European Economic Area"
        turned = "[...document.querySelectorAll('#matrix .leg')].map((leg) => leg.classList.contains('back'))"
        assert browser.run(turned)[:3] == [False, True, True]
        assert browser.errors == []
    finally:
        browser.close()
