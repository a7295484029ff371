"""Small models that nobody has trained, and what is recorded of them. One of each kind, made once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nmt_cli import config
from nmt_cli.batch import Batch
from nmt_cli.data.tokenizer import Tokenizer
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.run.translation import Translation
from nmt_cli.run.translator import Translator
from nmt_cli.visualize.recording import record
from nmt_cli.visualize.trace import Choice, Token, Trace, Walk

WORDS = ("le", "la", "un", "chat", "chien", "</script><img", "maison", "rouge", "vert", "mange", "voit")
SENTENCE = "le chat </script><img rouge voit"
REFERENCE = "un chien voit la maison"
KINDS = {
    "general": {"cell": "lstm", "attention": "general", "input_feeding": True},
    "additive": {
        "cell": "gru", "attention": "additive", "coverage": True, "input_feeding": False, "encoder_layers": 2,
        "decoder_layers": 2,
    },
    "none": {
        "cell": "lstm", "attention": "none", "input_feeding": False, "bidirectional": False, "reverse_source": True,
        "bridge": "last", "encoder_layers": 2, "decoder_layers": 2,
    },
    "local-p": {
        "cell": "lstm_layer_norm", "attention": "general", "attention_span": "local-p",
        "attention_window": 2, "bridge": "dense",
    },
    "multi-head": {
        "cell": "lstm_peephole", "attention": "multi_head", "attention_heads": 2, "decoder": "gnmt",
        "encoder_layers": 3, "bidirectional_layers": 1, "decoder_layers": 2, "residual_from": 2, "input_feeding": False,
    },
    "gnmt_v2": {
        "cell": "lstm", "attention": "dot", "attention_span": "local-m", "attention_window": 1, "decoder": "gnmt_v2",
        "encoder_layers": 3, "bidirectional_layers": 1, "decoder_layers": 3, "residual_from": 3,
        "input_feeding": False, "bridge": "zero",
    },
    "bahdanau": {"cell": "gru_reset_before", "attention": "additive", "decoder": "bahdanau", "input_feeding": False},
    "conditional": {"cell": "gru", "attention": "dot", "decoder": "conditional", "input_feeding": False},
    "cho": {"cell": "gru", "attention": "none", "decoder": "cho", "bidirectional": False, "input_feeding": False},
}  # fmt: skip
# A recording takes seconds: models whose parts are drawn in others as well are for the slow suite.
MORE = ("additive", "conditional", "cho", "gnmt_v2", "multi-head")


def of_kind(kind: str, *more: object) -> Any:
    """A case of a parametrized test: slow where its recording is for the slow suite."""
    return pytest.param(kind, *more, marks=pytest.mark.slow if kind in MORE else ())


every_kind = [of_kind(kind) for kind in KINDS]
BOTH_WAYS = ("energies", "weights", "window", "coverage")  # [T S]


@dataclass(frozen=True)
class Recording:
    """A translator, and its walk through SENTENCE."""

    translator: Translator
    walk: Walk

    @cached_property
    def translation(self) -> Translation:
        """What the translator itself finds."""
        with_weights = bool(self.walk.decoder.attentions)
        return self.translator.translate([SENTENCE], n_best=3, with_weights=with_weights)[0]

    @property
    def trace(self) -> Trace:
        return Trace({"small": dataclasses.asdict(self.translator.seq2seq.config)}, [self.walk])


@cache
def make_translator(kind: str) -> Translator:
    tokenizer = Tokenizer.train("word", [" ".join(WORDS)], 100)
    sizes = dict.fromkeys(("embedding_size", "encoder_units", "decoder_units", "attention_units"), 8)
    model = config.Model(**sizes, **KINDS[kind])
    seq2seq = Seq2Seq(model, tokenizer.size, tokenizer.size)
    ids, mask = jnp.zeros((1, 1), jnp.int32), jnp.ones((1, 1), bool)
    made = jax.eval_shape(partial(seq2seq.init, method="loss"), jax.random.key(0), Batch(ids, mask, ids, ids, mask))
    rng = np.random.default_rng(3)
    parameters = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), made["params"])
    search = config.Search(beam=3, max_length=12, max_ratio=0.5, batch_size=8, precision="float32")
    return Translator(seq2seq, parameters, tokenizer, tokenizer, search)


@cache
def make_recording(kind: str) -> Recording:
    translator = make_translator(kind)
    request = translator.request()
    return Recording(translator, record(translator, SENTENCE, "small", request, reference=REFERENCE))


def long_walk(walk: Walk, length: int) -> Walk:
    """The walk of a sentence and a translation of so many tokens: those of a short one, again and again."""
    again = lambda items: [items[place % len(items)] for place in range(length)]  # noqa: E731

    def longer(value: Any, name: str) -> Any:
        if isinstance(value, np.ndarray):
            rows = np.stack(again(value))
            return np.stack(again(rows.T), axis=-1) if name in BOTH_WAYS else rows
        if isinstance(value, dict):
            return {key: longer(item, key) for key, item in value.items()}
        if isinstance(value, list):
            is_time = value and isinstance(value[0], Token | Choice)
            return again(value) if is_time else [longer(item, name) for item in value]
        return lengthen(value) if dataclasses.is_dataclass(value) else value

    def lengthen(part: Any) -> Any:
        changed = {
            f.name: longer(getattr(part, f.name), f.name) for f in dataclasses.fields(part) if f.name != "initial"
        }
        return dataclasses.replace(part, **changed)

    source, target = (
        [dataclasses.replace(token, word=place) for place, token in enumerate(again(tokens))]
        for tokens in (walk.source, walk.target)
    )
    parts = {"encoder": lengthen(walk.encoder), "decoder": lengthen(walk.decoder)}
    return dataclasses.replace(walk, source=source, target=target, **parts)
