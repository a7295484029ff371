"""A trace as small as a page wants it: arrays as base64, in full where there is room, else rounded, else sampled."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import numpy as np

from nmt_cli.visualize.trace import Array, Trace, Walk, plain

MOST_BYTES = 1_300_000  # of a sentence's arrays, as text
Form = tuple[str, int]  # how units are written, and every which of them
FORMS: list[Form] = [("float32", 1), ("int16", 1), ("int8", 1), *(("int8", 1 << n) for n in range(1, 12))]
SHORT = 64  # arrays whose last axis is at most this long stay as they are: those of small models
EXACT = ("energies", "weights", "window", "position", "coverage")  # of attention: always in full


def packed_json(trace: Trace) -> str:
    """The trace as JSON that can stand inside a script element: no character of it ends the element.

    Arrays are {shape, type, every, data, scale}: `data` is base64 of little-endian numbers, row after row along the
    last axis; of integer types the numbers of a row are to be multiplied with its `scale`; `every` n means that only
    every n-th unit is there.
    """
    shown = plain(trace, lambda array: array)
    shown["walks"] = [pack_walk(walk) for walk in trace.walks]
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def pack_walk(walk: Walk) -> dict[str, Any]:
    """In the first form that fits; `form` says which."""
    for form in FORMS:
        packed: dict[str, Any] = plain(walk, partial(pack, form=form))
        for shown, attention in zip(packed["decoder"]["attentions"], walk.decoder.attentions, strict=True):
            told = {name: getattr(attention, name) for name in EXACT}
            shown.update({name: pack(array, FORMS[0]) for name, array in told.items() if array is not None})
        if form == FORMS[-1] or array_bytes(packed) <= MOST_BYTES:
            break
    return {**packed, "form": {"type": form[0], "every": form[1]}}


def pack(array: Array, form: Form) -> dict[str, Any]:
    """One array; its last axis are units, unless it is short."""
    kind, every = form if array.shape[-1] > SHORT else ("float32", 1)
    sampled = np.ascontiguousarray(array[..., ::every], "<f4")
    shown: dict[str, Any] = {"shape": sampled.shape, "type": kind, "every": every}
    if kind != "float32":
        most = np.iinfo(kind).max
        scale = np.maximum(np.abs(sampled).max(axis=-1, keepdims=True), 1e-30) / most
        shown["scale"] = [float(f"{number:.6g}") for number in scale.ravel()]
        sampled = np.round(sampled / scale).astype(np.dtype(kind).newbyteorder("<"))
    return {**shown, "data": base64.b64encode(sampled.tobytes()).decode()}


def array_bytes(packed: Any) -> int:
    """Characters that the arrays take."""
    if isinstance(packed, dict):
        own = len(packed["data"]) + 9 * len(packed.get("scale", [])) if "data" in packed else 0
        return own + sum(array_bytes(value) for value in packed.values() if isinstance(value, dict | list))
    return sum(array_bytes(value) for value in packed if isinstance(value, dict | list))
