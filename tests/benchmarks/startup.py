"""How long `nmt --help` takes, from the shell's point of view: the promise is 0.3 s.

python tests/benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

PROMISE = 0.3  # seconds
REPEATS = 15


def seconds(*command: str) -> list[float]:
    """Wall-clock times of a command, shortest first, the first run (cold file cache) left out."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return sorted(times[1:])


def main() -> None:
    for name, command in {"python alone": ["-c", ""], "nmt --help": ["-m", "nmt_cli", "--help"]}.items():
        times = seconds(*command)
        print(f"{name:14} median {statistics.median(times):.3f} s, range {times[0]:.3f} to {times[-1]:.3f} s")
    print(f"promise        within {PROMISE} s: {'kept' if statistics.median(times) <= PROMISE else 'BROKEN'}")


if __name__ == "__main__":
    main()
