"""Many processes on one project at once: nothing fails, nothing is lost, nobody waits for ever."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from invariants import assert_nothing_left_over, assert_store_sound
from ledger import Ledger

import lineage

pytestmark = pytest.mark.faults("P4 P5", "F42", "eight writers, a reader, a deleter and a gc at once")


@pytest.fixture(autouse=True)
def _counted(ledger: Ledger) -> Iterator[None]:
    """Count each test as a case of the promise."""
    yield
    ledger.case()


HANG = 30.0
"""Seconds after which a test gives up on another process: never a measure of speed."""
WRITERS = 8

spawn = multiprocessing.get_context("spawn")


def entered(work: Callable[..., Any], door: Connection, *arguments: object) -> None:
    """Do the work in another process and send what it returns, or its error."""
    try:
        door.send(work(door, *arguments))
    except BaseException as error:  # the parent raises it
        door.send(error)
        raise


@contextmanager
def started(*works: tuple[object, ...]) -> Iterator[list[tuple[BaseProcess, Connection]]]:
    """Give a process for each (work, argument ...), killed at the end if it is still there."""
    crew: list[tuple[BaseProcess, Connection]] = []
    try:
        for work, *arguments in works:
            here, there = spawn.Pipe()
            crew.append((spawn.Process(target=entered, args=(work, there, *arguments)), here))
            crew[-1][0].start()
            there.close()
        yield crew
    finally:
        for process, _ in crew:
            process.kill()
            process.join(HANG)


def heard(door: Connection, timeout: float = HANG) -> Any:
    """Return what a process sends; raise its error."""
    assert door.poll(timeout), "no answer: it hangs, or starves"
    answer = door.recv()
    if isinstance(answer, BaseException):
        raise answer
    return answer


def together(crew: list[tuple[BaseProcess, Connection]]) -> None:
    """Let all begin at once."""
    for _, door in crew:
        assert heard(door) == "ready"
    for _, door in crew:
        door.send("go")


def told_to_stop(door: Connection) -> Any:
    """Stop a process that goes on until it is told, and return what it sends."""
    with suppress(BrokenPipeError):  # it failed before: its error is there to be heard
        door.send("stop")
    return heard(door)


def at_the_word(door: Connection) -> None:
    door.send("ready")
    door.recv()


class Clock:
    """The slowest call of a process."""

    def __init__(self) -> None:
        self.slowest = 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.slowest = max(self.slowest, time.monotonic() - began)


def log_only(door: Connection, path: Path, count: int) -> None:
    """Log small versions as fast as can be."""
    project = lineage.open(path)
    at_the_word(door)
    for turn in range(count):
        project.log_artifact(draft("one", {"a": f"{os.getpid()} {turn}"}))


@pytest.mark.slow
def test_log_by_eight_processes_takes_turns(project: lineage.Project) -> None:
    """Between two logs of one process the others get a bounded number of theirs; counted, not timed."""
    count = 40

    with started(*[(log_only, project.file, count) for _ in range(WRITERS)]) as crew:
        together(crew)
        for _, door in crew:
            heard(door, 4 * HANG)

    order = [version.open("a").read().split()[0] for version in project.versions(artifact="one", order="number")]
    assert len(order) == WRITERS * count
    places = {pid: [place for place, one in enumerate(order) if one == pid] for pid in set(order)}
    most = max(after - before for own in places.values() for before, after in pairwise(own))
    print(f"most logs of others between two of one process: {most - 1} of {len(order)}")  # noqa: T201 (a figure for people)
    assert most < len(order) // 2  # one that starves waits for all of the others'


def log_more(door: Connection, path: Path, number: int, count: int) -> None:
    """Add to the newest version again and again, each time so much that the listing is made before the lock is held."""
    project = lineage.open(path)
    at_the_word(door)
    for turn in range(count):
        more = lineage.Artifact("all", type="dataset", incremental=True)
        for part in range(300):
            more.add_reference(f"s3://bucket/{number}/{turn}/{part}", f"{number}/{turn}/{part}")
        project.log_artifact(more)


def test_log_of_incremental_drafts_by_four_processes_loses_no_file(project: lineage.Project) -> None:
    """Whoever finds a newer version than the one he added to adds to that."""
    count = 5

    with started(*[(log_more, project.file, number, count) for number in range(4)]) as crew:
        together(crew)
        for _, door in crew:
            heard(door)

    sizes = [version.file_count for version in project.versions(artifact="all", order="number")]
    assert sizes == [300 * (turn + 1) for turn in range(4 * count)]


def hold_batch(door: Connection, path: Path) -> None:
    """Hold the writer lock until told to go."""
    project = lineage.open(path)
    with project.batch():
        project.log_artifact(draft("held"))
        at_the_word(door)


def test_write_while_another_process_holds_the_lock_names_it(project: lineage.Project) -> None:
    """BusyError comes after the time-out and says which process to look at; then the call works."""
    hasty = lineage.open(project.file, timeout=0.1)

    with started((hold_batch, project.file)) as [(process, door)]:
        assert heard(door) == "ready"
        for call in (
            hasty.start_run,
            lambda: hasty.log_artifact(draft("late")),
            lambda: hasty.rename_artifact("a", "b"),
        ):
            with pytest.raises(lineage.BusyError, match=f"process {process.pid} on "):
                call()
        assert len(hasty.versions()) == 0
        door.send("go")
        heard(door)

    hasty.log_artifact(draft("late"))
    assert {version.name for version in project.versions()} == {"held", "late"}
    assert_store_sound(project)


def test_gc_while_another_process_logs_in_a_batch_waits_for_it(project: lineage.Project) -> None:
    """A gc that waits does not stand in the way of the batch it waits for, and takes nothing of it."""
    with started((collect, project.file)) as [(_, door)]:
        assert heard(door) == "ready"
        with project.batch():
            project.log_artifact(draft("one", {"a": bytes(20_000)}))
            door.send("go")
            assert not door.poll(0.2)
            again = lineage.open(
                project.file, timeout=5
            )  # a second object of the same project: drafts stage through it
            assert again.file == project.file
            project.log_artifact(draft("two", {"a": bytes(30_000)}))
        assert heard(door) == 0

    assert {version.name for version in project.versions()} == {"one", "two"}
    assert_nothing_left_over(project)


def stage_then_log(door: Connection, path: Path) -> str:
    """Fill a draft, wait for the word, log it."""
    project = lineage.open(path)
    made = draft("slow", {"large": b"x" * 50_000, "small": b"y"})
    at_the_word(door)
    version = project.log_artifact(made)
    assert version is not None
    return version.reference


def test_gc_leaves_the_draft_of_another_process_alone(project: lineage.Project) -> None:
    """Bytes that a living program has staged are not garbage, however long it takes to log them."""
    with started((stage_then_log, project.file)) as [(_, door)]:
        assert heard(door) == "ready"

        assert project.gc().temporary == 0

        door.send("go")
        assert heard(door) == "slow:v0"
    with project.version("slow").open("large") as file:
        assert file.read() == b"x" * 50_000
    assert_nothing_left_over(project)


def collect(door: Connection, path: Path) -> int:
    """Collect garbage at the word."""
    project = lineage.open(path)
    at_the_word(door)
    return project.gc().blobs


def create(door: Connection, folder: Path, rounds: int) -> list[str]:
    """Open, and so create, one project after the other, each at the same moment as others."""
    uids = []
    for number in range(rounds):
        at_the_word(door)
        project = lineage.open(folder / f"p{number}.lineage")
        project.log_artifact(draft("data", {"a": str(os.getpid())}))
        uids.append(project.sql("SELECT uid FROM project")[0]["uid"])
    return uids


@pytest.mark.slow
def test_create_by_four_processes_at_once_makes_one_project(tmp_path: Path) -> None:
    """All get the same project, whoever was first, and nothing of the others' attempts is left."""
    rounds = 10

    with started(*[(create, tmp_path, rounds) for _ in range(4)]) as crew:
        for _ in range(rounds):
            together(crew)
        uids = [heard(door) for _, door in crew]

    assert all(one == uids[0] for one in uids)
    for number in range(rounds):
        project = lineage.open(tmp_path / f"p{number}.lineage", create=False)
        assert len(project.versions()) == 4
        assert_store_sound(project)
    assert list(tmp_path.glob(".*.tmp*")) == []  # what a measured process leaves there is not ours


def test_upgrade_of_a_draft_by_two_processes_gives_numbers_once(project: lineage.Project) -> None:
    """Two drafts made from one version are two next versions, in the order they are logged."""
    project.log_artifact(draft("data", {"a": "0"}))

    with started(*[(log_draft_of, project.file) for _ in range(2)]) as crew:
        together(crew)
        references = {heard(door) for _, door in crew}

    assert references == {"data:v1", "data:v2"}
    assert_store_sound(project)


def log_draft_of(door: Connection, path: Path) -> str:
    """Go on from the newest version."""
    project = lineage.open(path)
    made = project.version("data").new_draft()
    with made.new_file(str(os.getpid())) as file:
        file.write("new")
    at_the_word(door)
    version = project.log_artifact(made)
    assert version is not None
    return version.reference


def test_update_with_an_old_handle_keeps_what_others_wrote(project: lineage.Project) -> None:
    """A handle writes what the call says and nothing else of what it remembers."""
    project.start_run("train", "first", id="r").finish()
    old, new = project.run("r"), project.run("r")

    new.update(name="second", notes="words")
    old.update(tags=["mine"])

    run = project.run("r")
    assert (run.name, run.notes, run.tags) == ("second", "words", ("mine",))


def test_update_of_a_run_that_was_deleted_is_refused(project: lineage.Project) -> None:
    """Nothing is written onto a tombstone."""
    project.start_run(id="r").finish()
    old = project.run("r")
    project.run("r").delete()

    with pytest.raises(lineage.NotFoundError):
        old.update(notes="too late")

    assert project.run("r").notes is None
    assert_store_sound(project)
