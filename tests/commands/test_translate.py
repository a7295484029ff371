"""`nmt translate` and `nmt eval` through the real command line, with a small model that nobody has trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli import cli, config
from nmt_cli.batch import Batch
from nmt_cli.data.tokenizer import Tokenizer, save_tokenizers
from nmt_cli.errors import Exit
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.device import configure
from nmt_cli.run.model import save_model

WORDS = ("le", "la", "un", "une", "chat", "chien", "maison", "rouge", "vert", "mange", "voit", "dort")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model folder, beside it a cache of what has been compiled."""
    home = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer.train("word", [" ".join(WORDS)], 100)
    save_tokenizers(home, tokenizer, tokenizer)
    sizes = {"embedding_size": 8, "encoder_units": 8, "decoder_units": 8, "attention_units": 8}
    settings = config.Config(
        data=config.Data(tokenizer="word"),
        model=config.Model(**sizes),
        search=config.Search(beam=2, max_length=7, batch_size=8),
    )
    seq2seq = Seq2Seq(settings.model, tokenizer.size, tokenizer.size)
    ids, mask = jnp.zeros((1, 1), jnp.int32), jnp.ones((1, 1), bool)
    made = jax.eval_shape(partial(seq2seq.init, method="loss"), jax.random.key(0), Batch(ids, mask, ids, ids, mask))
    rng = np.random.default_rng(0)
    parameters = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), made["params"])
    sizes_of_both = (tokenizer.size, tokenizer.size)
    save_model(home / "model", parameters, settings, sizes_of_both, sorted(home.glob("tokenizer*")), {})
    return home / "model"


@pytest.fixture(autouse=True)
def cache(model, monkeypatch):
    """Compile each shape once for all tests here; leave JAX as it was."""
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache", "jax_compilation_cache_max_size")
    before = {name: getattr(jax.config, name) for name in names}
    monkeypatch.setenv("XDG_CACHE_HOME", str(model.parent / "cache"))
    yield
    configure(**before)


@pytest.fixture
def nmt(monkeypatch, capfdbinary):
    """Runs `nmt ARGUMENTS` in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nmt", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfdbinary.readouterr()
        return int(ended.value.code or 0), out.decode(), err.decode()

    return run


@pytest.fixture
def source(tmp_path) -> Path:
    """Ten lines, among them what files hold."""
    lines = [
        "le chat dort",
        "",
        "la maison",
        "un chien\u2028vert",
        " \u200b",
        "une\rmaison",
        "le",
        "la",
        "chat",
        "chien",
    ]
    path = tmp_path / "source.txt"
    path.write_bytes("\n".join(lines).encode())
    return path


@pytest.mark.fault(1, 2, 13, 14)
def test_every_line_has_a_line(nmt, model, source):
    code, out, err = nmt("translate", model, source)
    lines = out.split("\n")
    assert (code, len(lines), lines[-1]) == (0, 11, "")
    assert lines[1] == ""
    assert lines[4] == ""
    assert "device: " in err
    assert "carriage return inside a line made a space" in err


def test_quiet_leaves_the_notes_out_but_not_what_was_altered(nmt, model, source):
    _, _, err = nmt("translate", model, source, "--quiet")
    assert "device" not in err
    assert "made a space" in err


def test_json_has_an_object_for_each_line(nmt, model, source):
    code, out, _ = nmt("translate", model, source, "--json", "--n-best", 2)
    objects = [json.loads(line) for line in out.splitlines()]
    assert (code, len(objects)) == (0, 10)
    assert set(objects[0]) == {"text", "score", "tokens", "log_probs", "flags", "n_best"}
    assert len(objects[0]["log_probs"]) == len(objects[0]["tokens"]) + 1
    assert objects[0]["n_best"][0]["text"] == objects[0]["text"]
    assert objects[1]["flags"] == ["empty"]


def test_scores_stand_before_the_translation(nmt, model, source):
    _, plain, _ = nmt("translate", model, source)
    _, scored, _ = nmt("translate", model, source, "--scores")
    for line, text in zip(scored.splitlines(), plain.splitlines(), strict=True):
        score, _, rest = line.partition("\t")
        assert float(score) <= 0
        assert rest == text


def test_n_best_lists_have_the_form_that_moses_gave_them(nmt, model, source):
    _, out, _ = nmt("translate", model, source, "--n-best", 2)
    fields = [line.split(" ||| ") for line in out.splitlines()]
    assert [len(field) for field in fields] == [4] * len(fields)
    assert [field[0] for field in fields][:5] == ["0", "0", "1", "2", "2"]
    assert fields[0][2].startswith("logprob= -")
    assert float(fields[0][3]) >= float(fields[1][3])


def test_output_goes_to_a_file(nmt, model, source, tmp_path):
    _, expected, _ = nmt("translate", model, source)
    code, out, _ = nmt("translate", model, source, "-o", tmp_path / "out.txt")
    assert (code, out) == (0, "")
    assert (tmp_path / "out.txt").read_text() == expected


@pytest.mark.fault(22)
def test_a_line_that_was_cut_is_named(nmt, model, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("le chat\n" + "le chat " * 9 + "\n")
    code, out, err = nmt("translate", model, path)
    assert (code, out.count("\n")) == (0, 2)
    assert "1 line too long and cut" in err
    assert err.rstrip().endswith(": 2") or ": 2\n" in err


@pytest.mark.fault(8)
def test_bytes_that_are_not_utf8_are_replaced_or_refused(nmt, model, tmp_path):
    path = tmp_path / "bad.txt"
    path.write_bytes(b"le chat\nla \xff maison\nun\n")
    code, out, err = nmt("translate", model, path)
    assert (code, out.count("\n")) == (0, 3)
    assert f"1 line: bytes that are not UTF-8 replaced by U+FFFD (first at {path}:2)" in err
    code, out, err = nmt("translate", model, path, "--strict")
    assert (code, out.count("\n")) == (Exit.DATA, 1)
    assert f"{path}:2" in err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--n-best", "3"], Exit.USAGE),
        (["--beam", "0"], Exit.USAGE),
        (["--length-penalty", "-1"], Exit.USAGE),
        (["--scores", "--json"], Exit.USAGE),
    ],
)
def test_options_that_cannot_be_are_refused_before_any_output(nmt, model, source, arguments, code):
    found, out, err = nmt("translate", model, source, *arguments)
    assert (found, out) == (code, "")
    assert err.count("Traceback") == 0


def test_an_input_or_a_model_that_is_not_there_is_refused(nmt, model, source, tmp_path):
    code, _, err = nmt("translate", model, tmp_path / "none.txt")
    assert (code, "none.txt: cannot be read" in err) == (Exit.USAGE, True)
    code, _, err = nmt("translate", tmp_path / "none", source)
    assert (code, "there is no such file or directory" in err) == (Exit.USAGE, True)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="there is an accelerator here")
@pytest.mark.fault(60)
def test_a_gpu_that_is_not_there_is_refused(nmt, model, source):
    assert nmt("translate", model, source, "--device", "gpu")[0] == Exit.RESOURCE


@pytest.mark.fault(35)
def test_a_full_disk_is_refused_in_one_line(model, source):
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command("translate", model, source, "-q"), stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == Exit.RESOURCE
    assert ended.stderr.decode().startswith("nmt: cannot write to stdout: No space left on device")
    assert b"Traceback" not in ended.stderr
    assert b"Exception" not in ended.stderr


@pytest.mark.fault(33, 34)
def test_a_dripping_stdin_is_answered_line_by_line_and_a_closed_pipe_is_quiet(model):
    """Also: the process ends although it still waits for stdin."""
    process = subprocess.Popen(
        command("translate", model, "-q"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for line in (b"le chat\n", b"\n", b"la maison\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\n")
    process.stdout.close()
    process.stdin.write(b"le chat\n")
    process.stdin.flush()
    assert process.wait(60) == Exit.CLOSED_PIPE
    assert process.stderr.read() == b""
    process.stderr.close()
    process.stdin.close()


def test_translate_loads_nothing_that_it_does_not_need(model, source):
    program = (
        "import sys; sys.argv = ['nmt', 'translate', *sys.argv[1:]]\n"
        "from nmt_cli.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'optax', 'orbax', 'datasets', 'sacrebleu'} & set(sys.modules)), file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", program, str(model), str(source), "-q", "-o", os.devnull]
    assert subprocess.run(arguments, capture_output=True, text=True).stderr.splitlines()[-1] == "[]"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "nmt_cli", *map(str, arguments)]


def test_eval_translates_and_scores(nmt, model, source, tmp_path):
    _, translations, _ = nmt("translate", model, source)
    reference = tmp_path / "reference.txt"
    reference.write_text(translations)
    output = tmp_path / "out.txt"
    code, out, _ = nmt("eval", model, "-s", source, "-r", reference, "--metric", "bleu,chrf", "-o", output, "--json")
    scores = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [score["metric"] for score in scores] == ["bleu", "chrf"]
    assert scores[1]["value"] == 100.0
    assert "version:" in scores[0]["signature"]
    assert output.read_text() == translations


def test_eval_scores_given_translations_without_a_model(nmt, tmp_path):
    (tmp_path / "a").write_text("the cat sleeps on the red sofa\nyes\n")
    (tmp_path / "b").write_text("the cat sleeps on the green sofa\nyes\n")
    code, out, _ = nmt("eval", "--hypothesis", tmp_path / "a", "-r", tmp_path / "b")
    assert code == 0
    assert out.startswith("BLEU = ")
    assert "95% interval" in out
    assert "nrefs:1|bs:1000|seed:12345|case:mixed" in out


@pytest.mark.fault(18)
def test_eval_refuses_unequal_counts_before_translating(nmt, source, tmp_path):
    (tmp_path / "reference").write_text("one\n" * 9)
    code, out, err = nmt("eval", tmp_path / "no-model", "-s", source, "-r", tmp_path / "reference")
    assert (code, out) == (Exit.DATA, "")
    assert "10 lines" in err
    assert "9 lines" in err


@pytest.mark.fault(20)
def test_eval_warns_when_a_file_is_scored_against_itself(nmt, tmp_path):
    (tmp_path / "a").write_text("the cat sleeps on the sofa\n")
    code, _, err = nmt("eval", "--hypothesis", tmp_path / "a", "-r", tmp_path / "a")
    assert code == 0
    assert "both hypothesis and reference" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-r", "a"],
        ["MODEL", "-r", "a"],
        ["-s", "a", "-r", "a"],
        ["MODEL", "-s", "a", "--hypothesis", "a", "-r", "a"],
        ["--hypothesis", "a"],
        ["--hypothesis", "a", "-r", "a", "--metric", "meteor"],
    ],
)
def test_eval_says_how_it_is_used(nmt, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("a\n")
    assert nmt("eval", *arguments)[0] == Exit.USAGE
