"""Calls of the kernel that fail, one after the other, once and for good: no room, a broken disk, no rights, no locks.

A call of the library then raises one LineageError, and nothing else; what was acknowledged is there, no temporary
file stays, and the same call works once the fault is gone. The short form lets some calls fail, the long one each.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import plants_crash
import pytest
from aftermath import Course, assert_shown, assert_unharmed, assert_works, leftovers
from ledger import Ledger
from nursery import Told, need_strace
from plants import Bug, planted
from programs import OPERATIONS
from record import Call
from yard import Yard, sample, yard

__all__ = ["yard"]  # a fixture, for pytest to find

FAILING = pytest.mark.faults("P7 P8 P3", "F24-F30", "calls of the kernel fail, once or for good, or are cut short")
STORM = pytest.mark.faults("P7", "F32", "a storm of signals that interrupt calls")
KINDS = ("write", "ftruncate", "fsync", "rename", "openat", "link", "unlink", "mkdir", "rmdir", "chmod", "flock")
WAVES: dict[str, dict[str, str]] = {
    "broken": dict.fromkeys(KINDS, "error=EIO")
    | {"openat": "error=EACCES", "link": "error=EPERM", "mkdir": "error=EACCES", "flock": "error=ENOLCK"},
    "full": dict.fromkeys(KINDS, "error=ENOSPC")
    | {"openat": "error=EMFILE", "unlink": "error=EIO", "flock": "error=EIO", "chmod": "error=EPERM"},
    "quota": dict.fromkeys(KINDS, "error=EDQUOT")
    | {"unlink": "error=EACCES", "rmdir": "error=EACCES", "flock": "error=ENOLCK", "chmod": "error=EROFS"},
    "interrupted": dict.fromkeys(KINDS, "error=EINTR"),
    "short": {"write": "retval=0"},
}
"""What calls come to: each kind of call takes one error in a wave; a short write takes none of the bytes."""
ALIKE = {
    "pwrite64": "write", "fdatasync": "fsync", "renameat": "rename", "renameat2": "rename", "linkat": "link",
    "unlinkat": "unlink", "mkdirat": "mkdir", "fchmod": "chmod", "fchmodat": "chmod", "fcntl": "flock",
}  # fmt: skip
TARGET = 3_000
"""Which call of a name strace meets: more than an operation makes when it is done twice."""
SYNCS = ("fsync", "fdatasync")
TAKE_AWAY = ("unlink", "unlinkat", "rmdir")
NEEDED_TO_LOOK = ("openat", "fcntl")
"""Without them no folder can be looked through, and nothing in it be removed: opening it, copying its descriptor."""


@dataclass(frozen=True)
class Fault:
    """How calls fail.

    Attributes:
        wave: With which errors.
        good: For good, or once.
    """

    wave: str
    good: bool

    def meets(self, call: Call) -> bool:
        """Whether it has something for this call."""
        return ALIKE.get(call.name, call.name) in WAVES[self.wave]

    def strace(self) -> list[str]:
        """Return the words by which strace makes calls fail."""
        wave = WAVES[self.wave]
        alike = {name: wave[kind] for name, kind in ALIKE.items() if kind in wave}
        when = f"{TARGET}+" if self.good else f"{TARGET}"
        inject = [f"inject=?{name}:{what}:when={when}" for name, what in (wave | alike).items()]
        trace = ",".join(f"?{name}" for name in wave | alike)
        words = [word for one in (f"trace={trace}", *inject) for word in ("-e", one)]
        return ["strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", "signal=none", *words]


FAULTS = [
    *(Fault(wave, good) for wave in ("broken", "full", "quota") for good in (False, True)),
    Fault("interrupted", good=False),
    Fault("short", good=False),
]
SHORT_FORM = [Fault("broken", good=False), Fault("full", good=True), Fault("short", good=False)]


def can_fail(call: Call, folder: Path) -> bool:
    """Whether it tells something when a call fails: one that changes the folder, opens anything, or locks."""
    if call.name == "fcntl":
        return call.arguments[1].startswith("F_SETLK")
    return call.result >= 0 and call.name != "lseek" and (call.name in ("openat", "flock") or call.changes(folder))


@dataclass(frozen=True)
class Failures:
    """Calls of an operation that fail.

    Attributes:
        yard: Where.
        operation: Of which operation.
        fault: How they fail.
        bug: What is planted in who makes them.
    """

    yard: Yard
    operation: str
    fault: Fault
    bug: Bug | None = None

    def check(self, choose: Callable[[list[Call]], list[Call]], held: Callable[[], None]) -> None:
        """Let some of the calls fail, each in a case of its own."""
        course = self.yard.course(self.operation)
        folder, calls = self.yard.record(self.operation, self.bug)
        for call in choose([call for call in calls if self.fault.meets(call) and can_fail(call, folder)]):
            case = course.copy(self.yard.new("case"))
            self.check_one(course, case, call)
            shutil.rmtree(case)
            held()

    def is_needless(self, call: Call) -> bool:
        """Whether nothing depends on a sync.

        SQLite syncs the folder in which its journal's name lasts already; ``gc`` makes room where a transaction
        failed and was undone, and does all of it again in another.
        """
        return self.operation == "gc" or (call.name == "fdatasync" and Path(call.path(0)).is_dir())

    def check_one(self, course: Course, case: Path, call: Call) -> None:
        """Let one call fail, once or with all that come after it."""

        def look(told: Told) -> None:
            assert told.error == "", told.error
            assert_shown(course, case, len(told.done))
            if call.name not in TAKE_AWAY and not (self.fault.good and call.name in NEEDED_TO_LOOK):
                assert leftovers(case) == [], (leftovers(case), told)

        nursery = self.yard.nursery(self.fault.strace(), self.bug)
        vain = [(call.name, TARGET - call.nth)]
        told = nursery.run(self.operation, case, vain=vain, meanwhile=look)
        assert told.exit == 0
        assert self.fault.good or told.error == "", told
        if told.failed:
            assert told.again or self.fault.good
            assert_works(course, case, len(told.done), turn=3)
        else:
            assert call.name not in SYNCS or self.fault.wave == "interrupted" or self.is_needless(call)
            assert len(told.done) == len(course.states) - 1
            assert_unharmed(course, case, len(told.done))


@pytest.mark.timeout(0)
@FAILING
@pytest.mark.parametrize("operation", OPERATIONS)
def test_failing_call_is_one_clear_error_and_loses_nothing(yard: Yard, ledger: Ledger, operation: str) -> None:
    """EIO, ENOSPC, EDQUOT, EACCES, EMFILE, ENOLCK, where each can come; once, and from then on."""
    need_strace(yard.folder)
    dice = random.Random(operation)
    for fault in FAULTS if ledger.long else SHORT_FORM:
        failures = Failures(yard, operation, fault)
        failures.check(lambda calls: calls if ledger.long else sample(dice, calls, 1), ledger.case)


@FAILING
@pytest.mark.parametrize("bug", plants_crash.AT_FAILURES, ids=lambda bug: bug.name)
def test_failing_call_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """An error that is kept quiet, tried away, left raw or not cleaned up after."""
    need_strace(yard.folder)
    operation, wave, names = plants_crash.AT_FAILURES[bug]
    with ledger.catches(bug.name):
        failures = Failures(yard, operation, Fault(wave, good=False), bug)
        failures.check(lambda calls: [call for call in calls if call.name in names], lambda: None)


# --- signals that interrupt whatever goes on ---


def check_storm(yard: Yard, operation: str, bug: Bug | None) -> None:
    """Do an operation while a timer sends a signal each half millisecond, which interrupts every call that can be."""
    course = yard.course(operation)
    case = course.copy(yard.new("case"))
    done: list[str] = []
    handler = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        with planted(bug):
            course.operation.act(case, 1, done.append)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert len(done) == len(course.states) - 1
    assert_unharmed(course, case, len(done))
    shutil.rmtree(case)


@STORM
@pytest.mark.parametrize("operation", OPERATIONS)
def test_storm_of_signals_changes_nothing(yard: Yard, ledger: Ledger, operation: str) -> None:
    """A call that is interrupted goes on; what comes of it is exact."""
    for _ in range(20 if ledger.long else 1):
        check_storm(yard, operation, None)
        ledger.case()


@STORM
@pytest.mark.parametrize("bug", [plants_crash.work_given_up_at_a_signal], ids=lambda bug: bug.name)
def test_storm_of_signals_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """Who takes an interruption for the end has half of the bytes."""
    with ledger.catches(bug.name):
        check_storm(yard, "log", bug)
