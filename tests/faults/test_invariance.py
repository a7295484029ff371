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
def test_batch_size_and_order_change_nothing(figure):
    lines = [*(" ".join(words) for words in itertools.product(SUBJECTS, VERBS, ADVERBS)), ""]
    same, count = compare(Translator.load(GOLDEN / "model", "cpu"), lines)
    figure("batch invariance", f"{same} of {count} hypotheses the same")
    assert same == count == 9 * len(lines)
