"""JSON lines: objects in, each as a line to translate; what is none is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data.tally import Tally
from nmt_cli.errors import Exit, UserError
from nmt_cli.run.jsonlines import GIVEN_WAY, MADE, NOT_READABLE, OWN, parse_lines
from nmt_cli.run.reading import Line
from nmt_cli.run.translation import REPLACED, UNREADABLE

FIRST = '{"text": "le chat"}'


def parsed(*texts: str, strict: bool = False, tally: Tally | None = None) -> list[Line]:
    return list(parse_lines(map(Line, texts), "in.jsonl", strict, tally or Tally()))


def test_an_object_says_what_its_translation_has_to_be_like():
    (line,) = parsed('{"text": "le chat", "prefix": "The", "require": "cat", "forbid": ["dog", "cow"]}')
    assert (line.text, line.prefix, line.require, line.forbid) == ("le chat", "The", ("cat",), ("dog", "cow"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(fields=st.dictionaries(st.text().filter(lambda name: name not in OWN | MADE), json_values))
def test_other_fields_come_along_unchanged(fields):
    (line,) = parsed(json.dumps({**fields, "text": "le chat"}))
    assert line.fields == fields


def test_fields_that_the_output_has_give_way_and_are_counted():
    tally = Tally()
    (line,) = parsed('{"text": "le chat", "score": 3, "id": 7}', tally=tally)
    assert (line.fields, tally.counts[GIVEN_WAY]) == ({"id": 7}, 1)


def test_text_is_one_line_and_as_long_as_before():
    tally = Tally()
    (line,) = parsed(json.dumps({"text": "un\r\nchat\0\ud83d noir"}), tally=tally)
    assert line.text == "un  chat \ufffd noir"
    assert line.flags == (REPLACED,)
    assert sum(tally.counts.values()) == 2


def test_a_blank_line_is_an_empty_text():
    assert [line.text for line in parsed(FIRST, "", " \u200b")] == ["le chat", "", ""]
    assert all(line.flags == () for line in parsed(FIRST, ""))


BROKEN = [
    ("le chat", "not JSON"),
    ('{"text": "le chat"', "column"),
    ('["le chat"]', "not a JSON object"),
    ('{"txt": "le chat"}', 'no field "text"'),
    ('{"text": ["le", "chat"]}', '"text" is not a string'),
    ('{"text": null}', '"text" is not a string'),
    ('{"text": "", "require": 3}', '"require" is neither'),
    ('{"text": "", "forbid": [3]}', '"forbid" is neither'),
    ('{"text": "", "x": NaN}', "out of range"),
    ('{"text": "", "x": 1e999}', "out of range"),
    ("[" * 100_000, "nested too deeply"),
    ('{"text": "", "x": ' + "9" * 5000 + "}", "out of range"),
]


@pytest.mark.parametrize(("text", "why"), BROKEN)
def test_a_line_that_is_no_such_object_is_left_untranslated_and_says_why(text, why):
    tally = Tally()
    _, broken, last = parsed(FIRST, text, FIRST, tally=tally)
    assert (broken.text, broken.flags, last.text) == ("", (UNREADABLE,), "le chat")
    assert why in broken.fields["error"]
    assert tally.examples[NOT_READABLE][0][0] == "in.jsonl:2"


@pytest.mark.parametrize(("text", "why"), BROKEN)
def test_strict_refuses_it_with_its_place(text, why):
    with pytest.raises(UserError, match=r"in\.jsonl:2") as raised:
        parsed(FIRST, text, strict=True)
    assert (raised.value.code, why in raised.value.what) == (Exit.DATA, True)


def test_a_file_that_does_not_begin_with_json_is_refused():
    with pytest.raises(UserError, match=r"in\.jsonl:1: not JSON") as raised:
        parsed("le chat dort")
    assert raised.value.code == Exit.DATA
