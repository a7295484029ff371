"""Recipes and configuration: layers, checks, and what is said when something is wrong."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.config import Config, from_json, load_recipe, resolve, search_settings, to_json
from nmt_cli.errors import Exit, UserError


def message(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        resolve({}, overrides)
    assert caught.value.code == Exit.USAGE
    return str(caught.value)


def test_a_recipe_overrides_the_defaults_for_the_size_of_the_corpus() -> None:
    assert resolve(pairs=1000).model.embedding_size == 256
    assert resolve({"model": {"embedding_size": 32}}, pairs=1000).model.embedding_size == 32


def test_set_overrides_a_recipe() -> None:
    config = resolve({"model": {"cell": "gru"}}, ["model.cell=lstm", "train.learning_rate=1", "data.lowercase=true"])
    assert config.model.cell == "lstm"
    assert config.train.learning_rate == 1.0
    assert config.data.lowercase is True


def test_larger_corpora_get_larger_models() -> None:
    sizes = [resolve(pairs=pairs).model.decoder_units for pairs in (1000, 100_000, 1_000_000)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_json_gives_back_the_configuration() -> None:
    config = resolve({"model": {"dropout": 0.35}}, pairs=50_000)
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.atention=general", "did you mean 'attention'"),
        ("modle.cell=gru", "did you mean 'model'"),
        ("model.cell=rnn", "lstm, lstm_peephole"),
        ("model.dropout=1.5", "at most 0.95"),
        ("model.encoder_layers=0", "at least 1"),
        ("model.encoder_layers=1.5", "a whole number"),
        ("model.bidirectional=1", "true or false"),
        ("train.learning_rate=inf", "at least 0.0"),
        ("train.learning_rate=nan", "at least 0.0"),
        ("train.ema_decay=1.0", "at most 0.999999"),
        ("dropout=0.1", "section.key=value"),
        ("model.dropout", "section.key=value"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(override: str, said: str) -> None:
    assert said in message(override)


def test_options_of_the_command_line_go_before_set_and_none_is_not_given() -> None:
    assert search_settings({"beam": 3, "seed": None}, ["search.beam=2", "search.seed=4"]) == {"beam": 3, "seed": 4}


def test_searching_cannot_change_a_model() -> None:
    with pytest.raises(UserError, match=r"--set model\.cell"):
        search_settings({}, ["model.cell=gru"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.encoder_units=7"], "halved"),
        (["model.tied_embeddings=all", "data.vocabulary=separate"], "data.vocabulary = 'joint'"),
        (["model.attention=none"], "model.input_feeding = false"),
        (["model.attention=none", "model.input_feeding=false", "model.bridge=zero"], "nothing of the source"),
        (["model.attention=none", "model.input_feeding=false", "model.embedding_size=8"], "tied_embeddings = 'none'"),
        (["model.bridge=last", "model.decoder_units=8"], "model.bridge = 'dense'"),
        (["model.bidirectional=false", "model.bidirectional_layers=1"], "model.bidirectional = true"),
        (["model.encoder_layers=2", "model.bidirectional_layers=3"], "at most encoder_layers"),
        (["model.encoder_layers=2", "model.residual_from=3"], "model.residual_from = 0"),
        (["model.initialization=normal", "model.initial_range=0"], "begins with zeros everywhere"),
        (["model.reverse_source=true"], "model.bidirectional = false"),
        (["model.decoder=cho", "model.input_feeding=false"], "model.attention = 'none'"),
        (["model.decoder=gnmt", "model.input_feeding=false", "model.attention=none"], "'luong' or 'cho'"),
        (["model.decoder=bahdanau"], "model.input_feeding = false"),
        (["model.decoder=gnmt_v2", "model.input_feeding=false"], "model.decoder_layers = 2"),
        (["model.decoder=gnmt", "model.input_feeding=false", "model.embedding_size=8"], "with model.decoder = 'gnmt'"),
        (["model.attention=dot", "model.decoder_units=8"], "model.attention = 'general'"),
        (["model.attention=multi_head", "model.attention_heads=3"], "multiple of attention_heads"),
        (["model.attention=multi_head", "model.attention_units=6"], "make attention_units a multiple"),
        (["model.coverage=true"], "model.coverage = false"),
        (["model.attention=none", "model.input_feeding=false", "model.attention_span=local-p"], "'global'"),
        (["search.top_k=5"], "search.method = 'sample'"),
        (["search.temperature=0.5"], "search.temperature changes nothing"),
        (["search.groups=2", "search.method=mbr"], "search.groups = 1"),
        (["search.groups=2", "search.beam=5"], "multiple of groups"),
        (["search.min_output=5", "search.max_output=4"], "make max_output larger"),
        (
            ["model.attention=none", "model.input_feeding=false", "search.coverage_penalty=0.2"],
            "search.coverage_penalty = 0",
        ),
        (["model.cell=gru", "model.memory_zoneout=0.1"], "set model.memory_zoneout = 0"),
        (["data.tokenizer=unigram", "train.bpe_dropout=0.1"], "data.tokenizer = 'bpe'"),
        (["train.freeze_embeddings=true"], "train.source_embeddings"),
        (["model.tied_embeddings=all", "train.source_embeddings=a", "train.target_embeddings=b"], "'target'"),
    ],
)
def test_an_impossible_combination_is_refused_with_the_fix(overrides: list[str], said: str) -> None:
    assert said in message(*overrides)


def test_a_recipe_that_is_not_toml_is_named(tmp_path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[model\n")
    with pytest.raises(UserError, match=r"broken\.toml"):
        load_recipe(str(path))


def test_an_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("nothing-like-it")
    assert "multi30k-fr-en" in str(caught.value)


def test_a_resolved_configuration_serves_as_a_recipe(tmp_path) -> None:
    config = resolve({"model": {"cell": "gru"}})
    path = tmp_path / "config.json"
    path.write_text(to_json(config))
    assert resolve(load_recipe(str(path))) == config


def test_every_option_has_a_default_and_an_explanation() -> None:
    for section in dataclasses.fields(Config):
        for option in dataclasses.fields(getattr(Config(), section.name)):
            assert option.metadata["help"]


@given(st.text())
def test_any_text_is_a_configuration_or_a_user_error(text: str) -> None:
    try:
        from_json(text)
    except UserError as error:
        assert error.what  # noqa: PT017 (either outcome is right)
