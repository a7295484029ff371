"""The two kinds of vocabulary behind a tokenizer: SentencePiece subwords, and plain words.

Both take text whose white space has been made single spaces (see `Tokenizer.normal`), and both put the special ids
first: PAD UNK BOS EOS = 0 1 2 3.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from random import Random
from typing import Any

import sentencepiece

from nmt_cli.batch import BOS, EOS, PAD, SPECIAL_PIECES, UNK
from nmt_cli.data.merges import Merges

SPACE_MARK = "\u2581"  # how SentencePiece writes a space
UNKNOWN_TEXT = "\u2047"  # what an unknown piece looks like in a translation
BYTES = 256  # pieces that byte fallback adds
LEAST_SIZE_FOR_BYTES = 1024
MANY_TEXTS = 256
SPECIALS = len(SPECIAL_PIECES)
SPECIAL_NAMES = ("pad", "unk", "bos", "eos")  # SentencePiece's, in the order of ids
LONGEST_LINE = 4192  # bytes; SentencePiece's own limit, kept because its cost grows with the length of unbroken text


class Subwords:
    """A SentencePiece model: byte-pair encoding (Sennrich et al. 2016), unigram (Kudo 2018) or characters.

    Pieces begin with U+2581 where a word begins, so that text can be put together again.
    """

    suffix = ".model"

    def __init__(self, content: bytes) -> None:
        """content: a serialized SentencePiece model. Raises ValueError when it is not one of ours."""
        try:
            self.processor = sentencepiece.SentencePieceProcessor(model_proto=content)
        except (RuntimeError, TypeError) as error:
            raise ValueError("not a SentencePiece model") from error
        ids = [self.processor.pad_id(), self.processor.unk_id(), self.processor.bos_id(), self.processor.eos_id()]
        if ids != [PAD, UNK, BOS, EOS]:
            raise ValueError(f"its ids of padding, unknown, begin and end are {ids}, not {[PAD, UNK, BOS, EOS]}")
        self.content = content
        self.size = int(self.processor.get_piece_size())

    @classmethod
    def train(cls, kind: str, lines: Sequence[str], size: int) -> Subwords:
        """Train on text in normal form; the same lines give the same bytes whatever the machine.

        kind: "bpe", "unigram" or "char". size: pieces, special ones included; characters may be fewer.
        Raises VocabularyTooLarge when the lines do not hold that many pieces.
        """
        rare, with_bytes = rare_characters(lines, size, kind)
        without_rare = {ord(character): " " for character in rare}
        content = io.BytesIO()
        # The names hold a tab, which normal text never does: training would pass over text like "<s>".
        special_pieces = {
            f"{name}_piece": f"{text}\t" for name, text in zip(SPECIAL_NAMES, SPECIAL_PIECES, strict=True)
        }
        options: dict[str, Any] = {
            "model_type": kind,
            "vocab_size": size,
            "character_coverage": 1.0,  # rare characters are taken out here, exactly
            "byte_fallback": with_bytes,
            "normalization_rule_name": "identity",
            "unk_surface": UNKNOWN_TEXT,
            "max_sentence_length": LONGEST_LINE,
            "num_threads": 4,  # a part of the result: unigram adds up floats by thread
            "minloglevel": 3,
            **special_pieces,
            **{f"{name}_id": id for id, name in enumerate(SPECIAL_NAMES)},
        }
        texts = (line.translate(without_rare) for line in lines) if rare else iter(lines)
        try:
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=texts, model_writer=content, **options)
        except RuntimeError as error:
            raise explained(error) from error
        return cls(content.getvalue())

    def encode(self, texts: list[str]) -> list[list[int]]:
        threads = -1 if len(texts) >= MANY_TEXTS else 1  # as many as cores, where that is worth starting them
        ids: list[list[int]] = self.processor.encode(texts, num_threads=threads)
        return ids

    def recut(self, sentences: list[list[int]], rate: float, seed: int) -> list[list[int]]:
        """The same texts, each merge of byte-pair encoding left out with probability `rate`; the seed says which."""
        random = Random(seed).random  # noqa: S311 (nothing secret)
        return [self.merges.recut(ids, rate, random) for ids in sentences]

    @cached_property
    def merges(self) -> Merges:
        model = self.processor
        special = (model.is_byte, model.is_control, model.is_unknown)
        ids = [id for id in range(self.size) if not any(kind(id) for kind in special)]
        return Merges({id: (model.id_to_piece(id), model.get_score(id)) for id in ids})

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.processor.decode(list(ids)))

    def inside(self, ids: Sequence[int]) -> list[int]:
        """The same text without the space before it; nothing where there are no pieces for that."""
        bare = self.piece(ids[0]).removeprefix(SPACE_MARK) if ids else ""
        if not bare:
            return list(ids[1:])
        id = int(self.processor.piece_to_id(bare))
        return [] if id == UNK else [id, *ids[1:]]

    def places(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        found = self.processor.decode(list(ids), return_type="offset_mapping")
        text: str = found["text"]
        return [(start + (end - start > 1 and text[start] == " "), end) for start, end in found["offsets"]]

    def pieces(self, text: str) -> list[str]:
        return list(self.processor.encode_as_pieces(text))

    @cached_property
    def listed(self) -> list[str]:
        """All pieces, by id."""
        others = range(SPECIALS, self.size)
        return [*SPECIAL_PIECES, *map(str, self.processor.id_to_piece(list(others)))]

    def piece(self, id: int) -> str:
        return self.listed[id]

    def cut(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each piece in the text; the bytes of one character all have its start and end."""
        spans = []
        marked = SPACE_MARK + text.replace(" ", SPACE_MARK)  # what the pieces are cut from
        position, pending = 0, 0  # pending: bytes still to come of the character that has begun
        for id, piece in zip(self.encode([text])[0], self.pieces(text), strict=True):
            if piece.startswith("<0x") and self.processor.is_byte(id):
                if not pending:
                    pending = len(marked[position].encode())
                    position += 1
                pending -= 1
                start = position - 1
            else:
                start, position = position, position + len(piece)
                if len(piece) > 1 and piece[0] == SPACE_MARK:
                    start += 1
            spans.append((max(start - 1, 0), position - 1))  # without the mark before the text
        return spans

    def to_bytes(self) -> bytes:
        return self.content


class Words:
    """A list of words, most frequent first; text is cut at spaces."""

    suffix = ".txt"

    def __init__(self, content: bytes) -> None:
        """content: one word a line, in UTF-8. Raises ValueError when it is not that."""
        self.words = content.decode("utf-8").split("\n")
        if self.words.pop() or any(word.split() != [word] for word in self.words):
            raise ValueError("not a list of words, one a line")
        self.ids = {word: id for id, word in enumerate(self.words, start=SPECIALS)}
        if len(self.ids) != len(self.words):
            raise ValueError("a word is listed twice")
        self.size = SPECIALS + len(self.words)

    @classmethod
    def train(cls, kind: str, lines: Iterable[str], size: int) -> Words:
        """The most frequent words, at most size with the special ones; those equally frequent in the order of text."""
        counts = Counter(chain.from_iterable(line.split() for line in lines))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls("".join(f"{word}\n" for word in ranked[: size - SPECIALS]).encode())

    def encode(self, texts: list[str]) -> list[list[int]]:
        return [[self.ids.get(word, UNK) for word in text.split()] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(
            UNKNOWN_TEXT if id == UNK else self.words[id - SPECIALS] for id in ids if id == UNK or id >= SPECIALS
        )

    def inside(self, ids: Sequence[int]) -> list[int]:
        return []  # a word is never within another

    def places(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        spans, position = [], 0
        for id in ids:
            length = len(self.decode([id]))
            start = position + (length > 0 and position > 0)  # a space after the word before
            spans.append((start, start + length))
            position = start + length
        return spans

    def pieces(self, text: str) -> list[str]:
        return text.split()

    def piece(self, id: int) -> str:
        return SPECIAL_PIECES[id] if id < SPECIALS else self.words[id - SPECIALS]

    def cut(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each word in the text."""
        return [match.span() for match in re.finditer(r"\S+", text)]

    def to_bytes(self) -> bytes:
        return "".join(f"{word}\n" for word in self.words).encode()


class VocabularyTooLarge(ValueError):
    """The training text holds at most so many pieces, fewer than were asked for."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} pieces")
        self.most = most


def explained(error: RuntimeError) -> Exception:
    """The error of SentencePiece's trainer as one that its caller can act on, where that is possible."""
    found = re.search(r"too high.*<= (\d+)", str(error))
    return VocabularyTooLarge(int(found[1])) if found else error


def rare_characters(lines: Iterable[str], size: int, kind: str) -> tuple[frozenset[str], bool]:
    """The characters that get no piece of their own, and whether their bytes stand in for them.

    None, where all leave room for longer pieces: dropping rare ones costs names and numbers, and byte pieces would take
    room and never be trained, because no byte would occur. Of an alphabet that would fill more than half of the
    vocabulary (Chinese, Japanese), the most frequent characters get pieces and the others become their UTF-8 bytes.
    Vocabularies too small for 256 byte pieces hold what fits; the other characters become unknown.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        counts.update(line)
    counts.pop(" ", None)
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    room = size - SPECIALS - 1  # one for the mark of a space
    comfortable = room if kind == "char" else room // 2
    if len(ranked) <= comfortable:
        return frozenset(), False
    if size >= LEAST_SIZE_FOR_BYTES:
        return frozenset(ranked[min(comfortable, room - BYTES) :]), True
    return frozenset(ranked[room:]), False
