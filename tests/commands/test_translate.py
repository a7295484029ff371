"""`nmt translate` and `nmt eval` through the real command line, with a small model that nobody has trained."""

from __future__ import annotations

import json
import os
import resource
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
    return untrained(tmp_path_factory.mktemp("model"), WORDS)


@pytest.fixture(scope="module")
def other_model(tmp_path_factory) -> Path:
    """One with another vocabulary."""
    return untrained(tmp_path_factory.mktemp("other"), WORDS[1:])


def untrained(home: Path, words: tuple[str, ...]) -> Path:
    tokenizer = Tokenizer.train("word", [" ".join(words)], 100)
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


@pytest.mark.slow
def test_samples_follow_from_the_seed(nmt, model, source):
    one, again, other = (
        nmt("translate", model, source, "--method", "sample", "--set", "search.max_output=3", "--seed", seed)[1]
        for seed in (1, 1, 2)
    )
    assert one.count("\n") == 10
    assert one == again
    assert one != other


def test_output_goes_to_a_file(nmt, model, source, tmp_path):
    _, expected, _ = nmt("translate", model, source)
    code, out, _ = nmt("translate", model, source, "-o", tmp_path / "out.txt")
    assert (code, out) == (0, "")
    assert (tmp_path / "out.txt").read_text() == expected


@pytest.mark.fault(22)
def test_a_long_line_is_translated_in_parts_and_named(nmt, model, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("le chat\n" + "le chat " * 9 + "\n")
    code, out, err = nmt("translate", model, path)
    assert (code, out.count("\n")) == (0, 2)
    assert "1 line too long and translated in parts (search.max_length): 2\n" in err
    _, out, err = nmt("translate", model, path, "--set", "search.long_lines=cut")
    assert out.count("\n") == 2
    assert "1 line too long and cut: the rest was not read (search.max_length): 2\n" in err


@pytest.mark.slow
def test_a_line_of_a_megabyte_is_a_line(nmt, model, tmp_path):
    path = tmp_path / "long.txt"
    path.write_bytes(b"le chat\n" + b"x" * 1_000_000 + b"\nla maison\n")
    code, out, err = nmt("translate", model, path, "--beam", 1)
    assert (code, out.count("\n")) == (0, 3)
    assert "too long" in err


def test_the_alignment_is_a_column_after_the_text(nmt, model, source):
    _, plain, _ = nmt("translate", model, source)
    _, out, _ = nmt("translate", model, source, "--alignment", "--scores")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[1] for row in rows] == plain.splitlines()
    assert rows[1] == ["0.0000", "", ""]
    pairs = [tuple(map(int, pair.split("-"))) for pair in rows[0][2].split()]
    assert [target for _, target in pairs] == list(range(len(rows[0][1].split())))
    assert {source for source, _ in pairs} <= {0, 1, 2}


def test_an_n_best_list_has_the_alignment_at_the_end(nmt, model, source):
    _, out, _ = nmt("translate", model, source, "--n-best", 2, "--alignment")
    fields = [line.split(" ||| ") for line in out.splitlines()]
    assert {len(field) for field in fields} == {5}
    assert fields[0][4].startswith(f"{fields[0][4][0]}-0")


def test_json_says_where_everything_stands(nmt, model, source):
    text = source.read_bytes().decode().split("\n")
    _, out, _ = nmt("translate", model, source, "--json", "--alignment")
    found = [json.loads(line) for line in out.splitlines()]
    for line, one in zip(text, found, strict=True):
        shown = [one["text"][start:end] for start, end in one["spans"]]
        assert shown == [token if token != "<unk>" else "\u2047" for token in one["tokens"]]
        read = [line[start:end] for start, end in one["source_spans"]]
        assert read == [token if token != "</s>" else "" for token in one["source_tokens"]]
        assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in one["weights"] or ())


def test_json_lines_in_come_out_with_what_they_carry(nmt, model, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "le chat", "id": "\\ud800", "score": 1}\n\n{"text": 3, "id": 8}\n{"id": 9, "text": ""}\n')
    code, out, err = nmt("translate", model, path, "--json-input", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    flags = [[flag for flag in one["flags"] if flag != "limit"] for one in found]
    assert flags == [[], ["empty"], ["unreadable", "empty"], ["empty"]]
    assert [one.get("id") for one in found] == ["\ud800", None, None, 9]
    assert found[2]["error"] == '"text" is not a string'
    assert found[0]["score"] < 0
    assert f"left untranslated (first at {path}:3)" in err
    _, plain, _ = nmt("translate", model, path, "--json-input")
    assert plain.splitlines() == [one["text"] for one in found]


def test_strict_refuses_broken_json_with_its_place(nmt, model, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "le chat"}\n{"text": \n')
    code, out, err = nmt("translate", model, path, "--json-input", "--strict")
    assert (code, out.count("\n")) == (Exit.DATA, 1)
    assert f"{path}:2: not JSON" in err


def test_replaced_bytes_are_flagged(nmt, model, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"le chat\nla \xff maison\nun\n")
    _, out, _ = nmt("translate", model, tmp_path / "bad.txt", "--json")
    assert ["replaced" in json.loads(line)["flags"] for line in out.splitlines()] == [False, True, False]


def test_unknown_words_come_from_the_source_or_a_dictionary(nmt, model, tmp_path):
    dictionary = tmp_path / "words.tsv"
    dictionary.write_text("chat\tcat\nno tab\n")
    code, _, err = nmt("translate", model, tmp_path / "none", "--dictionary", dictionary)
    assert (code, "words.tsv:2" in err) == (Exit.DATA, True)


@pytest.mark.slow
def test_two_models_translate_together(nmt, model, source):
    _, alone, _ = nmt("translate", model, source, "--scores")
    code, twice, _ = nmt("translate", model, source, "--scores", "--with", model)
    assert (code, twice) == (0, alone)


def test_models_of_other_vocabularies_are_refused(nmt, model, other_model, source):
    code, out, err = nmt("translate", model, source, "--with", other_model)
    assert (code, out) == (Exit.USAGE, "")
    assert "have different source vocabularies" in err


def test_scores_of_translations_are_those_of_the_search(nmt, model, source, tmp_path):
    _, out, _ = nmt("translate", model, source, "--scores")
    scores = [line.split("\t")[0] for line in out.splitlines()]
    (tmp_path / "target.txt").write_text("".join(line.split("\t")[1] + "\n" for line in out.splitlines()))
    code, out, err = nmt("score", model, "-s", source, "-t", tmp_path / "target.txt")
    columns = [list(map(float, line.split("\t"))) for line in out.splitlines()]
    assert code == 0
    assert [score for score, _, _ in columns] == pytest.approx([float(score) for score in scores], abs=1e-4)
    assert columns[1] == [0.0, 0.0, 0.0]
    assert "10 lines, " in err
    assert "perplexity" in err


def test_scores_as_json_have_the_numbers_of_each_token(nmt, model, source, tmp_path):
    (tmp_path / "target.txt").write_text("le\nun\n" + "\n" * 7 + "la maison\n")
    code, out, _ = nmt("score", model, "-s", source, "-t", tmp_path / "target.txt", "--json", "--alignment")
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, len(found)) == (0, 10)
    assert found[-1]["log_prob"] == pytest.approx(sum(found[-1]["log_probs"]))
    assert [target for _, target in found[-1]["alignment"]] == [0, 1]
    assert (found[1]["flags"], found[1]["score"], found[1]["log_prob"]) == (["empty"], None, None)
    assert len(found[2]["log_probs"]) == 1


def test_score_refuses_unequal_counts(nmt, model, source, tmp_path):
    (tmp_path / "target.txt").write_text("le\n")
    code, out, err = nmt("score", model, "-s", source, "-t", tmp_path / "target.txt")
    assert (code, out) == (Exit.DATA, "")
    assert "10 lines" in err
    assert "1 line" in err


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
        (["--set", "model.dropout=0.1"], Exit.USAGE),
        (["--set", "search.beams=3"], Exit.USAGE),
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


@pytest.mark.slow
def test_a_warm_start_takes_less_than_three_seconds_of_the_processor(model, tmp_path):
    """The promise is 3 s on the clock of a quiet machine; the processor's time is the same under load."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    used = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command("translate", model, "-q"), input=b"le chat\n", env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used[1:]) < 3


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
