"""Odd text through the whole commands: a line for a line, and what was altered is said."""

from __future__ import annotations

import gzip
import json

import pytest

from nmt_cli.commands import prepare
from nmt_cli.data.store import open_data
from nmt_cli.errors import Exit
from tests.faults.nmt import GOLDEN, call, start

BAD = b"le chat \xff dort ici.\nun chien \xed\xa0\x80\nla fille court deh\xc3"


@pytest.mark.fault(8, 9, 10)
def test_bytes_that_are_not_utf8_are_replaced_with_one_warning_and_refused_when_strict():
    done = start("translate", GOLDEN / "model", "-q", stdin=BAD)
    assert (done.returncode, done.stdout.count(b"\n")) == (0, 3)
    assert done.stderr.decode().splitlines() == [
        "nmt: 3 lines: bytes that are not UTF-8 replaced by U+FFFD (first at stdin:1)"
    ]


@pytest.mark.fault(8, 9, 10)
@pytest.mark.parametrize("line", BAD.split(b"\n"), ids=["byte", "surrogate", "cut"])
def test_strict_refuses_bytes_that_are_not_utf8(tmp_path, capfd, line):
    (tmp_path / "source").write_bytes(b"le chat dort ici.\n" + line)
    assert call("translate", GOLDEN / "model", tmp_path / "source", "--strict", "-q") == Exit.DATA
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    assert "source:2: not UTF-8 at byte " in err


@pytest.mark.fault(6)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_every_command_refuses_other_encodings_by_name(tmp_path, capfd, encoding):
    (tmp_path / "odd").write_bytes(("le chat dort ici.\n" * 20).encode(encoding))
    (tmp_path / "text").write_text("the cat sleeps here.\n" * 20)
    model, odd, text = GOLDEN / "model", tmp_path / "odd", tmp_path / "text"
    for arguments in (
        ["prepare", tmp_path / "data", "-s", text, "-t", odd],
        ["translate", model, odd],
        ["score", model, "-s", odd, "-t", text],
        ["eval", "--hypothesis", text, "-r", odd],
        ["eval", model, "-s", odd, "-r", text],
    ):
        assert call(*arguments) == Exit.DATA, arguments
        out, err = capfd.readouterr()
        assert out == ""
        assert f"odd: looks like {encoding[:6].upper()}" in err


@pytest.mark.fault(19)
def test_an_empty_hypothesis_counts_as_empty(tmp_path, capfd):
    line = "the cat sleeps on the red sofa\n"
    (tmp_path / "hypothesis").write_text(f"{line}\n")
    (tmp_path / "reference").write_text(2 * line)
    arguments = ["--hypothesis", tmp_path / "hypothesis", "-r", tmp_path / "reference", "--bootstrap", 0, "--json"]
    assert call("eval", *arguments, "--metric", "ter") == 0
    assert json.loads(capfd.readouterr().out)["value"] == pytest.approx(50.0)


@pytest.mark.fault(20)
def test_empty_files_are_refused_by_eval(tmp_path, capfd):
    for name in ("empty", "nothing"):
        (tmp_path / name).touch()
    assert call("eval", "--hypothesis", tmp_path / "empty", "-r", tmp_path / "nothing") == Exit.DATA
    out, err = capfd.readouterr()
    assert out == ""
    assert "empty" in err


@pytest.mark.fault(12)
def test_tabs_are_spaces_to_translate_and_to_eval(tmp_path, capfd):
    for name, text in (("tabs", "le\tchat\tdort ici.\n\t\n"), ("spaces", "le chat dort ici.\n \n")):
        (tmp_path / name).write_text(text)
        assert call("translate", GOLDEN / "model", tmp_path / name, "-q") == 0
    with_tabs, with_spaces = capfd.readouterr().out.splitlines()[:2], ["the cat sleeps here.", ""]
    assert with_tabs == with_spaces
    assert call("eval", "--hypothesis", tmp_path / "tabs", "-r", tmp_path / "spaces", "--bootstrap", 0, "--json") == 0
    assert '"value": 100.0' in capfd.readouterr().out


@pytest.mark.fault(21)
def test_a_line_of_a_megabyte_is_cut_said_and_answered(tmp_path, capfd):
    (tmp_path / "source").write_text(f"le chat dort ici.\n{'le chat ' * 131_072}\nun chien parle bien.\n")
    assert call("translate", GOLDEN / "model", tmp_path / "source", "-q") == 0
    out, err = capfd.readouterr()
    lines = out.split("\n")
    assert (len(lines), lines[0], lines[2]) == (4, "the cat sleeps here.", "a dog speaks well.")
    assert "1 line too long and " in err
    assert ": 2\n" in err


SCRIPTS = {
    "right-to-left and its marks": "\u202bשלום\u202c عليكم\u200f (1)",
    "emoji of several characters": "👩\u200d👩\u200d👧 🏴󠁧󠁢󠁳󠁣󠁴󠁿 ❤\ufe0f",
    "combining marks": "e\u0301 a\u0308\u0323 क्\u200dष",
    "full width and ligatures": "Ｈｅｌｌｏ ﬁn …",
}


@pytest.mark.fault(24)
@pytest.mark.parametrize("line", SCRIPTS.values(), ids=SCRIPTS)
def test_every_script_survives_prepare_as_it_is(tmp_path, line):
    (tmp_path / "source").write_text(f"{line}\n" * 30, encoding="utf-8")
    (tmp_path / "target").write_text("".join(f"{line} {n}\n" for n in range(30)), encoding="utf-8")
    arguments = ["-s", tmp_path / "source", "-t", tmp_path / "target", "-q"]
    assert call("prepare", tmp_path / "data", *arguments) == 0
    data = open_data(tmp_path / "data")
    source, target = data.tokenizers()
    assert source.decode(data.train.source(0)) == line
    assert target.decode(data.train.target(0)) == f"{line} 0"


@pytest.mark.fault(31)
def test_a_truncated_gzip_is_refused_by_prepare(tmp_path, capfd):
    packed = gzip.compress(b"un deux trois\n" * 1000)
    (tmp_path / "cut.gz").write_bytes(packed[:-20])
    (tmp_path / "whole").write_bytes(b"one two three\n" * 1000)
    arguments = ["-s", tmp_path / "cut.gz", "-t", tmp_path / "whole", "-q"]
    assert call("prepare", tmp_path / "data", *arguments) == Exit.DATA
    assert "cut.gz: truncated gzip" in capfd.readouterr().err
    assert list(tmp_path.glob("*data*")) == []


@pytest.mark.slow
@pytest.mark.fault(31)
@pytest.mark.parametrize("command", ["prepare", "eval"])
def test_a_gzip_bomb_is_refused_with_nothing_left_of_it(tmp_path, capfd, command):
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"%s\n" % (b"mot " * 250) * (1 << 17)))  # 125 MiB
    arguments = {
        "prepare": [tmp_path / "data", "-s", bomb, "-t", bomb],
        "eval": ["--hypothesis", bomb, "-r", bomb],
    }
    assert call(command, *arguments[command]) == Exit.RESOURCE
    out, err = capfd.readouterr()
    assert out == ""
    assert "bomb.gz: a gzip bomb" in err
    assert list(tmp_path.glob("*data*")) == []


@pytest.mark.fault(41)
def test_a_full_disk_while_preparing_is_refused_naming_the_place(tmp_path):
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))\n"
        "from nmt_cli.cli import main\n"
        "main()"
    )
    (tmp_path / "text").write_text("".join(f"une phrase {n}\n" for n in range(500)))
    arguments = ["prepare", tmp_path / "data", "-s", tmp_path / "text", "-t", tmp_path / "text", "-q"]
    done = start(*arguments, program=program)
    assert done.returncode == Exit.RESOURCE
    assert done.stderr.decode().startswith(f"nmt: {tmp_path / 'data'}: cannot write: File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.fault(52)
def test_two_preparations_of_one_directory_exclude_each_other(tmp_path, monkeypatch, capfd):
    (tmp_path / "text").write_text("".join(f"une phrase {n}\n" for n in range(50)))
    arguments = ["prepare", tmp_path / "data", "-s", tmp_path / "text", "-t", tmp_path / "text", "-q"]
    whole, codes = prepare.prepare, []

    def while_preparing(*given):
        monkeypatch.setattr(prepare, "prepare", whole)
        codes.append(call(*arguments))
        return whole(*given)

    monkeypatch.setattr(prepare, "prepare", while_preparing)
    assert (call(*arguments), codes) == (0, [Exit.LOCKED])
    assert "another process is making" in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "text"]
