"""A dictionary is a word, a tab and a translation on each line."""

from __future__ import annotations

import pytest

from nmt_cli.data.dictionary import read_dictionary
from nmt_cli.errors import Exit, UserError


def test_words_have_their_first_translation(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_bytes(b"chien\tdog\r\n\nchat\t cat  tom \nchien\thound\n")
    assert read_dictionary(path) == {"chien": "dog", "chat": "cat tom"}


@pytest.mark.parametrize("line", ["chien dog", "\tdog", "chien\t "])
def test_a_line_that_is_no_pair_is_refused_with_its_place(tmp_path, line):
    path = tmp_path / "words.tsv"
    path.write_text(f"chat\tcat\n{line}\n")
    with pytest.raises(UserError, match=r"words\.tsv:2") as raised:
        read_dictionary(path)
    assert raised.value.code == Exit.DATA
