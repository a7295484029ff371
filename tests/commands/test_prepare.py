import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import threading

import pytest

from nmt_cli import config
from nmt_cli.commands import prepare
from nmt_cli.data.store import open_data
from nmt_cli.errors import Exit, UserError

WORDS = {
    "le chat": "the cat", "un chien": "a dog", "la fille": "the girl", "ce garçon": "this boy",
    "dort": "sleeps", "mange": "eats", "court": "runs", "parle": "speaks", "boit": "drinks",
    "ici": "here", "dehors": "outside", "lentement": "slowly", "bien": "well", "souvent": "often",
}  # fmt: skip
SUBJECTS, VERBS, ADVERBS = (list(WORDS.items())[a:b] for a, b in ((0, 4), (4, 9), (9, 14)))
PAIRS = [
    tuple(" ".join(side) for side in zip(*parts, strict=True))
    for s in SUBJECTS
    for v in VERBS
    for a in ADVERBS
    for parts in [(s, v, a)]
]


def lines(side, pairs=PAIRS):
    return "".join(f"{pair[side]}\n" for pair in pairs)


@pytest.fixture
def make(tmp_path, write, capsys):
    """Run `nmt prepare` on the pairs above unless told otherwise; gives the opened directory and the report."""

    def run(source=None, target=None, *, name="data", **options):
        arguments = {
            "source": [write("a.fr", lines(0)) if source is None else source],
            "target": [write("a.en", lines(1)) if target is None else target],
            "corpus": [], "valid_source": None, "valid_target": None, "valid_corpus": None, "tokenizer": None,
            "recipe": None, "overrides": [], "bad_lines": "refuse", "quiet": True, "json": True,
        }  # fmt: skip
        prepare.run(directory=tmp_path / name, **{**arguments, **options})
        stdout, run.shown = capsys.readouterr()
        return open_data(tmp_path / name), json.loads(stdout)

    return run


def refused(make, code, match, **options):
    with pytest.raises(UserError, match=match) as error:
        make(**options)
    assert error.value.code == code


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_two_files_become_a_data_directory_that_decodes_to_their_text(make):
    data, report = make()
    source, target = data.tokenizers()
    decoded = [
        (source.decode(data.train.source(i)), target.decode(data.train.target(i))) for i in range(len(data.train))
    ]
    held_out = list(zip(*data.valid_text(), strict=True))
    assert sorted(decoded + held_out) == sorted(PAIRS)
    assert report["train"]["pairs"] == len(data.train) == 98
    assert report == json.loads((data.directory / "report.json").read_text())
    assert list(data.directory.parent.glob(".*")) == []


def test_the_same_input_gives_the_same_bytes(make):
    assert hashes(make(name="one")[0].directory) == hashes(make(name="two")[0].directory)


def test_a_small_part_is_held_out_without_a_validation_set_and_said_so(make):
    data, report = make()
    assert len(data.valid) == report["valid"]["pairs"] == 2
    assert "2 pairs are held out" in report["notes"][0]


def test_no_source_is_both_held_out_and_trained_on(make, write):
    twice = [*PAIRS, *((source, target + " too") for source, target in PAIRS[:90])]
    data, _ = make(write("t.fr", lines(0, twice)), write("t.en", lines(1, twice)))
    source, _ = data.tokenizers()
    trained_on = {source.decode(data.train.source(i)) for i in range(len(data.train))}
    assert len(data.valid) == 3
    assert not trained_on & set(data.valid_text()[0])


def test_a_validation_set_is_kept_whole_whatever_its_lengths(make, write):
    text = "le chat " * 300 + "\n" + "dort\n"
    data, _ = make(valid_source=write("v.fr", text), valid_target=write("v.en", "the cat\nsleeps\n"))
    assert data.valid_text() == (text.split("\n")[:-1], ["the cat", "sleeps"])
    assert len(data.train) == 100
    assert data.valid.source_lengths[0] > data.config.data.max_length


@pytest.mark.fault(29)
def test_overlap_of_training_and_validation_is_counted_and_warned_of(make, write):
    _, report = make(valid_source=write("v.fr", lines(0, PAIRS[:3])), valid_target=write("v.en", lines(1, PAIRS[:3])))
    assert report["train"]["noticed"]["the source is in the validation set too"]["count"] == 3
    assert "3 training pairs" in report["warnings"][0]


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.fault(29)
def test_duplicates_are_counted_and_dropped_on_demand(make, write, drop):
    pairs = [*PAIRS, *PAIRS[:10], *PAIRS[:10]]
    overrides = [f"data.drop_duplicates={str(drop).lower()}"]
    _, report = make(write("d.fr", lines(0, pairs)), write("d.en", lines(1, pairs)), overrides=overrides)
    entry = report["train"]["dropped" if drop else "noticed"]["the same pair once more"]
    assert entry["count"] == 20
    assert entry["examples"][0]["where"].endswith("d.fr:101")
    assert report["train"]["pairs"] + report["valid"]["pairs"] == 120 - 20 * drop


def test_pairs_beyond_length_and_ratio_are_dropped_and_counted(make, write):
    pairs = [*PAIRS, ("le chat " * 9, "the cat " * 9), ("dort", "the cat sleeps outside here")]
    overrides = ["data.tokenizer=word", "data.max_length=10", "data.max_ratio=4"]
    _, report = make(write("l.fr", lines(0, pairs)), write("l.en", lines(1, pairs)), overrides=overrides)
    assert [entry["count"] for entry in report["train"]["dropped"].values()] == [1, 1]
    assert {e["examples"][0]["where"][-8:] for e in report["train"]["dropped"].values()} == {"l.fr:101", "l.fr:102"}


@pytest.mark.parametrize("kind", ["bpe", "unigram", "char", "word"])
@pytest.mark.parametrize("vocabulary", ["joint", "separate"])
def test_every_tokenizer_prepares_a_small_corpus_with_the_defaults(make, kind, vocabulary):
    data, report = make(overrides=[f"data.tokenizer={kind}", f"data.vocabulary={vocabulary}"])
    source, target = data.tokenizers()
    assert (source is target) == (vocabulary == "joint")
    assert data.config.data.vocabulary_size == max(source.size, target.size) < 2000
    assert any("the corpus does not hold 2,000" in note for note in report["notes"])
    assert report["train"]["source"]["unknown"] == 0


@pytest.mark.fault(27)
def test_a_vocabulary_size_that_was_set_and_is_too_large_is_refused_with_the_largest(make):
    refused(make, Exit.USAGE, r"(?s)vocabulary_size = 5000 .*use at most \d+", overrides=["data.vocabulary_size=5000"])


def test_a_given_tokenizer_is_used_as_it_is(make, tmp_path):
    first, _ = make(name="first", overrides=["data.vocabulary_size=60", "data.lowercase=true"])
    second, _ = make(name="second", tokenizer=tmp_path / "first")
    assert second.config.data == first.config.data
    assert hashes(first.directory)["tokenizer.joint.model"] == hashes(second.directory)["tokenizer.joint.model"]


def test_options_against_a_given_tokenizer_are_refused(make, tmp_path):
    make(name="first")
    refused(make, Exit.USAGE, "data.tokenizer = 'bpe'", tokenizer=tmp_path / "first", overrides=["data.tokenizer=word"])
    refused(make, Exit.USAGE, "no tokenizer here", tokenizer=tmp_path)


def test_an_earlier_data_directory_is_replaced(make, write):
    make()
    data, _ = make(write("b.fr", lines(0, PAIRS[:50])), write("b.en", lines(1, PAIRS[:50])))
    assert len(data.train) + len(data.valid) == 50
    assert list(data.directory.parent.glob(".*")) == []


@pytest.mark.fault(16)
def test_a_failure_leaves_the_earlier_data_directory_as_it_was(make, write, tmp_path):
    data, _ = make()
    before = hashes(data.directory)
    refused(make, Exit.DATA, "has 100 lines", target=write("short.en", lines(1, PAIRS[1:])))
    refused(make, Exit.DATA, "no usable", overrides=["data.max_length=1"])
    assert hashes(data.directory) == before
    assert list(tmp_path.glob(".*")) == []


def test_a_folder_or_file_that_is_no_data_directory_is_not_overwritten(make, write, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x")
    refused(make, Exit.USAGE, "other content", name="home")
    write("notes", "x")
    refused(make, Exit.USAGE, "notes is a file", name="notes")
    assert (tmp_path / "home" / "thesis.tex").read_text() == (tmp_path / "notes").read_text() == "x"


def test_leftovers_of_a_killed_run_are_removed(make, tmp_path):
    for purpose in ("unfinished", "reading"):
        (tmp_path / f".data.{purpose}").mkdir()
        (tmp_path / f".data.{purpose}" / "train").write_text("x")
    make()
    assert list(tmp_path.glob(".*")) == []


def test_a_directory_lost_between_two_renames_is_put_back(make, write, tmp_path):
    data, _ = make()
    data.directory.rename(tmp_path / ".data.previous")
    refused(make, Exit.DATA, "no usable", overrides=["data.max_length=1"])
    assert len(open_data(tmp_path / "data").train) == 98


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\v", "\f", "\x1c"])
@pytest.mark.fault(1)
def test_separators_inside_a_line_do_not_shift_the_pairs(make, write, separator):
    source = lines(0).replace("le chat", f"le{separator}chat")
    data, report = make(write("s.fr", source), overrides=["data.tokenizer=word"])
    assert report["train"]["pairs"] + report["valid"]["pairs"] == 100
    assert data.tokenizers()[0].decode(data.train.source(0)) in lines(0)


@pytest.mark.fault(2, 3, 5, 11)
def test_bom_crlf_nul_and_carriage_returns_are_counted(make, write):
    text = "\ufeff" + lines(0).replace("\n", "\r\n").replace("le chat", "le\rchat").replace("un chien", "un\0chien")
    clean, _ = make()
    data, report = make(write("odd.fr", text), name="odd")
    altered = {reason: entry["count"] for reason, entry in report["train"]["altered"].items()}
    assert sorted(altered.values()) == [1, 25, 25, 100]
    source, clean_source = data.tokenizers()[0], clean.tokenizers()[0]
    assert source.decode(data.train.source(0)) == clean_source.decode(clean.train.source(0))


@pytest.mark.parametrize("bad", [b"\xff\n", b"\xed\xa0\x80\n", b"caf\xc3"])
@pytest.mark.fault(7, 9, 10)
def test_bytes_that_are_not_utf8_are_refused_skipped_or_replaced(make, write, bad):
    options = {"source": write("bad.fr", lines(0).encode() + bad), "target": write("more.en", lines(1) + "bad\n")}
    refused(make, Exit.DATA, r"bad\.fr:101: not UTF-8 at byte", **options)
    _, report = make(**options, bad_lines="skip")
    assert report["train"]["dropped"]["not UTF-8"]["count"] == 1
    _, report = make(**options, bad_lines="replace")
    assert report["train"]["pairs"] + report["valid"]["pairs"] == 101


@pytest.mark.fault(6)
def test_utf16_is_refused_by_name(make, write):
    refused(make, Exit.DATA, "looks like UTF-16", source=write("u.fr", lines(0).encode("utf-16")))


@pytest.mark.parametrize("content", ["", "\n\n", " \n\u200b\n"])
@pytest.mark.fault(20)
def test_an_empty_or_blank_corpus_is_refused(make, write, content):
    refused(make, Exit.DATA, "no usable sentence pairs", source=write("e.fr", content), target=write("e.en", content))


@pytest.mark.parametrize("pairs", [PAIRS[:1], [("a", "b")], [("a", "a")] * 50, [PAIRS[0]] * 200])
@pytest.mark.fault(28)
def test_the_smallest_corpora_prepare(make, write, pairs):
    data, report = make(write("m.fr", lines(0, pairs)), write("m.en", lines(1, pairs)))
    assert len(data.train) == len(pairs)
    assert data.valid is None
    assert "no validation set" in report["warnings"][0]
    assert config.from_json((data.directory / "config.json").read_text()) == data.config


@pytest.mark.fault(23)
def test_long_lines_that_the_vocabulary_could_not_learn_from_are_reported(make, write):
    pairs = [*PAIRS, ("mot " * 1500, "word " * 10)]
    _, report = make(write("long.fr", lines(0, pairs)), write("long.en", lines(1, pairs)))
    assert "1 lines of more than 4,192 bytes" in report["warnings"][0]


@pytest.mark.fault(25)
def test_text_that_looks_like_a_special_piece_is_text(make, write):
    pairs = [*PAIRS, *[("<s> </s>", "<pad> <unk>")] * 5]
    data, report = make(write("x.fr", lines(0, pairs)), write("x.en", lines(1, pairs)))
    assert report["train"]["source"]["unknown"] == report["train"]["target"]["unknown"] == 0
    last = len(data.train) - 1
    assert data.tokenizers()[1].decode(data.train.target(last)) == "<pad> <unk>"


@pytest.mark.fault(17)
def test_shifted_lines_are_warned_of(make, write):
    varied = [("a" * (1 + (i * 7919) % 61), "b" * (1 + (i * 7919) % 61)) for i in range(400)]
    target = [pair[1] for pair in varied]
    shifted = "\n".join(target[:200] + target[201:] + target[200:201]) + "\n"
    _, report = make(write("w.fr", lines(0, varied)), write("w.en", shifted))
    assert any("shifted against each other" in warning for warning in report["warnings"])


@pytest.mark.fault(32)
def test_gzip_pipes_and_stdin_give_what_files_give(make, write, tmp_path, monkeypatch):
    plain, _ = make(name="plain")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(lines(1),))
    writer.start()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(lines(0).encode()))))
    piped, _ = make("-", str(pipe), name="piped")
    writer.join()
    assert piped.hash == plain.hash


def test_stdin_cannot_be_read_twice(make):
    refused(make, Exit.USAGE, "stdin", source="-", valid_source="-", valid_target="b")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"valid_source": "v"}, "--valid-target is missing"),
        ({"valid_source": "v", "valid_target": "w", "valid_corpus": "t.tsv"}, "give one of them"),
        ({"overrides": ["data.tokenizer=bqe"]}, "data.tokenizer"),
        ({"source": "nowhere.fr"}, "nowhere.fr: cannot be read"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_written(make, tmp_path, options, match):
    refused(make, Exit.USAGE, match, **options)
    assert not (tmp_path / "data").exists()


def test_a_table_with_a_table_for_validation(make, write):
    train = write("t.jsonl", "".join(json.dumps({"fr": s, "en": t}) + "\n" for s, t in PAIRS))
    valid = write("v.tsv", "en\tfr\n" + "".join(f"{t}\t{s}\n" for s, t in PAIRS[:2]))
    data, report = make("fr", "en", corpus=[train], valid_corpus=valid)
    assert data.valid_text()[0] == [PAIRS[0][0], PAIRS[1][0]]
    assert report["train"]["pairs"] == 100


@pytest.mark.fault(15, 66)
def test_what_is_shown_names_reasons_places_and_the_next_command_without_terminal_escapes(make, write):
    source, target = write("t.fr", lines(0) + "\x1b[31m[red]rouge[/red]\n"), write("t.en", lines(1) + " \n")
    make(source, target, quiet=False)
    assert "\x1b" not in make.shown
    assert "1  blank target" in make.shown
    assert "t.fr:101  \ufffd[31m[red]rouge[/red]" in make.shown
    assert f"Next: nmt train {source[:-4]}data RUN" in make.shown


def test_quiet_shows_nothing(make):
    make()
    assert make.shown == ""


@pytest.mark.fault(64)
def test_a_file_name_that_is_not_utf8_works(make, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.fr")
    with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123 (the name is the point)
        file.write("\n" + lines(0, PAIRS[1:]))
    _, report = make(name)
    assert report["train"]["dropped"]["blank source"]["examples"][0]["where"].endswith("caf\ufffd .fr:1")


@pytest.mark.fault(64)
def test_paths_with_spaces_newlines_and_accents_work_in_the_c_locale(write, tmp_path):
    folder = tmp_path / "mes donné\nes à moi"
    folder.mkdir()
    (folder / "a.fr").write_text(lines(0), encoding="utf-8")
    (folder / "a.en").write_text(lines(1), encoding="utf-8")
    environment = {**os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "nmt_cli", "prepare", folder / "out", "-s", folder / "a.fr", "-t", folder / "a.en"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert len(open_data(folder / "out").train) == 98
