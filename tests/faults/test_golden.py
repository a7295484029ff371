"""A small model written by version 0.1.0 is kept under tests/golden: every later version must translate as it did."""

from __future__ import annotations

import shutil

import pytest

from nmt_cli.data.manifest import verify_manifest
from nmt_cli.run.translator import Translator
from tests.faults.nmt import GOLDEN


def lines_of(name: str) -> list[str]:
    return (GOLDEN / name).read_text(encoding="utf-8").split("\n")[:-1]


def test_the_model_of_an_earlier_version_is_as_it_was():
    assert "model.safetensors" in verify_manifest(GOLDEN / "model")["files"]


def test_a_model_of_an_earlier_version_translates_as_it_did(tmp_path):
    shutil.copytree(GOLDEN / "model", tmp_path / "model")  # nothing beside the folder is needed
    found = Translator.load(tmp_path / "model", "cpu").translate(lines_of("source.txt"), precision="float32")
    expected = [line.split("\t") for line in lines_of("translations.tsv")]
    assert [translation.text for translation in found] == [text for _, text in expected]
    assert [translation.score for translation in found] == pytest.approx([float(s) for s, _ in expected], abs=1e-3)
