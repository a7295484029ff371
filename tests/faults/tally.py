"""A pytest plugin that tallies the fault table and prints the figures of the README.

`@pytest.mark.fault(36)` on a test, wherever it lies, says that it stands for row 36 of `rows.py`: that the case ends as
it has to. The fixture `figure` hands a measured number to the end of the session. Both travel with the test reports, so
that processes of pytest-xdist need not know of each other.

A row counts when all of its tests have passed. One that failed ended in a crash when its report shows a traceback of
`nmt` itself, else the result was wrong and nothing said so. A row of which nothing ran is listed as not run here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.faults.rows import ROWS

ROW, FIGURE = "fault row", "figure"
CRASHED, WRONG, SKIPPED = "crashed", "wrong in silence", "not run here"
TRACEBACK = "Traceback (most recent call last)"

Figure = Callable[[str, str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Keeps a measured figure, name and value, to be printed at the end of the session."""
    return lambda name, value: record_property(FIGURE, (name, value))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the rows of each test to its reports; refuse a mark for a row that is not in the table."""
    for item in items:
        for mark in item.iter_markers("fault"):
            if not mark.args or not set(mark.args) <= ROWS.keys():
                raise pytest.UsageError(f"{item.nodeid}: there is no row {mark.args} in tests/faults/rows.py")
            item.user_properties += [(ROW, row) for row in mark.args]


def outcome_of(report: pytest.TestReport) -> str:
    """How a test's case ended: passed, skipped, or in which of the two bad ways."""
    if report.passed or report.skipped:
        return report.outcome
    # A program that crashed has left its traceback in what it wrote; one called in this process raises.
    shown = [text for title, text in report.sections if "stderr" in title]
    raised = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    has_raised = not raised.startswith(("assert", "AssertionError", "Failed"))
    return CRASHED if has_raised or any(TRACEBACK in text for text in [*shown, report.longreprtext]) else WRONG


def outcomes_by_row(reports: list[pytest.TestReport]) -> dict[int, set[str]]:
    """The outcomes of all tests of each row; those of setup and teardown count when they are bad."""
    found: dict[int, set[str]] = {row: set() for row in ROWS}
    for report in reports:
        if report.when == "call" or not report.passed:
            for name, row in report.user_properties:
                if name == ROW:
                    found[row].add(outcome_of(report))
    return found


def verdict(row: int, outcomes: set[str]) -> str:
    """One word for a row: what was required of it when all its tests passed, else the worst of what happened."""
    for bad in (CRASHED, WRONG):
        if bad in outcomes:
            return bad
    return ROWS[row][1] if "passed" in outcomes else SKIPPED


def summary(reports: list[pytest.TestReport]) -> Iterator[str]:
    """The lines of the tally and the figures."""
    verdicts = {row: verdict(row, outcomes) for row, outcomes in outcomes_by_row(reports).items()}
    counts = Counter(verdicts.values())
    good = {required for _, required in ROWS.values()}
    survived = sum(counts[required] for required in good)
    parts = [f"{counts[name]} {name}" for name in (*sorted(good), WRONG, CRASHED, SKIPPED)]
    yield f"fault table: {survived} of {len(ROWS)} rows survived: {', '.join(parts)}"
    if survived > len(ROWS) // 2:  # else this was a session of a few files
        yield from (f"  row {n}, {ROWS[n][0]}: {word}" for n, word in verdicts.items() if word not in good)
    figures = dict(value for report in reports for name, value in report.user_properties if name == FIGURE)
    yield from (f"{name}: {value}" for name, value in figures.items())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tally at the end of a session that ran any of its tests."""
    kinds = ("passed", "failed", "error", "skipped")
    reports = [r for kind in kinds for r in terminalreporter.stats.get(kind, []) if isinstance(r, pytest.TestReport)]
    if any(name in (ROW, FIGURE) for report in reports for name, _ in report.user_properties):
        terminalreporter.section("faults")
        terminalreporter.write("".join(f"{line}\n" for line in summary(reports)))
