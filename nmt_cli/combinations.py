"""Options that cannot work together are refused when a configuration is read, with the fix.

What is checked is a Config and its sections; they are Any here because config.py imports this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ADDITIVE = ("additive", "concat", "normed_bahdanau", "multi_head")

# (whether it is so, what cannot be, the fix)
Refusal = tuple[bool, str, str]


def refusals(config: Any) -> Iterator[Refusal]:
    """Every combination that is refused, and whether this Config has it."""
    model = config.model
    yield from encoder(model)
    yield from decoder(model)
    yield from parameters(model)
    yield from attention(model)
    yield from no_attention(model)
    yield from ties(model, config.data)
    yield from searching(config.search, model)
    yield from regularisation(config)
    yield from word_vectors(model, config.train)


def encoder(model: Any) -> Iterator[Refusal]:
    """The encoder, and how its last state becomes the decoder's first."""
    yield (
        model.bidirectional and model.encoder_units % 2 == 1,
        f"model.encoder_units = {model.encoder_units} cannot be halved for two directions",
        "make it even, or set model.bidirectional = false",
    )
    yield (
        model.bidirectional and model.reverse_source,
        "model.reverse_source = true changes nothing where the source is read in both directions",
        "set model.bidirectional = false, or model.reverse_source = false",
    )
    yield (
        model.bidirectional_layers > 0 and not model.bidirectional,
        f"model.bidirectional_layers = {model.bidirectional_layers}, but model.bidirectional = false: none is",
        "set model.bidirectional = true, or model.bidirectional_layers = 0",
    )
    yield (
        model.bidirectional_layers > model.encoder_layers,
        f"model.bidirectional_layers = {model.bidirectional_layers} of model.encoder_layers = {model.encoder_layers}",
        "make it at most encoder_layers, or 0 for all",
    )
    yield (
        model.bridge == "last" and model.encoder_units != model.decoder_units,
        f"model.bridge = 'last' hands {model.encoder_units} encoder units to {model.decoder_units} decoder units",
        "make encoder_units and decoder_units equal, or set model.bridge = 'dense'",
    )


def decoder(model: Any) -> Iterator[Refusal]:
    """Architectures of the decoder."""
    yield (
        model.decoder not in ("luong", "cho") and model.attention == "none",
        f"model.decoder = {model.decoder!r} reads a context, and there is none without attention",
        "choose model.attention, or set model.decoder = 'luong' or 'cho'",
    )
    yield (
        model.decoder == "cho" and model.attention != "none",
        f"model.decoder = 'cho' reads one context vector, not {model.attention} attention",
        "set model.attention = 'none', or model.decoder = 'bahdanau'",
    )
    yield (
        model.decoder != "luong" and model.input_feeding,
        f"model.input_feeding = true is part of Luong's decoder, not of model.decoder = {model.decoder!r}",
        "set model.input_feeding = false, or model.decoder = 'luong'",
    )
    yield (
        model.decoder == "gnmt_v2" and model.decoder_layers < 2,
        "model.decoder = 'gnmt_v2' hands the context to the layers above the first, and there are none",
        "set model.decoder_layers = 2 or more, or model.decoder = 'gnmt'",
    )


def parameters(model: Any) -> Iterator[Refusal]:
    """Layers, and how they begin."""
    yield (
        model.residual_from > max(model.encoder_layers, model.decoder_layers),
        f"model.residual_from = {model.residual_from} is above the last layer of either side, so there is no "
        "residual connection",
        "set model.residual_from = 0, or model.encoder_layers or model.decoder_layers to as many",
    )
    yield (
        model.initialization != "glorot" and model.initial_range == 0.0,
        f"model.initialization = {model.initialization!r} with model.initial_range = 0 begins with zeros everywhere, "
        "where no unit can become another than the next",
        "make initial_range larger, or set model.initialization = 'glorot'",
    )


def attention(model: Any) -> Iterator[Refusal]:
    """Kinds of attention."""
    yield (
        model.attention == "dot" and model.encoder_units != model.decoder_units,
        f"model.attention = 'dot' compares {model.encoder_units} encoder units "
        f"with {model.decoder_units} decoder units",
        "make encoder_units and decoder_units equal, or set model.attention = 'general'",
    )
    for name in ("attention_units", "encoder_units"):
        units = getattr(model, name)
        yield (
            model.attention == "multi_head" and units % model.attention_heads > 0,
            f"model.{name} = {units} cannot be divided among model.attention_heads = {model.attention_heads}",
            f"make {name} a multiple of attention_heads",
        )
    yield (
        model.coverage and model.attention not in ADDITIVE,
        f"model.coverage = true needs the hidden layer of additive attention, which {model.attention!r} has not",
        f"set model.coverage = false, or model.attention to one of {', '.join(ADDITIVE)}",
    )


def no_attention(model: Any) -> Iterator[Refusal]:
    """What is left without attention."""
    none = model.attention == "none"
    yield (
        none and model.input_feeding,
        "model.input_feeding = true has nothing to feed without attention",
        "set model.input_feeding = false, or choose model.attention",
    )
    yield (
        none and model.attention_span != "global",
        f"model.attention_span = {model.attention_span!r} has nothing to look with without attention",
        "set model.attention_span = 'global', or choose model.attention",
    )
    yield (
        none and model.decoder != "cho" and model.bridge == "zero",
        "without attention and with model.bridge = 'zero' nothing of the source reaches the decoder",
        "set model.bridge = 'dense' or 'last', or choose model.attention",
    )


def ties(model: Any, data: Any) -> Iterator[Refusal]:
    """Embeddings that are shared."""
    yield (
        model.tied_embeddings == "all" and data.vocabulary != "joint",
        "model.tied_embeddings = 'all' shares one embedding between both languages, but their vocabularies differ",
        "prepare with data.vocabulary = 'joint', or set model.tied_embeddings = 'target'",
    )
    bare = model.decoder in ("gnmt", "gnmt_v2") or (model.decoder == "luong" and model.attention == "none")
    which = "without attention" if model.attention == "none" else f"with model.decoder = {model.decoder!r}"
    yield (
        bare and model.tied_embeddings != "none" and model.embedding_size != model.decoder_units,
        f"{which} an output layer tied to embeddings of {model.embedding_size} "
        f"cannot read {model.decoder_units} decoder units",
        "make embedding_size and decoder_units equal, or set model.tied_embeddings = 'none'",
    )


def searching(search: Any, model: Any) -> Iterator[Refusal]:
    """How translations are looked for."""
    narrowed = [name for name, off in (("temperature", 1), ("top_k", 0), ("top_p", 1)) if getattr(search, name) != off]
    yield (
        search.method == "beam" and bool(narrowed),
        f"search.{''.join(narrowed[:1])} changes nothing in beam search",
        "set search.method = 'sample' or 'mbr'",
    )
    yield (
        search.groups > 1 and search.method != "beam",
        f"search.groups = {search.groups} are parts of a beam, and search.method = {search.method!r} has none",
        "set search.groups = 1, or search.method = 'beam'",
    )
    yield (
        search.groups > 1 and search.beam % search.groups > 0,
        f"search.beam = {search.beam} cannot be divided among search.groups = {search.groups}",
        "make beam a multiple of groups",
    )
    yield (
        search.coverage_penalty > 0 and model.attention == "none",
        "search.coverage_penalty looks at attention, and there is none",
        "set search.coverage_penalty = 0, or choose model.attention",
    )
    yield (
        0 < search.max_output < search.min_output,
        f"search.min_output = {search.min_output} is above search.max_output = {search.max_output}",
        "make max_output larger, or 0 for no limit",
    )


def regularisation(config: Any) -> Iterator[Refusal]:
    """What is dropped in training."""
    yield (
        config.model.memory_zoneout > 0 and not config.model.cell.startswith("lstm"),
        f"model.memory_zoneout = {config.model.memory_zoneout} is for an LSTM's memory, which a "
        f"{config.model.cell} has not",
        "set model.memory_zoneout = 0 and model.zoneout, or model.cell = 'lstm'",
    )
    yield (
        config.train.bpe_dropout > 0 and config.data.tokenizer != "bpe",
        f"train.bpe_dropout leaves out merges of byte-pair encoding, but data.tokenizer = {config.data.tokenizer!r}",
        "prepare with data.tokenizer = 'bpe', or set train.bpe_dropout = 0",
    )


def word_vectors(model: Any, train: Any) -> Iterator[Refusal]:
    """Embeddings that begin with vectors from a file."""
    yield (
        model.tied_embeddings == "all" and bool(train.source_embeddings and train.target_embeddings),
        "model.tied_embeddings = 'all' shares one embedding between both languages, which cannot begin as two files",
        "give one of train.source_embeddings and train.target_embeddings, or set model.tied_embeddings = 'target'",
    )
    yield (
        train.freeze_embeddings and not (train.source_embeddings or train.target_embeddings),
        "train.freeze_embeddings = true has no vectors to keep",
        "set train.source_embeddings or train.target_embeddings to a file, or train.freeze_embeddings = false",
    )
