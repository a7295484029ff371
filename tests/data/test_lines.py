import gzip
import io
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt_cli.data import lines
from nmt_cli.data.lines import clean_output, is_blank, read_lines
from nmt_cli.data.tally import Tally
from nmt_cli.errors import Exit, UserError


def read(data: bytes, bad_lines="refuse"):
    tally = Tally()
    return list(read_lines(io.BytesIO(data), "f", bad_lines, tally)), tally


ODD = [b"a", b" ", b"\n", b"\r", b"\r\n", b"\0", b"\t", b"\v", b"\f", b"\x1c", b"\x85", b"\xc2\x85", b"\xe2\x80\xa8"]
ODD += ["é".encode(), "🙂".encode(), b"\xed\xa0\x80", b"\xff", b"\xe2\x80", b"\xef\xbb\xbf", b"<s>"]
odd_bytes = st.lists(st.sampled_from(ODD)).map(b"".join)


@given(odd_bytes)
@pytest.mark.fault(1, 2, 3, 4)
def test_lines_are_what_wc_counts_whatever_the_bytes(data):
    count = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    for bad_lines in ("skip", "replace"):
        found, _ = read(data, bad_lines)
        assert len(found) == count
        assert not any("\n" in line or "\r" in line or "\0" in line for line in found if line is not None)


@given(odd_bytes)
def test_skipped_and_replaced_lines_are_those_that_are_not_utf8(data):
    skipped, _ = read(data, "skip")
    replaced, tally = read(data, "replace")
    assert [s for s in skipped if s is not None] == [r for r, s in zip(replaced, skipped, strict=True) if s is not None]
    assert skipped.count(None) == tally.counts[lines.NOT_UTF8_REPLACED]


@given(odd_bytes, st.integers(1, 7))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data, size):
    class Drip(io.RawIOBase):
        def __init__(self):
            self.rest = data

        def read(self, _=-1):
            chunk, self.rest = self.rest[:size], self.rest[size:]
            return chunk

    assert list(read_lines(Drip(), "f", "replace")) == read(data, "replace")[0]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\t"])
@pytest.mark.fault(1)
def test_other_separators_stay_inside_their_line(character):
    found, tally = read(f"a{character}b\nc\n".encode())
    assert found == [f"a{character}b", "c"]
    assert not tally.counts


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"a\r\n", "a", lines.CARRIAGE_RETURN_AT_END),
        (b"a\rb\n", "a b", lines.CARRIAGE_RETURN),
        (b"a\0b\n", "a b", lines.NUL),
        (b"\xef\xbb\xbfa\n", "a", lines.BYTE_ORDER_MARK),
    ],
)
@pytest.mark.fault(2, 3, 5, 11)
def test_what_is_altered_is_tallied_with_its_place(data, line, reason):
    found, tally = read(data)
    assert found == [line]
    assert tally.counts == {reason: 1}
    assert tally.examples[reason][0][0] == "f:1"


def test_field_of_a_table_is_held_to_the_same_contract():
    tally = Tally()
    assert lines.decode_field("a\r\nb\nc\0", "f:1", "refuse", tally) == "a b c "
    assert tally.counts == {lines.NEWLINE: 1, lines.NUL: 1}
    assert lines.decode_field("\ud800", "f:2", "skip", tally) is None


@pytest.mark.fault(4)
def test_last_line_without_newline_is_kept():
    assert read(b"a\nb")[0] == ["a", "b"]


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"caf\xc3"], ids=["byte", "surrogate", "cut character"])
@pytest.mark.fault(7, 9, 10)
def test_bad_utf8_is_refused_with_file_line_and_byte(bad):
    with pytest.raises(UserError, match=rf"f:2: not UTF-8 at byte {bad.startswith(b'caf') * 3 + 1} ") as error:
        read(b"fine\n" + bad)
    assert error.value.code == Exit.DATA


@pytest.mark.fault(7, 9, 10)
def test_bad_utf8_can_be_skipped_or_replaced():
    assert read(b"a\n\xff\n", "skip")[0] == ["a", None]
    found, tally = read(b"a\n\xff\n", "replace")
    assert found == ["a", "\ufffd"]
    assert tally.counts[lines.NOT_UTF8_REPLACED] == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.fault(6)
def test_other_encodings_are_refused_by_name(encoding):
    with pytest.raises(UserError, match="looks like " + encoding.upper()[:6]) as error:
        read(("Un chat noir dort sur le canapé.\n" * 3).encode(encoding))
    assert error.value.code == Exit.DATA


def test_gzip_is_known_by_its_first_bytes_and_may_have_many_members():
    data = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + b"\0\0\0"
    assert read(data)[0] == ["a", "bc"]


@pytest.mark.parametrize("cut", [3, 12, -1])
@pytest.mark.fault(31)
def test_truncated_gzip_is_refused(cut):
    with pytest.raises(UserError, match="truncated gzip") as error:
        read(gzip.compress(b"one\ntwo\n" * 100)[:cut])
    assert error.value.code == Exit.DATA


@pytest.mark.fault(31)
def test_damaged_gzip_is_refused():
    packed = bytearray(gzip.compress(b"one\ntwo\n" * 100))
    packed[-6] ^= 1  # the checksum
    with pytest.raises(UserError, match="damaged gzip") as error:
        read(bytes(packed))
    assert error.value.code == Exit.DATA


@pytest.mark.parametrize("filling", [b"\n", b"\0"])
@pytest.mark.fault(31)
def test_gzip_bomb_is_refused(monkeypatch, filling):
    monkeypatch.setattr(lines, "BOMB_SIZE", 1 << 18)
    with pytest.raises(UserError, match="gzip bomb") as error:
        read(gzip.compress(filling * (1 << 20)))
    assert error.value.code == Exit.RESOURCE


def test_line_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 1 << 17)
    with pytest.raises(UserError, match="without a newline") as error:
        read(b"x" * (1 << 18))
    assert error.value.code == Exit.RESOURCE


@pytest.mark.fault(33)
def test_each_line_is_given_before_the_next_arrives():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream:
        found = read_lines(stream, "stdin")
        for line in ("un", "deux"):
            late = threading.Timer(2.0, os.write, (writer, b"late\n"))
            os.write(writer, f"{line}\n".encode())
            late.start()
            start = time.monotonic()
            assert next(found) == line
            assert time.monotonic() - start < 1.5
            late.cancel()
        os.close(writer)
        assert list(found) == []


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        lines.open_bytes(str(tmp_path / "nowhere"))


@given(st.text())
@pytest.mark.fault(26)
def test_output_is_one_line_for_every_reader(text):
    cleaned = clean_output(text)
    assert len(cleaned.splitlines()) <= 1
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)


@pytest.mark.parametrize("text", ["", " \t", "\u200b\u200d", "\ufeff", "\u2060\u202e", "\ufe0f", "\x07", "\u3000"])
@pytest.mark.fault(14)
def test_invisible_text_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", " .", "\u200b!", "🙂", "\u0627", "\u0301"])
def test_visible_text_is_not_blank(text):
    assert not is_blank(text)
