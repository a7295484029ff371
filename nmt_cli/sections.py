"""The sections of a configuration: every option, its default, its range and its explanation, in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nmt_cli.options import option, probability

DECAY = 0.999999  # the slowest: a mean that decays by nothing stays what it began with


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
    dropout: float = probability(0.2, "dropping a unit between layers")
    state_dropout: float = probability(0.0, "dropping a hidden unit for a whole sentence (Gal & Ghahramani 2016)")
    variational_dropout: bool = option(False, "keep one dropout mask over all time steps of a sentence")
    source_word_dropout: float = probability(0.0, "dropping all of a source piece's embedding (Sennrich & Zhang 2019)")
    target_word_dropout: float = probability(0.0, "dropping all of the embedding of a piece fed to the decoder")
    zoneout: float = probability(0.0, "a hidden unit staying as it was a step before (Krueger et al. 2017)")
    memory_zoneout: float = probability(0.0, "a unit of an LSTM's memory staying as it was")
    initialization: Literal["glorot", "uniform", "normal"] = option("glorot", "how matrices begin")
    initial_range: float = option(0.1, "uniform: the largest number; normal: the deviation", least=0.0)
    forget_bias: float = option(1.0, "what the bias of an LSTM's forget gate begins with")


@dataclass(frozen=True)
class Train:
    """How parameters are found."""

    seed: int = option(1, "every random choice follows from it", least=0, most=2**31 - 1)
    optimizer: Literal[
        "adam", "adamw", "sgd", "adadelta", "adafactor", "nadam", "radam", "lion", "adagrad", "rmsprop"
    ] = option("adam", "the optimizer, by its name in optax")
    learning_rate: float = option(1e-3, "the peak of the learning rate", least=0.0)
    beta1: float = option(0.9, "decay of the first moment of the Adam family; momentum of sgd", least=0.0, most=DECAY)
    beta2: float = option(0.98, "decay of the second moment of the Adam family; rho of adadelta", least=0.0, most=DECAY)
    epsilon: float = option(1e-8, "added to the denominator of the Adam family and of adadelta", least=0.0)
    weight_decay: float = option(0.01, "decoupled weight decay of adamw and lion", least=0.0)
    schedule: Literal["constant", "inverse_sqrt", "cosine", "plateau", "luong5", "luong10", "luong234"] = option(
        "inverse_sqrt", "how the learning rate changes after warm-up"
    )
    warmup_steps: int = option(400, "steps in which the learning rate rises from zero", least=0)
    decay_steps: int = option(0, "steps until cosine reaches its floor; 0 for the whole training", least=0)
    plateau_factor: float = option(0.5, "plateau: multiplies the rate when validation stalls", least=0.0, most=1.0)
    plateau_patience: int = option(2, "plateau: validations without a gain before it does", least=0)
    batch_tokens: int = option(2000, "target tokens in a batch, padding included", least=16)
    max_shapes: int = option(12, "shapes of batches; more pad less and compile longer", least=1, most=16)
    accumulate: int = option(1, "batches whose gradients make one update", least=1)
    max_steps: int = option(10_000, "stop after this many updates", least=1)
    max_minutes: float = option(0.0, "stop after this many minutes, all sittings together; 0 for no limit", least=0.0)
    label_smoothing: float = option(0.1, "target probability spread over the vocabulary", least=0.0, most=0.9)
    scheduled_sampling: Literal["none", "linear", "exponential", "inverse_sigmoid"] = option(
        "none", "feed the decoder more and more pieces of its own in place of the reference (Bengio et al. 2015)"
    )
    sampling_steps: float = option(4000.0, "N: 1 - i/N (linear), e^(-i/N), N / (N + e^(i/N)) at step i", least=1.0)
    teacher_least: float = option(0.0, "it feeds at least this share of the reference's", least=0.0, most=1.0)
    bpe_dropout: float = probability(0.0, "leaving out a merge when text is cut, anew in each epoch (Provilkov 2020)")
    source_embeddings: str = option(
        "", "file of word vectors that source embeddings begin with: word2vec, GloVe, fastText"
    )
    target_embeddings: str = option("", "the same for target embeddings")
    freeze_embeddings: bool = option(False, "keep vectors from these files as they are; other pieces are trained")
    clip_norm: float = option(1.0, "scale gradients down to this global norm; 0 for no clipping", least=0.0)
    ema_decay: float = option(
        0.0, "decay of the moving average of parameters used to translate; 0 for none", least=0.0, most=DECAY
    )
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "numbers that matrix products multiply; sums, states and parameters stay float32"
    )
    cuda_graphs: Literal["auto", "off"] = option(
        "auto", "launch whole loops of an update at once, where a trial on the GPU finds that right and faster"
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

    method: Literal["beam", "sample", "mbr"] = option(
        "beam", "beam search, random samples, or of random samples the one most like the others (by chrF)"
    )
    beam: int = option(5, "hypotheses kept at each step; 1 is greedy", least=1, most=1000)
    length_penalty: float = option(0.6, "alpha of Wu et al. 2016, equation 14; 0 for none", least=0.0)
    normalization: Literal["gnmt", "average"] = option(
        "gnmt", "divide by the length penalty of Wu et al. 2016, or by the length, whatever length_penalty is"
    )
    coverage_penalty: float = option(0.0, "beta of Wu et al. 2016, equation 14; 0 for none", least=0.0)
    max_length: int = option(200, "longest source sentence in pieces", least=1)
    long_lines: Literal["split", "cut"] = option(
        "split", "translate longer lines in parts (sentences, else clauses, else words), or cut them"
    )
    max_ratio: float = option(2.0, "longest translation, in times the source's pieces (and 10 more)", least=0.1)
    min_output: int = option(0, "fewest pieces in a translation", least=0, most=2000)
    max_output: int = option(0, "most pieces in a translation; 0 leaves it to max_ratio", least=0)
    no_repeat: int = option(0, "no n-gram of this many pieces twice in a translation; 0 for any", least=0, most=100)
    groups: int = option(1, "groups of the beam that are kept apart (diverse beam search)", least=1, most=1000)
    diversity: float = option(0.5, "how hard groups are kept apart", least=0.0)
    samples: int = option(32, "samples that mbr compares", least=1, most=1000)
    temperature: float = option(1.0, "sampling: below 1 favours the likely, above 1 the unlikely", least=0.01)
    top_k: int = option(0, "sampling: draw among so many likeliest pieces; 0 for all", least=0)
    top_p: float = option(1.0, "sampling: draw among the likeliest with this probability", least=0.001, most=1.0)
    seed: int = option(1, "samples follow from it and from the line", least=0, most=2**31 - 1)
    shortlist: bool = option(
        False, "write only what the source's pieces are likely to become, and what is frequent: faster, not the same"
    )
    batch_size: int = option(128, "lines translated at a time, at most", least=1)
    precision: Literal["auto", "float32", "bfloat16", "int8"] = option(
        "auto", "numbers that matrix products multiply; auto: the fastest of the device"
    )
    ensemble: Literal["probabilities", "log_probabilities"] = option(
        "probabilities", "what is averaged at each step where several models translate together"
    )
