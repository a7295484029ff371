"""Where JAX computes, and the cache of what it has compiled."""

from __future__ import annotations

import importlib.util
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import jax
from jax.experimental.compilation_cache import compilation_cache

from nmt_cli.errors import Exit, UserError

Note = Callable[[str], object]  # says one line to the user
Made = TypeVar("Made")

CACHE_SIZE = 2 << 30  # bytes; what was used least recently goes first
MOST_BATCHES = 8  # at a time, for they share the memory
PATIENCE = 1.0  # seconds of compiling before the user is told


def select_device(name: str = "auto") -> str:
    """Compute on `auto`, `cpu`, `gpu` or `tpu` from now on, and say what that is: "cpu", "gpu (2 x NVIDIA A100)".

    To be called before anything is computed: JAX fixes its platform then.
    Raises UserError (RESOURCE) where there is no such device, rather than falling back to another.
    """
    if name == "cpu":
        configure(jax_platforms="cpu")
    try:
        devices = jax.devices()
    except RuntimeError as error:
        raise UserError(f"no device to compute on: {error}", "try --device cpu", Exit.RESOURCE) from error
    platform = devices[0].platform
    if name == "cpu" and platform != "cpu":  # the platform was fixed before; the processor is there all the same
        configure(jax_default_device=jax.devices("cpu")[0])
        return "cpu"
    if name not in ("auto", platform):
        hint = "install nmt-cli[cuda12] or nmt-cli[cuda13] for NVIDIA" if name == "gpu" else "install nmt-cli[tpu]"
        raise UserError(f"there is no {name}; JAX sees: {platform}", f"{hint}, or use --device cpu", Exit.RESOURCE)
    return platform if platform == "cpu" else f"{platform} ({len(devices)} x {devices[0].device_kind})"


def training_devices() -> list[jax.Device]:
    """The devices of this machine that the selected ones are."""
    settings: Any = jax.config
    chosen = settings.jax_default_device
    return jax.local_devices() if chosen is None else [chosen]


def fast_precision(platform: str) -> Literal["float32", "bfloat16"]:
    """bfloat16 where the device multiplies it faster than float32: accelerators, and processors made for it."""
    if platform != "cpu":
        return "bfloat16"
    return "bfloat16" if processor_has("amx_bf16") or processor_has("avx512_bf16") else "float32"


def search_precision(platform: str) -> str:
    """int8 on processors with tiles for it (2 to 3 times as fast as bfloat16, measured), else as in training."""
    return "int8" if platform == "cpu" and processor_has("amx_int8") else fast_precision(platform)


def processor_has(feature: str) -> bool:
    """Whether the processor has what Linux calls so; False where that cannot be found out."""
    try:
        return feature in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def batches_at_once(platform: str) -> int:
    """How many batches are searched for at a time.

    On a processor one for each core: the steps of a search are so small that several cores seldom find something to do
    in the same one (two batches on two cores: up to 1.4 times the speed of one after the other, measured).
    """
    if platform != "cpu":
        return 1
    return min(cores(), MOST_BATCHES)


def compiler_options(platform: str) -> dict[str, Any]:
    """For programs that take all cores: on processors that keep their pace with them, whole registers of 512 bits.

    The compiler would use halves, with which an update takes 3 % longer and a search 5 to 7 % (measured by turns, AMX).
    """
    return {"xla_cpu_prefer_vector_width": 512} if platform == "cpu" and processor_has("amx_tile") else {}


def one_core_each(platform: str) -> dict[str, Any]:
    """For programs that run side by side: where each core has a batch, none waits for another core."""
    alone = platform == "cpu" and batches_at_once(platform) == cores()
    return compiler_options(platform) | ({"xla_cpu_multi_thread_eigen": False} if alone else {})


def cores() -> int:
    """Processor cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure(**options: Any) -> None:
    """Set options of JAX by their names."""
    for name, value in options.items():
        jax.config.update(name, value)


def use_compile_cache(warn: Note) -> Path | None:
    """Keep compiled programs between processes, in a directory that only this user can write.

    Programs found there are run as they are: where another user could have put them (or the directory cannot be
    made), there is no cache, and `warn` is told why. Returns the directory, or None.
    """
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        problem = distrust(folder)
    except (OSError, RuntimeError) as error:
        problem = str(error)
    if problem:
        configure(jax_enable_compilation_cache=False)
        warn(f"compiled programs are not kept: {problem}")
        return None
    configure(
        jax_compilation_cache_dir=str(folder),
        jax_persistent_cache_min_compile_time_secs=0.3,
        jax_persistent_cache_min_entry_size_bytes=0,
    )
    if importlib.util.find_spec("filelock"):  # JAX needs it to keep the cache within a size
        configure(jax_compilation_cache_max_size=CACHE_SIZE)
    compilation_cache.reset_cache()  # or it would not be used where something has been compiled before
    return folder


def kept_programs() -> Path | None:
    """The directory that compiled programs are kept in, if they are."""
    settings: Any = jax.config
    kept = settings.jax_enable_compilation_cache and settings.jax_compilation_cache_dir
    return Path(kept) if kept else None


def cache_folder() -> Path:
    """$JAX_COMPILATION_CACHE_DIR, or nmt-cli in $XDG_CACHE_HOME, or in ~/.cache."""
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "nmt-cli" / "compiled"


def distrust(folder: Path) -> str:
    """Why programs found in a folder must not be run, or "". Raises OSError when it cannot be looked at."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is not a directory"
    if found.st_uid != os.geteuid():
        return f"{folder} belongs to another user"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write to {folder}; to make it yours alone: chmod 700 {folder}"
    return "" if os.access(folder, os.W_OK) else f"{folder} cannot be written"


def out_of_memory(error: Exception, when: str, hint: str) -> Exception:
    """What to raise for an error of the device: UserError (RESOURCE) when it ran out of memory, else as it is."""
    if "RESOURCE_EXHAUSTED" not in str(error):
        return error
    return UserError(f"out of memory {when}", hint, Exit.RESOURCE)


def compile_aloud(compile: Callable[[], Made], what: str, note: Note) -> Made:
    """`compile()`, telling the user when it takes long.

    what: names the shape, for example "batches of 64 lines of 32 pieces".
    """
    start = time.monotonic()
    timer = threading.Timer(PATIENCE, note, [f"compiling for {what} ..."])
    timer.daemon = True
    timer.start()
    try:
        compiled = compile()
    finally:
        timer.cancel()
    if (seconds := time.monotonic() - start) > PATIENCE:
        note(f"compiled for {what} in {seconds:.1f} s")
    return compiled
