"""A translation does not depend on the lines beside it."""

from __future__ import annotations

import itertools

import pytest

from nmt_cli.run.translator import Translator
from tests.faults.invariance import compare
from tests.faults.nmt import GOLDEN

SUBJECTS = ("le chat", "un chien", "la fille", "ce garçon", "ma sœur", "ce chien et la sœur de la fille")
VERBS = ("dort", "ne mange pas", "court", "parle", "boit", "dort et parle et ne court pas")
ADVERBS = ("ici.", "dehors.", "lentement.", "bien", "souvent !", "")


@pytest.mark.slow
@pytest.mark.fault(58, 59)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_batch_size_order_and_padding_change_nothing(precision, figure):
    lines = [*(" ".join(words) for words in itertools.product(SUBJECTS, VERBS, ADVERBS)), ""]
    same = compare(Translator.load(GOLDEN / "model", "cpu"), lines, precision)
    figure(f"batch invariance, {precision}", str(same))
    assert same.texts == same.scores == same.of == 11 * len(lines)
