"""All patterns of sentences, and how often each is used."""

from __future__ import annotations

from collections.abc import Callable

from nmt_cli.data.demo import politics, questions, statements
from nmt_cli.data.demo.author import Author
from nmt_cli.data.demo.syntax import Pair

PATTERNS: dict[Callable[[Author], Pair], int] = {
    statements.act: 30,
    statements.act_together: 14,
    statements.be_so: 7,
    statements.be_profession: 5,
    statements.feel: 4,
    statements.compare: 4,
    statements.be_best: 1,
    statements.there_is: 6,
    statements.who_does: 4,
    statements.what_is_done: 4,
    statements.when: 3,
    statements.because: 4,
    statements.while_others: 4,
    statements.here_is: 2,
    statements.belong: 4,
    statements.phrase_alone: 7,
    statements.tell_time: 1,
    questions.yes_or_no: 7,
    questions.where_when_how: 4,
    questions.what: 4,
    questions.who: 2,
    questions.where_is: 2,
    politics.be_signed: 4,
    politics.be_about: 2,
    politics.talk_about: 3,
    politics.think_of: 1,
    politics.work_for: 1,
    politics.act_politically: 2,
    politics.disagree: 12,
    politics.institution_alone: 3,
}
BY_NAME = {pattern.__name__: pattern for pattern in PATTERNS}
WEIGHTS = {pattern.__name__: weight for pattern, weight in PATTERNS.items()}


def sentence(author: Author) -> Pair:
    """A sentence, or a noun phrase alone, of any pattern."""
    return BY_NAME[author.weighted(WEIGHTS)](author)
