"""TensorBoard event files of a run, beside its `metrics.jsonl`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nmt_cli.errors import UserError


class Events:
    """Writes records of the log into a folder that `tensorboard --logdir RUN` finds.

    Raises UserError (USAGE) where tensorboardX is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            import tensorboardX
        except ImportError as error:
            what = f"--tensorboard needs the package {error.name}, which is not installed"
            raise UserError(what, "pip install 'nmt-cli[tensorboard]'") from error
        self.folder, self.open_writer = folder, tensorboardX.SummaryWriter
        self.writer: Any = None

    def write(self, record: Mapping[str, Any]) -> None:
        """Add the numbers of a record at its `step`; a thread of the writer's brings them to the file."""
        step = record["step"]
        if self.writer is None:  # From here on this process knows better than those before it.
            self.writer = self.open_writer(str(self.folder), purge_step=step, flush_secs=1)
        for name, value in record.items():
            if name != "step" and isinstance(value, int | float) and math.isfinite(value):
                self.writer.add_scalar(name, value, step)
        self.writer.flush()
