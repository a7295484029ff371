"""What `nmt train` says of the updates it has made."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt_cli.training.step import StepReport


def summary(step: int, reports: Sequence[StepReport], seconds: float, epochs_per_step: float) -> dict[str, Any]:
    """What the updates up to `step` came to: means over their tokens, where there were numbers to take means of."""
    good = [report for report in reports if is_finite(report)]
    tokens = sum(float(report.loss.tokens) for report in good)
    log_loss, smoothed = (
        sum(float(getattr(report.loss, name)) for report in good) / tokens if tokens else math.nan
        for name in ("log_loss", "smoothed")
    )
    return {
        "step": step,
        "epoch": step * epochs_per_step,
        "loss": log_loss,
        "smoothed_loss": smoothed,
        "learning_rate": float(reports[-1].learning_rate),
        "gradient_norm": float(reports[-1].gradient_norm),
        "target_tokens_per_second": tokens / max(seconds, 1e-9),
    }


def is_finite(report: StepReport) -> bool:
    """Whether the update was made; one whose loss or gradient is not a number is left out."""
    return math.isfinite(report.gradient_norm) and math.isfinite(report.loss.smoothed)


def describe(record: Mapping[str, Any]) -> str:
    """A summary for people."""
    perplexity = math.exp(min(record["loss"], 700.0))
    speed = f"{record['target_tokens_per_second']:,.0f} tokens/s"
    skipped = f"  {record['skipped']} updates left out" if record.get("skipped") else ""
    return f"epoch {record['epoch']:.1f}  loss {record['loss']:.3f}  perplexity {perplexity:.1f}  {speed}{skipped}"


def describe_left_out(step: int, reports: Sequence[StepReport]) -> str:
    """Which of the updates up to `step` were left out, or ""."""
    first = step - len(reports) + 1
    steps = [str(number) for number, report in enumerate(reports, first) if not is_finite(report)]
    if not steps:
        return ""
    named = ", ".join(steps[:3]) + (f" and {len(steps) - 3} more" if len(steps) > 3 else "")
    return f"left out, because the loss or its gradient was not a number: update {named}"


def account(compiling: Sequence[float], waited: float, seconds: float) -> str:
    """Where time went: what each program took to compile, the wait for data, and all that training took, in seconds."""
    shapes = "1 shape" if len(compiling) == 1 else f"{len(compiling)} shapes"
    return f"compiled {shapes} in {sum(compiling):.1f} s; {waited / seconds:.1%} of the time was spent waiting for data"


def farewell(run: Path, step: int, ending: str, best_step: int) -> str:
    """The last line: why it is over, and what to do with the run."""
    best = f"; best at step {best_step:,}" if best_step else ""
    return f"finished at step {step:,} ({ending}{best}). Next: nmt translate {shlex.quote(str(run))}"
