"""The whole model: source and target ids in, losses or log-probabilities out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from nmt_cli.batch import PAD, Batch
from nmt_cli.config import Model
from nmt_cli.nn.architectures import attentional_size
from nmt_cli.nn.decoder import Decoder
from nmt_cli.nn.distribution import Distribution
from nmt_cli.nn.dropout import drop, keep_mask, split, word_mask
from nmt_cli.nn.encoder import Encoder
from nmt_cli.nn.initializers import Initial
from nmt_cli.nn.loss import Loss, cross_entropy
from nmt_cli.nn.products import Operand, operand, product
from nmt_cli.nn.taps import tap
from nmt_cli.nn.top import pick, table_depth
from nmt_cli.nn.types import DecoderState, Memory

if TYPE_CHECKING:
    from nmt_cli.batch import Array


class Words(NamedTuple):
    """What steps of search read of the target's pieces, made once for all steps.

    An embedding's share of the gates is not among it: as one product for all pieces it is rounded otherwise than as
    one for a few rows, and translations would depend on the size of the batch.
    """

    embedding: jax.Array  # [V E] float32
    output: Operand  # [X*D H], rounded as it is multiplied: X blocks of D pieces, zeros after the last piece
    bias: jax.Array  # [X D] float32, -inf after the last piece


class Seq2Seq(nn.Module):
    """Encoder, decoder, embeddings and output layer.

    source_size, target_size: pieces in the vocabularies. dtype: what matrix products multiply.
    A random key means training: dropout. Without one, nothing is dropped.
    """

    config: Model
    source_size: int
    target_size: int
    dtype: Any = jnp.float32

    def setup(self) -> None:
        config = self.config
        size, output_size = config.embedding_size, attentional_size(config)
        table = Initial.of(config).table()
        if config.tied_embeddings != "all":
            self.source_embedding = self.param("source_embedding", table, (self.source_size, size))
        self.target_embedding = self.param("target_embedding", table, (self.target_size, size))
        if config.tied_embeddings == "none":
            self.output_table = self.param("output_table", table, (self.target_size, output_size))
        self.output_bias = self.param("output_bias", nn.initializers.zeros_init(), (self.target_size,))
        self.encoder = Encoder(config, self.dtype)
        self.decoder = Decoder(config, self.dtype)

    def encode(self, source: Array, mask: Array, rng: jax.Array | None = None) -> tuple[Memory, DecoderState]:
        """source [B S] int32, mask [B S] bool -> what the decoder reads, and its first state ([B 1 ...])."""
        mask = jnp.asarray(mask)
        embedding_rng, encoder_rng = split(rng, 2)
        table = self.target_embedding if self.config.tied_embeddings == "all" else self.source_embedding
        embedded = self.embed(table, source.T, self.config.source_word_dropout, embedding_rng)  # [S B E]
        annotations, finals = self.encoder(embedded, mask.T, encoder_rng)
        return self.decoder.start(jnp.swapaxes(annotations, 0, 1), mask, finals)

    def words(self) -> Words:
        """What steps read of the target's pieces."""
        depth = table_depth(self.target_size)
        missing = -self.target_size % depth
        output = operand(jnp.pad(self.table(), ((0, missing), (0, 0))), self.dtype, 1)
        bias = jnp.pad(self.output_bias, (0, missing), constant_values=-jnp.inf)
        return Words(self.target_embedding, output, bias.reshape(-1, depth))

    def step(
        self,
        memory: Memory,
        state: DecoderState,
        tokens: jax.Array,
        words: Words | None = None,
        shortlist: jax.Array | None = None,
    ) -> tuple[DecoderState, Distribution, jax.Array]:
        """One step of search: the last tokens [B K] int32, state arrays [B K ...].

        words: what is read of the pieces, where it has been made before. shortlist: [B U] int32, the pieces that each
        sentence may use, PAD the first of them, and PAD after the last; None: all. Tokens are places in it then, and
        log-probabilities are normalised over it (Jean et al. 2015, section 3.2).
        Returns the new state, the distribution of the next piece, and attention weights [B K S] float32 (zeros
        without).
        """
        words = words or self.words()
        embedded = words.embedding[tokens if shortlist is None else pick(shortlist, tokens)]
        state, output = self.decoder.step(memory, state, embedded)
        weights = output.weights if output.weights is not None else jnp.zeros((*tokens.shape, memory.mask.shape[1]))
        hidden = operand(output.attentional, self.dtype, 2)  # [B K H]
        logits = logits_of_all(words, hidden) if shortlist is None else logits_of(shortlist, words, hidden)
        size = self.target_size if shortlist is None else shortlist.shape[1]
        distribution = Distribution.of_logits(logits, len(tokens), size)
        tap("output", embedded=embedded, attentional=output.attentional, logits=distribution.by_sentence())
        return state, distribution, weights

    def loss(self, batch: Batch, smoothing: float = 0.0, rng: jax.Array | None = None) -> Loss:
        """Sums of the losses of a batch, teacher-forced. With a key, dropout is on."""
        config = self.config
        encoder_rng, embedding_rng, decoder_rng = split(rng, 3)
        memory, state = self.encode(batch.source, batch.source_mask, encoder_rng)
        word_dropout = config.target_word_dropout
        embedded = self.embed(self.target_embedding, batch.target_in.T, word_dropout, embedding_rng)  # [T B E]
        hidden = self.decoder(memory, state, embedded, decoder_rng)  # [T B H]
        return cross_entropy(
            hidden.reshape(-1, attentional_size(config)),
            self.table(),
            self.output_bias,
            batch.target_out.T.reshape(-1),
            batch.target_mask.T.reshape(-1),
            smoothing,
            self.dtype,
        )

    def embed(self, table: jax.Array, ids: Array, word_dropout: float, rng: jax.Array | None) -> jax.Array:
        """ids [T B] -> embedding vectors [T B E], with dropout of units and of whole words."""
        config, ids = self.config, jnp.asarray(ids)
        unit_rng, word_rng = split(rng, 2)
        words = word_mask(word_rng, word_dropout, ids, len(table), config.variational_dropout)
        embedded = drop(table[ids], None if words is None else words[..., None], word_dropout)
        shape = (1 if config.variational_dropout else ids.shape[0], ids.shape[1], config.embedding_size)
        return drop(embedded, keep_mask(unit_rng, config.dropout, shape), config.dropout)

    def table(self) -> jax.Array:
        """The output layer's weights [V H]."""
        return self.output_table if self.config.tied_embeddings == "none" else self.target_embedding


def logits_of_all(words: Words, hidden: Operand) -> jax.Array:
    """Of every piece: hidden [B K H] -> [X D N], with N = B*K."""
    columns = jax.tree.map(lambda leaf: leaf.reshape(-1, leaf.shape[2]), hidden)  # [N H]
    return product("vh,nh->vn", words.output, columns).reshape(*words.bias.shape, -1) + words.bias[:, :, None]


def logits_of(shortlist: jax.Array, words: Words, hidden: Operand) -> jax.Array:
    """Of the pieces of each sentence's shortlist [B U], -inf at PAD after the last: hidden [B K H] -> [X D N]."""
    output = jax.tree.map(lambda leaf: leaf[shortlist], words.output)  # [B U H]
    known = (shortlist != PAD) | (jnp.arange(shortlist.shape[1]) == 0)
    bias = jnp.where(known, words.bias.reshape(-1)[shortlist], -jnp.inf)
    logits = product("buh,bkh->buk", output, hidden) + bias[:, :, None]
    return jnp.moveaxis(logits, 1, 0).reshape(-1, table_depth(shortlist.shape[1]), logits.shape[0] * logits.shape[2])
