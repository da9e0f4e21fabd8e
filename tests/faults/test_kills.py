"""Programs killed in the middle: at every call that changes something on the disk, and at random instants.

After each kill the project must open, be clean, show what the job was told is done, and take the same job again,
before any gc. The short form kills at some of the calls, the long form at every one.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable

import plants_crash
import pytest
from aftermath import assert_sound, assert_unharmed, opened
from ledger import Ledger
from nursery import TARGET, VAIN, need_strace
from plants import Bug
from programs import OPERATIONS, prepare_history
from record import Call
from yard import Yard, sample, yard

import lineage

__all__ = ["yard"]  # a fixture, for pytest to find

AT_CALLS = pytest.mark.faults("P1 P3", "F01-F08 F54", "kill -9 at each call that changes the disk")
AT_CHANGES = pytest.mark.faults("P1 P3", "F01-F08", "kill -9 before each change that Python makes, around each commit")
AT_RANDOM = pytest.mark.faults("P1 P3", "F10", "kill at random instants, also many times in one project")
KILL = [word for name in VAIN for word in ("-e", f"inject=?{name}:signal=KILL:when={TARGET}")]
UNDER_KILLER = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", f"trace={','.join(VAIN)}", *KILL]


def check_calls(
    yard: Yard, operation: str, bug: Bug | None, choose: Callable[[list[Call]], list[Call]], held: Callable[[], None]
) -> None:
    """Kill an operation at calls of the kernel."""
    course = yard.course(operation)
    folder, calls = yard.record(operation, bug)
    nursery = yard.nursery(UNDER_KILLER, bug)
    for call in choose([call for call in calls if call.changes(folder)]):
        case = course.copy(yard.new("case"))
        told = nursery.run(operation, case, vain=[(call.name, TARGET - call.nth)])
        assert told.exit == -signal.SIGKILL, (call.name, call.nth, told)
        assert_unharmed(course, case, told.done)
        shutil.rmtree(case)
        held()


@pytest.mark.timeout(0)
@AT_CALLS
@pytest.mark.parametrize("operation", OPERATIONS)
def test_kill_at_a_call_of_the_kernel_loses_nothing(yard: Yard, ledger: Ledger, operation: str) -> None:
    """SIGKILL at the k-th write, sync, rename and so on, SQLite's too: for some k here, for every k in the long form."""
    need_strace(yard.folder)
    dice = random.Random(operation)
    check_calls(yard, operation, None, lambda all: all if ledger.long else sample(dice, all, 4), ledger.case)
