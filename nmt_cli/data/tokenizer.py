"""Text to pieces to ids and back: `Tokenizer`, and the files it lives in.

A folder holds `tokenizer.json` (kind, joint or not, lower case or not) and one vocabulary for both sides,
`tokenizer.joint.*`, or one for each, `tokenizer.source.*` and `tokenizer.target.*`: `.model` is SentencePiece's format,
`.txt` a list of words.
"""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt_cli.data.vocabulary import LONGEST_LINE, SPACE_MARK, Subwords, VocabularyTooLarge, Words
from nmt_cli.errors import Exit, UserError

SETTINGS = "tokenizer.json"
KINDS: dict[str, type[Subwords | Words]] = {"bpe": Subwords, "unigram": Subwords, "char": Subwords, "word": Words}
FIXED_SIZE = ("bpe", "unigram")  # the others have as many pieces as there are characters or words
UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "FULLWIDTH", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
LARGEST_SETTINGS = 1 << 16  # bytes of tokenizer.json that are read: ours has less than a hundred
LARGEST_VOCABULARY = 1 << 28  # bytes; a million pieces take some 20 MB
SAMPLE_LINES = 1_000_000  # what a vocabulary is trained on at most: a ceiling on memory


@dataclass(frozen=True)
class Sample:
    """The lines that a vocabulary was trained on."""

    seen: int  # lines in the corpus, blank ones apart
    too_long: int  # of these, left out because they have more than LONGEST_LINE bytes
    used: int  # of the others, trained on: all, or SAMPLE_LINES drawn at random, always the same


class Tokenizer:
    """Cuts text into pieces and numbers them; puts text together again.

    Nothing is normalised but white space: characters go in and come out as they are (SentencePiece's own default,
    nmt_nfkc, would turn "…" into "..." and full-width letters into narrow ones, and lower the BLEU of such text).
    White space of any kind, U+2581 (SentencePiece's sign for it) and NUL count as spaces; runs become one.
    Lower-casing is an option. Text that looks like a special piece, "<s>", is text.
    """

    def __init__(
        self, kind: str, vocabulary: Subwords | Words, lowercase: bool = False, sample: Sample | None = None
    ) -> None:
        """kind: bpe, unigram, char or word. sample: what it was trained on, if that was just now."""
        self.kind = kind
        self.vocabulary = vocabulary
        self.lowercase = lowercase
        self.sample = sample

    @classmethod
    def train(
        cls, kind: str, lines: Iterable[str], size: int, lowercase: bool = False, shrink: bool = False
    ) -> Tokenizer:
        """Make a vocabulary from text. The same lines give the same bytes, whatever the number of cores.

        kind: bpe, unigram, char or word. lines: read once; memory is bounded by SAMPLE_LINES.
        size: pieces, special ones included; for char and word the most there may be.
        shrink: take the largest size that the lines allow instead of raising.
        Raises UserError (DATA) when there is no text, (USAGE) when size does not suit it, with the size that would.
        """
        texts, sample = draw(lines, SAMPLE_LINES, lowercase)
        if not texts:
            raise UserError(
                "there is no text to make a vocabulary from",
                f"{sample.too_long} lines have more than {LONGEST_LINE} bytes, the others are blank",
                Exit.DATA,
            )
        vocabulary = train_at_most(kind, texts, size)
        if vocabulary.size < size and kind in FIXED_SIZE and not shrink:
            raise UserError(
                f"data.vocabulary_size = {size} is more than this corpus holds",
                f"use at most {vocabulary.size}: --set data.vocabulary_size={vocabulary.size}",
            )
        return cls(kind, vocabulary, lowercase, sample)

    @property
    def size(self) -> int:
        """The number of ids."""
        return self.vocabulary.size

    def normal(self, text: str) -> str:
        """The text that is cut into pieces: white space made single spaces, lower-cased if that is wanted."""
        return normalize(text, self.lowercase)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without BOS and EOS. Subwords use all cores."""
        return self.vocabulary.encode([self.normal(text) for text in texts])

    def phrase(self, text: str) -> list[list[int]]:
        """The ids of a phrase as it may stand in a longer text: where a word begins and, of subwords, also within one.

        The likelier of the two comes first: the second for scripts that are written without spaces. None for blanks.
        """
        ids = self.encode([text])[0]
        inside = self.vocabulary.inside(ids)
        forms = [form for form in (ids, inside) if form]
        return forms[::-1] if is_unspaced(self.normal(text)[:1]) else forms

    def recut(self, sentences: list[list[int]], rate: float, seed: int) -> list[list[int]]:
        """Other ids of the same texts: each merge is left out with probability `rate` (Provilkov et al. 2020).

        For bpe. The seed, at most 2**31 - 1, decides which merges those are, and nothing else does.
        """
        if not isinstance(self.vocabulary, Subwords) or self.kind != "bpe":
            raise ValueError(f"{self.kind} has no merges to leave out")
        return self.vocabulary.recut(sentences, rate, seed)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; PAD, BOS and EOS are passed over, UNK becomes U+2047.

        Byte pieces can make any character, line breaks too: `clean_output` of data/lines.py is for that.
        """
        return self.vocabulary.decode(ids)

    def places(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Start and end of each id's characters in `decode(ids)`, without the space before a word; end excluded.

        Of the byte pieces of one character the last has its place, and the others end where it begins.
        """
        return self.vocabulary.places(ids)

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text; a piece outside the vocabulary is given as it stands in the text."""
        return self.vocabulary.pieces(self.normal(text))

    def piece(self, id: int) -> str:
        """The piece of an id."""
        return self.vocabulary.piece(id)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each piece, in characters of the text as given; end excluded.

        White space before a word belongs to no piece, unless it is a piece of its own. The byte pieces of one
        character all have that character's span.
        """
        starts, ends = offsets(text, self.lowercase)
        cuts = self.vocabulary.cut(self.normal(text))
        return [(starts[start], ends[end - 1] if end > start else starts[start]) for start, end in cuts]


def is_unspaced(character: str) -> bool:
    """Whether a character's script is written without spaces between words: Chinese, Japanese, Thai and the like."""
    name = unicodedata.name(character, "") if character else ""
    return name.startswith(UNSPACED) and not name.startswith("FULLWIDTH LATIN")


def train_at_most(kind: str, texts: Sequence[str], size: int) -> Subwords | Words:
    """A vocabulary of so many pieces, or of as many as the text holds."""
    while True:
        try:
            return KINDS[kind].train(kind, texts, size)
        except VocabularyTooLarge as error:
            size = error.most  # which can change the alphabet, and so be too large again


def normalize(text: str, lowercase: bool) -> str:
    """See `Tokenizer.normal`."""
    text = " ".join(blank_out(text).split())
    return text.lower() if lowercase else text


def blank_out(text: str) -> str:
    """The text, as long as before, with spaces for the two characters that SentencePiece cannot take as they are."""
    return text.replace(SPACE_MARK, " ").replace("\0", " ")


def offsets(text: str, lowercase: bool) -> tuple[list[int], list[int]]:
    """Where each character of the normal form starts and ends in the text."""
    starts: list[int] = []
    ends: list[int] = []
    in_space = True
    for index, character in enumerate(blank_out(text)):
        if not character.isspace():
            width = len(character.lower()) if lowercase else 1
            starts.extend([index] * width)
            ends.extend([index + 1] * width)
        elif in_space:
            if ends:
                ends[-1] = index + 1
        else:
            starts.append(index)
            ends.append(index + 1)
        in_space = character.isspace()
    return starts, ends


def draw(lines: Iterable[str], most: int, lowercase: bool) -> tuple[list[str], Sample]:
    """At most so many lines in normal form, each equally likely, and the count (reservoir sampling; Vitter 1985)."""
    chance = random.Random(0)  # noqa: S311 (nothing secret)
    texts: list[str] = []
    seen = too_long = fitting = 0
    for line in lines:
        text = normalize(line, lowercase)
        if not text:
            continue
        seen += 1
        if len(text) * 4 > LONGEST_LINE and len(text.encode()) > LONGEST_LINE:
            too_long += 1
            continue
        fitting += 1
        if len(texts) < most:
            texts.append(text)
        elif (place := int(chance.random() * fitting)) < most:
            texts[place] = text
    return texts, Sample(seen, too_long, len(texts))


def save_tokenizers(folder: Path, source: Tokenizer, target: Tokenizer) -> list[Path]:
    """Write the tokenizers of both sides, one vocabulary if they are the same object; returns the files."""
    joint = source is target
    sides = {"joint": source} if joint else {"source": source, "target": target}
    settings = {"kind": source.kind, "joint": joint, "lowercase": source.lowercase}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    for side, tokenizer in sides.items():
        (folder / f"tokenizer.{side}{tokenizer.vocabulary.suffix}").write_bytes(tokenizer.vocabulary.to_bytes())
    return tokenizer_files(folder)


def load_tokenizers(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of source and target, the same object when the vocabulary is joint.

    Raises UserError (INTEGRITY) naming the file that is missing or is not what it should be.
    """
    kind, joint, lowercase = read_settings(folder)
    tokenizers = []
    for path in vocabulary_files(folder, kind, joint):
        try:
            if path.stat().st_size > LARGEST_VOCABULARY:
                raise ValueError(f"it has more than {LARGEST_VOCABULARY:,} bytes")
            tokenizers.append(Tokenizer(kind, KINDS[kind](path.read_bytes()), lowercase))
        except (OSError, ValueError) as error:
            raise damaged(path, str(error)) from error
    return tokenizers[0], tokenizers[-1]


def tokenizer_files(folder: Path) -> list[Path]:
    """The files that make up the tokenizers in a folder, to be copied as they are."""
    kind, joint, _ = read_settings(folder)
    return [folder / SETTINGS, *vocabulary_files(folder, kind, joint)]


def vocabulary_files(folder: Path, kind: str, joint: bool) -> list[Path]:
    """Source before target."""
    sides = ["joint"] if joint else ["source", "target"]
    return [folder / f"tokenizer.{side}{KINDS[kind].suffix}" for side in sides]


def read_settings(folder: Path) -> tuple[str, bool, bool]:
    """Kind, joint, lowercase."""
    path = folder / SETTINGS
    try:
        with path.open("rb") as file:
            settings = json.loads(file.read(LARGEST_SETTINGS))
        kind, joint, lowercase = settings["kind"], settings["joint"], settings["lowercase"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(path, str(error)) from error
    if type(kind) is not str or kind not in KINDS or type(joint) is not bool or type(lowercase) is not bool:
        raise damaged(path, "its settings are none of ours")
    return kind, joint, lowercase


def damaged(path: Path, problem: str) -> UserError:
    """The error for a tokenizer file that cannot be used."""
    return UserError(
        f"{path} is not a tokenizer file: {problem}", "prepare the data, or copy the model, again", Exit.INTEGRITY
    )
