"""Eight writers, a reader, a deleter and a collector at once: nothing fails, nothing is lost, each gets its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import plants_flood
import pytest
from conftest import draft, elsewhere
from invariants import assert_nothing_left_over, assert_store_sound
from ledger import Ledger
from plants import Bug, plant_what_the_environment_names, planted
from test_two_writers import (
    HANG,
    WRITERS,
    Clock,
    at_the_word,
    collect,
    heard,
    hold_batch,
    started,
    together,
    told_to_stop,
)

import lineage
from lineage.blobs import BlobFolder
from lineage.system import is_locked

FLOOD = pytest.mark.faults("P4 P5", "F42", "eight writers, a reader, a deleter and a gc at once")
TURN = pytest.mark.faults("P4 P5", "F46", "gc and readers get their turn among writers that never pause")
NAMES = ("data", "model", "eval")
SHORT, LONG = 3, 201
"""Logs of a writer to the names that are kept; as many go to one that is deleted from."""


# --- the processes ---


def with_the_bug(door: Connection, work: Callable[..., Any], *arguments: object) -> Any:
    """Do the work in a process that has the bug of its environment."""
    plant_what_the_environment_names()
    return work(door, *arguments)


def write(door: Connection, path: Path, number: int, logs: int) -> tuple[float, list[tuple[str, str, str]]]:
    """Log to shared names: small and large files, new and equal content, with runs, inputs and aliases."""
    project, clock = lineage.open(path), Clock()
    done: list[tuple[str, str, str]] = []
    at_the_word(door)
    for turn in range(logs):
        with clock.call():
            run = project.start_run("train", id=f"run-{number}-{turn}", use=["base:v0"])
        with run:
            name = NAMES[turn % len(NAMES)]
            made = draft(
                name, {"own": f"{number} {turn}", "large": bytes([number, turn % 256]) * 9_000, "same": "same"}
            )
            with clock.call():
                version = run.log_artifact(made, aliases=[f"of-{number}"])
            with clock.call():
                run.log_artifact(draft("shared", {"a": str(turn)}))
            done.append((run.id, version.reference, version.digest))
    return clock.slowest, done


def read(door: Connection, path: Path) -> tuple[float, int]:
    """List and read without pause until told to stop; every answer is one state of the project."""
    project, clock, looks = lineage.open(path, read_only=True), Clock(), 0
    at_the_word(door)
    while not door.poll(0):
        with clock.call(), project.snapshot():
            versions = project.versions(artifact="data")
            assert sorted(one.number for one in versions) == sorted({one.number for one in versions})
            for version in versions[-1:]:
                maker = version.logged_by()
                assert maker is not None
                assert version in maker.logged_artifacts()
                with version.open("large") as file:
                    assert len(file.read()) == 18_000
        looks += 1
    assert [one for one in project.verify().problems if one.severity == "error"] == []
    return clock.slowest, looks


def delete(door: Connection, path: Path) -> tuple[float, int]:
    """Delete what is old until told to stop."""
    project, clock, rounds = lineage.open(path), Clock(), 0
    at_the_word(door)
    while not door.poll(0):
        with clock.call():
            project.prune("shared", keep_last=2)
        rounds += 1
    return clock.slowest, rounds


def collect_all(door: Connection, path: Path) -> tuple[float, int]:
    """Collect garbage until told to stop."""
    project, clock, rounds = lineage.open(path), Clock(), 0
    at_the_word(door)
    while not door.poll(0):
        with clock.call():
            project.gc()
        rounds += 1
    return clock.slowest, rounds


# --- the checks ---


def check_flood(project: lineage.Project, logs: int, bug: Bug | None = None) -> int:
    """Fail unless all of them do their work, and all of it is there."""
    for name in ("base", "shared"):
        project.log_artifact(draft(name))
    writers = [(with_the_bug, write, project.file, number, logs) for number in range(WRITERS)]
    others = [(with_the_bug, work, project.file) for work in (read, delete, collect_all)]
    with in_the_environment(bug), started(*writers, *others) as crew:
        together(crew)
        patience = 4 * HANG + logs * WRITERS * 2
        written = [answer(door, patience) for _, door in crew[:WRITERS]]
        rest = [answer(door, stop=True) for _, door in crew[WRITERS:]]
    slowest = max(seconds for seconds, _ in (*written, *rest))
    rounds = ", ".join(str(count) for _, count in rest)
    print(f"slowest of {3 * WRITERS * logs} calls: {slowest:.2f} s; looks, prunes, gcs: {rounds}")  # noqa: T201 (figures for people)
    assert rest[2][1] > 0, "gc never had its turn"
    check_all_is_there(project, written, logs)
    return WRITERS * logs * 3


def check_all_is_there(project: lineage.Project, written: list[Any], logs: int) -> None:
    """Fail unless every version has its bytes, run, input and number, and every alias its version."""
    done = [one for _, known in written for one in known]
    assert len({reference for _, reference, _ in done}) == WRITERS * logs
    for run, reference, digest in done:
        version = project.version(reference)
        assert version.digest == digest
        assert version.logged_by() == project.run(run)
        assert {one.reference for one in project.run(run).used_artifacts()} == {"base:v0"}
    assert len(project.runs(status="finished")) == WRITERS * logs
    for name in NAMES:
        numbers = [one.number for one in project.versions(artifact=name, order="number")]
        assert numbers == list(range(WRITERS * logs // 3))
    last = {number: known[-1][1] for number, (_, known) in enumerate(written)}
    assert {number: project.version(f"eval:of-{number}").reference for number in range(WRITERS)} == last
    assert_store_sound(project)
    project.gc()
    assert_nothing_left_over(project)


def answer(door: Connection, timeout: float = HANG, *, stop: bool = False) -> Any:
    """Return what a process sends; fail where a call of it failed."""
    try:
        return told_to_stop(door) if stop else heard(door, timeout)
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it was, no call may fail)
        pytest.fail(f"a call failed: {error!r}")


@contextmanager
def in_the_environment(bug: Bug | None) -> Iterator[None]:
    """Let the processes that are started in the block plant a bug."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (bug.environment if bug else {}).items():
            patch.setenv(name, value)
        yield


def check_turns(project: lineage.Project, bug: Bug | None = None) -> int:
    """Fail unless a gc that waits stops new logs, gets its turn once the old ones are done, and lets all go on."""
    project.log_artifact(draft("d", {"a": "1"}))
    folder = BlobFolder(project.blob_folder, timeout=HANG)
    with in_the_environment(bug), started((with_the_bug, collect, project.file)) as [(_, door)]:
        assert heard(door) == "ready"
        with planted(bug):
            with folder.storing():  # a log under way
                door.send("go")
                _wait_until_locked(project.blob_folder / "gate.lock")
                outside = _is_refused(lineage.open(project.file, timeout=0.05))
                assert not door.poll(0), "gc did not wait for the log"
            assert answer(door) == 0
            assert outside, "a new log passed by a gc that waits: it may wait for ever"
            project.log_artifact(draft("d", {"a": "2"}))
    return 3


def check_queue(project: lineage.Project, bug: Bug | None = None) -> int:
    """Fail unless a writer that comes back at once finds the one that waited meanwhile before it."""
    hasty = lineage.open(project.file, timeout=0)
    with ExitStack() as rest:
        with in_the_environment(bug), planted(bug), project.batch():
            [(_, door)] = rest.enter_context(started((with_the_bug, hold_batch, project.file)))
            _wait_until_locked(project.blob_folder / "turn.lock")
        with planted(bug), pytest.raises(lineage.BusyError):
            hasty.start_run()
        assert heard(door) == "ready"
        door.send("go")
        heard(door)
    return 1


def hold_all(door: Connection, path: Path) -> None:
    """Keep everybody from reading, as who commits does: more than SQLite keeps in memory is written ahead."""
    project = lineage.open(path)
    with project.batch():
        project.log_artifact(draft("held", {f"{number}": f"{number:03}" * 4_000 for number in range(500)}))
        at_the_word(door)


def check_looks(project: lineage.Project, bug: Bug | None = None) -> int:
    """Fail unless who cannot read takes his turn among the writers: before those who come after him."""
    project.log_artifact(draft("d", {"a": "1"}))
    hasty = lineage.open(project.file, timeout=0)
    seen: list[str] = []
    look = threading.Thread(target=lambda: seen.append(project.version("d").reference), daemon=True)
    with in_the_environment(bug), started((with_the_bug, hold_all, project.file)) as [(_, door)]:
        assert heard(door) == "ready"
        with planted(bug):
            look.start()
            _wait_until_locked(project.blob_folder / "turn.lock")
            with pytest.raises(lineage.BusyError):
                hasty.start_run()
            assert not seen
            door.send("go")
            heard(door)
            look.join(HANG)
    assert seen == ["d:v0"]
    return 1


def _wait_until_locked(path: Path) -> None:
    give_up = time.monotonic() + HANG
    while not (path.exists() and is_locked(path)):
        assert time.monotonic() < give_up, f"nobody waits at {path.name}"


def _is_refused(project: lineage.Project) -> bool:
    """Return whether a log is told that the project is busy; in a thread of its own, which stores nothing yet."""
    try:
        elsewhere(lambda: project.log_artifact(draft("late", {"a": "1"})))
    except lineage.BusyError:
        return True
    return False


# --- the tests ---


@FLOOD
def test_flood_of_calls_loses_nothing(project: lineage.Project, ledger: Ledger) -> None:
    """No call fails, no run, version, edge or alias is lost, numbers are dense, nobody starves."""
    ledger.case(check_flood(project, LONG if ledger.long else SHORT))


@FLOOD
@pytest.mark.parametrize(
    "bug",
    [
        plants_flood.writes_begin_by_reading,
        plants_flood.numbers_are_read_once_and_counted_on,
        plants_flood.an_alias_is_moved_only_where_it_is_new,
        plants_flood.an_edge_in_twenty_is_lost,
    ],
    ids=lambda bug: bug.name,
)
def test_bug_in_taking_turns_is_caught(project: lineage.Project, ledger: Ledger, bug: Bug) -> None:
    """Each shows after a few logs: two to each name, so that something is there to be counted on, or moved."""
    with ledger.catches(bug.name):
        check_flood(project, 2 * len(NAMES), bug)


@TURN
def test_gc_that_waits_gets_its_turn(project: lineage.Project, ledger: Ledger) -> None:
    """New logs wait behind it, not before it, and go on after it."""
    ledger.case(check_turns(project))
    ledger.case(sum(check_queue(project) for _ in range(10 if ledger.long else 2)))


@TURN
def test_look_takes_its_turn_among_the_writers(project: lineage.Project, ledger: Ledger) -> None:
    """Beside writers that never pause SQLite would let it wait for seconds."""
    ledger.case(check_looks(project))


@TURN
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (plants_flood.new_logs_pass_by_a_waiting_gc, check_turns),
        (plants_flood.logs_do_not_keep_gc_out, check_turns),
        (plants_flood.whoever_comes_back_is_first_again, check_queue),
        (plants_flood.who_looks_takes_no_turn, check_looks),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_bug_in_the_gate_is_caught(
    project: lineage.Project,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    bug: Bug,
    check: Callable[[lineage.Project, Bug | None], int],
) -> None:
    """A gc, a writer or a reader that starves, and a gc that does not wait, are found."""
    monkeypatch.setitem(globals(), "HANG", 5.0)

    with ledger.catches(bug.name):
        check(project, bug)
