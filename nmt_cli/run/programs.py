"""What runs on the device when a batch is translated or scored: the programs that are compiled, once for each shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from nmt_cli.batch import PAD
from nmt_cli.nn.banks import deal
from nmt_cli.nn.constraints import Constraints
from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.diversity import diverse_search
from nmt_cli.nn.ensemble import Ensemble
from nmt_cli.nn.forced_scoring import score_ids
from nmt_cli.nn.hypotheses import Hypotheses, Sentences, Step
from nmt_cli.nn.penalties import Ranking
from nmt_cli.nn.phrases import Phrases
from nmt_cli.nn.sampling import Shape, sample
from nmt_cli.nn.search import best, search
from nmt_cli.nn.seq2seq import Seq2Seq
from nmt_cli.nn.top import pick


class Plan(NamedTuple):
    """What a program is made for, besides the shapes of its arrays."""

    members: tuple[Seq2Seq, ...]
    average: str  # as in `Ensemble`
    steps: int  # T
    rows: int  # B
    width: int  # K, or how many samples
    n_best: int  # N
    with_weights: bool
    encoded: int  # sentences at a time, at most
    groups: int = 1
    top_k: int = 0
    no_repeat: int = 0


class Chance(NamedTuple):
    """What random draws follow from."""

    seed: Any  # [] uint32
    sentences: Any  # [C] uint32, what distinguishes them
    shape: Shape


class Demand(NamedTuple):
    """What is asked of C sentences. What is None is not in the program."""

    source: Any  # [C S] int32, then PAD
    ranking: Ranking
    max_lengths: Any  # [C] int32
    min_lengths: Any | None = None  # [C] int32
    prefix: Any | None = None  # [C L] int32, then PAD
    required: Any | None = None  # [C P L] int32, then PAD
    forbidden: Any | None = None  # [C P L] int32, then PAD
    shortlist: Any | None = None  # [C U] int32, as in `Seq2Seq.step`: target ids are places in it
    strength: Any | None = None  # [] float32, of diverse beam search
    chance: Chance | None = None  # of sampling


def translate_ids(parameters: Sequence[Any], demand: Demand, *, plan: Plan) -> Hypotheses:
    """Encode sentences and search, as it is demanded and planned. parameters: of each member.

    With a shortlist, all target ids are places in a sentence's own but those that are returned.
    """
    return as_ids(find(parameters, demand, plan), demand.shortlist)


def find(parameters: Sequence[Any], demand: Demand, plan: Plan) -> Hypotheses:
    """The same before places are made ids."""
    step, memory, state, mask = begin(parameters, demand.source, demand.ranking, plan, demand.shortlist)
    asked = Constraints(
        demand.max_lengths,
        demand.min_lengths,
        demand.prefix,
        None if demand.required is None else Phrases.of(demand.required),
        None if demand.forbidden is None else Phrases.of(demand.forbidden),
        plan.no_repeat,
    )
    sentences = Sentences(memory, asked, mask, None if demand.chance is None else keys(demand.chance))
    given = step, sentences, state, demand.ranking
    keep: dict[str, Any] = {"steps": plan.steps, "rows": plan.rows, "with_weights": plan.with_weights}
    if demand.chance is not None:
        return sample(*given, demand.chance.shape, count=plan.width, top_k=plan.top_k, **keep)
    keep |= {"beam": plan.width, "n_best": plan.n_best}
    if demand.strength is not None:
        return diverse_search(*given, demand.strength, groups=plan.groups, **keep)
    return search(*given, choose=best if asked.required is None else deal, **keep)


def force_ids(
    parameters: Sequence[Any],
    source: Array,
    targets: Array,
    lengths: Array,
    ranking: Ranking,
    shortlist: Array | None = None,
    *,
    plan: Plan,
) -> Hypotheses:
    """Encode a batch [B S] and score its translations, as in `score_ids`."""
    step, memory, state, mask = begin(parameters, source, ranking, plan, shortlist)
    keep: dict[str, Any] = {"width": plan.width, "mask": mask, "with_weights": plan.with_weights}
    found = score_ids(step, memory, state, targets, lengths, ranking, **keep)
    return as_ids(found, shortlist)


def as_ids(found: Hypotheses, shortlist: Array | None) -> Hypotheses:
    """With ids in the place of places in a shortlist."""
    if shortlist is None:
        return found
    return found._replace(ids=pick(shortlist, found.ids.reshape(len(shortlist), -1)).reshape(found.ids.shape))


def begin(
    parameters: Sequence[Any], source: Array, ranking: Ranking, plan: Plan, shortlist: Array | None
) -> tuple[Step, Any, Any, Array | None]:
    """The step function, what it reads of the source [C S], its first state, and the mask of what is to be covered."""
    model, mask = Ensemble(plan.members, plan.average), source != PAD
    words = model.words(parameters)

    # Both are asked for the shapes of their results, too: jitted, they are traced once, which takes most of the time
    # until a program kept from an earlier process can run.
    @jax.jit
    def step(memory: Any, state: Any, tokens: Array) -> tuple[Any, Distribution, Array]:
        memories, own = memory  # of the rows
        return model.step(parameters, words, memories, state, tokens, own)

    @jax.jit
    def encode(ids: Array) -> tuple[Any, Any]:
        return model.encode(parameters, ids, ids != PAD)

    memories, state = in_parts(encode, source, plan.encoded)
    return step, (memories, shortlist), state, None if ranking.beta is None else mask


def in_parts(encode: Callable[[Array], Any], source: Array, most: int) -> Any:
    """`encode(source)` of [C S], at most so many rows at a time; zeros in the parts that are all fillers."""
    count = len(source)
    if count <= most:
        return encode(source)
    source = jnp.pad(source, ((0, -count % most), (0, 0)), constant_values=PAD)
    shapes = jax.eval_shape(encode, source[:most])
    nothing = jax.tree.map(lambda leaf: jnp.zeros((len(source), *leaf.shape[1:]), leaf.dtype), shapes)

    def add(part: Array, encoded: Any) -> Any:
        own = encode(lax.dynamic_slice_in_dim(source, part * most, most))
        put = partial(lax.dynamic_update_slice_in_dim, start_index=part * most, axis=0)
        return jax.tree.map(put, encoded, own)

    sentences = jnp.sum(jnp.any(source != PAD, axis=1))  # fillers come last
    encoded = lax.fori_loop(0, -(-sentences // most), add, nothing)
    return jax.tree.map(lambda leaf: leaf[:count], encoded)


def keys(chance: Chance) -> Array:
    """A random key for each sentence. [C]"""
    root = jax.random.key(chance.seed)
    return jax.vmap(lambda sentence: jax.random.fold_in(root, sentence))(chance.sentences)
