"""Shapes and dtypes of named arrays, and how two sets of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nmt_cli.errors import Exit, UserError

SHOWN = 10  # differences listed before the rest is only counted


class Shape(NamedTuple):
    """Shape and dtype name of one array. An empty dtype stands for any."""

    shape: tuple[int, ...]
    dtype: str = ""

    def __str__(self) -> str:
        return f"{self.dtype or 'array'}[{', '.join(map(str, self.shape))}]"


def differences(found: Mapping[str, Shape], expected: Mapping[str, Shape]) -> list[str]:
    """One line for each path that is missing, not expected, or of another shape or dtype, sorted by path."""
    lines = []
    for path in sorted(found.keys() | expected.keys()):
        have, want = found.get(path), expected.get(path)
        if have is None:
            lines.append(f"{path}: missing, should be {want}")
        elif want is None:
            lines.append(f"{path}: {have} is not part of the model")
        elif have.shape != want.shape or (have.dtype and want.dtype and have.dtype != want.dtype):
            lines.append(f"{path}: {have}, should be {want}")
    return lines


def check(where: str, found: Mapping[str, Shape], expected: Mapping[str, Shape], hint: str) -> None:
    """Raise UserError (INTEGRITY) that lists how `found` differs from `expected`, if it does.

    where: the file or folder the arrays come from, for the message.
    """
    lines = differences(found, expected)
    if lines:
        more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        listing = "\n    ".join([*lines[:SHOWN], *more])
        number = "1 array differs" if len(lines) == 1 else f"{len(lines)} arrays differ"
        what = f"{where}: made for another model; {number}:\n    {listing}"
        raise UserError(what, hint, Exit.INTEGRITY)
