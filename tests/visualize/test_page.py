"""The page: one file, offline, small, and every sentence stays a sentence."""

from __future__ import annotations

import base64
import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli import config
from nmt_cli.visualize import packing
from nmt_cli.visualize.packing import EXACT, pack, pack_walk, packed_json
from nmt_cli.visualize.page import FOLDER, LANGUAGES, SCRIPTS, build_page
from nmt_cli.visualize.trace import Trace, as_json


def unpack(packed):
    numbers = np.frombuffer(base64.b64decode(packed["data"]), np.dtype(packed["type"]).newbyteorder("<"))
    rows = numbers.reshape(-1, packed["shape"][-1]).astype(np.float64)
    scale = np.array(packed.get("scale", [1.0]))[:, None]
    return (rows * scale).reshape(packed["shape"])


def element(page: str, name: str) -> str:
    return re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)[1]


def test_the_page_loads_nothing_from_anywhere(general):
    page = build_page(general.trace)
    assert not re.search(r"""(src|srcset|data|action|poster)\s*=\s*["']""", page)
    assert not re.search(r"<(link|iframe|object|embed|base)\b|@import|url\(|\bfetch\(|XMLHttpRequest|import\(", page)
    assert "default-src 'none'" in page


def test_addresses_lead_to_papers_only(general):
    addresses = set(re.findall(r"https?://([\w.]+)", build_page(general.trace)))
    assert addresses <= {"arxiv.org", "doi.org", "aclanthology.org", "www.w3.org"}


def test_a_sentence_cannot_end_its_script(general):
    page = build_page(general.trace)
    assert "</script><img" not in page
    assert json.loads(element(page, "trace"))["walks"][0]["source_text"] == general.walk.source_text


@given(st.text(min_size=1))
def test_any_text_survives_in_the_embedded_trace(text):
    data = packed_json(Trace({text: {}}, []))
    assert not re.search("[<>&\u2028\u2029]", data)
    assert json.loads(data)["models"] == {text: {}}


def test_the_title_is_escaped(general):
    walk = dataclasses.replace(general.walk, source_text="<b>&{{trace}}")
    page = build_page(dataclasses.replace(general.trace, walks=[walk]))
    assert "<title>&lt;b&gt;&amp;{{trace}}" in page


def test_every_script_is_part_of_the_page():
    files = {path.name.removesuffix(".js") for path in FOLDER.iterdir() if path.name.endswith(".js")}
    assert files == set(SCRIPTS)


def test_both_languages_say_the_same_things():
    tables = [json.loads((FOLDER / f"texts.{name}.json").read_text(encoding="utf-8")) for name in LANGUAGES]
    for key, text in tables[0].items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", tables[1][key])), key
        assert re.findall(r"\]\((.*?)\)", text) == re.findall(r"\]\((.*?)\)", tables[1][key]), key
    assert tables[0].keys() == tables[1].keys()


def test_every_text_that_the_scripts_name_is_there():
    scripts = "".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    known = json.loads((FOLDER / "texts.en.json").read_text(encoding="utf-8"))
    assert set(re.findall(r"""\bsay\(\s*"([\w-]+)\"""", scripts)) <= known.keys()


def test_every_text_is_used_by_a_script():
    scripts = "".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    figures = re.findall(r"""\bframe\(\s*"(\w+)\"""", scripts)
    whole = {
        "name",
        *re.findall(r"""["`]([\w-]+)["`]""", scripts),
        *(f"{id}_{part}" for id in figures for part in ("title", "text")),
    }
    beginnings = tuple(re.findall(r"`(\w+_)\$\{", scripts))
    known = json.loads((FOLDER / "texts.en.json").read_text(encoding="utf-8"))
    assert [key for key in known if key not in whole and not key.startswith(beginnings)] == []


def test_every_kind_of_model_has_its_texts():
    known = json.loads((FOLDER / "texts.en.json").read_text(encoding="utf-8"))
    kinds = {f.name: f.type for f in dataclasses.fields(config.Model)}
    named = {
        "attention": ("attention_{}",), "attention_span": ("span_{}", "attention_text_{}"), "cell": ("cell_{}",),
        "decoder": ("decoder_{}",), "bridge": ("bridge_{}",),
    }  # fmt: skip
    for option, forms in named.items():
        values = set(re.findall(r"[\"']([\w-]+)[\"']", str(kinds[option]))) - {"global"}
        assert values
        for form in forms:
            assert {form.format(value) for value in values} <= known.keys()


@pytest.mark.parametrize(("form", "error"), [(("float32", 1), 0.0), (("int16", 1), 2e-5), (("int8", 1), 4e-3)])
def test_packing_is_as_exact_as_it_says(form, error):
    array = np.random.default_rng(0).normal(size=(5, 100)).astype(np.float32)
    most = np.abs(array).max(axis=-1, keepdims=True)
    assert (np.abs(unpack(pack(array, form)) - array) <= error * most).all()


def test_sampled_units_are_units_of_the_vector():
    array = np.arange(100, dtype=np.float32)[None]
    packed = pack(array, ("float32", 4))
    assert packed["every"] == 4
    np.testing.assert_array_equal(unpack(packed), array[:, ::4])


def test_short_vectors_stay_exact_in_every_form():
    weights = np.random.default_rng(0).random((3, 60)).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(weights, ("int8", 16))), weights)


def wide_walk(walk, units: int, length: int):
    """The walk of a larger model through a longer sentence: other numbers, in the places of these."""
    rng = np.random.default_rng(0)

    def widen(value, name=""):
        if isinstance(value, np.ndarray):
            last = length if name in EXACT else units
            return rng.normal(size=(*((length,) * (value.ndim - 1)), last)).astype(np.float32)
        if dataclasses.is_dataclass(value):
            wide = {f.name: widen(getattr(value, f.name), f.name) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **wide)
        if isinstance(value, dict):
            return {name: widen(item, name) for name, item in value.items()}
        return [widen(item) for item in value] if isinstance(value, list) else value

    return widen(walk)


def test_thirty_words_of_a_large_model_stay_below_two_megabytes(general):
    page = build_page(Trace(general.trace.models, [wide_walk(general.walk, units=1024, length=45)]))
    assert 200_000 < len(page.encode()) < 2_000_000


def test_weights_of_a_long_sentence_are_in_full(general):
    walk = wide_walk(general.walk, units=1024, length=90)
    packed = pack_walk(walk)
    assert packed["form"]["every"] > 1
    for name in ("energies", "weights"):
        shown = unpack(packed["decoder"]["attentions"][0][name])
        np.testing.assert_array_equal(shown, getattr(walk.decoder.attentions[0], name))


def test_a_form_that_fits_is_kept_exact(general, monkeypatch):
    assert pack_walk(general.walk)["form"] == {"type": "float32", "every": 1}
    monkeypatch.setattr(packing, "MOST_BYTES", 1)
    assert pack_walk(general.walk)["form"]["every"] > 1


def test_the_json_trace_has_every_number_in_full(general):
    trace = json.loads(as_json(general.trace))
    assert trace["version"] == 1
    walk = trace["walks"][0]
    np.testing.assert_array_equal(
        np.array(walk["encoder"]["annotations"], np.float32), general.walk.encoder.annotations
    )
    weights = np.array(walk["decoder"]["attentions"][0]["weights"], np.float32)
    np.testing.assert_array_equal(weights, general.walk.decoder.attentions[0].weights)
