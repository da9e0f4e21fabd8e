"""The cache of known files: what it answers, when it keeps silent, and what logging does with its answers."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from blake3 import blake3

import lineage
from lineage import statcache
from lineage.errors import ErrorKind, InvalidInputError
from lineage.statcache import StatCache, users_cache
from lineage.values import Digest


def later() -> int:
    """Ten seconds from now: what was just written is old by then."""
    return time.time_ns() + 10_000_000_000


@pytest.fixture
def cache(tmp_path: Path) -> StatCache:
    """A cache for which every file is old enough."""
    return StatCache(tmp_path / "cache" / "files.db", clock=later)


def status_of(inode: int, device: int = 1) -> os.stat_result:
    """Return the status of an old file of five bytes."""
    return os.stat_result((0o100644, inode, device, 1, 0, 0, 5, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0))


def digest_of(path: Path) -> Digest:
    return Digest(blake3(path.read_bytes()).hexdigest())


def noted(path: Path) -> Path:
    """Let the user's cache know a file, or all files below a folder, as if they had been read when old enough."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    StatCache(Path(os.environ["LINEAGE_CACHE"]) / "files.db", clock=later).note(
        [(file.stat(), digest_of(file)) for file in files]
    )
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small and a large file."""
    found = tmp_path / "data"
    (found / "sub").mkdir(parents=True)
    (found / "small.txt").write_bytes(b"small")
    (found / "sub" / "large.bin").write_bytes(b"large" * 300_000)
    return found


def test_known_gives_the_digest_of_a_file_that_did_not_change(cache: StatCache, folder: Path) -> None:
    """A file is known by its state alone."""
    file = folder / "small.txt"

    cache.note([(file.stat(), digest_of(file))])

    assert cache.known([file.stat(), folder.stat()]) == [digest_of(file), None]


@pytest.mark.parametrize("change", ["size", "mtime", "inode", "ctime"])
def test_known_keeps_silent_about_a_file_in_another_state(cache: StatCache, folder: Path, change: str) -> None:
    """Any part of the state that differs makes a file unknown."""
    file = folder / "small.txt"
    cache.note([(file.stat(), digest_of(file))])
    if change == "size":
        file.write_bytes(b"larger")
    elif change == "mtime":
        os.utime(file, ns=(0, 0))
    elif change == "ctime":
        before = file.stat()
        while file.stat().st_ctime_ns == before.st_ctime_ns:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        (folder / "other").write_bytes(b"small")
        (folder / "other").rename(file)

    assert cache.known([file.stat()]) == [None]


def test_note_leaves_out_a_file_that_may_change_within_the_same_tick(tmp_path: Path, folder: Path) -> None:
    """A file changed just now, of the same size and with its time set back, is not taken for what it was."""
    cache = StatCache(tmp_path / "files.db")
    file = folder / "small.txt"
    before = file.stat()

    cache.note([(before, digest_of(file))])
    file.write_bytes(b"SMALL")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert cache.known([before, file.stat()]) == [None, None]


def test_note_in_the_place_of_an_older_state_forgets_that(cache: StatCache, folder: Path) -> None:
    """A file that changed is known as it is now."""
    file = folder / "small.txt"
    before = file.stat()
    cache.note([(before, digest_of(file))])
    file.write_bytes(b"changed")

    cache.note([(file.stat(), digest_of(file))])

    assert cache.known([before, file.stat()]) == [None, digest_of(file)]


def test_note_takes_numbers_that_sqlite_has_not(cache: StatCache, folder: Path) -> None:
    """Inodes of 64 bits are told apart."""
    large = status_of(2**64 - 1, device=2**64 - 2)

    cache.note([(large, Digest("ab" * 32))])

    assert cache.known([large, folder.stat()]) == [Digest("ab" * 32), None]


def test_known_does_not_trust_a_row_that_was_damaged(cache: StatCache, folder: Path, tmp_path: Path) -> None:
    """A digest that is not the one that was written is no answer."""
    file = folder / "small.txt"
    cache.note([(file.stat(), digest_of(file))])

    with closing(sqlite3.connect(tmp_path / "cache" / "files.db")) as connection, connection:
        connection.execute("UPDATE known SET digest = zeroblob(32)")

    assert cache.known([file.stat()]) == [None]


@pytest.mark.parametrize("content", [b"no database, but long enough to be looked at" * 50, b""])
def test_note_replaces_a_file_that_is_no_cache(cache: StatCache, folder: Path, tmp_path: Path, content: bytes) -> None:
    """What cannot be used goes, and the next note makes another."""
    file, place = folder / "small.txt", tmp_path / "cache" / "files.db"
    place.parent.mkdir()
    place.write_bytes(content)
    assert cache.known([file.stat()]) == [None]

    cache.note([(file.stat(), digest_of(file))])
    cache.note([(file.stat(), digest_of(file))])

    assert cache.known([file.stat()]) == [digest_of(file)]


def test_note_replaces_a_cache_of_another_form(cache: StatCache, folder: Path, tmp_path: Path) -> None:
    """A table with other columns, of an older or newer library, goes."""
    file, place = folder / "small.txt", tmp_path / "cache" / "files.db"
    place.parent.mkdir()
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("CREATE TABLE known (something)")

    cache.note([(file.stat(), digest_of(file))])
    cache.note([(file.stat(), digest_of(file))])

    assert cache.known([file.stat()]) == [digest_of(file)]


def test_note_where_nothing_can_be_written_changes_nothing(folder: Path) -> None:
    """A cache folder that cannot be made leaves files unknown."""
    file = folder / "small.txt"
    cache = StatCache(file / "files.db", clock=later)

    cache.note([(file.stat(), digest_of(file))])

    assert cache.known([file.stat()]) == [None]


def test_note_while_another_process_writes_keeps_what_was_known(cache: StatCache, folder: Path, tmp_path: Path) -> None:
    """A cache that is busy is left alone, neither waited for nor removed."""
    file, place = folder / "small.txt", tmp_path / "cache" / "files.db"
    cache.note([(file.stat(), digest_of(file))])

    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        cache.note([(file.stat(), digest_of(file))])
        assert cache.known([file.stat()]) == [None]

    assert cache.known([file.stat()]) == [digest_of(file)]


def test_note_from_several_threads_keeps_what_each_found(tmp_path: Path) -> None:
    """Writers take turns."""
    statuses = [status_of(inode) for inode in range(40)]
    place = tmp_path / "files.db"

    def note(start: int) -> None:
        for status in statuses[start::4]:
            StatCache(place).note([(status, Digest(f"{status.st_ino:064x}"))])

    threads = [threading.Thread(target=note, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    known = StatCache(place).known(statuses)
    assert {digest for digest in known if digest is not None} <= {f"{inode:064x}" for inode in range(40)}
    assert all(digest in (None, f"{status.st_ino:064x}") for digest, status in zip(known, statuses, strict=True))


def test_note_beyond_the_bound_forgets_what_is_oldest(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache does not grow for good."""
    monkeypatch.setattr(statcache, "_MOST_BYTES", 20_000)
    old, new = (status_of(inode) for inode in (1, 2))
    place = tmp_path / "files.db"
    StatCache(place).note([(old, Digest("ab" * 32))])

    for start in range(100, 500, 100):
        files = [status_of(inode) for inode in range(start, start + 100)]
        StatCache(place, clock=lambda start=start: later() + start * 10**9).note(  # type: ignore[misc]
            [(one, Digest("cd" * 32)) for one in files]
        )
    StatCache(place, clock=lambda: later() + 10**13).note([(new, Digest("ef" * 32))])

    assert StatCache(place).known([old, new]) == [None, Digest("ef" * 32)]


def test_users_cache_lies_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LINEAGE_CACHE goes before XDG_CACHE_HOME, which goes before ~/.cache; an empty one is none."""
    status = status_of(7)

    def place() -> list[Path]:
        users_cache().note([(status, Digest("ab" * 32))])
        return sorted(path for path in tmp_path.rglob("files.db"))

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("LINEAGE_CACHE", "")
    assert place() == []
    monkeypatch.delenv("LINEAGE_CACHE")
    assert place() == [tmp_path / "xdg" / "lineage" / "files.db"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert tmp_path / "home" / ".cache" / "lineage" / "files.db" in place()


def test_add_dir_of_known_files_reads_none_of_them(project: lineage.Project, folder: Path) -> None:
    """What the cache knows and the project holds is not staged, and becomes the same version."""
    first = project.log_artifact(folder, "data", "dataset")
    noted(folder)

    draft = lineage.Artifact("data", "dataset")
    draft.add_dir(folder)

    assert draft._staging is None
    assert project.log_artifact(draft).reference == first.reference


def test_add_file_of_a_known_large_file_does_not_read_it(project: lineage.Project, folder: Path) -> None:
    """A checkpoint that was logged before costs a look."""
    file = folder / "sub" / "large.bin"
    project.log_artifact(file, "model", "model")
    noted(file)

    draft = lineage.Artifact("again", "model")
    draft.add_file(file)

    assert draft._staging is None
    assert project.log_artifact(draft).open("large.bin").read() == file.read_bytes()


def test_add_dir_with_one_file_changed_reads_that_one(project: lineage.Project, folder: Path) -> None:
    """The others are known, and the new version has all of them."""
    project.log_artifact(folder, "data", "dataset")
    noted(folder)
    (folder / "small.txt").write_bytes(b"SMALL")

    version = project.log_artifact(folder, "data", "dataset")

    assert version.reference == "data:v1"
    assert version.open("small.txt").read() == b"SMALL"
    assert version.open("sub/large.bin").read() == b"large" * 300_000


def test_add_dir_freezes_what_the_project_does_not_hold(project: lineage.Project, folder: Path) -> None:
    """A known file whose bytes are not here is copied when it is added, and may change afterwards."""
    noted(folder)
    draft = lineage.Artifact("data", "dataset")
    draft.add_dir(folder)

    (folder / "small.txt").write_bytes(b"changed afterwards")

    assert project.log_artifact(draft).open("small.txt").read() == b"small"


def test_add_dir_refuses_a_known_project_file(project: lineage.Project, folder: Path) -> None:
    """A project that is open here is no data, whatever was known of its file before."""
    other = lineage.open(folder / "other.lineage")
    noted(folder)

    with pytest.raises(InvalidInputError, match="project file that is open here"):
        project.log_artifact(folder, "data", "dataset")
    assert other.runs()[:] is not None


def lost(project: lineage.Project, folder: Path) -> lineage.Artifact:
    """Return a draft of known files, whose bytes gc then takes."""
    version = project.log_artifact(folder, "data", "dataset")
    noted(folder)
    draft = lineage.Artifact("kept", "dataset")
    draft.add_dir(folder)
    version.delete(delete_aliases=True)
    project.gc()
    return draft


def test_log_reads_what_gc_took_meanwhile(project: lineage.Project, folder: Path) -> None:
    """A file that is still the same is read when it is logged."""
    version = project.log_artifact(lost(project, folder))

    assert version.open("small.txt").read() == b"small"
    assert version.open("sub/large.bin").read() == b"large" * 300_000
    assert project.verify().problems == ()


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.write_bytes(b"other")])
def test_log_refuses_what_gc_took_and_somebody_changed(
    project: lineage.Project, folder: Path, change: Callable[[Path], object]
) -> None:
    """What was added is nowhere any more: the error says so, and nothing is logged."""
    draft = lost(project, folder)
    change(folder / "small.txt")

    with pytest.raises(InvalidInputError, match=r"small\.txt' has changed or gone since it was added") as caught:
        project.log_artifact(draft)

    assert caught.value.kind == ErrorKind.SOURCE_CHANGED
    assert len(project.versions(artifact="kept")) == 0


def test_log_into_another_project_reads_what_that_one_lacks(
    project: lineage.Project, folder: Path, tmp_path: Path
) -> None:
    """A draft made beside one project may be logged in another, from another working folder too."""
    other = lineage.open(tmp_path / "other.lineage")
    project = lineage.open(project.file)
    project.log_artifact(folder, "data", "dataset")
    noted(folder)
    draft = lineage.Artifact("data", "dataset")
    draft.add_dir(folder.relative_to(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")

    assert other.log_artifact(draft).open("small.txt").read() == b"small"
