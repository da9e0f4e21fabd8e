"""Memory does not grow with files, nor stack with lineage."""

from __future__ import annotations

from pathlib import Path

import jobs_size
import plants_size
import pytest
from jobs import done
from ledger import Ledger
from plants import Bug

MEMORY = pytest.mark.faults("P23", "F45 F61", "a file of gigabytes is logged, packed, merged and downloaded")
DEPTH = pytest.mark.faults("P23", "F108", "a lineage of 100,000 runs, one after the other")
MOST = 200 << 20
SHORT, LONG = 300 << 20, 5 << 30


def check_memory(folder: Path, size: int, bug: Bug | None = None) -> int:
    """Fail unless a file of this size takes less than 200 MB of memory, whatever is done with it."""
    peaks = done(jobs_size.one_file, folder, size, bug=bug)
    highest = max(peaks.values())
    print(", ".join(f"{name} {value >> 20}" for name, value in peaks.items()), "MiB at the peak")  # noqa: T201 (figures for people)
    assert highest < MOST, peaks
    return len(peaks) - 1


@MEMORY
@pytest.mark.timeout(3_000)
def test_large_file_takes_little_memory(tmp_path: Path, ledger: Ledger) -> None:
    """It is read in pieces, everywhere."""
    ledger.case(check_memory(tmp_path, LONG if ledger.long else SHORT))


@MEMORY
@pytest.mark.parametrize(
    "bug", [plants_size.a_file_is_read_whole, plants_size.a_blob_is_packed_from_memory], ids=lambda bug: bug.name
)
def test_bug_that_takes_memory_is_caught(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A file held whole shows."""
    with ledger.catches(bug.name):
        check_memory(tmp_path, SHORT, bug)


@DEPTH
@pytest.mark.timeout(3_000)
def test_deep_lineage_is_asked_without_recursion(tmp_path: Path, ledger: Ledger) -> None:
    """With hardly any stack, every question is answered."""
    ledger.case(done(jobs_size.ask_deep, tmp_path, 100_000 if ledger.long else 3_000, True))


@DEPTH
def test_bug_that_recurses_is_caught(tmp_path: Path, ledger: Ledger) -> None:
    """A walk that calls itself for the next level."""
    bug = plants_size.the_walk_goes_down_by_calling_itself

    with ledger.catches(bug.name):
        done(jobs_size.ask_deep, tmp_path, 500, False, bug=bug)
