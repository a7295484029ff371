"""`nmt visualize` through the command line, with a small model that nobody has trained."""

from __future__ import annotations

import io
import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from recordings import make_recording, make_translator

from nmt_cli import cli
from nmt_cli.commands import visualize
from nmt_cli.commands.visualize import names_of
from nmt_cli.run.directory import Run
from nmt_cli.run.scoring import Score
from nmt_cli.run.translator import Translator
from nmt_cli.run.validation import Validation

LOG = [
    {"step": 1, "loss": 6.0, "learning_rate": 0.001, "target_tokens_per_second": 900.0},
    {"step": 2, "loss": 5.0, "learning_rate": 0.002, "target_tokens_per_second": 950.0},
    {"step": 2, **Validation(5.5, (Score("bleu", 1.5, ""), Score("chrf", 9.0, "")), ()).record()},
]


@pytest.fixture
def nmt(monkeypatch, capsys, tmp_path):
    """Runs `nmt visualize ARGUMENTS` in an empty folder: (exit code, stdout, stderr). The model's name is its kind."""
    monkeypatch.setattr(Translator, "load", lambda path, device: make_translator(Path(path).name))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nmt", "visualize", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def without_recording(monkeypatch):
    """Every sentence has the walk of another one: for tests of what is asked for, not of what is found."""
    walk = make_recording("general").walk
    found = lambda translator, text, model, *more: replace(walk, source_text=text, model=model)  # noqa: E731
    monkeypatch.setattr(visualize, "record", found)


def texts(path: Path) -> list[str]:
    """What an SVG says."""
    return [node.text or "" for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_a_page_is_written_and_named(nmt, tmp_path):
    code, out, err = nmt("general", "le chat")
    assert (code, out) == (0, "")
    assert "wrote walk.html (0." in err
    assert (tmp_path / "walk.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_page_is_in_the_language_asked_for(nmt, without_recording, tmp_path):
    nmt("general", "le chat", "--language", "ko", "-o", "ko.html", "--quiet")
    assert '<html lang="ko">' in (tmp_path / "ko.html").read_text(encoding="utf-8")


def test_json_is_the_trace_and_leaves_the_page_out(nmt, without_recording, tmp_path):
    code, out, _ = nmt("general", "le chat", "la maison", "--json")
    trace = json.loads(out)
    assert code == 0
    assert [walk["source_text"] for walk in trace["walks"]] == ["le chat", "la maison"]
    assert list(trace["models"]) == ["general"]
    assert list(tmp_path.iterdir()) == []


def test_sentences_come_from_a_file_without_its_blank_lines(nmt, without_recording, tmp_path):
    (tmp_path / "two.txt").write_text("le chat\n\nla maison\n", encoding="utf-8")
    _, out, err = nmt("general", "--input", "two.txt", "--json")
    assert [walk["source_text"] for walk in json.loads(out)["walks"]] == ["le chat", "la maison"]
    assert "1 line with nothing to translate left out" in err


def test_two_models_are_walked_through_side_by_side(nmt, without_recording):
    _, out, _ = nmt("general", "le chat", "--compare", "none", "--json", "--quiet")
    assert [walk["model"] for walk in json.loads(out)["walks"]] == ["general", "none"]


def test_names_are_as_long_as_they_have_to_be():
    assert names_of([Path("/runs/a")]) == ["a"]
    assert names_of([Path("/runs/a/best"), Path("/runs/b/best")]) == ["a/best", "b/best"]


def test_a_reference_for_only_one_of_two_sentences_is_refused(nmt):
    code, _, err = nmt("general", "le chat", "la maison", "--reference", "the cat")
    assert code == 2
    assert "1 times --reference for 2 sentences" in err


def test_sentences_and_a_file_of_sentences_exclude_each_other(nmt):
    assert nmt("general", "le chat", "--input", "two.txt")[0] == 2


def test_no_sentence_at_all_is_refused(nmt, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    code, _, err = nmt("general")
    assert code == 2
    assert "no sentence" in err


def test_a_heat_map_has_every_word_and_every_weight(nmt, tmp_path):
    nmt("general", "le chat </script><img", "--heatmap", "map.svg", "--quiet")
    words = texts(tmp_path / "map.svg")
    assert words[:4] == ["le", "chat", "</script><img", "⟨end⟩"]
    cells = [node for node in ElementTree.parse(tmp_path / "map.svg").iter() if node.tag.endswith("title")]
    assert len(cells) == 4 * (len(words) - 4)
    assert sum(float(cell.text.rsplit(": ", 1)[1]) for cell in cells) == pytest.approx(len(words) - 4, abs=0.02)


@pytest.mark.slow
def test_a_heat_map_of_a_model_without_attention_is_refused(nmt):
    code, _, err = nmt("none", "le chat", "--heatmap", "map.svg")
    assert code == 2
    assert "no attention" in err


def test_a_heat_map_draws_one_sentence(nmt):
    assert nmt("general", "le chat", "la maison", "--heatmap", "map.svg")[0] == 2


def test_another_kind_of_image_is_refused_before_anything_is_computed(nmt):
    code, _, err = nmt("general", "le chat", "--heatmap", "map.jpg")
    assert code == 2
    assert ".svg, .png, .pdf" in err


@pytest.mark.skipif(find_spec("matplotlib") is not None, reason="matplotlib is installed")
def test_without_matplotlib_a_png_is_refused_with_the_way_to_install_it(nmt):
    code, _, err = nmt("general", "le chat", "--heatmap", "map.png")
    assert code == 2
    assert "nmt-cli[plot]" in err


@pytest.mark.parametrize("name", ["map.png", "map.pdf"])
def test_with_matplotlib_images_are_drawn(nmt, tmp_path, name):
    pytest.importorskip("matplotlib", reason="matplotlib draws PNG and PDF; `pip install nmt-cli[plot]` brings it")
    assert nmt("general", "le chat", "--heatmap", name)[0] == 0
    assert (tmp_path / name).read_bytes()[:4] in (b"\x89PNG", b"%PDF")


def test_learning_curves_show_losses_scores_and_speed(nmt, tmp_path):
    (tmp_path / "run").mkdir()
    for record in LOG:
        Run(tmp_path / "run").log(record)
    code, _, err = nmt("run", "--training", "curves.svg")
    words = " ".join(texts(tmp_path / "curves.svg"))
    assert code == 0
    assert "wrote curves.svg" in err
    for shown in ("training 5", "validation 5.5", "BLEU 1.5", "chrF 9", "throughput 950", "learning rate 0.002"):
        assert shown in words


def test_learning_curves_of_a_run_without_a_log_are_refused(nmt, tmp_path):
    (tmp_path / "run").mkdir()
    assert nmt("run", "--training", "curves.svg")[0] == 2
