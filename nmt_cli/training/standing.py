"""Where a training stands: what it remembers besides its arrays, what is due, and whether it is at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nmt_cli.config import Train


@dataclass
class Standing:
    """What a training remembers besides its arrays; kept with every checkpoint."""

    data_hash: str
    minutes: float = 0.0  # spent in the loop, all sittings together
    validated: int = -1  # the step of the last validation
    metric: str = ""  # what `best` is measured in
    best: list[float] | None = None  # the rank of the best validation, the higher the better
    best_step: int = 0  # 0: none yet
    stalls: int = 0  # validations since then
    last_scores: str = ""  # for the display

    def tick(self, began: float) -> None:
        """Set the minutes; began: when the loop would have begun, had it never been interrupted."""
        self.minutes = (time.monotonic() - began) / 60


def due(step: int, every: int) -> bool:
    """Whether something done every so many steps is to be done after this one."""
    return step > 0 and step % every == 0


def finished(step: int, standing: Standing, settings: Train) -> str:
    """Why the training is at its end, or "" when it is not."""
    if step >= settings.max_steps:
        return f"train.max_steps = {settings.max_steps}"
    if settings.max_minutes and standing.minutes >= settings.max_minutes:
        return f"train.max_minutes = {settings.max_minutes:g}"
    if settings.patience and standing.stalls >= settings.patience:
        return f"no gain in {standing.stalls} validations"
    return ""
