"""`nmt info` says what a path is, names what is damaged, and sends whoever took the wrong path the right way."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nmt_cli.commands import info
from nmt_cli.config import Config, to_json
from nmt_cli.data.manifest import write_manifest
from nmt_cli.data.tokenizer import Tokenizer, save_tokenizers
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.checkpoint import save
from nmt_cli.run.directory import Run
from nmt_cli.run.model import save_model

SCORE = {"metric": "bleu", "value": 49.127, "signature": "nrefs:1|case:mixed"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "config.json").write_text(to_json(Config()))
    (folder / "report.json").write_text(json.dumps({"pairs": 29000, "dropped": {"too long": 7}}))
    (folder / "train.source.ids").write_bytes(bytes(4000))
    write_manifest(folder)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tokenizer = Tokenizer.train("word", ["une phrase", "a sentence"], 20)
    (tmp_path / "tokenizer").mkdir()
    files = save_tokenizers(tmp_path / "tokenizer", tokenizer, tokenizer)
    arrays = {"encoder": {"kernel": np.zeros((3, 4), np.float32)}, "bias": np.zeros(2, np.float32)}
    (tmp_path / "run").mkdir()
    card = {"step": 1200, "source_language": "fr", "scores": [SCORE]}
    save_model(tmp_path / "run" / "best", arrays, Config(), (tokenizer.size,) * 2, files, card)
    return tmp_path / "run" / "best"


@pytest.fixture
def run(model: Path) -> Run:
    run = Run(model.parent)
    with run.locked():
        run.write_config(Config())
        run.record_sitting("nmt train data run", "cpu", "abc")
        for step in (600, 1200):
            run.log({"step": step, "loss": 3000 / step})
            save(run, step, {"kernel": np.zeros(3)}, {}, keep=2)
    return run


def facts_of(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    info.run(path, json=True)
    facts = json.loads(capsys.readouterr().out)
    assert isinstance(facts, dict)
    return facts


def text_of(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    info.run(path, json=False)
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_a_data_directory_shows_its_report_and_configuration(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(data, capsys)
    assert text.startswith("data ")
    for fact in ("29,000", "dropped.too long", "vocabulary_size", "kB"):
        assert fact in text
    facts = facts_of(data, capsys)
    assert facts["kind"] == "data"
    assert facts["contents"] == {"pairs": 29000, "dropped": {"too long": 7}}
    assert facts["problems"] == []


def test_a_model_shows_sizes_and_scores_with_signature(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(model, capsys)
    for fact in ("1,200", "49.127", "nrefs:1|case:mixed", "fr", "F32", "encoder_units"):
        assert fact in text
    facts = facts_of(model, capsys)
    assert facts["kind"] == "model"
    assert facts["scores"] == [SCORE]
    assert isinstance(facts["model"], dict)
    assert facts["model"]["parameters"] == 14


def test_a_run_shows_checkpoints_log_best_and_provenance(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    facts = facts_of(run.path, capsys)
    assert facts["kind"] == "run"
    assert list(facts["checkpoints"]) == ["step 600", "step 1200"]
    assert facts["log"] == {"step": 1200, "loss": 2.5}
    assert facts["best"]["scores"] == [SCORE]
    assert facts["provenance"]["command"] == "nmt train data run"
    assert facts["training"]["now"] == "nobody trains here"
    assert "nmt train data run" in text_of(run.path, capsys)


def test_a_run_in_training_names_its_process(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with run.locked():
        assert str(facts_of(run.path, capsys)["training"]["now"]).startswith("process ")


def test_a_run_that_has_just_begun_is_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path / "run")
    with run.locked():
        run.write_config(Config())
    assert facts_of(run.path, capsys)["kind"] == "run"


@pytest.mark.parametrize("as_json", [True, False])
def test_damaged_files_are_named(data: Path, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "train.source.ids").write_bytes(bytes(3999))
    with pytest.raises(UserError, match=r"train\.source\.ids") as refusal:
        info.run(data, json=as_json)
    assert refusal.value.code == Exit.INTEGRITY
    assert "29" in capsys.readouterr().out  # what can be said is said all the same


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "MANIFEST.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xff"])
def test_a_damaged_model_is_an_error_and_never_a_traceback(model: Path, name: str, content: bytes) -> None:
    (model / name).write_bytes(content)
    for path in (model, model.parent):
        with pytest.raises(UserError, match=name) as refusal:
            info.run(path, json=False)
        assert refusal.value.code == Exit.INTEGRITY


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "card.json", "MANIFEST.json"])
def test_a_missing_file_of_a_model_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(UserError, match=name) as refusal:
        info.run(model, json=False)
    assert refusal.value.code == Exit.INTEGRITY


def test_a_damaged_checkpoint_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (run.checkpoints / "00001200" / "progress.json").unlink()
    with pytest.raises(UserError, match="00001200") as refusal:
        info.run(run.path, json=True)
    assert refusal.value.code == Exit.INTEGRITY
    assert json.loads(capsys.readouterr().out)["checkpoints"]["step 1200"] == "damaged"


def test_a_wrong_path_is_refused_with_a_hint(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    cases = [
        (tmp_path / "nowhere", "no such directory", "run or a model"),
        (run.config_file, "is a file", f"nmt info {run.path}"),
        (tmp_path, "not a data directory", f"perhaps you mean {run.path}"),
        (tmp_path / "other", "not a data directory", "nmt prepare"),
    ]
    for path, what, hint in cases:
        with pytest.raises(UserError, match=what) as refusal:
            info.run(path, json=False)
        assert refusal.value.code == Exit.USAGE
        assert hint in refusal.value.hint


@pytest.mark.fault(62, 66)
def test_a_strangers_file_cannot_steer_the_terminal(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "report.json").write_text(json.dumps({"note\x1b[2J": "[bold]\x1b]0;owned\x07", "u": "\x9b1m"}))
    write_manifest(data)
    text = text_of(data, capsys)
    assert not any(character in text for character in "\x1b\x07\x9b")
    assert "[bold]" in text


def test_info_loads_no_heavy_library(run: Run) -> None:
    code = (
        "import sys; from pathlib import Path; from nmt_cli.commands import info\n"
        "info.run(Path(sys.argv[1]), json=True)\n"
        "assert not {'jax', 'orbax', 'datasets', 'sacrebleu'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(run.path)], check=True, stdout=subprocess.DEVNULL)
