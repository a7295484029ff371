"""How much memory a compiled program takes, and how much of it the device has left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

MEMORY = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")  # of this process where it is in a container


def needed(program: Any) -> int:
    """Bytes on each device that a compiled program takes beside its arguments while it runs."""
    sizes = program.memory_analysis()
    if sizes is None:  # the backend does not say
        return 0
    results = sizes.output_size_in_bytes - sizes.alias_size_in_bytes  # what does not lie where an argument was
    return int(sizes.temp_size_in_bytes + results + sizes.generated_code_size_in_bytes)


def free(device: jax.Device) -> int | None:
    """Bytes that a device has left for programs, or None where that cannot be known."""
    if device.platform != "cpu":
        statistics = device.memory_stats() or {}
        limit = statistics.get("bytes_limit")
        return None if limit is None else int(limit - statistics.get("bytes_in_use", 0))
    rooms = [room for room in (room_of_machine(), room_of_group()) if room is not None]
    return min(rooms, default=None)


def room_of_machine() -> int | None:
    """Bytes that Linux can give to programs without swapping; None on other systems."""
    try:
        lines = MEMORY.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return 1024 * kilobytes[0] if kilobytes else None


def room_of_group() -> int | None:
    """Bytes left below the limit of this container, caches counted as free; None without a limit."""
    try:
        limit, used = ((CGROUP / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current"))
        statistics = dict(line.split() for line in (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return None
    return int(limit) - int(used) + int(statistics.get("inactive_file", 0)) if limit.strip().isdigit() else None


def describe(size: float) -> str:
    """A number of bytes for people: "1.2 GiB", "80 MiB"."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
