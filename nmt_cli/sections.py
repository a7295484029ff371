"""A section of the configuration that has grown out of config.py, through which it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nmt_cli.options import option


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
    batch_size: int = option(128, "lines translated at a time, at most", least=1)
    precision: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "numbers that matrix products multiply; auto: bfloat16 where the device is faster with it"
    )
    ensemble: Literal["probabilities", "log_probabilities"] = option(
        "probabilities", "what is averaged at each step where several models translate together"
    )
