import csv
import gzip
import io
import json
import os
import threading

import pytest

from nmt_cli.data import corpus, tables
from nmt_cli.data.corpus import Corpus, Pair, read_pairs
from nmt_cli.data.tally import Counts
from nmt_cli.errors import Exit, UserError

PAIRS = [("Bonjour !", "Hello!"), ("Un « chat », dit-il.", 'A "cat", he said.'), ("Où ?", "Where?")]


def read(*arguments, **options):
    counts = Counts()
    return list(read_pairs(Corpus(*arguments, **options), counts)), counts


def texts(pairs):
    return [(pair.source, pair.target) for pair in pairs]


def test_line_n_of_one_file_is_paired_with_line_n_of_the_other(write):
    source, target = write("a.fr", "un\ndeux\n"), write("a.en", "one\ntwo")
    pairs, counts = read((source,), (target,))
    assert pairs == [Pair("un", "one", f"{source}:1"), Pair("deux", "two", f"{source}:2")]
    assert counts.read == 2


def test_several_files_a_side_follow_each_other(write):
    files = [write(name, text) for name, text in (("1.fr", "un\n"), ("2.fr", "deux\n"), ("1.en", "one\n"))]
    packed = write("2.en.gz", gzip.compress(b"two\n"))
    pairs, _ = read((files[0], files[1]), (files[2], packed))
    assert texts(pairs) == [("un", "one"), ("deux", "two")]


@pytest.mark.parametrize("shorter", ["source", "target"])
@pytest.mark.fault(16)
def test_line_counts_that_differ_by_one_are_refused(write, shorter):
    source = write("a.fr", "un\ndeux\n" + "trois\n" * (shorter == "target"))
    target = write("a.en", "one\ntwo\n" + "three\n" * (shorter == "source"))
    with pytest.raises(UserError, match=r"has [23] lines and .*a\.en has [23]") as error:
        read((source,), (target,))
    assert error.value.code == Exit.DATA


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [(" ", "one", corpus.BLANK_SOURCE), ("un", "\u200b", corpus.BLANK_TARGET), ("", "", corpus.BLANK)],
)
@pytest.mark.fault(15)
def test_blank_sides_drop_the_pair_and_are_counted_with_their_place(write, source, target, reason):
    name = write("a.fr", f"un\n{source}\n")
    pairs, counts = read((name,), (write("a.en", f"one\n{target}\n"),))
    assert texts(pairs) == [("un", "one")]
    assert counts.dropped.counts == {reason: 1}
    assert counts.dropped.examples[reason][0][0] == f"{name}:2"


@pytest.mark.fault(7)
def test_a_bad_line_drops_its_partner_too(write):
    target = write("a.en", b"one\n\xff\nthree\n")
    pairs, counts = read((write("a.fr", "un\ndeux\ntrois\n"),), (target,), bad_lines="skip")
    assert texts(pairs) == [("un", "one"), ("trois", "three")]
    assert counts.dropped.examples == {corpus.NOT_UTF8: [(f"{target}:2", "deux")]}


def test_the_same_file_on_both_sides_is_warned_of(write):
    name = write("a", "un\n")
    _, counts = read((name,), (name,))
    assert "the same file" in counts.warnings[0]


@pytest.mark.fault(17)
def test_shifted_lines_are_warned_of(write):
    lines = ["x" * (5 + (i * 7919) % 97) for i in range(600)]
    shifted = lines[:300] + lines[301:] + lines[300:301]
    _, counts = read((write("a.fr", "\n".join(lines)),), (write("a.en", "\n".join(shifted)),))
    assert "shifted" in counts.warnings[0]


@pytest.mark.fault(32)
def test_a_named_pipe_is_read_once_and_works(tmp_path, write):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("un\ndeux\n",))
    writer.start()
    pairs, _ = read((str(pipe),), (write("a.en", "one\ntwo\n"),))
    writer.join()
    assert texts(pairs) == [("un", "one"), ("deux", "two")]


def test_stdin_may_be_one_side(write, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"un\n")))
    pairs, _ = read(("-",), (write("a.en", "one\n"),))
    assert pairs == [Pair("un", "one", "stdin:1")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("a",), ()), "--target is missing"),
        (((), ()), "--source and --target is missing"),
        ((("a", "b"), ("c",)), "2 source files but 1 target"),
        ((("-",), ("-",)), "stdin"),
        ((("fr",), (), ("t.tsv",)), "one field each"),
    ],
)
def test_sources_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        Corpus(*arguments)
    assert error.value.code == Exit.USAGE


def as_csv(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def as_json_lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


HEADED = [("id", "fr", "en"), *((str(i), *pair) for i, pair in enumerate(PAIRS))]
TABLES = {
    "plain.tsv": ("".join(f"{s}\t{t}\n" for s, t in PAIRS), None),
    "named.tsv": ("".join("\t".join(row) + "\n" for row in HEADED), ("fr", "en")),
    "numbered.tsv": ("".join("\t".join(row) + "\n" for row in HEADED[1:]), ("2", "3")),
    "plain.csv": (as_csv(PAIRS), None),
    "named.csv": (as_csv(HEADED), ("fr", "en")),
    "default.jsonl": (as_json_lines({"source": s, "target": t} for s, t in PAIRS), None),
    "named.jsonl": (as_json_lines({"fr": s, "en": t} for s, t in PAIRS), ("fr", "en")),
    "hub.jsonl": (as_json_lines({"translation": {"fr": s, "en": t}} for s, t in PAIRS), ("fr", "en")),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_every_kind_of_table_gives_the_same_pairs(write, name, packed):
    content, fields = TABLES[name]
    path = write(name + ".gz", gzip.compress(content.encode())) if packed else write(name, content)
    source, target = ((fields[0],), (fields[1],)) if fields else ((), ())
    pairs, counts = read(source, target, (path,))
    assert texts(pairs) == PAIRS
    assert counts.read == 3
    assert pairs[0].where == f"{path}:{1 + (name.startswith('named') and not name.endswith('jsonl'))}"


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_gives_the_same_pairs(tmp_path, nested):
    import pyarrow
    import pyarrow.parquet

    rows = [{"fr": s, "en": t} for s, t in PAIRS]
    table = pyarrow.Table.from_pylist([{"translation": row} for row in rows] if nested else rows)
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    pairs, _ = read(("fr",), ("en",), (str(tmp_path / "t.parquet"),))
    assert texts(pairs) == PAIRS


def test_odd_separators_and_values_in_tables_stay_text(write):
    path = write("t.csv", 'NA,"1,000"\n"a\rb","c\u2028d"\n"two\nlines",x\n')
    pairs, counts = read((), (), (path,))
    assert texts(pairs) == [("NA", "1,000"), ("a b", "c\u2028d"), ("two lines", "x")]
    assert set(counts.altered.counts) == {
        "newline inside a field made a space",
        "carriage return inside a line made a space",
    }


def test_rows_without_a_text_are_dropped_and_counted(write):
    path = write("t.jsonl", '{"source": "a", "target": "b"}\n{"source": "a"}\n{"source": "a", "target": 1}\n')
    pairs, counts = read((), (), (path,))
    assert texts(pairs) == [("a", "b")]
    assert counts.dropped.counts == {corpus.NO_FIELD: 2}


@pytest.mark.fault(10)
def test_surrogates_in_json_are_not_utf8(write):
    path = write("t.jsonl", '{"source": "\\ud800", "target": "b"}\n')
    with pytest.raises(UserError, match=r"t\.jsonl:1: not UTF-8"):
        read((), (), (path,))
    assert read((), (), (path,), bad_lines="skip")[1].dropped.counts == {corpus.NOT_UTF8: 1}


def test_a_bad_line_in_csv_drops_its_row_and_is_counted(write):
    path = write("t.csv", b'a,b\n"c\xff\nd",e\nf,g\n\xff,h\n')
    pairs, counts = read((), (), (path,), bad_lines="skip")
    assert texts(pairs) == [("a", "b"), ("f", "g")]
    assert [where for where, _ in counts.dropped.examples[corpus.NOT_UTF8]] == [f"{path}:3", f"{path}:5"]


@pytest.mark.parametrize(
    ("name", "content", "message", "code"),
    [
        ("t.jsonl", "{]\n", "t.jsonl:1: not JSON", Exit.DATA),
        ("t.jsonl", "[1]\n", "t.jsonl:1: not a JSON object", Exit.DATA),
        ("t.jsonl", "[" * 100_000, "t.jsonl:1: not JSON", Exit.DATA),
        ("t.csv", 'a,"b\n', "t.csv:.*not CSV", Exit.DATA),
        ("t.parquet", "PAR1 no", "not readable as Parquet", Exit.DATA),
        ("t.xlsx", "x", "unknown kind of table", Exit.USAGE),
        ("t.jsonl", '{"fr": "a", "en": "b"}\n', "there are: fr, en", Exit.USAGE),
    ],
)
def test_tables_that_cannot_be_read_are_refused(write, name, content, message, code):
    with pytest.raises(UserError, match=message) as error:
        read((), (), (write(name, content),))
    assert error.value.code == code


def test_a_column_that_is_not_there_is_refused_with_those_that_are(write):
    with pytest.raises(UserError, match="no fields fr and de; there are: id, fr, en"):
        read(("fr",), ("de",), (write("t.csv", as_csv(HEADED)),))


@pytest.fixture
def offline_hub(monkeypatch, tmp_path):
    """`datasets` without a network and with a cache of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_a_dataset_in_the_layout_of_the_hub_is_read_by_split(offline_hub, tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    for split in ("train", "validation"):
        rows = as_json_lines({"translation": {"fr": f"{s} {split}", "en": t}} for s, t in PAIRS)
        (folder / f"{split}.jsonl").write_text(rows)
    pairs, _ = read(("fr",), ("en",), (str(folder),), split="validation")
    assert texts(pairs)[0] == ("Bonjour ! validation", "Hello!")
    assert pairs[0].where == f"{folder}[validation]:1"
    assert tables.has_split(str(folder), "train")
    with pytest.raises(UserError, match=r"no split 'test'.*\n.*train, validation"):
        read(("fr",), ("en",), (str(folder),), split="test")


def test_a_hub_name_that_is_not_in_the_cache_is_refused_offline(offline_hub):
    with pytest.raises(UserError, match=r"neither a file nor a dataset that loads.*\n.*cache") as error:
        read(("fr",), ("en",), ("nobody/nothing",))
    assert error.value.code == Exit.DATA


def test_a_hub_name_without_datasets_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(UserError, match="pip install datasets"):
        read(("fr",), ("en",), ("nobody/nothing",))
