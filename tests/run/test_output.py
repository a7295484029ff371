"""A file appears when it is complete; what cannot be written is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from nmt_cli.errors import Exit, UserError
from nmt_cli.run.output import open_output


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "out.txt"
    with open_output(path) as write:
        write("é\u2028\n")
        assert not path.exists()
        assert (tmp_path / "out.txt.partial").read_bytes() == "é\u2028\n".encode()
        write("two\n")
    assert path.read_bytes() == "é\u2028\ntwo\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_written_before_a_failure_is_kept_beside_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old\n")

    def fail():
        with open_output(path) as write:
            write("new\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old\n"
    assert (tmp_path / "out.txt.partial").read_text() == "new\n"


def test_a_full_disk_is_a_user_error():
    with pytest.raises(UserError, match="/dev/full: No space left") as raised, open_output(Path("/dev/full")) as write:
        write("text\n")
    assert raised.value.code == Exit.RESOURCE


def test_a_folder_that_is_not_there_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="No such file") as raised, open_output(tmp_path / "none" / "out") as write:
        write("text\n")
    assert raised.value.code == Exit.RESOURCE


def test_a_device_is_written_directly():
    with open_output(Path("/dev/null")) as write:
        write("text\n")
    assert not Path("/dev/null.partial").exists()


def test_stdout_is_utf8_and_flushed(capfdbinary):
    with open_output(Path("-")) as write:
        write("é\n")
        assert capfdbinary.readouterr().out == "é\n".encode()
