"""The line contract: bytes in, lines out, and line n is what `wc -l` and `sed -n` call line n.

A line ends at byte 0x0A and nowhere else: U+2028, U+0085, form feeds and the like stay inside their line. One carriage
return at its end is taken off; others become a space, and so does NUL, which SentencePiece would drop the line for.
A byte order mark at the start of a file is taken off. What was altered is tallied.
"""

from __future__ import annotations

import sys
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, overload

from nmt_cli.data.tally import Tally
from nmt_cli.errors import Exit, UserError

BadLines = Literal["refuse", "skip", "replace"]

CHUNK = 1 << 16  # bytes read at a time
ENOUGH_TO_JUDGE = 64  # bytes; below, NULs are taken for NULs and not for signs of UTF-16
LONGEST_LINE = 1 << 26  # bytes; nothing longer is a sentence, and it must fit in memory several times
# Text shrinks to a third or a tenth; a gzip that grows two hundredfold beyond this many bytes is a bomb.
BOMB_SIZE, BOMB_RATIO = 1 << 26, 200

# What the tally calls the things that were altered.
BYTE_ORDER_MARK = "byte order mark removed"
CARRIAGE_RETURN_AT_END = "carriage return at the end of a line removed"
CARRIAGE_RETURN = "carriage return inside a line made a space"
NUL = "NUL made a space"
NEWLINE = "newline inside a field made a space"
NOT_UTF8_REPLACED = "bytes that are not UTF-8 replaced by U+FFFD"

_LINE_BREAKS = dict.fromkeys(map(ord, "\n\r\0\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
# Invisible, though Unicode counts them as letters, marks or symbols: fillers, variation selectors, blank Braille.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xFE00, 0xFE10)}


def open_bytes(path: str) -> BinaryIO:
    """A file, or stdin for `-`, to be read as bytes. Raises UserError when it cannot be opened.

    Without a buffer: its lock would still be held by a thread that waits for a line when the program ends.
    """
    if path == "-":
        raw: BinaryIO = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
        return raw
    try:
        return Path(path).open("rb", buffering=0)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", "check the name") from error


def display(path: str) -> str:
    """What messages and reports call a file: one line of proper Unicode, whatever bytes its name has."""
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "stdin" if path == "-" else shown.replace("\n", " ")


@overload
def read_lines(
    stream: BinaryIO, name: str, bad_lines: Literal["refuse", "replace"] = "refuse", tally: Tally | None = None
) -> Iterator[str]: ...
@overload
def read_lines(
    stream: BinaryIO, name: str, bad_lines: BadLines, tally: Tally | None = None
) -> Iterator[str | None]: ...
def read_lines(
    stream: BinaryIO, name: str, bad_lines: BadLines = "refuse", tally: Tally | None = None
) -> Iterator[str | None]:
    """The lines of a stream, plain or gzip, each as soon as its newline has arrived.

    name: what messages call the stream.
    bad_lines: what happens to a line that is not UTF-8; under `skip` None stands for it, for the caller to count.
    tally: counts what was altered.
    Raises UserError: DATA for bad lines under `refuse`, UTF-16, UTF-32 and damaged gzip; RESOURCE for a gzip bomb and
    for a line longer than `LONGEST_LINE`.
    """
    tally = Tally() if tally is None else tally
    chunks = check_encoding(decompress(read_chunks(stream, name), name), name)
    for number, raw in enumerate(split_lines(chunks, name), start=1):
        where = f"{name}:{number}"
        marked = number == 1 and raw.startswith(b"\xef\xbb\xbf")
        if marked:
            tally.add(BYTE_ORDER_MARK, where)
        yield decode_line(raw[3:] if marked else raw, where, bad_lines, tally)


def read_chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Bytes as they arrive; the first chunk has at least four, or a newline, so that its first bytes can be judged."""

    def read(size: int) -> bytes:
        try:
            # read() on a buffered pipe waits until the buffer is full; read1() returns what is there.
            chunk: bytes = getattr(stream, "read1", stream.read)(size)
        except OSError as error:
            raise UserError(f"{name}: cannot be read: {error.strerror}", "check the disk", Exit.RESOURCE) from error
        return chunk

    head = b""
    while len(head) < 4 and b"\n" not in head and (chunk := read(CHUNK)):
        head += chunk
    while head:
        yield head
        head = read(CHUNK)


def decompress(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Chunks as they are, or unpacked when they begin like a gzip file (of one or many members)."""
    first = next(chunks, b"")
    if not first.startswith(b"\x1f\x8b"):
        yield first
        yield from chunks
        return
    member, taken, given = zlib.decompressobj(wbits=31), 0, 0
    for packed in prepend(first, chunks):
        taken += len(packed)
        rest = packed
        while rest:
            try:
                yield (chunk := member.decompress(rest, CHUNK))
            except zlib.error as error:
                raise UserError(f"{name}: damaged gzip: {error}", "get the file again", Exit.DATA) from error
            given += len(chunk)
            if given > max(BOMB_SIZE, BOMB_RATIO * taken):
                raise UserError(
                    f"{name}: a gzip bomb: {taken} bytes unpack to more than {given}",
                    "if it is text after all, unpack it and give the unpacked file",
                    Exit.RESOURCE,
                )
            rest = member.unconsumed_tail
            if member.eof and (rest := member.unused_data.lstrip(b"\0")):  # gzip allows zeros after a member
                member = zlib.decompressobj(wbits=31)
    if not member.eof:
        raise UserError(f"{name}: truncated gzip: it ends in the middle", "get the file again", Exit.DATA)


def check_encoding(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The same chunks; raises UserError when they begin like UTF-16 or UTF-32."""
    first = next(chunks, b"")
    encoding = ""
    if first.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        encoding = "UTF-32"
    elif first.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif len(first) >= ENOUGH_TO_JUDGE:
        even, odd = first[::2].count(0) / len(first[::2]), first[1::2].count(0) / len(first[1::2])
        # European text in UTF-16 has NUL in every other byte, in UTF-32 in three of four.
        if max(even, odd) > 0.4 and (min(even, odd) < 0.1 or 0.4 < min(even, odd) < 1):
            encoding = "UTF-16" if min(even, odd) < 0.1 else "UTF-32"
    if encoding:
        hint = f"convert it: iconv -f {encoding} -t UTF-8 OLD > NEW"
        raise UserError(f"{name}: looks like {encoding}; text must be UTF-8", hint, Exit.DATA)
    yield from prepend(first, chunks)


def prepend(first: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from chunks


def split_lines(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Lines without their newline; the last one counts even if no newline ends it."""
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        if complete:
            yield b"".join([*pending, complete[0]])
            yield from complete[1:]
            pending, size = [], 0
        pending.append(rest)
        size += len(rest)
        if size > LONGEST_LINE:
            raise UserError(
                f"{name}: more than {LONGEST_LINE >> 20} MiB without a newline",
                "is it text, a sentence a line?",
                Exit.RESOURCE,
            )
    if size:
        yield b"".join(pending)


def decode_line(raw: bytes, where: str, bad_lines: BadLines, tally: Tally) -> str | None:
    """One line as text under the line contract; None when it is bad and to be skipped."""
    if raw.endswith(b"\r"):
        raw = raw[:-1]
        tally.add(CARRIAGE_RETURN_AT_END, where)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if bad_lines == "refuse":
            raise UserError(
                f"{where}: not UTF-8 at byte {error.start + 1} of the line: {raw[error.start : error.end]!r}",
                "convert the file to UTF-8, or drop or repair such lines (prepare: --bad-lines skip, or replace)",
                Exit.DATA,
            ) from error
        if bad_lines == "skip":
            return None
        text = raw.decode("utf-8", "replace")
        tally.add(NOT_UTF8_REPLACED, where, text)
    if "\r" in text or "\0" in text:
        text = clean_breaks(text, where, tally)
    return text


def decode_field(text: str, where: str, bad_lines: BadLines, tally: Tally) -> str | None:
    """The text of a table's field under the same contract; surrogates are bad, a newline inside becomes a space."""
    if "\n" in text:
        tally.add(NEWLINE, where, text)
        text = text.replace("\r\n", " ").replace("\n", " ")
    return decode_line(text.encode("utf-8", "surrogatepass"), where, bad_lines, tally)


def clean_breaks(text: str, where: str, tally: Tally) -> str:
    """Carriage returns and NULs as spaces, tallied."""
    if "\r" in text:
        tally.add(CARRIAGE_RETURN, where, text)
    if "\0" in text:
        tally.add(NUL, where, text)
    return text.replace("\r", " ").replace("\0", " ")


def clean_output(text: str) -> str:
    """A model's text as one line: everything that some reader takes for the end of a line, NUL and tabs become spaces.

    Each character becomes one, so that places in the text stay what they are.
    """
    return text.translate(_LINE_BREAKS)


def is_blank(text: str) -> bool:
    """True when there is nothing to see: white space, control, zero-width and other invisible characters only."""
    return all(c.isspace() or c in _INVISIBLE or unicodedata.category(c) in ("Cc", "Cf") for c in text)
