"""Power cuts: the calls of an operation, done to a disk that loses, tears or reorders what was not synced.

After each cut the demands are those after a kill, for what was acknowledged before it. The short form cuts at some
calls, the long form at every one, in every mode.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import plants_crash
import pytest
from aftermath import Course, assert_unharmed
from disk import MODES, Disk, Remains
from ledger import Ledger
from nursery import need_strace
from plants import Bug
from programs import OPERATIONS
from record import Call, acknowledged
from yard import Yard, yard

__all__ = ["yard"]  # a fixture, for pytest to find

CUTS = pytest.mark.faults("P2 P3", "F13-F16", "power cut at each call that changes the disk, in five modes")
TWICE = pytest.mark.faults("P2", "F17", "power cut while what a power cut left is recovered")
Choose = Callable[[list[tuple[int, str]]], set[tuple[int, str]]]


def remains(
    ready: Path, folder: Path, calls: list[Call], chosen: set[tuple[int, str]]
) -> Iterator[tuple[int, Remains]]:
    """Yield what chosen cuts leave, each different one once, and how much was acknowledged before."""
    disk = Disk(ready, folder)
    done = 0
    met = set()
    for place, call in enumerate(calls):
        done += acknowledged(call)
        disk.do(call)
        for mode in MODES:
            if (place, mode) in chosen:
                left = Remains(disk, mode, random.Random(f"{place} {mode}"))
                known = done, hashlib.sha256(repr(left.tree).encode()).digest()
                if known not in met:
                    met.add(known)
                    yield done, left


def places(folder: Path, calls: list[Call]) -> list[tuple[int, str]]:
    """Return where cuts tell something: after each call that changes the disk and each acknowledgement, in each mode."""
    found = [place for place, call in enumerate(calls) if call.changes(folder) or acknowledged(call)]
    return [(place, mode) for place in found for mode in MODES]


def check_cuts(yard: Yard, operation: str, bug: Bug | None, choose: Choose, held: Callable[[], None]) -> None:
    """Cut the power in an operation."""
    course = yard.course(operation)
    folder, calls = yard.record(operation, bug)
    for done, left in remains(course.ready, folder, calls, choose(places(folder, calls))):
        case = yard.new("case")
        left.write(case)
        assert_unharmed(course, case, ["done"] * done, power=False)
        shutil.rmtree(case)
        held()


def chosen(dice: random.Random, all_of_it: list[tuple[int, str]], most: int | None) -> set[tuple[int, str]]:
    """Return some of the cuts, or all."""
    return set(all_of_it if most is None else dice.sample(all_of_it, min(most, len(all_of_it))))


@pytest.mark.timeout(0)
@CUTS
@pytest.mark.parametrize("operation", OPERATIONS)
def test_power_cut_takes_nothing_that_was_acknowledged(yard: Yard, ledger: Ledger, operation: str) -> None:
    """Whatever of the unsynced comes through: what a call returned is there, and all else is as if never begun."""
    need_strace(yard.folder)
    dice = random.Random(operation)
    check_cuts(yard, operation, None, lambda all: chosen(dice, all, None if ledger.long else 6), ledger.case)
