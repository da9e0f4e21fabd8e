"""Migrations: each script applied once and in order, an older file kept, a newer one refused."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from conftest import draft
from invariants import assert_store_sound
from test_two_writers import at_the_word, heard, started, together

import lineage
from lineage.blobs import BlobFolder
from lineage.database import Database
from lineage.migrations import FORMAT_VERSION, SCHEMA_DIR, migrate, scripts, statements
from lineage.store import Store, upgrade
from lineage.values import new_uid


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """An empty database, in a transaction."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.execute("BEGIN")
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Migrations of a made-up library that reads three formats."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("CREATE TABLE one (a INTEGER);\nINSERT INTO one VALUES (1);\n")
    (folder / "0002_second.sql").write_text("CREATE TABLE two (a INTEGER);\nINSERT INTO two VALUES (2);\n")
    (folder / "0003_third.sql").write_text("INSERT INTO two VALUES (3);\n")
    return folder


NEXT = FORMAT_VERSION + 1
LAST = FORMAT_VERSION + 2
COPY = f"p.lineage.format{FORMAT_VERSION}"


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """Migrations of a made-up library that reads two formats more than ours; what made ours is not to be run again."""
    folder = tmp_path / "later"
    folder.mkdir()
    (folder / "0001_first.sql").write_text("CREATE TABLE one (a INTEGER);\n")
    (folder / f"{NEXT:04}_next.sql").write_text("CREATE TABLE two (a INTEGER);\nINSERT INTO two VALUES (2);\n")
    (folder / f"{LAST:04}_last.sql").write_text("INSERT INTO two VALUES (3);\n")
    return folder


def newer(path: Path) -> Store:
    """Return the store as that library would open it."""
    blobs = BlobFolder(path.with_suffix(".blobs"), timeout=30)
    database = Database(path, format_version=LAST, lock_path=blobs.write_lock, read_only=False, timeout=30)
    return Store(path, database, blobs)


def answers(path: Path, query: str) -> list[object]:
    """Return the first column of what SQLite answers about a file."""
    with closing(sqlite3.connect(path)) as opened:
        return [row[0] for row in opened.execute(query)]


def tables(path: Path) -> list[object]:
    """Return the made-up tables of a file."""
    return answers(path, "SELECT name FROM sqlite_schema WHERE name IN ('one', 'two') ORDER BY name")


def log(project: lineage.Project, text: str) -> lineage.Version:
    """Log a text as the next version of ``d``."""
    version = project.log_artifact(draft("d", {"a": text}))
    assert version is not None
    return version


# --- splitting ---


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        ("A;\nB;\n", ["A;\n", "B;\n"]),
        ("CREATE TABLE a (\n  b TEXT -- why; not\n);\nB;", ["CREATE TABLE a (\n  b TEXT -- why; not\n);\n", "B;"]),
        ("-- why; not\nA;\n", ["-- why; not\nA;\n"]),
        ("/* a;\nb; */ A;\n", ["/* a;\nb; */ A;\n"]),
        ("INSERT INTO a VALUES ('x;\ny');\n", ["INSERT INTO a VALUES ('x;\ny');\n"]),
        (
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\nB;\n",
            ["CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\n", "B;\n"],
        ),
        ("A;\nB\n", ["A;\n", "B\n"]),
        ("A;\n-- the end\n", ["A;\n", "-- the end\n"]),
    ],
    ids=[
        "nothing",
        "two",
        "comment inside",
        "comment before",
        "block",
        "text",
        "trigger",
        "no semicolon",
        "comment after",
    ],
)
def test_statements_of_a_script_end_where_sqlite_ends_them(script: str, expected: list[str]) -> None:
    """Semicolons in comments, texts and triggers end nothing, and nothing of a script is lost."""
    assert list(statements(script)) == expected


def test_scripts_of_a_folder_come_by_number_and_only_if_they_are_named_so(folder: Path) -> None:
    """Other files of the folder are no migrations."""
    for name in ("README.md", "0004.sql", "004_short.sql", "0004_x.sql.bak", "0010_tenth.sql"):
        (folder / name).write_text("no SQL")

    found = [(number, path.name) for number, path in scripts(folder)]

    assert found == [(1, "0001_first.sql"), (2, "0002_second.sql"), (3, "0003_third.sql"), (10, "0010_tenth.sql")]


# --- migrate ---


def test_migrate_of_an_empty_database_applies_all(connection: sqlite3.Connection, folder: Path) -> None:
    """Each script runs in order, and the number of the last is the format."""
    assert migrate(connection, folder) == 3
    assert connection.execute("PRAGMA user_version").fetchall() == [(3,)]
    assert connection.execute("SELECT a FROM two").fetchall() == [(2,), (3,)]


def test_migrate_again_applies_nothing(connection: sqlite3.Connection, folder: Path) -> None:
    """What was applied is not applied twice."""
    migrate(connection, folder)

    assert migrate(connection, folder) == 3
    assert connection.execute("SELECT a FROM one").fetchall() == [(1,)]


def test_migrate_of_an_older_database_applies_what_is_new(connection: sqlite3.Connection, folder: Path) -> None:
    """The file's own number says where to go on."""
    connection.execute("CREATE TABLE two (a INTEGER)")
    connection.execute("PRAGMA user_version = 2")

    assert migrate(connection, folder) == 3
    assert connection.execute("SELECT a FROM two").fetchall() == [(3,)]


def test_migrate_without_scripts_leaves_the_format(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """A folder without scripts asks for nothing."""
    connection.execute("PRAGMA user_version = 5")

    assert migrate(connection, tmp_path) == 5


def test_migrate_with_a_last_statement_without_semicolon_runs_it(connection: sqlite3.Connection, folder: Path) -> None:
    """A forgotten semicolon does not make half a format."""
    (folder / "0004_fourth.sql").write_text("INSERT INTO two VALUES (4);\nINSERT INTO two VALUES (5)")

    migrate(connection, folder)

    assert connection.execute("SELECT a FROM two").fetchall() == [(2,), (3,), (4,), (5,)]


@pytest.mark.parametrize("script", ["INSERT INTO nowhere VALUES (1);", "SELECT 1; SELECT 2;", "SELECT (", "'open"])
def test_migrate_with_a_script_that_fails_can_be_undone_whole(
    connection: sqlite3.Connection, folder: Path, script: str
) -> None:
    """The scripts before it, and the number, go with the transaction."""
    (folder / "0004_fourth.sql").write_text(script)

    with pytest.raises((sqlite3.Error, sqlite3.Warning)):
        migrate(connection, folder)

    connection.execute("ROLLBACK")
    assert connection.execute("PRAGMA user_version").fetchall() == [(0,)]
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == []


# --- the format we write ---


def test_format_version_is_the_number_of_the_last_migration(project: lineage.Project) -> None:
    """What a new project says of itself is what the library and its schema say."""
    last, _ = scripts(SCHEMA_DIR / "migrations")[-1]

    assert (FORMAT_VERSION, answers(project.file, "PRAGMA user_version")) == (last, [last])


def test_migrations_are_numbered_without_a_gap() -> None:
    """1, 2, 3: a format is the number of the scripts that made it."""
    numbers = [number for number, _ in scripts(SCHEMA_DIR / "migrations")]

    assert numbers == list(range(1, FORMAT_VERSION + 1))


# --- upgrade ---


def test_upgrade_of_an_older_project_keeps_a_copy_and_all_it_held(project: lineage.Project, later: Path) -> None:
    """The new format is there, and the file as it was lies beside it and still opens."""
    log(project, "hello")

    assert upgrade(newer(project.file), later) == LAST

    copy = project.file.with_name(COPY)
    assert (tables(project.file), answers(project.file, "PRAGMA user_version")) == (["two"], [LAST])
    assert (tables(copy), answers(copy, "PRAGMA user_version")) == ([], [FORMAT_VERSION])
    copy.rename(project.file)
    assert lineage.open(project.file).version("d").open("a").read() == b"hello"
    assert_store_sound(lineage.open(project.file))


def test_upgrade_of_a_project_that_has_it_already_makes_no_copy(project: lineage.Project, later: Path) -> None:
    """Whoever comes second finds nothing to do and leaves nothing behind."""
    upgrade(newer(project.file), later)

    assert upgrade(newer(project.file), later) == LAST

    assert answers(project.file, "SELECT a FROM two ORDER BY a") == [2, 3]
    assert sorted(path.name for path in project.file.parent.glob("*.format*")) == [COPY]


def test_upgrade_keeps_a_copy_that_is_there(project: lineage.Project, later: Path) -> None:
    """An earlier copy is somebody's way back, and is not written over."""
    copy = project.file.with_name(COPY)
    copy.write_text("theirs")

    upgrade(newer(project.file), later)

    assert copy.read_text() == "theirs"


def test_upgrade_that_fails_leaves_the_project_as_it_was(project: lineage.Project, later: Path) -> None:
    """A broken script changes nothing, and the project goes on in its format."""
    log(project, "hello")
    (later / f"{LAST + 1:04}_broken.sql").write_text("INSERT INTO nowhere VALUES (1);")

    with pytest.raises(lineage.CorruptionError, match="nowhere"):
        upgrade(newer(project.file), later)

    assert (tables(project.file), answers(project.file, "PRAGMA user_version")) == ([], [FORMAT_VERSION])
    assert log(project, "more").reference == "d:v1"


def test_upgrade_that_cannot_keep_a_copy_changes_nothing(
    project: lineage.Project, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a way back there is no upgrade, and nothing temporary stays."""

    def broken(_descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    log(project, "hello")
    before = sorted(path.name for path in project.file.parent.iterdir())

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(lineage.StorageError, match="cannot keep a copy of the older file: the disk is broken"):
            upgrade(newer(project.file), later)

    assert answers(project.file, "PRAGMA user_version") == [FORMAT_VERSION]
    assert sorted(path.name for path in project.file.parent.iterdir()) == before


def upgraded(door: Connection, path: str, folder: str) -> int:
    """Upgrade with others at the same time."""
    store = newer(Path(path))
    at_the_word(door)
    return upgrade(store, Path(folder))


def test_upgrade_by_two_processes_is_done_once(project: lineage.Project, later: Path) -> None:
    """Who waited for the lock finds it done; both go on in the new format, and there is one copy."""
    log(project, "hello")
    work = (upgraded, str(project.file), str(later))

    with started(work, work) as crew:
        together(crew)
        formats = [heard(door) for _, door in crew]

    assert formats == [LAST, LAST]
    assert answers(project.file, "SELECT a FROM two ORDER BY a") == [2, 3]
    assert sorted(path.name for path in project.file.parent.glob("*.format*")) == [COPY]


# --- what open does ---


@pytest.mark.parametrize("read_only", [False, True])
def test_open_of_a_newer_format_is_refused_with_both_numbers(project: lineage.Project, read_only: bool) -> None:
    """A file of a later library is left alone, and the message says what to do."""
    with closing(sqlite3.connect(project.file)) as opened:
        opened.execute("PRAGMA user_version = 99")
    before = project.file.read_bytes()

    with pytest.raises(
        lineage.FormatError, match=f"has format 99, this lineage reads up to {FORMAT_VERSION}; upgrade"
    ) as caught:
        lineage.open(project.file, read_only=read_only)

    assert caught.value.kind == lineage.ErrorKind.NEWER_FORMAT
    assert project.file.read_bytes() == before


def test_call_on_a_project_that_was_upgraded_meanwhile_is_refused(project: lineage.Project, later: Path) -> None:
    """A program that opened it before does not write the old format into the new."""
    log(project, "hello")
    upgrade(newer(project.file), later)

    with pytest.raises(lineage.FormatError, match=f"has format {LAST}"):
        log(project, "more")


def test_open_of_an_older_format_brings_it_up_to_date(project: lineage.Project) -> None:
    """Opening is all it takes; here the oldest there can be, a file of the first format with nothing in it."""
    path = project.file.with_name("old.lineage")
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.executescript((SCHEMA_DIR / "migrations" / "0001_first_format.sql").read_text())
        opened.execute("INSERT INTO project (id, uid, created_at) VALUES (1, ?, '')", [new_uid()])
        opened.execute("PRAGMA application_id = 1280198449")
        opened.execute("PRAGMA user_version = 1")

    lineage.open(path)

    assert answers(path, "PRAGMA user_version") == [FORMAT_VERSION]
    assert answers(path.with_name("old.lineage.format1"), "PRAGMA user_version") == [1]
