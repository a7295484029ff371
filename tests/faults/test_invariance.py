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


@pytest.mark.fault(58, 59)
def test_batch_size_and_order_change_nothing(figure):
    lines = [*(" ".join(words) for words in itertools.product(SUBJECTS, VERBS, ADVERBS)), ""]
    same, count = compare(Translator.load(GOLDEN / "model", "cpu"), lines)
    figure("batch invariance", f"{same} of {count} hypotheses the same")
    assert same == count == 9 * len(lines)


@pytest.mark.fault(58)
def test_a_beam_of_one_is_the_same_in_every_batch():
    translator = Translator.load(GOLDEN / "model", "cpu")
    lines = [" ".join(words) for words in itertools.product(SUBJECTS, VERBS, ADVERBS)][:31]
    alone = [translator.translate([line], beam=1)[0].text for line in lines]
    assert [found.text for found in translator.translate(lines, beam=1, batch_size=31)] == alone
