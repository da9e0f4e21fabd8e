"""The ledger counts what was tried, and a planted bug that no check catches fails the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest
from ledger import ledger, pytest_addoption, pytest_terminal_summary

MARK = pytest.mark.faults("P1", "F01", "adding up")

def check(total):
    assert total == 4

@MARK
def test_adds(ledger):
    for _ in range(3):
        check(2 + 2)
        ledger.case()

@MARK
@pytest.mark.parametrize("bug", {bugs})
def test_wrong_sums_are_caught(ledger, bug):
    with ledger.catches(f"sum {{bug}}"):
        check(bug)
"""


OLD = "| P2 | F02 | another | `test` | long | 7 | bug | 1 | 2.0 |"
"""What another run has written, of another check."""


def suite(tmp_path: Path, bugs: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "conftest.py").write_text("from ledger import ledger, pytest_addoption, pytest_terminal_summary\n")
    (tmp_path / "test_it.py").write_text(SUITE.format(bugs=bugs))
    (tmp_path / "README.md").write_text(f"before\n<!-- table: begin -->\n{OLD}\n<!-- table: end -->\nafter\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--faults-table=README.md", "test_it.py"]
    path = str(Path(__file__).parent)
    return subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, text=True)


def test_table_says_what_was_tried_and_caught(tmp_path: Path) -> None:
    """One line for each mark, with the sums of its tests; the file keeps what stands around the table."""
    ended = suite(tmp_path, "[3, 5]")

    assert ended.returncode == 0, ended.stdout
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n<!-- table: begin -->\n| promise")
    assert text.endswith("<!-- table: end -->\nafter\n")
    [line] = [line for line in text.splitlines() if "adding up" in line]
    assert OLD.split() == next(line.split() for line in text.splitlines() if "another" in line)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["P1", "F01", "adding up"]
    assert cells[4:8] == ["short", "3", "sum 3, sum 5", "2"]


def test_planted_bug_that_goes_unseen_fails_the_run(tmp_path: Path) -> None:
    """A check that passes on a library with the bug is no check."""
    ended = suite(tmp_path, "[3, 4]")

    assert ended.returncode == 1
    assert "1 failed, 2 passed" in ended.stdout
