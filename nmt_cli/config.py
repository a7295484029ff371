"""Recipes and configuration: every option, its default, its range and its explanation, in this one place.

A recipe is TOML with the sections `[data]`, `[model]`, `[train]` and `[search]`. A `Config` is what comes out when
the defaults, the defaults for the size of the corpus, the recipe and `--set section.key=value` are laid over each
other, in that order. It is written as `config.json` into data directories, runs and models.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from nmt_cli.combinations import refusals
from nmt_cli.errors import UserError
from nmt_cli.options import check_value, nearest, option

Sections = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Data:
    """How text becomes ids."""

    tokenizer: Literal["bpe", "unigram", "char", "word"] = option("bpe", "how text is cut into pieces")
    vocabulary: Literal["joint", "separate"] = option("joint", "one vocabulary for both languages, or one for each")
    vocabulary_size: int = option(8000, "pieces in a vocabulary, special ones included", least=8, most=1_000_000)
    lowercase: bool = option(False, "lower-case all text, for good: translations come out in lower case")
    max_length: int = option(100, "longest sentence kept for training, in pieces", least=1, most=2000)
    max_ratio: float = option(9.0, "drop a pair when one side has this many times the pieces of the other", least=1.0)
    drop_duplicates: bool = option(False, "keep only the first of identical pairs")


@dataclass(frozen=True)
class Model:
    """The encoder-decoder and its sizes."""

    cell: Literal["lstm", "lstm_peephole", "lstm_layer_norm", "gru", "gru_reset_before", "gru_layer_norm"] = option(
        "lstm", "the recurrent cell of encoder and decoder"
    )
    embedding_size: int = option(512, "size of an embedding vector (E)", least=1)
    encoder_layers: int = option(1, "recurrent layers of the encoder", least=1, most=32)
    encoder_units: int = option(512, "size of an annotation (D); each direction has half of it", least=1)
    bidirectional: bool = option(True, "read the source in both directions")
    bidirectional_layers: int = option(0, "how many layers do, from the first (GNMT: 1); 0 for all", least=0)
    reverse_source: bool = option(False, "read the source from its end to its beginning (Sutskever 2014)")
    decoder: Literal["luong", "bahdanau", "cho", "gnmt", "gnmt_v2", "conditional"] = option(
        "luong", "when the decoder looks at the source, and what is made of it"
    )
    decoder_layers: int = option(1, "recurrent layers of the decoder", least=1, most=32)
    decoder_units: int = option(512, "hidden units of the decoder (H)", least=1)
    attention: Literal[
        "none", "dot", "general", "concat", "location", "scaled_luong", "additive", "normed_bahdanau", "multi_head"
    ] = option("general", "how annotations are scored")
    attention_units: int = option(512, "units of additive attention's hidden layer (A)", least=1)
    attention_heads: int = option(4, "heads of multi_head attention (N), which is additive", least=1)
    attention_positions: int = option(128, "source pieces that location attention sees", least=1)
    attention_span: Literal["global", "local-m", "local-p"] = option(
        "global", "look at the whole source, or around the time step or a predicted position (Luong 2015)"
    )
    attention_window: int = option(10, "pieces that local attention sees on either side", least=1)
    coverage: bool = option(False, "additive attention knows what it has looked at (Tu et al. 2016)")
    input_feeding: bool = option(True, "feed the attentional vector into the next decoder step (Luong 2015)")
    bridge: Literal["zero", "last", "dense"] = option("dense", "how the decoder's first state is made")
    residual_from: int = option(0, "first layer (counted from 1) with a residual connection; 0 for none", least=0)
    tied_embeddings: Literal["none", "target", "all"] = option(
        "target", "share the target embedding with the output layer, or with the source embedding as well"
    )
    dropout: float = option(0.2, "probability of dropping a unit between layers", least=0.0, most=0.95)
    state_dropout: float = option(
        0.0, "probability of dropping a hidden unit for a whole sentence (Gal & Ghahramani 2016)", least=0.0, most=0.95
    )
    variational_dropout: bool = option(False, "keep one dropout mask over all time steps of a sentence")
    initialization: Literal["glorot", "uniform", "normal"] = option("glorot", "how matrices begin")
    initial_range: float = option(0.1, "uniform: the largest number; normal: the deviation", least=0.0)
    forget_bias: float = option(1.0, "what the bias of an LSTM's forget gate begins with")


@dataclass(frozen=True)
class Train:
    """How parameters are found."""

    seed: int = option(1, "every random choice follows from it", least=0, most=2**31 - 1)
    optimizer: Literal["adam", "adamw", "sgd", "adafactor", "nadam", "radam", "lion", "adagrad", "rmsprop"] = option(
        "adam", "the optimizer, by its name in optax"
    )
    learning_rate: float = option(1e-3, "the peak of the learning rate", least=0.0)
    beta1: float = option(0.9, "decay of the first moment of the Adam family; momentum of sgd", least=0.0, most=1.0)
    beta2: float = option(0.98, "decay of the second moment of the Adam family", least=0.0, most=1.0)
    epsilon: float = option(1e-8, "added to the denominator of the Adam family", least=0.0)
    weight_decay: float = option(0.01, "decoupled weight decay of adamw and lion", least=0.0)
    schedule: Literal["constant", "inverse_sqrt", "cosine", "plateau", "luong5", "luong10", "luong234"] = option(
        "inverse_sqrt", "how the learning rate changes after warm-up"
    )
    warmup_steps: int = option(400, "steps in which the learning rate rises from zero", least=0)
    decay_steps: int = option(0, "steps until cosine reaches its floor; 0 for the whole training", least=0)
    plateau_factor: float = option(
        0.5, "plateau: multiply the rate by this when validation stalls", least=0.0, most=1.0
    )
    plateau_patience: int = option(2, "plateau: validations without a gain before it does", least=0)
    batch_tokens: int = option(2000, "target tokens in a batch, padding included", least=16)
    max_shapes: int = option(12, "shapes of batches; more pad less and compile longer", least=1, most=16)
    accumulate: int = option(1, "batches whose gradients make one update", least=1)
    max_steps: int = option(10_000, "stop after this many updates", least=1)
    max_minutes: float = option(
        0.0, "stop after this many minutes of training, all sittings together; 0 for no limit", least=0.0
    )
    label_smoothing: float = option(
        0.1, "share of the target probability spread over the vocabulary", least=0.0, most=0.9
    )
    clip_norm: float = option(1.0, "scale gradients down to this global norm; 0 for no clipping", least=0.0)
    ema_decay: float = option(
        0.0, "decay of the moving average of parameters used to translate; 0 for none", least=0.0, most=1.0
    )
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "numbers that matrix products multiply; sums, states and parameters stay float32"
    )
    eval_every: int = option(500, "steps between validations", least=1)
    eval_lines: int = option(1000, "lines of the validation set that are translated at each validation", least=0)
    metric: Literal["bleu", "chrf", "loss"] = option("bleu", "what chooses the best model")
    patience: int = option(0, "validations without a gain before training stops; 0 for never", least=0)
    save_every: int = option(500, "steps between checkpoints", least=1)
    keep: int = option(2, "checkpoints kept besides the best model", least=1)
    log_every: int = option(50, "steps between lines of the log", least=1)


@dataclass(frozen=True)
class Search:
    """How a translation is looked for."""

    beam: int = option(5, "hypotheses kept at each step; 1 is greedy", least=1, most=1000)
    length_penalty: float = option(0.6, "alpha of Wu et al. 2016, equation 14; 0 for none", least=0.0)
    max_length: int = option(200, "longest source line in pieces; longer ones are cut and flagged", least=1)
    max_ratio: float = option(2.0, "longest translation, in times the source's pieces (and 10 more)", least=0.1)
    batch_size: int = option(64, "lines translated at a time", least=1)
    ensemble: Literal["probabilities", "log_probabilities"] = option(
        "probabilities", "what is averaged at each step where several models translate together"
    )


@dataclass(frozen=True)
class Config:
    """A resolved configuration: what a run does, completely."""

    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    search: Search = field(default_factory=Search)


SECTIONS: dict[str, type] = {"data": Data, "model": Model, "train": Train, "search": Search}


def defaults_for(pairs: int) -> Sections:
    """The defaults that depend on how many sentence pairs there are.

    Small corpora want few pieces, a small model and much dropout (Sennrich & Zhang 2019, section 3).
    """
    if pairs < 20_000:
        units, vocabulary_size, dropout, steps = 256, 2000, 0.3, 4000
    elif pairs < 500_000:
        units, vocabulary_size, dropout, steps = 512, 8000, 0.3, 10_000
    else:
        units, vocabulary_size, dropout, steps = 1024, 16_000, 0.2, 100_000
    sizes = dict.fromkeys(("embedding_size", "encoder_units", "decoder_units", "attention_units"), units)
    return {
        "data": {"vocabulary_size": vocabulary_size},
        "model": {**sizes, "dropout": dropout},
        "train": {"max_steps": steps},
    }


def resolve(recipe: Sections | None = None, overrides: Iterable[str] = (), pairs: int | None = None) -> Config:
    """Lay defaults, size defaults, recipe and `section.key=value` overrides over each other and check the result.

    pairs: sentence pairs in the corpus; None leaves the size-dependent defaults out.
    Raises UserError naming the option, its range and the nearest known name.
    """
    sections: Sections = {name: {} for name in SECTIONS}
    layers = [defaults_for(pairs) if pairs is not None else {}, recipe or {}, parse_overrides(overrides)]
    for layer in layers:
        for name, values in layer.items():
            sections[name].update(values)
    config = Config(**{name: SECTIONS[name](**values) for name, values in from_sections(sections).items()})
    check_combinations(config)
    return config


def parse_overrides(overrides: Iterable[str]) -> Sections:
    """`section.key=value` strings, each value read as TOML (a bare word is a string)."""
    sections: Sections = {}
    for override in overrides:
        path, equals, text = override.partition("=")
        section, dot, key = path.strip().partition(".")
        if not equals or not dot:
            raise UserError(f"--set {override!r} is not section.key=value", "for example --set model.dropout=0.3")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        sections.setdefault(section, {})[key] = value
    return from_sections(sections)


def from_sections(sections: Mapping[str, Any], where: str = "") -> Sections:
    """Check names, types and ranges; ints become floats where floats are meant.

    where: the file they come from, for messages.
    """
    checked: Sections = {}
    for name, values in sections.items():
        if name not in SECTIONS:
            raise UserError(f"{where}unknown section [{name}]", nearest(name, SECTIONS))
        if not isinstance(values, Mapping):
            raise UserError(f"{where}[{name}] must be a section of key = value lines")
        known = {f.name: f for f in dataclasses.fields(SECTIONS[name])}
        for key in values:
            if key not in known:
                raise UserError(f"{where}unknown option {name}.{key}", nearest(key, known))
        checked[name] = {
            key: check_value(f"{where}{name}.{key}", known[key], types_of(name)[key], value)
            for key, value in values.items()
        }
    return checked


@cache
def types_of(section: str) -> dict[str, Any]:
    """The type of each option of a section."""
    return get_type_hints(SECTIONS[section])


def check_combinations(config: Config) -> None:
    """Refuse what cannot work together. Raises UserError with the fix."""
    for refused, what, fix in refusals(config):
        if refused:
            raise UserError(what, fix)


def recipe_folder() -> Path:
    """Where the shipped recipes are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent
    inside = package / "recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def load_recipe(name: str) -> Sections:
    """The checked sections of a TOML file, of a `config.json`, or of a shipped recipe by its name.

    Raises UserError with the file and line of what is wrong.
    """
    path = Path(name)
    if not path.is_file():
        path = recipe_folder() / f"{name}.toml"
    if not path.is_file():
        shipped = sorted(p.stem for p in recipe_folder().glob("*.toml"))
        raise UserError(f"there is no recipe {name!r}", f"give a TOML file or one of: {', '.join(shipped)}")
    try:
        text = path.read_text(encoding="utf-8")
        sections = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable recipe: {error}", "see recipes/ for examples") from error
    return from_sections(sections, where=f"{path}: ")


def to_json(config: Config) -> str:
    """The configuration as indented JSON with a newline at its end."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str, where: str = "") -> Config:
    """The configuration `to_json` wrote. Raises UserError when it is not one."""
    try:
        sections = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}not JSON: {error}") from error
    if not isinstance(sections, dict):
        raise UserError(f"{where}not a configuration")
    checked = from_sections(sections, where)
    config = Config(**{name: SECTIONS[name](**values) for name, values in checked.items()})
    check_combinations(config)
    return config
