import pytest

from nmt_cli.commands import progress
from nmt_cli.commands.progress import track


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_items_pass_unchanged_and_stdout_stays_clean(monkeypatch, capsys, quiet, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert list(track(iter(range(2500)), "reading", 2500, quiet)) == list(range(2500))
    assert capsys.readouterr().out == ""


def test_lines_are_printed_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    list(track(range(2500), "reading", 2500))
    assert capsys.readouterr().err == "reading: 1,000 of 2,500\nreading: 2,000 of 2,500\n"


def test_quiet_says_nothing(monkeypatch, capsys):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    list(track(range(2500), "reading", quiet=True))
    assert capsys.readouterr().err == ""


def test_a_bar_is_drawn_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    list(track(range(1500), "reading"))
    assert "reading" in capsys.readouterr().err
