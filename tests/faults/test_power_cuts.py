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
    """Return where cuts tell something: after each change of the disk and each acknowledgement, in each mode."""
    found = [place for place, call in enumerate(calls) if call.changes(folder) or acknowledged(call)]
    return [(place, mode) for place in found for mode in MODES]


def promises(calls: list[Call]) -> list[tuple[int, str]]:
    """Return the cuts right after an acknowledgement, which it has to survive."""
    return [(place, mode) for place, call in enumerate(calls) if acknowledged(call) for mode in MODES]


def check_cuts(yard: Yard, operation: str, bug: Bug | None, choose: Choose, held: Callable[[], None]) -> None:
    """Cut the power in an operation."""
    course = yard.course(operation)
    folder, calls = yard.record(operation, bug)
    cuts = choose(places(folder, calls)) | set(promises(calls) if bug else ())
    for done, left in remains(course.ready, folder, calls, cuts):
        case = yard.new("case")
        left.write(case)
        assert_unharmed(course, case, done, power=False)
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
    check_cuts(yard, operation, None, lambda cuts: chosen(dice, cuts, None if ledger.long else 4), ledger.case)


@CUTS
@pytest.mark.parametrize("bug", plants_crash.AT_CUTS, ids=lambda bug: bug.name)
def test_power_cut_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """A sync that is left out, or that comes too early."""
    need_strace(yard.folder)
    with ledger.catches(bug.name):
        check_cuts(yard, plants_crash.AT_CUTS[bug], bug, lambda _: set(), lambda: None)


@CUTS
def test_power_cut_after_a_repair_keeps_what_it_set_aside(yard: Yard, ledger: Ledger) -> None:
    """It may be all that is left of somebody's bytes."""
    need_strace(yard.folder)
    _, calls = yard.record("set-aside")
    check_cuts(yard, "set-aside", None, lambda _: set(promises(calls)), ledger.case)


# --- a second cut, while the first one is recovered ---


def check_second_cuts(
    yard: Yard, operation: str, bug: Bug | None, most: tuple[int | None, int | None], held: Callable[[], None]
) -> None:
    """Cut the power, let somebody open what is left, and cut it again in the middle of that.

    Args:
        yard: Where.
        operation: In which operation the first cut falls.
        bug: What is planted in who opens the project after it.
        most: How many first cuts, and second ones after each; None for all.
        held: Told of each case.
    """
    course = yard.course(operation)
    folder, calls = yard.record(operation)
    dice = random.Random(operation)
    for done, left in remains(course.ready, folder, calls, chosen(dice, in_a_commit(course, calls), most[0])):
        ready = yard.new("left")
        left.write(ready)
        place, recovery = yard.record_in("recover", ready, bug)
        cuts = promises(recovery) if bug else places(place, recovery)
        for _, rest in remains(ready, place, recovery, chosen(dice, cuts, most[1])):
            case = yard.new("case")
            rest.write(case)
            assert_unharmed(course, case, done, power=False)
            shutil.rmtree(case)
            held()


def in_a_commit(course: Course, calls: list[Call]) -> list[tuple[int, str]]:
    """Return the cuts while SQLite writes into the project file, after which there is something to take back."""
    inside = [
        place
        for place, call in enumerate(calls)
        if call.name == "pwrite64" and call.path(0).endswith(f"/{course.operation.file}")
    ]
    return [(place, mode) for place in inside for mode in ("ordered", "torn")]


@pytest.mark.timeout(0)
@TWICE
@pytest.mark.parametrize("operation", ["log", "alias", "gc", "merge"])
def test_power_cut_in_a_recovery_takes_nothing_either(yard: Yard, ledger: Ledger, operation: str) -> None:
    """What was half done is taken back at the next attempt."""
    need_strace(yard.folder)
    check_second_cuts(yard, operation, None, (None, None) if ledger.long else (2, 3), ledger.case)


@TWICE
@pytest.mark.parametrize("bug", [plants_crash.journal_taken_for_litter], ids=lambda bug: bug.name)
def test_power_cut_in_a_recovery_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """Without its journal, a half of a transaction stays."""
    need_strace(yard.folder)
    with ledger.catches(bug.name):
        check_second_cuts(yard, "gc", bug, (5, None), lambda: None)
