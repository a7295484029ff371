"""JSON lines in: one object a line, with the text to translate and what its translation has to be like.

    {"text": "Un chien court.", "prefix": "A dog", "require": ["runs"], "forbid": ["cat"], "id": 7}

`text` is required; `require` and `forbid` may also be a single string. All other fields come back beside the
translation. A blank line is an empty text. Newlines in a text become spaces.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from nmt_cli.data.lines import NEWLINE, NOT_UTF8_REPLACED, is_blank
from nmt_cli.data.tally import Tally, excerpt
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.reading import Line
from nmt_cli.run.translation import REPLACED, UNREADABLE

OWN = {"text", "prefix", "require", "forbid"}
# What the output has: an input's fields of these names give way, as they must where output is translated again.
MADE = {"score", "tokens", "log_probs", "flags", "spans", "alignment", "weights", "source_tokens", "source_spans"}
MADE |= {"n_best", "error"}
GIVEN_WAY = "field left out, because the output has one of the same name"
NOT_READABLE = "not the JSON that was expected: left untranslated"

SURROGATES = re.compile("[\ud800-\udfff]")
BREAKS = str.maketrans("\n\r\0", "   ")


def parse_lines(lines: Iterable[Line], name: str, strict: bool, tally: Tally) -> Iterator[Line]:
    """Each line's object as a line to translate.

    A line that is not such an object stays untranslated and is flagged UNREADABLE, with the reason in its field
    "error"; under `strict`, and where it is the first, it is refused.
    Raises UserError (DATA) naming file and line.
    """
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        try:
            yield parse(line, where, tally)
        except ValueError as error:
            if strict or number == 1:
                hint = 'each line is one object, such as {"text": "Un chien court."}'
                raise UserError(f"{where}: {error}: {excerpt(line.text)}", hint, Exit.DATA) from error
            tally.add(NOT_READABLE, where, line.text)
            yield Line("", flags=(*line.flags, UNREADABLE), fields={"error": str(error)})


def parse(line: Line, where: str, tally: Tally) -> Line:
    """A line's object. Raises ValueError that says what is wrong with it."""
    if is_blank(line.text):
        return Line("", flags=line.flags)
    try:
        given = json.loads(line.text, parse_float=number, parse_constant=number)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except (RecursionError, ValueError) as error:
        raise ValueError("not JSON that can be read: nested too deeply, or with a number out of range") from error
    if not isinstance(given, dict):
        raise ValueError("not a JSON object")
    if "text" not in given:
        raise ValueError('it has no field "text"')
    texts = {name: strings(name, given[name]) for name in ("require", "forbid") if name in given}
    single = {name: strings(name, given[name], most=1) for name in ("text", "prefix") if name in given}
    cleaned = {name: tuple(clean(text, where, tally) for text in values) for name, values in (texts | single).items()}
    if given.keys() & MADE:
        tally.add(GIVEN_WAY, where)
    was_replaced = any(SURROGATES.search(text) for values in (texts | single).values() for text in values)
    return Line(
        text=cleaned["text"][0],
        prefix=cleaned.get("prefix", ("",))[0],
        require=cleaned.get("require", ()),
        forbid=cleaned.get("forbid", ()),
        flags=tuple(dict.fromkeys((*line.flags, *([REPLACED] if was_replaced else [])))),
        fields={name: value for name, value in given.items() if name not in OWN | MADE},
    )


def number(text: str) -> float:
    """A number that JSON can hold again. Raises ValueError."""
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is out of range")
    return value


def strings(name: str, value: Any, most: int | None = None) -> tuple[str, ...]:
    """A string, or a list of them where more than one is allowed. Raises ValueError."""
    values = [value] if isinstance(value, str) else value
    if most == 1 and not isinstance(value, str):
        raise ValueError(f'"{name}" is not a string')
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ValueError(f'"{name}" is neither a string nor a list of strings')
    return tuple(values)


def clean(text: str, where: str, tally: Tally) -> str:
    """A string as a line has it, as long as before: no breaks, no NUL, no surrogates. What was altered is tallied."""
    if "\n" in text:
        tally.add(NEWLINE, where, text)
    if SURROGATES.search(text):
        tally.add(NOT_UTF8_REPLACED, where)
    return SURROGATES.sub("\ufffd", text.translate(BREAKS))
