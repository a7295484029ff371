"""Options of the configuration: dataclass fields with an explanation and a range, and the check of their values."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from nmt_cli.errors import UserError

LARGEST = 2**31 - 1  # of whole numbers: what an array's index holds, and more than any machine


def option(default: Any, help: str, *, least: float | None = None, most: float | None = None) -> Any:
    """A dataclass field with its explanation and its range, both ends included."""
    return dataclasses.field(default=default, metadata={"help": help, "least": least, "most": most})


def probability(default: float, of: str) -> Any:
    """An option for how likely something is in training; never so likely that nothing would be left."""
    return option(default, f"probability of {of}", least=0.0, most=0.95)


def check_value(name: str, known: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """The value as its option's type (`kind`), or UserError that says what is allowed."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise UserError(f"{name} = {value!r}", "it can be " + ", ".join(map(str, get_args(kind))))
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < LARGEST else math.inf
    if type(value) is not kind:
        raise UserError(f"{name} = {value!r}", f"it must be {_KINDS[kind]}")
    least, most = known.metadata["least"], known.metadata["most"]
    if kind is int and most is None:
        most = LARGEST
    low, high = least is not None and not value >= least, most is not None and not value <= most
    if low or high or (kind is float and not math.isfinite(value)):
        limits = [f"at least {least}" if least is not None else "", f"at most {most}" if most is not None else ""]
        raise UserError(f"{name} = {value!r}", "it must be " + (" and ".join(filter(None, limits)) or "finite"))
    return value


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(known)
