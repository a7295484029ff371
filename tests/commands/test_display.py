"""What a person sees of a training: on a terminal, in a file, and when quiet."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nmt_cli.commands import display
from nmt_cli.commands.display import Display


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """What a terminal is sent."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200, highlight=False, soft_wrap=True)
    monkeypatch.setattr(display, "Console", lambda **options: console)
    return screen


def test_without_a_terminal_each_logged_line_is_printed_with_its_step(capfd):
    with Display(quiet=False) as shown:
        assert not shown.is_due()
        shown.log(1234, 10_000, "loss 2.5")
    assert capfd.readouterr() == ("", "step 1,234 of 10,000  loss 2.5\n")


def test_quiet_says_nothing_even_on_a_terminal(terminal, capfd):
    with Display(quiet=True) as shown:
        shown.note("device: cpu")
        shown.log(1, 10, "loss 2.5")
        assert not shown.is_due()
    assert capfd.readouterr() == ("", "")
    assert terminal.getvalue() == ""


def test_the_live_line_is_drawn_again_after_an_instant(terminal, monkeypatch):
    now = 100.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    with Display(quiet=False) as shown:
        assert shown.is_due()
        shown.draw(3, 10, "loss 2.5")
        assert not shown.is_due()
        now += 2 * display.BLINK
        assert shown.is_due()
        shown.log(4, 10, "loss [2.25]")
    assert "loss [2.25]" in terminal.getvalue()
    assert "4/10" in terminal.getvalue()


@pytest.mark.fault(66)
def test_text_of_users_cannot_steer_the_terminal(capfd):
    with Display(quiet=False) as shown:
        shown.note("translation \x1b[2Jgone\a [bold]\nnext line")
    assert capfd.readouterr().err == "translation \ufffd[2Jgone\ufffd [bold]\nnext line\n"
