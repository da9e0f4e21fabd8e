"""Programs killed in the middle: at every call that changes something on the disk, and at random instants.

After each kill the project must open, be clean, show what the job was told is done, and take the same job again,
before any gc. The short form kills at some of the calls, the long form at every one.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import plants_crash
import pytest
from aftermath import Course, assert_sound, assert_unharmed, demanded, opened
from ledger import Ledger
from nursery import VAIN, Told, need_strace
from plants import Bug, planted
from programs import OPERATIONS
from record import Call
from yard import Yard, sample, yard

__all__ = ["yard"]  # a fixture, for pytest to find

AT_CALLS = pytest.mark.faults("P1 P3", "F01-F08 F54", "kill -9 at each call that changes the disk")
AT_CHANGES = pytest.mark.faults("P1 P3", "F01-F08", "kill -9 before each change that Python makes, around each commit")
AT_RANDOM = pytest.mark.faults("P1 P3", "F09 F10", "kill at random instants, also again and again in one project")
TARGET = 1_000
"""Which call of a name strace meets: more than any operation makes."""
KILL = [word for name in VAIN for word in ("-e", f"inject=?{name}:signal=KILL:when={TARGET}")]
TRACE = ",".join(f"?{name}" for name in VAIN)
KILLER = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", f"trace={TRACE}", *KILL]
"""Without --seccomp-bpf: with it, strace's signal does not come before the call."""


@demanded()
def assert_survives(course: Course, case: Path, told: Told) -> None:
    """Fail unless all demands hold, and nobody takes the dead for living."""
    if (case / course.operation.file).exists():
        assert not opened(case / course.operation.file).runs(status="running")
    assert_unharmed(course, case, len(told.done))
    shutil.rmtree(case)


# --- at each call of the kernel ---


def check_calls(
    yard: Yard, operation: str, bug: Bug | None, choose: Callable[[list[Call]], list[Call]], held: Callable[[], None]
) -> None:
    """Kill an operation at calls of the kernel."""
    course = yard.course(operation)
    folder, calls = yard.record(operation, bug)
    nursery = yard.nursery(KILLER, bug)
    for call in choose([call for call in calls if call.changes(folder)]):
        case = course.copy(yard.new("case"))
        told = nursery.run(operation, case, vain=[(call.name, TARGET - call.nth)])
        assert told.exit == -signal.SIGKILL, (call.name, call.nth, told)
        with planted(bug):
            assert_survives(course, case, told)
        held()


@pytest.mark.timeout(0)
@AT_CALLS
@pytest.mark.parametrize("operation", OPERATIONS)
def test_kill_at_a_call_of_the_kernel_loses_nothing(yard: Yard, ledger: Ledger, operation: str) -> None:
    """SIGKILL at the k-th write, sync, rename and so on, SQLite's too: some k here, every k in the long form."""
    need_strace(yard.folder)
    dice = random.Random(operation)
    check_calls(yard, operation, None, lambda calls: calls if ledger.long else sample(dice, calls, 2), ledger.case)


@AT_CALLS
@pytest.mark.parametrize("bug", plants_crash.AT_CALLS, ids=lambda bug: bug.name)
def test_kill_at_a_call_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """Each is one step too many, or one in the wrong order."""
    need_strace(yard.folder)
    operation, names = plants_crash.AT_CALLS[bug]
    with ledger.catches(bug.name):
        check_calls(yard, operation, bug, lambda calls: [call for call in calls if call.name in names], lambda: None)


# --- at each change that Python makes: also where there is no strace ---


def check_changes(yard: Yard, operation: str, bug: Bug | None, most: int | None, held: Callable[[], None]) -> None:
    """Kill an operation before calls of `os` that change the disk, and around commits."""
    course = yard.course(operation)
    nursery = yard.nursery(bug=bug)
    calls = nursery.run(operation, course.copy(yard.new("whole")), kill_at=1_000_000).calls
    points = range(1, calls + 1)
    for point in points if most is None else random.Random(operation).sample(points, min(most, calls)):
        case = course.copy(yard.new("case"))
        told = nursery.run(operation, case, kill_at=point)
        assert told.exit == -signal.SIGKILL, (point, told)
        assert_survives(course, case, told)
        held()


@pytest.mark.timeout(0)
@AT_CHANGES
@pytest.mark.parametrize("operation", OPERATIONS)
def test_kill_before_a_change_of_the_disk_loses_nothing(yard: Yard, ledger: Ledger, operation: str) -> None:
    """SIGKILL before the k-th rename, sync, unlink, commit and so on: some k here, every k in the long form."""
    check_changes(yard, operation, None, None if ledger.long else 1, ledger.case)


@AT_CHANGES
@pytest.mark.parametrize("bug", [plants_crash.alias_moved_in_two_transactions], ids=lambda bug: bug.name)
def test_kill_before_a_change_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """A commit in the wrong place is found by a kill around it."""
    with ledger.catches(bug.name):
        check_changes(yard, "alias", bug, None, lambda: None)


# --- at random instants ---


def check_instants(yard: Yard, bug: Bug | None, count: int, held: Callable[[], None]) -> None:
    """Have a timer of the kernel end operations wherever they are, also in the middle of what SQLite writes."""
    dice = random.Random(count)
    nursery = yard.nursery(bug=bug)
    killed = 0
    while killed < count:
        operation = dice.choice(sorted(OPERATIONS))
        course = yard.course(operation)
        case = course.copy(yard.new("case"))
        told = nursery.run(operation, case, after=dice.uniform(0.001, 0.06))
        assert told.exit in (0, -signal.SIGALRM), told
        killed += told.exit != 0
        assert_survives(course, case, told)
        held()


@pytest.mark.timeout(0)
@AT_RANDOM
def test_kill_at_random_instants_loses_nothing(yard: Yard, ledger: Ledger) -> None:
    """A thousand times in the long form."""
    check_instants(yard, None, 1_000 if ledger.long else 10, ledger.case)


@AT_RANDOM
@pytest.mark.parametrize("bug", [plants_crash.transaction_committed_statement_by_statement], ids=lambda bug: bug.name)
def test_kill_at_a_random_instant_shows_the_bug(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """Calls that are half done for most of their time are met half done."""
    with ledger.catches(bug.name):
        check_instants(yard, bug, 200, lambda: None)


@pytest.mark.timeout(0)
@AT_RANDOM
def test_kill_again_and_again_in_one_project_loses_nothing(yard: Yard, ledger: Ledger) -> None:
    """What one crash leaves is no trap for the next: many kills in a row, each recovered by the next victim."""
    dice = random.Random(2)
    course = yard.course("log")
    case = course.copy(yard.new("case"))
    nursery = yard.nursery()
    started = {"load", "train"}

    for turn in range(1, 300 if ledger.long else 12):
        told = nursery.run("log", case, turn=turn, after=dice.uniform(0.001, 0.06))
        assert told.exit in (0, -signal.SIGALRM), told
        started |= {f"run{turn}"} if told.done or told.again else set()
        ledger.case()

    project = opened(case / course.operation.file)
    assert_sound(project)
    assert {run.id for run in project.runs()} >= started
    assert not project.runs(status="running")


def test_killed_run_is_written_down_by_the_next_start(yard: Yard) -> None:
    """It is found as crashed at once by whoever asks, and stored as such when the next run starts."""
    case = yard.course("log").copy(yard.new("case"))
    told = yard.nursery().run("log", case, kill_at=8)
    assert told.done[0] == "started"
    assert "finished" not in told.done
    project = opened(case / "p.lineage")
    stored = "SELECT status FROM runs WHERE id = 'run1'"

    assert project.run("run1").status == "crashed"
    assert [run.id for run in project.runs({"status": {"$in": ["crashed"]}})] == ["run1"]
    assert project.sql(stored) == [{"status": "running"}]
    project.start_run(id="next").finish()
    assert project.sql(stored) == [{"status": "crashed"}]
