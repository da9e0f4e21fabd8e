"""A project file or a blob folder put back from an older backup is recognised; a crash, a copy or a move is not one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import plants_backups as bugs
import pytest
from conftest import draft
from invariants import assert_nothing_left_over, assert_store_sound
from ledger import Ledger
from plants import Bug, planted
from test_cli_support import call

import lineage
from lineage import ErrorKind

OLDER_FILE = pytest.mark.faults("P5", "F113", "project file put back from an older backup than its blobs")
OLDER_BLOBS = pytest.mark.faults("P5", "F113", "blob folder put back from an older backup than its file")
NO_ALARM = pytest.mark.faults("P5", "F113", "crashes, copies, moves and undone batches are no backup that was put back")
ACCEPTED = pytest.mark.faults("P5 P20", "F113", "who looked and accepts an older file is asked once")
LARGE = b"." * 20_000

Change = Callable[[lineage.Project], object]


def log(project: lineage.Project, text: str, name: str = "data") -> lineage.Version:
    """Log a version whose bytes lie beside the project file."""
    version = project.log_artifact(draft(name, {"large": text.encode() + LARGE}))
    assert version is not None
    return version


def put_back(backup: Path, place: Path) -> None:
    """Restore a file or a folder as people do: what is there goes, the copy comes."""
    if backup.is_dir():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(backup, place)
    else:
        shutil.copy2(backup, place)


def backed_up(path: Path) -> Path:
    """Copy a file or a folder to where it is a backup."""
    backup = path.with_name(f"{path.name}.backup")
    put_back(path, backup)
    return backup


# --- what comes after the backup was made ---


def by_log(project: lineage.Project) -> None:
    """One more version."""
    log(project, "one")


def by_batch(project: lineage.Project) -> None:
    """Two versions in one transaction."""
    with project.batch():
        log(project, "one")
        log(project, "two")


def by_merge(project: lineage.Project) -> None:
    """Versions of another project."""
    other = lineage.open(project.file.with_name("other.lineage"))
    log(other, "theirs", "theirs")
    project.merge(other.file)


def by_completing(project: lineage.Project) -> None:
    """A version of which only the place in the graph was here, and now the bytes are."""
    project.merge(project.file.with_name("abroad.lineage"))


def by_log_after_delete(project: lineage.Project) -> None:
    """A version deleted, its bytes collected, and another logged."""
    project.version("data:v0").delete(delete_aliases=True)
    project.gc()
    log(project, "one")


def by_delete(project: lineage.Project) -> None:
    """A version deleted and its bytes collected, and nothing new."""
    project.version("data:v0").delete(delete_aliases=True)
    project.gc()


CHANGES: list[Change] = [by_log, by_batch, by_merge, by_completing, by_log_after_delete, by_delete]


def begun(folder: Path) -> lineage.Project:
    """A project with a version of its own and one of another project, which a run used."""
    project = lineage.open(folder / "p.lineage")
    log(project, "zero")
    abroad = lineage.open(folder / "abroad.lineage")
    with project.start_run("probe", use=[log(abroad, "abroad", "far")]):
        pass
    return project


# --- an older file ---


def check_older_file(folder: Path, change: Change, logs: int, bug: Bug | None = None) -> None:
    """Put an older file back, log some more, and see that gc leaves alone what the newer file needs."""
    with planted(bug):
        project = begun(folder)
        backup = backed_up(project.file)
        change(project)
        newer = project.file.with_name("newer.backup")
        shutil.copy2(project.file, newer)
        digests = {path.name for path in project.blob_folder.glob("??/*")}
        put_back(backup, project.file)
        project = lineage.open(project.file)
        for number in range(logs):
            log(project, f"later {number}")
        _assert_refused(project, ErrorKind.OLDER_FILE, "is older than its blob folder")
        assert digests <= {path.name for path in project.blob_folder.glob("??/*")}
        put_back(newer, project.file)
        project = lineage.open(project.file)
        project.gc()
        assert_nothing_left_over(project)


def _assert_refused(project: lineage.Project, kind: ErrorKind, words: str) -> None:
    report = project.verify()
    found = [problem for problem in report.problems if problem.kind == kind.value]
    assert not report.ok
    assert [words in problem.message for problem in found] == [True]
    assert call("verify", "--project", project.file).code == 10
    answer = call("gc", "--project", project.file)
    assert (answer.code, words in answer.err, f"gc --accept {kind}" in answer.err) == (4, True, True)
    with pytest.raises(lineage.ConflictError, match=words) as caught:
        project.gc()
    assert caught.value.kind is kind


@OLDER_FILE
@pytest.mark.parametrize("change", CHANGES)
def test_older_file_is_named_and_gc_refuses(tmp_path: Path, ledger: Ledger, change: Change) -> None:
    """However the newer file came by its bytes, and however much is logged into the older one before anybody looks."""
    for logs in (0, 1, 3) if ledger.long or change is by_log else (0,):
        folder = tmp_path / f"{logs}"
        folder.mkdir()
        check_older_file(folder, change, logs)
        ledger.case()


@OLDER_FILE
@pytest.mark.parametrize(
    ("bug", "change", "logs"),
    [
        (bugs.gc_that_looks_at_no_backup, by_log, 0),
        (bugs.verify_that_looks_at_no_backup, by_log, 0),
        (bugs.mark_that_is_written_over, by_log, 1),
        (bugs.merge_that_leaves_no_mark, by_merge, 0),
        (bugs.nodes_that_count_as_versions, by_completing, 0),
        (bugs.gc_that_notes_no_deletion, by_delete, 0),
    ],
    ids=lambda one: getattr(one, "name", None) or getattr(one, "__name__", str(one)),
)
def test_older_file_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug, change: Change, logs: int) -> None:
    """A gc or a mark that misses it does not pass."""
    with ledger.catches(bug.name):
        check_older_file(tmp_path, change, logs, bug)


# --- an older folder ---


def check_older_blobs(folder: Path, change: Change, bug: Bug | None = None) -> None:
    """Put an older blob folder back and see that it is said to be that."""
    with planted(bug):
        project = begun(folder)
        backup = backed_up(project.blob_folder)
        change(project)
        newer = project.blob_folder.with_name("newer.blobs.backup")
        put_back(project.blob_folder, newer)
        put_back(backup, project.blob_folder)
        _assert_refused(project, ErrorKind.OLDER_BLOBS, "is older than its project file")
        put_back(newer, project.blob_folder)
        project.gc()
        assert_nothing_left_over(project)


@OLDER_BLOBS
@pytest.mark.parametrize("change", [by_log, by_batch, by_merge, by_log_after_delete])
def test_older_blobs_are_named_and_gc_refuses(tmp_path: Path, ledger: Ledger, change: Change) -> None:
    """The bytes that are missing are named as well; the word says why they are."""
    check_older_blobs(tmp_path, change)
    ledger.case()


@OLDER_BLOBS
@pytest.mark.parametrize(
    "bug",
    [
        bugs.gc_that_looks_at_no_backup,
        bugs.verify_that_looks_at_no_backup,
        bugs.standing_that_looks_for_the_file_only,
    ],
    ids=lambda bug: bug.name,
)
def test_older_blobs_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A gc that looks at one side only does not pass."""
    if bug is bugs.standing_that_looks_for_the_file_only:
        bug = _in_both(bug)
    with ledger.catches(bug.name):
        check_older_blobs(tmp_path, by_log, bug)


def _in_both(bug: Bug) -> Bug:
    """Return the bug where gc takes the function from."""
    return Bug(bug.name, bug.home, "lineage.upkeep.collection", "standing", bug.make)


# --- what is neither ---


def moved(project: lineage.Project) -> lineage.Project:
    """File and folder under another name in another place."""
    place = project.file.parent / "elsewhere"
    place.mkdir()
    project.blob_folder.rename(place / "q.blobs")
    return lineage.open(project.file.rename(place / "q.lineage"))


def copied(project: lineage.Project) -> lineage.Project:
    """Both, copied, and the copy goes on."""
    place = project.file.parent / "elsewhere"
    place.mkdir()
    shutil.copytree(project.blob_folder, place / "p.blobs")
    again = lineage.open(shutil.copy2(project.file, place / "p.lineage"))
    log(again, "more")
    log(project, "else")
    return again


def packed(project: lineage.Project) -> lineage.Project:
    """One file without a folder, which is then written to."""
    project.pack(project.file.with_name("packed.lineage"))
    again = lineage.open(project.file.with_name("packed.lineage"))
    log(again, "more")
    return again


def emptied(project: lineage.Project) -> lineage.Project:
    """A mark of which a power cut left nothing."""
    (project.blob_folder / "newest").write_bytes(b"")
    return project


def zeroed(project: lineage.Project) -> lineage.Project:
    """A mark of which a power cut left zeros."""
    (project.blob_folder / "newest").write_bytes(bytes(27))
    return project


def torn(project: lineage.Project) -> lineage.Project:
    """A mark that was half written."""
    mark = project.blob_folder / "newest"
    mark.write_bytes(mark.read_bytes()[:13])
    return project


def without_mark(project: lineage.Project) -> lineage.Project:
    """A project of an earlier library."""
    (project.blob_folder / "newest").unlink()
    return project


def behind(project: lineage.Project) -> lineage.Project:
    """A mark whose last writes a power cut took, so that it names an earlier version."""
    mark = project.blob_folder / "newest"
    before = mark.read_bytes()
    for number in range(3):
        log(project, f"more {number}")
    mark.write_bytes(before)
    return project


def undone(project: lineage.Project) -> lineage.Project:
    """A batch that was undone."""
    with pytest.raises(RuntimeError), project.batch():
        log(project, "undone")
        raise RuntimeError
    return project


def undone_in_part(project: lineage.Project) -> lineage.Project:
    """A call of a batch that failed after it had its row, where the rest of the batch stayed."""

    def fail(*_: object) -> None:
        raise RuntimeError

    with project.batch():
        log(project, "kept")
        with pytest.raises(RuntimeError), project._store.database.write() as connection:
            log(project, "undone")
            assert connection.in_transaction
            fail()
    return project


def all_deleted(project: lineage.Project) -> lineage.Project:
    """No version is live."""
    project.delete_artifact("data", delete_aliases=True)
    return project


def collected(project: lineage.Project) -> lineage.Project:
    """A version is deleted, its bytes are collected, and another is logged."""
    log(project, "one")
    project.version("data:v0").delete()
    project.gc()
    log(project, "two")
    return project


def killed(project: lineage.Project) -> lineage.Project:
    """The writer is killed between its commit and the mark."""
    program = (
        "import os, signal, sys; sys.path[:0] = [sys.argv[2]]; import lineage, lineage.generations as one\n"
        "one._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "draft = lineage.Artifact('data', 'dataset')\n"
        "with draft.new_file('large', 'wb') as file: file.write(os.urandom(20000))\n"
        "lineage.open(sys.argv[1]).log_artifact(draft)\n"
    )
    here = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", program, str(project.file), here], check=False)
    assert done.returncode == -9
    assert project.version("data").number == 1
    return project


def untouched(project: lineage.Project) -> lineage.Project:
    """Nothing happened."""
    return project


STATES = [
    untouched,
    moved,
    copied,
    packed,
    emptied,
    zeroed,
    torn,
    without_mark,
    behind,
    undone,
    undone_in_part,
    all_deleted,
    collected,
    killed,
]


def check_no_alarm(folder: Path, state: Callable[[lineage.Project], lineage.Project], bug: Bug | None = None) -> None:
    """See that nothing is said, that gc works, and that the next log and gc do."""
    with planted(bug):
        project = state(begun(folder))
        for text in ("once more", "and again"):
            assert [one for one in project.verify().problems if one.severity == "error"] == []
            try:
                project.gc()
            except lineage.ConflictError as error:
                pytest.fail(str(error))
            assert_store_sound(project)
            log(project, text)


@NO_ALARM
@pytest.mark.parametrize("state", STATES)
def test_no_alarm_is_given_for(
    tmp_path: Path, ledger: Ledger, state: Callable[[lineage.Project], lineage.Project]
) -> None:
    """A crash resolves itself; a copy, a move and a packed file are whole as they are."""
    check_no_alarm(tmp_path, state)
    ledger.case()


def rot(project: lineage.Project, version: lineage.Version) -> None:
    """Damage the bytes of a version, and let repair put them aside."""
    (entry,) = version.files()
    place = project.blob_folder / str(entry.digest)[:2] / str(entry.digest)[2:]
    place.chmod(0o600)
    place.write_bytes(bytes(entry.size or 0))
    project.repair(dry_run=False)


def assert_only_missing(project: lineage.Project) -> None:
    """See that damage is called what it is, and that gc works."""
    assert [one.kind for one in project.verify().problems if one.severity == "error"] == ["bytes-missing"]
    project.gc()


def test_damage_of_an_old_version_that_was_linked_since_is_no_older_folder(tmp_path: Path) -> None:
    """A link is a version that came later, and its bytes did not."""
    project = begun(tmp_path)
    log(project, "one")
    project.link("data:v0", "Best ones")

    rot(project, project.version("data:v0"))

    assert_only_missing(project)


def test_damage_from_before_a_merge_that_completes_a_node_is_no_older_folder(tmp_path: Path) -> None:
    """The node was there before what is damaged, and another version of the merge came last."""
    project = begun(tmp_path)
    other = lineage.open(tmp_path / "other.lineage")
    log(other, "new", "new")
    project.start_run("probe", use=[log(other, "old", "old")]).finish()
    version = log(project, "one")
    project.merge(other)

    rot(project, version)

    assert_only_missing(project)


@NO_ALARM
@pytest.mark.parametrize(
    ("bug", "state"),
    [
        (_in_both(bugs.standing_that_takes_a_crash_for_a_backup), behind),
        (_in_both(bugs.standing_that_takes_a_crash_for_a_backup), killed),
        (bugs.mark_that_is_believed_torn, torn),
        (bugs.mark_that_comes_before_the_commit, undone),
        (bugs.savepoint_that_undoes_no_calls, undone_in_part),
        (bugs.deleted_ones_that_count_as_live, collected),
    ],
    ids=lambda one: getattr(one, "name", None) or one.__name__,
)
def test_no_alarm_check_sees(
    tmp_path: Path, ledger: Ledger, bug: Bug, state: Callable[[lineage.Project], lineage.Project]
) -> None:
    """A rule that locks people out does not pass."""
    with ledger.catches(bug.name):
        check_no_alarm(tmp_path, state, bug)


def test_mark_that_cannot_be_written_fails_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit is there; the mark stays behind and is caught up with."""
    project = begun(tmp_path)
    (project.blob_folder / "newest").unlink()
    (project.blob_folder / "newest").mkdir()

    assert log(project, "one").reference == "data:v1"
    assert project.verify().ok
    project.gc()


def test_mark_costs_no_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a log syncs is bytes, names and rows: as much with the mark as without."""
    project = begun(tmp_path)
    synced: list[int] = []
    kept = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(descriptor)
        kept(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    log(project, "one")
    with_mark = len(synced)
    monkeypatch.setattr("lineage.commit.note_newest", lambda *_: None)
    log(project, "two")

    assert len(synced) == 2 * with_mark


# --- who accepts it ---


def check_accepted(folder: Path, bug: Bug | None = None) -> None:
    """Accept an older file: what it does not name goes, once, and the next gc asks nothing."""
    with planted(bug):
        project = begun(folder)
        backup = backed_up(project.file)
        gone = str(log(project, "one").entry("large").digest)
        put_back(backup, project.file)
        project = lineage.open(project.file)
        with pytest.raises(lineage.ConflictError):
            project.gc(accept=["older-blobs", "network-file-system"])
        assert (project.blob_folder / gone[:2] / gone[2:]).exists()
        assert project.gc(accept=["older-file"]).strays == 1
        assert not (project.blob_folder / gone[:2] / gone[2:]).exists()
        try:
            project.gc()
        except lineage.ConflictError as error:
            pytest.fail(str(error))
        assert project.verify().problems == ()
        assert call("gc", "--project", project.file, "--accept", "older-file").code == 0


@ACCEPTED
def test_older_file_that_is_accepted_is_the_file(tmp_path: Path, ledger: Ledger) -> None:
    """Only the word for it accepts it."""
    check_accepted(tmp_path)
    ledger.case()


@ACCEPTED
@pytest.mark.parametrize(
    "bug", [bugs.gc_that_remembers_no_answer, bugs.gc_that_looks_at_no_backup], ids=lambda b: b.name
)
def test_older_file_accepted_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A gc that forgets the answer, or never asked, does not pass."""
    with ledger.catches(bug.name):
        try:
            check_accepted(tmp_path, bug)
        except pytest.fail.Exception as error:
            raise AssertionError from error


@pytest.mark.parametrize("accept", [["everything"], "no", [[]], 7, [None]])
def test_gc_accepts_only_what_it_would_refuse(project: lineage.Project, accept: object) -> None:
    """A word that is none of them is a mistake of the caller's."""
    with pytest.raises(lineage.InvalidInputError, match="accept"):
        project.gc(accept=accept)  # type: ignore[arg-type]


def test_repair_does_not_pass_over_an_older_file(tmp_path: Path) -> None:
    """It cannot mend that: it says so before and after, and exits as verify does."""
    project = begun(tmp_path)
    backup = backed_up(project.file)
    log(project, "one")
    put_back(backup, project.file)

    answers = [call(*words, "--project", project.file) for words in (["repair"], ["repair", "--apply"], ["verify"])]

    assert [answer.code for answer in answers] == [10, 10, 10]
    assert ["error: older-file: " in answer.out for answer in answers] == [True, True, True]


@pytest.mark.parametrize("change", [by_log, by_delete])
def test_gc_that_only_counts_promises_nothing_that_gc_refuses(tmp_path: Path, change: Change) -> None:
    """It refuses as gc does, changes nothing, and counts for who accepts: so one sees what an older file lets go."""
    project = begun(tmp_path)
    backup = backed_up(project.file)
    change(project)
    put_back(backup, project.file)
    project = lineage.open(project.file)
    before = sorted(project.blob_folder.rglob("*"))

    answer = call("gc", "--dry-run", "--project", project.file)

    assert (answer.code, answer.out, "is older than its blob folder" in answer.err) == (4, "", True)
    with pytest.raises(lineage.ConflictError) as caught:
        project.gc(dry_run=True)
    assert caught.value.kind is ErrorKind.OLDER_FILE
    assert project.gc(dry_run=True, accept=["older-file"]).strays == (1 if change is by_log else 0)
    assert sorted(project.blob_folder.rglob("*")) == before


def test_verify_does_not_invite_to_collect_what_a_newer_file_may_need(tmp_path: Path) -> None:
    """Bytes without a row are those of the newer file, so nothing is said of gc taking them."""
    project = begun(tmp_path)
    backup = backed_up(project.file)
    log(project, "one")
    put_back(backup, project.file)

    strays = [problem for problem in project.verify().problems if problem.kind.value == "stray-file"]

    assert [problem.message.partition("; ")[2] for problem in strays] == [
        "what is newer may need it, so gc leaves it",
    ]
