"""`nmt demo`: which commands it runs, in which order, and what happens when one fails or it runs again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt_cli.commands import demo
from nmt_cli.config import load_recipe, resolve
from nmt_cli.errors import UserError


class Recorder:
    """Takes the place of the commands: remembers them, and leaves a data directory behind as prepare does."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.ran: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> int:
        self.ran.append(list(arguments))
        if arguments[0] == "prepare":
            Path(arguments[1]).mkdir()
            (Path(arguments[1]) / "MANIFEST.json").write_text("{}")
        return 5 if arguments[0] == self.fails else 0

    @property
    def names(self) -> list[str]:
        return [arguments[0] for arguments in self.ran]


def test_demo_runs_the_four_commands_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    demo.show(tmp_path, "auto", recorder)
    assert recorder.names == ["prepare", "train", "translate", "eval"]
    assert not any("--device" in arguments for arguments in recorder.ran)


def test_every_command_is_echoed_as_one_would_type_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    demo.show(tmp_path / "a b", "auto", recorder)
    shown = capsys.readouterr().out
    assert [line.split()[2] for line in shown.splitlines() if line.startswith("$ nmt")] == recorder.names
    assert f"$ nmt train '{tmp_path}/a b/data' '{tmp_path}/a b/run' --recipe demo" in shown


def test_files_named_in_the_commands_exist(tmp_path: Path) -> None:
    recorder = Recorder()
    demo.show(tmp_path, "auto", recorder)
    texts = [word for arguments in recorder.ran for word in arguments if word.endswith((".fr", ".en"))]
    assert len(texts) == 7
    assert all(Path(text).stat().st_size for text in texts)


def test_the_device_is_handed_to_every_command_that_computes(tmp_path: Path) -> None:
    recorder = Recorder()
    demo.show(tmp_path, "cpu", recorder)
    assert [arguments[-2:] == ["--device", "cpu"] for arguments in recorder.ran] == [False, True, True, True]


def test_a_failed_command_ends_the_demo_with_its_exit_code(tmp_path: Path) -> None:
    recorder = Recorder(fails="train")
    with pytest.raises(SystemExit) as exit:
        demo.show(tmp_path, "auto", recorder)
    assert exit.value.code == 5
    assert recorder.names == ["prepare", "train"]


def test_demo_goes_on_in_a_directory_that_is_prepared(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        demo.show(tmp_path, "auto", Recorder(fails="train"))
    again = Recorder()
    demo.show(tmp_path, "auto", again)
    assert again.names == ["train", "translate", "eval"]


def test_demo_refuses_a_directory_prepared_from_another_corpus(tmp_path: Path) -> None:
    demo.show(tmp_path, "auto", Recorder())
    (tmp_path / "corpus" / "train.fr").write_text("Autre chose.\n", encoding="utf-8")
    with pytest.raises(UserError, match="another corpus"):
        demo.show(tmp_path, "auto", Recorder())


def test_the_exit_code_of_a_real_command_is_returned() -> None:
    assert demo.execute_nmt(["--version"]) == 0
    assert demo.execute_nmt(["no-such-command"]) == 2


def test_the_recipe_of_the_demo_is_valid() -> None:
    assert resolve(load_recipe("demo"), pairs=10_000).data.vocabulary_size <= 2000
