"""Kills a save at its n-th system call that changes the disk, for every n. Linux on x86-64, by ptrace.

`python -m tests.faults.killed_saves KIND START FOLDER` saves a checkpoint or a model into a copy of the run START until
a save comes to its end, and leaves what each kill left in FOLDER/0001, FOLDER/0002 and so on. Orbax and safetensors
write in compiled code, the one in threads of its own, so that nothing in Python could count their calls.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import warnings
from pathlib import Path

import jax
import numpy as np

from nmt_cli.data.tokenizer import tokenizer_files
from nmt_cli.run import arrays, checkpoint  # noqa: F401 (before the forks: the one imports the other late)
from nmt_cli.run.directory import Run
from nmt_cli.run.model import load_model, save_model
from tests.faults.nmt import GOLDEN

TRACEME, SYSCALL, SETOPTIONS, SYSCALL_INFO = 0, 24, 0x4200, 0x420E
TELL_CALLS, FOLLOW_THREADS, DIE_WITH_TRACER = 0x1, 0x8, 0x100000
OF_THREADS_TOO = 0x40000000  # __WALL
CALL_STOP = signal.SIGTRAP | 0x80
NAMED = {82, 83, 84, 87, 88, 258, 263, 264, 265, 316}  # rename, mkdir, rmdir, unlink, symlink, and those of directories
OPENED = {1, 18, 20, 74, 75, 77, 285, 296}  # write, pwrite, writev, fsync, fdatasync, ftruncate, fallocate, pwritev
OPEN = 257
TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Call(ctypes.Structure):
    """`struct ptrace_syscall_info` of a thread that enters (operation 1) or leaves (2) a system call."""

    _fields_ = (
        ("operation", ctypes.c_uint8),
        ("padding", ctypes.c_uint8 * 3),
        ("architecture", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


def ptrace(request: int, thread: int, address: int | None = None, data: object = None) -> None:
    """Raises OSError."""
    if libc.ptrace(request, thread, address, data) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def changes_the_disk(thread: int, folder: Path) -> bool:
    """Whether a stopped thread is about to do so."""
    call = Call()
    ptrace(SYSCALL_INFO, thread, ctypes.sizeof(call), ctypes.addressof(call))
    if call.operation != 1:
        return False
    if call.number in OPENED:
        return Path(f"/proc/{thread}/fd/{call.arguments[0]}").readlink().is_relative_to(folder)
    return call.number in NAMED or (call.number == OPEN and bool(call.arguments[2] & TO_WRITE))


def run_until(number: int, process: int, folder: Path) -> bool:
    """Let a process that has stopped itself go on to a call, and kill it there; whether it ended before."""
    os.waitpid(process, 0)
    ptrace(SETOPTIONS, process, None, TELL_CALLS | FOLLOW_THREADS | DIE_WITH_TRACER)
    ptrace(SYSCALL, process)
    calls = 0
    while True:
        thread, status = os.waitpid(-1, OF_THREADS_TOO)
        if not os.WIFSTOPPED(status):
            if thread == process:
                if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
                    raise ChildProcessError(f"call {number}: exit code {os.waitstatus_to_exitcode(status)}")
                return os.WIFEXITED(status)
            continue
        try:
            calls += os.WSTOPSIG(status) == CALL_STOP and changes_the_disk(thread, folder)
            if calls == number:
                os.kill(process, signal.SIGKILL)
                number = 0
            is_ours = os.WSTOPSIG(status) in (CALL_STOP, signal.SIGTRAP, signal.SIGSTOP)
            ptrace(SYSCALL, thread, None, None if is_ours else os.WSTOPSIG(status))
        except ProcessLookupError:  # it has just been killed
            continue


def save_checkpoint(place: Path) -> None:
    checkpoint.save(Run(place), 3, {"kernel": np.ones((8, 8)), "step": np.asarray(3)}, {}, keep=1)


def save_golden_model(place: Path) -> None:
    """The golden model with all parameters doubled."""
    model = load_model(GOLDEN / "model")
    doubled = jax.tree.map(lambda array: 2 * array, model.parameters)
    sizes = model.source_tokenizer.size, model.target_tokenizer.size
    save_model(place / "best", doubled, model.config, sizes, tokenizer_files(GOLDEN / "model"), {})


SAVES = {"checkpoint": save_checkpoint, "model": save_golden_model}


def main(kind: str, start: Path, folder: Path) -> None:
    number, has_ended = 0, False
    while not has_ended:
        number += 1
        place = folder / f"{number:04}"
        shutil.copytree(start, place)
        process = os.fork()
        if process == 0:
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            SAVES[kind](place)
            os._exit(0)
        has_ended = run_until(number, process, place)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # that a process with threads forks: they wait
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).resolve())
