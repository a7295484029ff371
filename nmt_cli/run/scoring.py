"""Scores of translations against references, by sacrebleu, each with the signature that makes it comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt_cli.errors import Exit, UserError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

METRICS = ("bleu", "chrf", "ter")


@dataclass(frozen=True)
class Score:
    """A corpus score: higher is better for bleu and chrf, lower for ter; all are percentages.

    interval: mean and half width of the 95 % confidence interval over bootstrap resamplings, or None.
    details: what the score is made of (n-gram precisions, brevity penalty and lengths of bleu), or "".
    """

    metric: str
    value: float
    signature: str
    interval: tuple[float, float] | None = None
    details: str = ""

    def __str__(self) -> str:
        name = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}[self.metric]
        within = f" (95% interval {self.interval[0]:.2f} ± {self.interval[1]:.2f})" if self.interval else ""
        return f"{name} = {self.value:.2f}{within}{' ' if self.details else ''}{self.details}\n  {self.signature}"


def parse_metrics(text: str) -> list[str]:
    """The metrics named in `bleu,chrf`, in that order, each once. Raises UserError (usage) for other names."""
    names = list(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        what = f"unknown metric {unknown[0]!r}" if unknown else "no metric named"
        raise UserError(what, f"known: {', '.join(METRICS)}; separate several by commas")
    return names


def score(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = ("bleu",),
    *,
    lowercase: bool = False,
    bootstrap: int = 0,
    names: Sequence[str] = (),
) -> list[Score]:
    """Corpus scores of translations against one or more sets of references.

    references: one list of sentences per set, each as long as `hypotheses`.
    bootstrap: resamplings for confidence intervals; fewer than 2 for none. Their seed is in the signature.
    names: what to call hypotheses and each set of references in messages, for example their files.
    Raises UserError (data) when counts differ or there is nothing to score.
    """
    check_counts(hypotheses, references, names)
    return [score_with(metric, hypotheses, references, lowercase, bootstrap) for metric in metrics]


def corpus_score(metric: str, hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """One number in percent for validation during training: no interval, one set of references.

    Raises UserError (data) when counts differ or there is nothing to score.
    """
    return score(hypotheses, [references], [metric])[0].value


def mean_chrf(texts: Sequence[str]) -> dict[str, float]:
    """Of each different text, the mean of its sentence-level chrF2, in percent, against all texts, itself among them.

    `CHRF.sentence_score` would count the n-grams of a text anew for each of its pairs; that is most of its time.
    """
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    chrf, counts = CHRF(), Counter(texts)
    grams = {text: extract_all_char_ngrams(text, chrf.char_order) for text in counts}

    def similarity(text: str, reference: str) -> float:
        pairs = zip(grams[text], grams[reference], strict=True)
        statistics = [number for pair in pairs for number in chrf._get_match_statistics(*pair)]
        return chrf._compute_f_score(statistics)

    return {
        text: sum(count * similarity(text, reference) for reference, count in counts.items()) / len(texts)
        for text in counts
    }


def check_counts(hypotheses: Sequence[str], references: Sequence[Sequence[str]], names: Sequence[str] = ()) -> None:
    """Refuse (data) what sacrebleu would score without complaint: unequal counts, and no lines at all."""
    if not references:
        raise UserError("there are no references to score against", "give at least one --reference")
    names = names or ["hypotheses", *(f"references {n + 1}" for n in range(len(references)))]
    for name, lines in zip(names, [hypotheses, *references], strict=True):
        if not lines:
            raise UserError(f"{name}: no lines, nothing to score", "is it the right file?", Exit.DATA)
    for name, lines in zip(names[1:], references, strict=True):
        if len(lines) != len(hypotheses):
            raise UserError(
                f"{names[0]}: {count(len(hypotheses))}, but {name}: {count(len(lines))}",
                "line n of one must belong to line n of the other; was a file cut, or made from another test set?",
                Exit.DATA,
            )


def count(lines: int) -> str:
    return f"{lines:,} line" if lines == 1 else f"{lines:,} lines"


def score_with(
    metric: str, hypotheses: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool, bootstrap: int
) -> Score:
    """One corpus score; the counts have been checked."""
    measure = measure_for(metric, lowercase)
    result = measure.corpus_score(hypotheses, references, n_bootstrap=max(bootstrap, 1))
    return Score(
        metric,
        float(result.score),
        str(measure.get_signature()),
        (float(result._mean), float(result._ci)) if bootstrap > 1 else None,
        result._verbose,
    )


def measure_for(metric: str, lowercase: bool) -> Metric:
    """The sacrebleu metric of that name with sacrebleu's defaults, among them that ter ignores case anyway."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    if metric == "bleu":
        # force: no guess on stderr about tokenised text; short sentences that end in " ." are legitimate French.
        return BLEU(lowercase=lowercase, force=True)
    return CHRF(lowercase=lowercase) if metric == "chrf" else TER()
