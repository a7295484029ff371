"""The model that `nmt demo` trains: its walk through the sentence whose words have to cross. Minutes, so slow."""

from __future__ import annotations

import json

import pytest
from browser import Browser, find_browser

from nmt_cli.commands import demo

pytestmark = pytest.mark.slow
SENTENCE = "la zone économique européenne"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run that `nmt demo` makes."""
    folder = tmp_path_factory.mktemp("demo")
    demo.show(folder, "cpu")
    return folder / "run"


def visualize(run, *arguments: object) -> None:
    assert demo.execute_nmt(["visualize", str(run), SENTENCE, *map(str, arguments)]) == 0


def test_the_demo_models_alignment_crosses(run, capfd):
    visualize(run, "--json", "--quiet")
    (walk,) = json.loads(capfd.readouterr().out)["walks"]
    (attention,) = walk["decoder"]["attentions"]
    source = [token["piece"].removeprefix("▁") for token in walk["source"]]
    strongest = [source[row.index(max(row))] for row in attention["weights"]]
    assert walk["text"] == "the European Economic Area"
    assert strongest[:4] == ["la", "européenne", "économique", "zone"]


@pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")
def test_the_page_draws_the_crossing(run, tmp_path):
    visualize(run, "-o", tmp_path / "walk.html")
    browser = Browser(find_browser(), tmp_path / "browser")
    try:
        browser.open(tmp_path / "walk.html")
        browser.run("clock.scrub(clock.moments.length - 1); figures.forEach((figure) => figure.draw(clock.now))")
        turned = "[...document.querySelectorAll('#matrix .leg')].map((leg) => leg.classList.contains('back'))"
        assert browser.run(turned)[:3] == [False, True, True]
        assert browser.errors == []
    finally:
        browser.close()
