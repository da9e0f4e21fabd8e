"""The ledger of promises: which test shows which promise, with how many cases, and which planted bugs it caught.

A test that carries ``@pytest.mark.faults(promises, faults, what)`` is one line of the table that is printed after the
tests; tests of one mark share a line. ``ledger.case()`` counts what was tried, ``with ledger.catches("bug"):`` runs
the same check on a library with a bug planted in it, and fails unless the check does.

    python -m pytest -m faults                                         the short form, minutes
    python -m pytest -m faults --faults=long --faults-table=FILE       the long form; FILE gets the table
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tabulate import tabulate

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
HEADS = ["promise", "faults", "check", "test", "form", "cases", "bugs planted", "caught", "seconds"]


@dataclass
class Ledger:
    """What one test tried."""

    long: bool
    cases: int = 0
    planted: list[str] = field(default_factory=list)
    caught: list[str] = field(default_factory=list)

    def case(self, number: int = 1) -> None:
        """Count what was tried and held."""
        self.cases += number

    @contextmanager
    def catches(self, bug: str) -> Iterator[None]:
        """Fail unless the check inside fails: it runs on a library that has this bug."""
        self.planted.append(bug)
        with pytest.raises((AssertionError, pytest.fail.Exception)) as failed:
            yield
        assert "Timeout" not in str(failed.value), f"{bug!r} was not caught: the check ran out of time"
        self.caught.append(bug)


@dataclass
class Line:
    """One line of the table."""

    tests: set[str] = field(default_factory=set)
    cases: int = 0
    planted: set[str] = field(default_factory=set)
    caught: set[str] = field(default_factory=set)
    seconds: float = 0.0
    failed: bool = False

    def add(self, report: pytest.TestReport, found: Any) -> None:
        """Add what one test tells."""
        path, _, name = report.nodeid.partition("::")
        self.tests.add(f"{Path(path).stem}::{name.partition('[')[0]}")
        self.cases += found["cases"]
        self.planted |= set(found["planted"])
        self.caught |= set(found["caught"])
        self.seconds += report.duration
        self.failed |= report.failed


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the form of the checks, and where their table goes."""
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=["short", "long"], default="short", help="how much the checks of faults try")
    group.addoption("--faults-table", metavar="FILE", help="write the table of promises into this file")


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """Count what this test tries."""
    made = Ledger(long=request.config.getoption("--faults") == "long")
    yield made
    mark = request.node.get_closest_marker("faults")
    assert mark is not None, "a test with a ledger names its promise: @pytest.mark.faults(promises, faults, what)"
    found = {"mark": list(mark.args), "cases": made.cases, "planted": made.planted, "caught": made.caught}
    request.node.user_properties.append(("faults", found))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of the promises that this run has tried, and write it down where asked."""
    reports = [one for some in terminalreporter.stats.values() for one in some if isinstance(one, pytest.TestReport)]
    lines = gathered(reports)
    if not lines:
        return
    form = config.getoption("--faults")
    terminalreporter.section("promises")
    terminalreporter.write_line(tabulate(rows(lines, form, brief=True), HEADS, disable_numparse=True))
    target = config.getoption("--faults-table")
    if target:
        write(Path(target), rows(lines, form, brief=False))


def gathered(reports: list[pytest.TestReport]) -> dict[tuple[str, ...], Line]:
    """Return the lines of the table, by the marks of their tests."""
    calls = {one.nodeid: one for one in reports if one.when == "call"}
    lines: dict[tuple[str, ...], Line] = {}
    for report in reports:
        for name, found in cast("list[tuple[str, Any]]", report.user_properties):
            if name == "faults" and report.when == "teardown" and report.nodeid in calls:
                lines.setdefault(tuple(found["mark"]), Line()).add(calls[report.nodeid], found)
    return dict(sorted(lines.items(), key=lambda one: _place(one[0])))


def rows(lines: dict[tuple[str, ...], Line], form: str, *, brief: bool) -> list[list[str]]:
    """Return the cells of the table; a brief one names modules instead of tests, and counts the planted bugs."""
    return [
        [
            *mark,
            ", ".join(sorted({test.partition("::")[0] for test in line.tests} if brief else line.tests)),
            form,
            "FAILED" if line.failed else f"{line.cases:,}",
            str(len(line.planted)) if brief else ", ".join(sorted(line.planted)),
            str(len(line.caught)),
            f"{line.seconds:.1f}",
        ]
        for mark, line in lines.items()
    ]


def write(path: Path, new: list[list[str]]) -> None:
    """Put lines into the table of a file, each in the place of the one of the same check; the others stay."""
    before, rest = path.read_text("utf-8").split(BEGIN)
    old, after = rest.split(END)
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in old.splitlines()]
    known = {tuple(row[:3]): row for row in cells if len(row) == len(HEADS) and row[0].startswith("P")}
    known |= {tuple(row[:3]): row for row in new}
    # Cells are not padded to one width, as tabulate would: most of the file was blanks, so long are the longest.
    lines = [HEADS, ["---"] * len(HEADS), *(known[mark] for mark in sorted(known, key=_place))]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", "utf-8")


def _place(mark: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """Return what sorts by the number of the first promise."""
    return int(mark[0].split()[0][1:]), mark
