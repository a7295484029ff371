"""The README shows commands, files and names that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nmt_cli import calling, cli
from nmt_cli.config import resolve

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line[line.index("nmt ") :] for line in LINES if re.match(r"nmt |echo .*\| nmt ", line)]
TARGETS = [line.split()[1] for line in LINES if re.match(r"make \w", line)]


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--install-completion" not in command])
def test_commands_are_understood(command, monkeypatch):
    ran = {}
    monkeypatch.setattr(calling, "call", lambda name, given: ran.update(given))
    outcome = CliRunner().invoke(cli.app, shlex.split(command, comments=True)[1:])
    assert outcome.exit_code == 0, outcome.output
    resolve(overrides=ran.get("overrides", []))


@pytest.mark.parametrize("target", TARGETS)
def test_make_targets_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_the_readme_shows_commands_and_targets():
    assert len(COMMANDS) >= 5
    assert len(TARGETS) >= 4
