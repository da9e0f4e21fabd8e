"""One project in forked and spawned children, in threads, and read as a file; and holders of it that are stopped."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import jobs_shared
import plants_shared
import pytest
from conftest import draft
from invariants import assert_store_sound
from jobs import HANG, answer
from ledger import Ledger
from plants import Bug, planted

import lineage

SHARED = pytest.mark.faults("P15 P16", "F48-F51", "fork, spawn, threads, and open() on the project file")
STOPPED = pytest.mark.faults("P4 P15", "F53 F54", "a process is stopped, then killed, inside a transaction")


def check_shared(folder: Path, name: str, rounds: int, bug: Bug | None = None) -> int:
    """Fail unless all that was acknowledged is there, whole and once, when the program is gone."""
    file, note = folder / "p" / "p.lineage", folder / "note"
    file.parent.mkdir()
    ended = answer(jobs_shared.work, file, name, rounds, note, bug=bug)
    assert ended.returncode == 0, ended.stderr[-2_000:]
    done = note.read_text().split("\n")
    try:
        project = lineage.open(file, create=False)
        found = {version.reference: version for version in project.versions()}
        assert sorted(found) == sorted(done)
        for reference, version in found.items():
            assert version.open("a").read() in (reference.partition(":")[0].encode(), b"1")
        project.gc()  # what was staged by children that were killed
        assert_store_sound(project)
    except lineage.LineageError as error:
        pytest.fail(str(error))
    return len(done)


@SHARED
@pytest.mark.parametrize("name", jobs_shared.WORK)
def test_what_a_program_shares_keeps_everything(tmp_path: Path, ledger: Ledger, name: str) -> None:
    """However the project is shared, each acknowledged version is there."""
    ledger.case(check_shared(tmp_path, name, 30 if ledger.long else 3))


@SHARED
@pytest.mark.parametrize(
    ("bug", "name"),
    [
        (plants_shared.one_connection_is_kept_for_all_calls, "children_that_log"),
        (plants_shared.one_connection_is_kept_for_all_calls, "copies_of_the_file"),
        (plants_shared.ids_come_from_random, "workers_that_draw"),
        (plants_shared.threads_share_their_blocks, "threads_that_log"),
        (plants_shared.the_project_is_read_as_a_file, "copies_of_the_file"),
    ],
    ids=lambda one: getattr(one, "name", one),
)
def test_bug_in_what_is_shared_is_caught(tmp_path: Path, ledger: Ledger, bug: Bug, name: str) -> None:
    """Each loses something, or gives it twice."""
    with ledger.catches(bug.name):
        check_shared(tmp_path, name, 3, bug)


def check_stopped(project: lineage.Project, bug: Bug | None = None) -> int:
    """Fail unless a stopped process is named by those who wait in vain, and forgotten once it is killed."""
    note = project.file.with_name("note")
    held = [project.log_artifact(draft("held", {"a": text})).reference for text in ("0", "1")]
    done = threading.Thread(target=lambda: answer(jobs_shared.hold, project.file, note, bug=bug), daemon=True)
    done.start()
    pid = _stopped(note)
    hasty = lineage.open(project.file, timeout=0.1)
    try:
        for call in (hasty.start_run, hasty.gc, lambda: hasty.prune(keep_last=1), hasty.batch().__enter__):
            with planted(bug), pytest.raises(lineage.BusyError) as caught:
                call()
            assert call == hasty.gc or f"process {pid} on " in str(caught.value), str(caught.value)
        assert [one.reference for one in hasty.versions()] == held
        assert hasty.prune(keep_last=2).versions == (), "a prune that finds nothing waits for nobody"
    finally:
        os.kill(pid, signal.SIGKILL)
        done.join(HANG)
    with planted(bug):
        try:
            version = lineage.open(project.file, timeout=5).log_artifact(draft("after", {"a": "1"}))
        except lineage.BusyError as error:
            pytest.fail(str(error))
    assert [one.reference for one in project.versions()] == [*held, version.reference]
    project.gc()
    assert_store_sound(project)
    return 6


def _stopped(note: Path) -> int:
    """Return the process that stopped, once it has."""
    pid = None
    while pid is None:
        text = note.read_text() if note.exists() else ""
        pid = int(text) if text else None
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        pass
    return pid


@STOPPED
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see that a process is stopped")
def test_process_that_is_stopped_is_named_and_forgotten_when_killed(project: lineage.Project, ledger: Ledger) -> None:
    """Others are told whom to look at; its lock dies with it."""
    ledger.case(check_stopped(project))


@STOPPED
@pytest.mark.parametrize(
    "bug", [plants_shared.nobody_signs_the_lock, plants_shared.a_lock_is_a_file], ids=lambda bug: bug.name
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see that a process is stopped")
def test_bug_in_the_writer_lock_is_caught(project: lineage.Project, ledger: Ledger, bug: Bug) -> None:
    """A lock without a name, and one that outlives its holder, are found."""
    with ledger.catches(bug.name):
        check_stopped(project, bug)
