"""`nmt train` with word vectors: what the run begins with, remembers, keeps and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nmt_cli.commands.train_embeddings import keep_report
from nmt_cli.data.embeddings import Coverage
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.directory import Run
from nmt_cli.run.model import load_model
from tests.commands.test_train import OPTIONS, call, home, prepare  # noqa: F401 (home is a fixture)

VECTORS = {"un": [0.5] * 8, "deux": [-1.0, 2.0] * 4, "zebra": [9.0] * 8}


@pytest.fixture
def vectors(tmp_path):
    path = tmp_path / "vectors.vec"
    rows = [f"{word} {' '.join(map(str, values))}\n" for word, values in VECTORS.items()]
    path.write_text(f"{len(rows)} 8\n{''.join(rows)}")
    return path


@pytest.fixture(scope="module")
def data(home):  # noqa: F811
    return prepare(home, "vector-data", seed=4)


def report(sha256):
    return Coverage("a.vec", sha256, 3, 0, pieces=8, found=2, running=0.25, most_frequent=[], missing=[])


def train_frozen(data, run, vectors, steps):
    options = [*OPTIONS, "--source-embeddings", vectors, "--set", "train.freeze_embeddings=true", "--max-steps", steps]
    assert call("train", data, run, *options) == 0


def assert_unchanged(run):
    model = load_model(run)
    for word in ("un", "deux"):
        (id,) = model.source_tokenizer.encode([word])[0]
        np.testing.assert_array_equal(model.parameters["source_embedding"][id], np.float32(VECTORS[word]))


@pytest.mark.slow
def test_frozen_vectors_come_through_training(data, vectors, tmp_path, capsys):
    train_frozen(data, tmp_path / "run", vectors, 4)
    assert "source embeddings:" in capsys.readouterr().err
    told = json.loads((tmp_path / "run" / "embeddings.json").read_text())["source"]
    assert (told["found"], told["vectors"]) == (4, 3)  # in a joint vocabulary UN and DEUX too, by their lower case
    assert_unchanged(tmp_path / "run")


@pytest.mark.slow
def test_a_run_that_has_begun_needs_the_file_of_vectors_no_more(data, vectors, tmp_path):
    train_frozen(data, tmp_path / "run", vectors, 4)
    vectors.unlink()
    train_frozen(data, tmp_path / "run", vectors, 8)
    assert_unchanged(tmp_path / "run")


@pytest.mark.slow
def test_a_run_that_has_begun_takes_no_other_vectors(data, vectors, tmp_path, capsys):
    arguments = ["train", data, tmp_path / "run", *OPTIONS, "--max-steps", 1, "--quiet"]
    assert call(*arguments) == 0
    assert call(*arguments, "--source-embeddings", vectors) == Exit.USAGE
    assert "train.source_embeddings: '' ->" in capsys.readouterr().err


def test_vectors_of_another_size_name_the_fix(data, vectors, tmp_path, capsys):
    arguments = ["train", data, tmp_path / "run", *OPTIONS, "--target-embeddings", vectors]
    assert call(*arguments, "--set", "model.embedding_size=6") == Exit.USAGE
    assert "--set model.embedding_size=8" in capsys.readouterr().err


def test_a_file_that_has_changed_since_the_run_began_is_refused(tmp_path):
    run = Run(tmp_path)
    keep_report(run, {"source": report("one")})
    keep_report(run, {"source": report("one")})
    with pytest.raises(UserError, match=r"other source embeddings than what is in a\.vec"):
        keep_report(run, {"source": report("two")})
    assert run.read_embeddings()["source"]["sha256"] == "one"


def test_a_run_without_vectors_has_no_report_of_them(tmp_path):
    keep_report(Run(tmp_path), {})
    assert list(tmp_path.iterdir()) == []
