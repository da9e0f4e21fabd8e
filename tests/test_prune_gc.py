"""Pruning by rules, sizes, and collecting what nothing names: no byte of a live version is ever taken."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lineage
from lineage import (
    BusyError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    ReadOnlyError,
    StateError,
    StorageError,
    blobs,
)
from lineage.staging import Staging
from lineage.statements import upkeep as statements
from lineage.system import is_locked
from lineage.upkeep import collection
from lineage.values import Digest

SPAWN = multiprocessing.get_context("spawn")
LARGE = 20_000
"""Bytes of a blob that lies beside the project file."""


def log(
    project: lineage.Project, name: str, files: dict[str, bytes], run: lineage.ActiveRun | None = None
) -> lineage.Version:
    """Log a version of given files, without a run unless one is given."""
    draft = lineage.Artifact(name, "model" if name.startswith("m") else "dataset")
    for path, content in files.items():
        with draft.new_file(path, "wb") as file:
            file.write(content)
    return (run or project).log_artifact(draft)


def large(text: str) -> bytes:
    """Return bytes of their own that lie beside the project file."""
    return text.encode().ljust(LARGE, b".")


def snapshot(project: lineage.Project) -> dict[str, tuple[int, bytes | None]]:
    """Return mode and content of every file of a project, and of its folders."""
    found = [project.file, *sorted(project.blob_folder.rglob("*"))]
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() and path != project.file else None)
        for path in found
    } | {"rows": (0, dump(project))}


def dump(project: lineage.Project) -> bytes:
    """Return all rows as SQL."""
    with closing(sqlite3.connect(project.file)) as connection:
        return "\n".join(connection.iterdump()).encode()


def edit(project: lineage.Project, sql: str, *parameters: object) -> None:
    """Change rows behind the library's back."""
    with closing(sqlite3.connect(project.file)) as connection, connection:
        connection.execute(sql, parameters)


def count(project: lineage.Project, table: str) -> int:
    """Return how many rows a table has."""
    with closing(sqlite3.connect(project.file)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def blob_files(project: lineage.Project) -> list[Path]:
    """Return the files of blobs beside the project."""
    return sorted(path for path in project.blob_folder.glob("[0-9a-f][0-9a-f]/*"))


@pytest.fixture
def history(project: lineage.Project) -> lineage.Project:
    """A project with five versions of m, v0 to v4, each with a large file of its own."""
    for number in range(5):
        log(project, "m", {"weights": large(f"weights {number}"), "notes": f"notes {number}".encode()})
    return project


class TestPrune:
    """What each rule keeps."""

    def test_prune_keeps_the_newest_by_number(self, history: lineage.Project) -> None:
        """`keep_last` counts live versions from the highest number down."""
        history.version("m:v3").delete()

        report = history.prune(keep_last=2)

        assert report.versions == ("m:v0", "m:v1")
        assert [version.number for version in history.versions(artifact="m", order="number")] == [2, 4]

    def test_prune_by_age_takes_what_is_older(self, history: lineage.Project) -> None:
        """`older_than` leaves what is younger."""
        edit(history, "UPDATE version SET created_at = '2020-01-01T00:00:00.000000Z' WHERE number < 2")

        assert history.prune(older_than=timedelta(days=30)).versions == ("m:v0", "m:v1")

    def test_prune_by_an_age_beyond_the_calendar_takes_nothing(self, history: lineage.Project) -> None:
        """No version is that old."""
        assert history.prune(older_than=timedelta.max).versions == ()

    def test_prune_needs_both_rules_to_let_go(self, history: lineage.Project) -> None:
        """A version goes only if neither `keep_last` nor `older_than` keeps it."""
        edit(history, "UPDATE version SET created_at = '2020-01-01T00:00:00.000000Z' WHERE number < 4")

        assert history.prune(keep_last=3, older_than=timedelta(days=30)).versions == ("m:v0", "m:v1")

    def test_prune_keeps_what_an_alias_names(self, history: lineage.Project) -> None:
        """An alias keeps its version."""
        history.version("m:v1").add_alias("best")

        assert "m:v1" not in history.prune(keep_last=1).versions

    def test_prune_without_that_rule_takes_aliases_along(self, history: lineage.Project) -> None:
        """Told not to keep aliased versions, it removes the aliases with them, with history."""
        history.version("m:v1").add_alias("best")

        report = history.prune(keep_last=1, keep_aliased=False)

        assert "m:v1" in report.versions
        assert history.alias_history("m:best")[-1].moved_to is None

    def test_prune_always_keeps_latest(self, history: lineage.Project) -> None:
        """The version that `latest` names stays whatever the rules."""
        log(history, "m", {"weights": large("weights 0"), "notes": b"notes 0"})

        report = history.prune(keep_last=1, keep_aliased=False, keep_tagged=False, keep_used=False)

        assert report.versions == ("m:v1", "m:v2", "m:v3")
        assert history.version("m").number == 0

    def test_prune_always_keeps_what_a_protected_alias_names(self, history: lineage.Project) -> None:
        """Protection holds against rules."""
        history.version("m:v1").add_alias("prod", protect=True)

        assert "m:v1" not in history.prune(keep_last=1, keep_aliased=False).versions

    @pytest.mark.parametrize("keep", [True, False])
    def test_prune_keeps_tagged_versions_if_told(self, history: lineage.Project, keep: bool) -> None:
        """A tag keeps its version unless the rule is off."""
        history.version("m:v1").update(tags=["paper"])

        assert ("m:v1" in history.prune(keep_last=1, keep_tagged=keep).versions) is not keep

    @pytest.mark.parametrize("keep", [True, False])
    def test_prune_keeps_used_versions_if_told(self, history: lineage.Project, keep: bool) -> None:
        """A version that a run consumed stays unless the rule is off."""
        with history.start_run("test") as run:
            run.use_artifact("m:v1")

        assert ("m:v1" in history.prune(keep_last=1, keep_used=keep).versions) is not keep

    def test_prune_forgets_use_by_deleted_runs(self, history: lineage.Project) -> None:
        """Only a run that is not deleted keeps what it consumed."""
        with history.start_run("test") as run:
            run.use_artifact("m:v1")
        history.run(run.id).delete()

        assert "m:v1" in history.prune(keep_last=1).versions

    def test_prune_of_one_artifact_leaves_the_others(self, history: lineage.Project) -> None:
        """`artifact` narrows to one name."""
        for text in ("one", "two"):
            log(history, "data", {"a": text.encode()})

        assert history.prune("data", keep_last=1).versions == ("data:v0",)

    def test_prune_of_one_type_leaves_the_others(self, history: lineage.Project) -> None:
        """`type` narrows to artifacts of it."""
        for text in ("one", "two"):
            log(history, "data", {"a": text.encode()})

        assert history.prune(type="dataset", keep_last=1).versions == ("data:v0",)

    def test_prune_dry_run_says_the_same_and_writes_nothing(self, history: lineage.Project) -> None:
        """What it would do is what it does then."""
        before = snapshot(history)

        planned = history.prune(keep_last=2, dry_run=True)

        assert snapshot(history) == before
        done = history.prune(keep_last=2)
        assert (planned.dry_run, done.dry_run) == (True, False)
        assert (planned.versions, planned.bytes) == (done.versions, done.bytes)

    def test_prune_dry_run_works_read_only(self, history: lineage.Project) -> None:
        """A plan needs no right to write."""
        reader = lineage.open(history.file, read_only=True)

        assert len(reader.prune(keep_last=1, dry_run=True).versions) == 4
        with pytest.raises(ReadOnlyError):
            reader.prune(keep_last=1)

    def test_prune_counts_only_bytes_that_nobody_else_names(self, project: lineage.Project) -> None:
        """Bytes shared with a version that stays are not freed, be it another artifact's."""
        log(project, "m", {"own": large("own"), "kept": large("kept"), "lent": large("lent")})
        log(project, "m", {"kept": large("kept")})
        log(project, "data", {"borrowed": large("lent")})

        report = project.prune("m", keep_last=1)

        assert report.bytes == LARGE
        assert project.gc().bytes == LARGE

    def test_prune_counts_bytes_shared_among_what_goes(self, project: lineage.Project) -> None:
        """Bytes that only pruned versions name count once."""
        for text in ("one", "two", "three"):
            content = {"shared": large("shared"), "own": text.encode()} if text != "three" else {"own": b"three"}
            log(project, "m", content)

        report = project.prune(keep_last=1)

        assert report.bytes == LARGE + 6
        assert project.gc().bytes == LARGE + 6

    @pytest.mark.parametrize(
        "rules",
        [
            {},
            {"keep_aliased": False},
            {"keep_last": 0},
            {"keep_last": -1},
            {"keep_last": "3"},
            {"older_than": timedelta(days=-1)},
            {"older_than": 30},
            {"keep_last": 1, "type": ""},
            {"keep_last": 1, "artifact": "a/b/c"},
        ],
    )
    def test_prune_without_sense_is_refused(self, history: lineage.Project, rules: dict[str, object]) -> None:
        """Rules that keep nothing, or cannot be, change nothing."""
        with pytest.raises(InvalidInputError):
            history.prune(**rules)  # type: ignore[arg-type]  # wrong on purpose

        assert len(history.versions()) == 5

    def test_prune_of_an_unknown_artifact_is_not_found(self, project: lineage.Project) -> None:
        """A name that is misspelt is no silent success."""
        with pytest.raises(NotFoundError):
            project.prune("m", keep_last=1)


class TestSizes:
    """How bytes are told apart."""

    def test_sizes_tell_own_from_shared(self, project: lineage.Project) -> None:
        """A blob that another artifact's live version names is shared; each counts once in the total."""
        log(project, "m", {"own": large("own"), "lent": large("lent")})
        log(project, "m", {"own": large("own"), "more": b"123"})
        log(project, "data", {"borrowed": large("lent")})

        sizes = {size.name: size for size in project.size()}

        assert list(sizes) == ["data", "m"]
        assert (sizes["m"].versions, sizes["m"].total, sizes["m"].own) == (2, 2 * LARGE + 3, LARGE + 3)
        assert (sizes["m"].shared, sizes["m"].logical) == (LARGE, 3 * LARGE + 3)
        assert (sizes["data"].own, sizes["data"].shared) == (0, LARGE)

    def test_sizes_leave_deleted_versions_out(self, history: lineage.Project) -> None:
        """Only live versions count, here and as those others share with."""
        history.version("m:v0").delete()
        log(history, "data", {"same": large("weights 0")})

        (size,) = history.size("data")

        assert (size.own, size.shared) == (LARGE, 0)
        assert history.size("m")[0].versions == 4

    def test_sizes_of_an_empty_artifact_are_zero(self, project: lineage.Project) -> None:
        """No files, no bytes."""
        log(project, "m", {})

        assert project.size("m")[0].total == 0

    def test_sizes_of_an_unknown_artifact_are_not_found(self, project: lineage.Project) -> None:
        """A name that is misspelt is an error."""
        with pytest.raises(NotFoundError):
            project.size("m")


class TestGc:
    """What it takes, what it leaves, and in which order."""

    def test_gc_takes_what_deleted_versions_alone_named(self, history: lineage.Project) -> None:
        """Rows and bytes of deleted versions go, inside the file and beside it; live ones stay whole."""
        history.prune(keep_last=1)

        report = history.gc()

        assert (report.blobs, report.bytes, report.parts) == (8, 4 * (LARGE + 7), 4)
        assert report.total_bytes == report.bytes
        assert len(blob_files(history)) == 1
        assert (count(history, "blob"), count(history, "chunk"), count(history, "entry")) == (2, 1, 2)
        assert history.version("m").open("notes").read() == b"notes 4"
        assert history.verify().problems == ()

    def test_gc_takes_nothing_that_lives(self, history: lineage.Project) -> None:
        """With nothing deleted there is nothing to take."""
        before = snapshot(history)

        report = history.gc()

        assert report.total_bytes == report.parts == 0
        assert {path for path in snapshot(history) if "lock" not in path} == {
            path for path in before if "lock" not in path
        }
        assert history.verify().problems == ()

    def test_gc_leaves_parts_that_a_live_version_shares(self, project: lineage.Project) -> None:
        """A part of a deleted listing stays while another listing has it."""
        files = {f"f{number}": str(number).encode() for number in range(300)}
        log(project, "m", files)
        log(project, "m", files | {"f7": b"changed"})

        project.version("m:v0").delete()
        report = project.gc()

        assert (report.blobs, report.parts) == (1, 1)
        assert project.version("m").open("f8").read() == b"8"
        assert project.verify().problems == ()

    def test_gc_twice_takes_nothing_more(self, history: lineage.Project) -> None:
        """One run is enough."""
        history.prune(keep_last=1)
        history.gc()

        assert history.gc().total_bytes == 0

    def test_gc_then_the_same_bytes_again_restores(self, history: lineage.Project) -> None:
        """What was taken can be logged again, as a new version with all its bytes."""
        history.prune(keep_last=1)
        history.gc()

        version = log(history, "m", {"weights": large("weights 0"), "notes": b"notes 0"})

        assert version.reference == "m:v5"
        assert version.open("weights").read() == large("weights 0")
        assert history.verify().problems == ()

    @pytest.mark.parametrize("step", ["delete_manifests", "delete_parts", "delete_blobs"])
    def test_gc_cut_off_between_slices_then_the_same_bytes_again_restores(
        self, history: lineage.Project, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        """Whatever slice it was stopped after, logging the bytes again gives them back whole."""
        monkeypatch.setattr(collection, "_MANIFEST_ROWS_AT_ONCE", 1)
        monkeypatch.setattr(collection, "_PARTS_AT_ONCE", 1)
        monkeypatch.setattr(collection, "_BLOBS_AT_ONCE", 1)
        original = getattr(statements, step)
        calls: list[object] = []

        def stop_at_the_second(connection: sqlite3.Connection, keys: object) -> object:
            calls.append(keys)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return original(connection, keys)

        history.prune(keep_last=1)
        monkeypatch.setattr(statements, step, stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            history.gc()
        monkeypatch.undo()

        assert history.verify().ok
        for number in range(4):
            version = log(history, "m", {"weights": large(f"weights {number}"), "notes": f"notes {number}".encode()})
            assert version.open("weights").read() == large(f"weights {number}")
        history.gc()
        assert history.verify().problems == ()
        assert len(blob_files(history)) == 5

    def test_gc_takes_files_that_no_row_names(self, history: lineage.Project) -> None:
        """A blob that was stored and never committed goes; other files are left alone."""
        stray = history.blob_folder / "ab" / ("c" * 62)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"12345")
        (stray.parent / "README").write_text("not a blob")

        report = history.gc()

        assert (report.strays, report.stray_bytes) == (1, 5)
        assert not stray.exists()
        assert (stray.parent / "README").exists()

    def test_gc_leaves_a_folder_in_a_blobs_place(self, history: lineage.Project) -> None:
        """A folder is nothing a crash leaves: verify names it, gc passes by."""
        folder = history.blob_folder / "ab" / ("c" * 62)
        folder.mkdir(parents=True)
        history.version("m:v0").delete()
        digest = history.sql("SELECT digest FROM files WHERE path = 'weights' AND reference = 'm:v1'")[0]["digest"]
        history.version("m:v1").delete()
        dead = history._store.blobs.path_of(Digest.parse(digest))
        dead.unlink()
        dead.mkdir()

        report = history.gc()

        assert (report.strays, report.blobs) == (0, 4)
        assert folder.is_dir()
        assert dead.is_dir()

    def test_gc_counts_no_staged_bytes_that_are_a_blob(self, history: lineage.Project) -> None:
        """A program that was killed when its log was done leaves a second name of a blob, which frees nothing."""
        dead = history.blob_folder / "tmp" / "0123456789abcdef"
        dead.mkdir()
        os.link(blob_files(history)[0], dead / "1")

        report = history.gc()

        assert (report.temporary, report.temporary_bytes) == (1, 0)
        assert not dead.exists()
        assert history.verify().ok

    def test_gc_takes_dead_staging_folders_and_files(self, history: lineage.Project) -> None:
        """What a killed program staged goes, also a single file, and a project file it never finished."""
        dead = history.blob_folder / "tmp" / "0123456789abcdef"
        dead.mkdir()
        (dead / "lock").touch()
        (dead / "spool").write_bytes(b"1234")
        (history.blob_folder / "tmp" / "copy").write_bytes(b"123")
        (history.file.parent / f".{history.file.name}.00ff00ff00ff00ff.tmp").write_bytes(b"12")
        (history.file.parent / f".{history.file.name}.00ff00ff00ff00ff.tmp-journal").write_bytes(b"1")

        report = history.gc()

        assert (report.temporary, report.temporary_bytes) == (4, 10)
        assert list((history.blob_folder / "tmp").iterdir()) == []
        assert not list(history.file.parent.glob(".*.tmp*"))

    def test_gc_leaves_quarantined_bytes(self, history: lineage.Project) -> None:
        """What repair set aside is for people to look at."""
        kept = history.blob_folder / "quarantine" / "something"
        kept.parent.mkdir()
        kept.write_bytes(b"1")

        history.gc()

        assert kept.exists()

    def test_gc_takes_environments_of_deleted_runs(self, project: lineage.Project) -> None:
        """A description of Python and its packages goes with its last run."""
        with project.start_run("train") as run:
            pass
        project.run(run.id).delete()

        assert project.gc(dry_run=True).environments == 1
        assert count(project, "environment") == 1
        assert project.gc().environments == 1
        assert count(project, "environment") == 0

    def test_gc_takes_a_manifest_that_no_version_ever_named(self, project: lineage.Project) -> None:
        """A row that a crash of an older program left goes as well."""
        edit(project, "INSERT INTO manifest (digest, file_count, size) VALUES (?, 0, 0)", "a" * 64)

        project.gc()

        assert count(project, "manifest") == 0

    def test_gc_tells_the_bytes_it_takes(self, history: lineage.Project) -> None:
        """Progress adds up to the total."""
        history.prune(keep_last=1)
        (history.blob_folder / "tmp" / "copy").write_bytes(b"123")
        stray = history.blob_folder / "ab" / ("c" * 62)
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(b"12345")
        told: list[int] = []

        report = history.gc(progress=told.append)

        assert sum(told) == report.total_bytes == 4 * (LARGE + 7) + 8

    def test_gc_stopped_by_its_progress_leaves_a_sound_project(self, history: lineage.Project) -> None:
        """An exception of the caller's own comes out as it is, and the next run takes the rest."""
        history.prune(keep_last=1)

        def fail(_: int) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            history.gc(progress=fail)

        assert history.verify().ok
        history.gc()
        assert len(blob_files(history)) == 1
        assert history.verify().problems == ()

    def test_gc_compact_gives_pages_back(self, project: lineage.Project) -> None:
        """With `compact` the project file shrinks by the bytes that lay inside."""
        log(project, "m", {str(number): os.urandom(10_000) for number in range(50)})
        project.delete_artifact("m")
        size = project.file.stat().st_size

        project.gc()
        assert project.file.stat().st_size == size
        project.gc(compact=True)

        assert project.file.stat().st_size < size // 2
        assert project.verify().problems == ()

    def test_gc_dry_run_changes_nothing(self, history: lineage.Project) -> None:
        """Not a file, not a row, not even a lock file."""
        history.prune(keep_last=1)
        (history.blob_folder / "tmp" / "copy").write_bytes(b"123")
        before = snapshot(history)

        report = history.gc(dry_run=True)

        assert report.dry_run
        assert report.blobs == 8
        assert snapshot(history) == before

    def test_gc_dry_run_needs_no_blob_folder(self, project: lineage.Project) -> None:
        """On a project that nobody wrote to there is nothing beside the file, and nothing is made."""
        assert project.gc(dry_run=True).total_bytes == 0
        assert not project.blob_folder.exists()

    def test_gc_read_only_can_only_be_tried(self, history: lineage.Project) -> None:
        """Reading the numbers needs no right to write, taking does."""
        history.prune(keep_last=1)
        reader = lineage.open(history.file, read_only=True)

        assert reader.gc(dry_run=True).blobs == 8
        with pytest.raises(ReadOnlyError):
            reader.gc()

    @pytest.mark.parametrize("block", ["batch", "snapshot"])
    @pytest.mark.parametrize("dry_run", [True, False])
    def test_gc_inside_a_block_is_refused(self, history: lineage.Project, block: str, dry_run: bool) -> None:
        """A batch may still be undone, and bytes could not."""
        with getattr(history, block)(), pytest.raises(StateError, match="gc cannot run"):
            history.gc(dry_run=dry_run)

    def test_compact_inside_a_block_is_refused(self, history: lineage.Project) -> None:
        """SQLite cannot rewrite the file inside a transaction."""
        with history.snapshot(), pytest.raises(StateError):
            history._store.database.compact()


class TestGcRefuses:
    """When it cannot be sure what is garbage, it takes nothing."""

    def test_gc_of_a_damaged_file_takes_nothing(self, history: lineage.Project) -> None:
        """A page of rubbish, and not even temporary files go."""
        history.prune(keep_last=1)
        left = history.blob_folder / "tmp" / "copy"
        left.write_bytes(b"123")
        with closing(sqlite3.connect(history.file)) as connection:
            (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entry'").fetchone()
        with history.file.open("r+b") as file:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)

        for dry_run in (True, False):
            with pytest.raises(CorruptionError):
                history.gc(dry_run=dry_run)

        assert left.exists()
        assert len(blob_files(history)) == 5

    def test_gc_with_a_forged_digest_takes_nothing(self, history: lineage.Project) -> None:
        """A digest that is no digest could be a path of anywhere."""
        digest = "../" * 21 + "x"
        with closing(sqlite3.connect(history.file)) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("INSERT INTO blob (digest, size) VALUES (?, 1)", (digest,))

        with pytest.raises(CorruptionError):
            history.gc()

    def test_gc_without_locks_takes_nothing(self, history: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system whose locks lock nobody out is no place to delete in."""
        history.prune(keep_last=1)
        monkeypatch.setattr(collection, "is_locked", lambda _: False)

        with pytest.raises(StorageError, match="locks do not hold"):
            history.gc()

        assert len(blob_files(history)) == 5

    def test_gc_that_may_not_remove_says_so(self, history: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
        """A refusal of the system is an error of ours, after the rows went, and the next run takes the files."""
        history.prune(keep_last=1)

        def refuse(path: Path, missing_ok: bool = False) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", refuse)
            with pytest.raises(StorageError, match="Permission denied"):
                history.gc()

        assert history.verify().ok
        history.gc()
        assert len(blob_files(history)) == 1


@pytest.mark.parametrize("text", [large("one"), b"one"])
def test_gc_that_cannot_delete_rows_frees_files(
    project: lineage.Project, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """Where SQLite finds no room, files of dead blobs go first; with none of those, the error stays."""
    log(project, "m", {"a": text}).delete(delete_aliases=True)
    original = statements.delete_manifests
    calls: list[object] = []

    def full_at_first(connection: sqlite3.Connection, manifests: list[int]) -> None:
        calls.append(manifests)
        if len(calls) == 1:
            raise StorageError("the disk is full")
        original(connection, manifests)

    monkeypatch.setattr(statements, "delete_manifests", full_at_first)
    if len(text) < LARGE:
        with pytest.raises(StorageError, match="the disk is full"):
            project.gc()

    report = project.gc()

    assert (report.blobs, report.bytes) == (1, len(text))
    assert project.verify().problems == ()


def stage_and_wait(path: str, staged: Event, go_on: Event) -> None:
    """Stage a large file in a draft, wait, then log it."""
    project = lineage.open(path)
    draft = lineage.Artifact("late", "model")
    with draft.new_file("weights", "wb") as file:
        file.write(large("late"))
    staged.set()
    assert go_on.wait(60)
    project.log_artifact(draft)


def hold_storing(path: str, holding: Event, go_on: Event) -> None:
    """Store bytes that no row names, and hold the lock of those who do until told."""
    project = lineage.open(path)
    folder = project._store.blobs
    with folder.storing():
        staging = Staging(folder.temporary)
        written = staging.new_path()
        written.write_bytes(large("stored"))
        folder.put(staging.adopt(written))
        holding.set()
        assert go_on.wait(60)


class TestGcBesideOthers:
    """Other processes and threads at work."""

    def test_gc_leaves_the_draft_of_a_living_process(self, history: lineage.Project) -> None:
        """What another process has staged can be logged after gc."""
        staged, go_on = SPAWN.Event(), SPAWN.Event()
        process = SPAWN.Process(target=stage_and_wait, args=(str(history.file), staged, go_on))
        process.start()
        assert staged.wait(60)

        report = history.gc()
        go_on.set()
        process.join(60)

        assert process.exitcode == 0
        assert report.temporary == 0
        assert history.version("late").open("weights").read() == large("late")
        assert history.verify().problems == ()

    def test_gc_takes_the_draft_of_a_killed_process(self, history: lineage.Project) -> None:
        """The kernel lets go of a dead process's lock, so its staging is garbage at once."""
        staged, go_on = SPAWN.Event(), SPAWN.Event()
        process = SPAWN.Process(target=stage_and_wait, args=(str(history.file), staged, go_on))
        process.start()
        assert staged.wait(60)
        process.kill()
        process.join(60)

        report = history.gc()

        assert report.temporary == 1
        assert report.temporary_bytes >= LARGE
        assert list((history.blob_folder / "tmp").iterdir()) == []

    def test_gc_leaves_the_draft_of_this_process(self, history: lineage.Project) -> None:
        """A draft that is open here lives as well."""
        draft = lineage.Artifact("m", "model")
        with draft.new_file("weights", "wb") as file:
            file.write(large("mine"))

        history.gc()

        version = history.log_artifact(draft)
        assert version is not None
        assert version.open("weights").read() == large("mine")

    def test_gc_waits_for_who_stores_bytes(self, history: lineage.Project) -> None:
        """While bytes are stored that no row names yet, gc does not get its lock."""
        holding, go_on = SPAWN.Event(), SPAWN.Event()
        process = SPAWN.Process(target=hold_storing, args=(str(history.file), holding, go_on))
        process.start()
        assert holding.wait(60)

        with pytest.raises(BusyError):
            lineage.open(history.file, timeout=0.1).gc()
        assert len(blob_files(history)) == 6
        go_on.set()
        process.join(60)

        assert history.gc().strays == 1

    def test_gc_waiting_does_not_stop_a_batch_under_way(self, history: lineage.Project) -> None:
        """A batch that stores bytes while gc waits for it comes to its end, and gc then leaves its bytes."""
        history.version("m:v0").delete()
        waiting = threading.Event()
        reports: list[collection.GcReport] = []
        store = lineage.open(history.file, timeout=30)._store

        def collect() -> None:
            waiting.set()
            reports.append(collection.gc(store))

        collector = threading.Thread(target=collect)
        with history.batch():
            log(history, "data", {"a": large("first")})
            collector.start()
            waiting.wait(60)
            while collector.is_alive() and not is_held(history.blob_folder / "gate.lock"):
                pass
            log(history, "data", {"a": large("second")})
        collector.join(60)

        assert [report.blobs for report in reports] == [2]
        assert history.version("data:v1").open("a").read() == large("second")
        assert history.verify().problems == ()


def test_gc_passes_by_a_draft_that_its_owner_is_closing(
    history: lineage.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A staging folder that goes while gc looks at its lock is nobody's garbage."""
    closing_one = history.blob_folder / "tmp" / "0123456789abcdef"
    closing_one.mkdir()
    (closing_one / "lock").touch()

    def too_late(path: Path) -> bool:
        path.unlink()
        return is_locked(path)

    monkeypatch.setattr(blobs, "is_locked", too_late)

    assert history.gc().temporary == 0
    monkeypatch.undo()
    assert history.gc().temporary == 1


def test_gc_that_cannot_look_at_a_lock_says_so(history: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that is there and cannot be opened may be a living one's: nothing is taken for dead."""
    kept = history.blob_folder / "tmp" / "0123456789abcdef"
    kept.mkdir()
    (kept / "lock").touch()

    def refuse(path: Path) -> bool:
        raise StorageError(f"cannot look at {path}")

    monkeypatch.setattr(blobs, "is_locked", refuse)

    with pytest.raises(StorageError):
        history.gc()
    assert kept.exists()


def test_gc_removes_a_draft_beside_its_owner(history: lineage.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where both remove the same folder, neither trips over the other."""
    dead = history.blob_folder / "tmp" / "0123456789abcdef"
    dead.mkdir()
    (dead / "spool").write_bytes(b"123")
    original = shutil.rmtree
    calls: list[Path] = []

    def beaten(path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise FileNotFoundError(2, "No such file or directory", str(path / "spool"))
        original(path)

    monkeypatch.setattr(shutil, "rmtree", beaten)

    assert history.gc().temporary_bytes == 3
    assert not dead.exists()


def test_create_whose_draft_gc_took_opens_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two programs that create a project at once, the slower opens it, also when gc took its unfinished file."""
    path = tmp_path / "p.lineage"
    original = os.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", original)
        lineage.open(path).gc()
        original(source, target)

    monkeypatch.setattr(os, "link", late)

    assert lineage.open(path).verify().ok
    assert not list(tmp_path.glob(".*"))


def write_and_use(path: str, seed: int, logs: int) -> None:
    """Log versions of few contents, so that many are shared."""
    project = lineage.open(path)
    for number in range(logs):
        with project.start_run("write") as run:
            content = (seed * 7 + number) % 5
            log(project, f"m{number % 2}", {"weights": large(str(content)), "note": str(content).encode()}, run)


def delete_all(path: str, stop: Event) -> None:
    """Delete whatever there is, over and over."""
    project = lineage.open(path)
    while not stop.is_set():
        for version in project.versions():
            with suppress(NotFoundError):
                version.delete(delete_aliases=True)


def collect_all(path: str, stop: Event) -> None:
    """Collect garbage, over and over."""
    project = lineage.open(path)
    while not stop.is_set():
        project.gc()


def verify_all(path: str, stop: Event) -> None:
    """Verify, over and over, and never find an error."""
    project = lineage.open(path, read_only=True)
    while not stop.is_set():
        report = project.verify()
        assert report.ok, report.problems


def test_gc_beside_writers_deleters_and_readers_loses_nothing(project: lineage.Project) -> None:
    """Two writers, a deleter, a collector and a verifier at once: no call fails, and every live file reads."""
    stop = SPAWN.Event()
    path = str(project.file)
    writers = [SPAWN.Process(target=write_and_use, args=(path, seed, 25)) for seed in range(2)]
    others = [SPAWN.Process(target=target, args=(path, stop)) for target in (delete_all, collect_all, verify_all)]
    for process in writers + others:
        process.start()
    for process in writers:
        process.join(120)
    stop.set()
    for process in others:
        process.join(120)

    assert [process.exitcode for process in writers + others] == [0] * 5
    project.gc()
    assert project.verify().problems == ()
    for version in project.versions():
        assert len(version.open("weights").read()) == LARGE
    numbers = project.sql("SELECT name, count(*) AS n, max(number) + 1 AS next FROM versions GROUP BY name")
    assert all(row["n"] == row["next"] for row in numbers)


def is_held(path: Path) -> bool:
    """Whether somebody holds a lock exclusively."""
    return is_locked(path)


@given(
    logs=st.lists(
        st.tuples(
            st.sampled_from(["m", "data"]), st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3)
        ),
        min_size=1,
        max_size=8,
    ),
    deletions=st.sets(st.tuples(st.sampled_from(["m", "data"]), st.integers(0, 7))),
    strays=st.sets(st.integers(0, 5), max_size=3),
)
def test_gc_dry_run_says_what_the_run_then_takes(
    tmp_path_factory: pytest.TempPathFactory,
    logs: list[tuple[str, dict[str, int]]],
    deletions: set[tuple[str, int]],
    strays: set[int],
) -> None:
    """For any history the dry run's numbers are the run's, and afterwards every live file reads as it was logged."""
    project = lineage.open(tmp_path_factory.mktemp("gc") / "p.lineage")
    expected: dict[str, dict[str, bytes]] = {}
    for name, files in logs:
        contents = {path: large(str(size)) if size % 2 else str(size).encode() for path, size in files.items()}
        expected[log(project, name, contents).reference] = contents
    for name, number in deletions:
        if f"{name}:v{number}" in expected:
            project.version(f"{name}:v{number}").delete(delete_aliases=True)
            del expected[f"{name}:v{number}"]
    for number in strays:
        path = project.blob_folder / "ab" / f"{number}".rjust(62, "0")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * number)

    planned = project.gc(dry_run=True)
    done = project.gc()

    assert (planned.dry_run, done.dry_run) == (True, False)
    assert [getattr(planned, name) for name in planned.__slots__[1:]] == [
        getattr(done, name) for name in done.__slots__[1:]
    ]
    assert project.gc().total_bytes == 0
    for reference, contents in expected.items():
        version = project.version(reference)
        assert {path: version.open(path).read() for path in contents} == contents
    assert project.verify().problems == ()
