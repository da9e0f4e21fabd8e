"""Connections to a project file: transactions, what SQLite says in our words, and how a file is made."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from footprint import tidy  # noqa: F401 (a fixture is used by name)

import lineage
from lineage import (
    BusyError,
    CorruptionError,
    FormatError,
    InvalidInputError,
    LineageError,
    NotFoundError,
    ReadOnlyError,
    StateError,
    StorageError,
)
from lineage.connections import APPLICATION_ID, connect, create_database
from lineage.database import Database
from lineage.translation import translated


def build(connection: sqlite3.Connection) -> None:
    """Make a small database of ours."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL CHECK (b <> 'bad')) STRICT")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A database with one empty table."""
    path = tmp_path / "d.lineage"
    create_database(path, build)
    return Database(path, format_version=1, lock_path=tmp_path / "lock", read_only=False, timeout=0.1)


def put(database: Database, text: str) -> None:
    """Write a row in a transaction of its own."""
    with database.write() as connection:
        connection.execute("INSERT INTO t (b) VALUES (?)", (text,))


def texts(database: Database) -> list[str]:
    """Return the rows."""
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT b FROM t ORDER BY a")]


# --- transactions ---


def test_write_is_there_for_others_when_it_ends(database: Database) -> None:
    """What a block wrote is committed with it, and seen by it before."""
    with database.write() as connection:
        connection.execute("INSERT INTO t (b) VALUES ('x')")
        with closing(sqlite3.connect(database.path)) as other:
            outside = other.execute("SELECT count(*) FROM t").fetchone()
        inside = texts(database)

    assert (outside, inside, texts(database)) == ((0,), ["x"], ["x"])


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), SystemExit()], ids=repr)
def test_write_that_fails_is_undone(database: Database, error: BaseException) -> None:
    """Any exception takes everything back, and goes on as it is."""
    with pytest.raises(type(error)), database.write() as connection:
        connection.execute("INSERT INTO t (b) VALUES ('x')")
        raise error

    assert texts(database) == []


def test_write_inside_a_write_is_undone_alone(database: Database) -> None:
    """A nested block is a savepoint of the outer one."""
    with database.write():
        put(database, "first")
        with pytest.raises(ZeroDivisionError), database.write() as connection:
            connection.execute("INSERT INTO t (b) VALUES ('second')")
            raise ZeroDivisionError
        put(database, "third")

    assert texts(database) == ["first", "third"]


def test_write_that_sqlite_rolled_back_itself_raises_its_error(database: Database) -> None:
    """Where SQLite ends the transaction on its own, nothing is left to roll back, and the first error counts."""
    with pytest.raises(CorruptionError, match="UNIQUE constraint failed"), database.write() as connection:
        connection.execute("INSERT INTO t (a, b) VALUES (1, 'x')")
        connection.execute("INSERT OR ROLLBACK INTO t (a, b) VALUES (1, 'y')")
    with pytest.raises(LineageError), database.write(), database.write() as connection:
        connection.execute("INSERT INTO t (a, b) VALUES (1, 'x')")
        connection.execute("INSERT OR ROLLBACK INTO t (a, b) VALUES (1, 'y')")

    assert texts(database) == []


def test_write_inside_a_read_is_refused(database: Database) -> None:
    """A snapshot only reads, and its connection cannot write either."""
    with database.read() as connection:
        with pytest.raises(StateError, match="a snapshot only reads: leave its block before you write"):
            put(database, "x")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("INSERT INTO t (b) VALUES ('x')")

    assert texts(database) == []


def test_write_to_a_read_only_database_is_refused(database: Database) -> None:
    """A database opened for reading is never written, also inside a block."""
    reader = Database(
        database.path, format_version=1, lock_path=database.path.with_name("lock"), read_only=True, timeout=0
    )

    with pytest.raises(ReadOnlyError, match="is open for reading only; open it for writing to change it"):
        put(reader, "x")
    with reader.read(), pytest.raises(ReadOnlyError):
        put(reader, "x")


def test_blocks_of_threads_are_their_own(database: Database) -> None:
    """A block of one thread is nothing to another, which waits for the lock."""
    refused: list[BaseException] = []

    def write() -> None:
        try:
            put(database, "other")
        except BusyError as error:
            refused.append(error)

    with database.write():
        put(database, "mine")
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
    write()

    assert len(refused) == 1
    assert texts(database) == ["mine", "other"]


def test_compact_gives_pages_back(database: Database) -> None:
    """A file that lost most of its rows becomes smaller; inside a block it is refused."""
    with database.write() as connection:
        connection.executemany("INSERT INTO t (b) VALUES (?)", [("x" * 4_000,)] * 200)
    with database.write() as connection:
        connection.execute("DELETE FROM t WHERE a > 1")
    before = database.path.stat().st_size

    database.compact()

    assert database.path.stat().st_size < before / 10
    assert len(texts(database)) == 1
    with database.read(), pytest.raises(StateError, match="cannot be compacted inside a batch or a snapshot"):
        database.compact()


def test_settings_are_those_the_design_asks_for(database: Database) -> None:
    """A writer syncs fully, checks foreign keys and keeps one journal; nobody trusts the schema."""
    with database.write() as connection:
        names = (
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "trusted_schema",
            "cell_size_check",
            "mmap_size",
            "query_only",
        )
        found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    assert found == {
        "journal_mode": "truncate",
        "synchronous": 2,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
        "query_only": 0,
    }


def test_journal_is_made_before_the_first_write_for_who_may_use_the_file(database: Database) -> None:
    """It holds pages of the file, so it is for the same people."""
    database.path.chmod(0o640)

    put(database, "one")

    journal = database.path.with_name("d.lineage-journal")
    assert (journal.stat().st_mode & 0o777, journal.stat().st_size) == (0o640, 0)


def test_first_write_fails_where_the_name_of_its_journal_cannot_be_made_durable(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would pass over the error, and a power cut could leave half of the write; the next one tries again."""

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        for _ in range(2):
            with pytest.raises(StorageError, match="cannot make the journal: broken"):
                put(database, "one")

    put(database, "two")
    assert texts(database) == ["two"]


# --- what SQLite says, in our words ---


CASES: list[tuple[str, type[LineageError], str]] = [
    ("SELECT * FROM nope", CorruptionError, "no such table: nope; run verify"),
    ("INSERT INTO t (b) VALUES ('bad')", CorruptionError, "CHECK constraint failed.*run verify"),
    ("INSERT INTO t (b) VALUES (x'00')", CorruptionError, "cannot store BLOB value in TEXT column"),
    ("INSERT INTO t (b) VALUES (NULL)", CorruptionError, "NOT NULL constraint failed"),
    ("SELECT zeroblob(2000000000)", InvalidInputError, "a value is too large for a row; log it as a file"),
]


@pytest.mark.parametrize(("statement", "error", "message"), CASES, ids=[case[0] for case in CASES])
def test_error_of_sqlite_is_an_error_of_ours(
    database: Database, statement: str, error: type[LineageError], message: str
) -> None:
    """Each names the file and says what to do; SQLite's own is its cause."""
    with pytest.raises(error, match=message) as caught, database.write() as connection:
        connection.execute(statement)

    assert str(database.path) in str(caught.value)
    assert isinstance(caught.value.__cause__, sqlite3.Error)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (sqlite3.SQLITE_NOTADB, FormatError),
        (sqlite3.SQLITE_BUSY, BusyError),
        (sqlite3.SQLITE_BUSY | 2 << 8, BusyError),
        (sqlite3.SQLITE_LOCKED, BusyError),
        (sqlite3.SQLITE_READONLY, ReadOnlyError),
        (sqlite3.SQLITE_FULL, StorageError),
        (sqlite3.SQLITE_IOERR | 4 << 8, StorageError),
        (sqlite3.SQLITE_PERM, StorageError),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, CorruptionError),
        (sqlite3.SQLITE_PROTOCOL, CorruptionError),
    ],
)
def test_result_code_of_sqlite_decides_the_class(tmp_path: Path, code: int, error: type[LineageError]) -> None:
    """The primary code counts, whatever extended code comes with it."""
    raised = sqlite3.OperationalError("words of SQLite")
    raised.sqlite_errorcode = code

    with pytest.raises(error, match="words of SQLite"), translated(tmp_path / "p.lineage"):
        raise raised


def test_file_that_is_gone_is_not_found(database: Database) -> None:
    """A project that was removed is told from one that cannot be opened."""
    database.path.unlink()

    for call in (lambda: texts(database), lambda: put(database, "x")):
        with pytest.raises(NotFoundError, match="no project file '.*d.lineage'") as caught:
            call()
        assert caught.value.kind == "project-not-found"


@pytest.mark.parametrize("write", [True, False])
def test_lock_of_a_foreign_connection_is_waited_for_no_longer_than_the_time_out(
    database: Database, write: bool
) -> None:
    """Another program's transaction makes us wait, and then say so."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")

        with pytest.raises(BusyError, match="is locked by another program; try again"):
            put(database, "x") if write else texts(database)

        holder.execute("ROLLBACK")
    put(database, "x")
    assert texts(database) == ["x"]


def test_reader_of_a_foreign_program_holds_a_commit_up_and_nothing_is_lost(database: Database) -> None:
    """A commit that cannot get its lock is undone as a whole."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()

        with pytest.raises(BusyError, match="is locked by another program"):
            put(database, "x")

    assert texts(database) == []


def test_file_in_wal_mode_comes_back_to_ours(database: Database) -> None:
    """A program that left the file in WAL mode and is gone does no harm."""
    with closing(sqlite3.connect(database.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")

    read = texts(database)
    put(database, "x")

    assert (read, texts(database)) == ([], ["x"])
    assert not database.path.with_name("d.lineage-wal").exists()


def test_sqlite_without_strict_tables_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the version that is needed."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))

    with pytest.raises(FormatError, match=r"SQLite .* is too old: lineage needs 3.37 or newer"):
        texts(database)


# --- making a file ---


def test_create_gives_the_file_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """While it is made it has another name; a build that fails leaves nothing."""
    seen: list[list[str]] = []

    def watch(connection: sqlite3.Connection) -> None:
        build(connection)
        seen.append([path.name for path in tmp_path.iterdir() if path.suffix == ".lineage"])

    def fail(connection: sqlite3.Connection) -> None:
        build(connection)
        raise ZeroDivisionError

    create_database(tmp_path / "d.lineage", watch)
    with pytest.raises(ZeroDivisionError):
        create_database(tmp_path / "e.lineage", fail)

    assert seen == [[]]
    assert [path.name for path in tmp_path.iterdir()] == ["d.lineage"]


def test_create_of_what_somebody_made_meanwhile_leaves_theirs(tmp_path: Path) -> None:
    """Two programs at once: the first one's file is the project."""
    path = tmp_path / "d.lineage"

    def slow(connection: sqlite3.Connection) -> None:
        build(connection)
        path.write_text("theirs")

    create_database(path, slow)

    assert path.read_text() == "theirs"
    assert [found.name for found in tmp_path.iterdir()] == ["d.lineage"]


@pytest.mark.parametrize("spoil", [lambda path: path.rmdir(), lambda path: None])
def test_create_where_there_is_no_folder_is_a_storage_error(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A folder that is gone, or goes while the file is made, is one clear error."""
    folder = tmp_path / "sub"
    folder.mkdir()
    spoil(folder)

    def remove(connection: sqlite3.Connection) -> None:
        build(connection)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    with pytest.raises((StorageError, NotFoundError, CorruptionError)):
        create_database(folder / "d.lineage", remove)

    assert list(tmp_path.iterdir()) == []


def test_connect_closes_a_connection_it_cannot_set_up(tmp_path: Path) -> None:
    """A file that is no database costs no descriptor."""
    path = tmp_path / "d.lineage"
    path.write_text("x" * 10_000)
    before = len(os.listdir("/proc/self/fd"))

    for _ in range(3):
        with pytest.raises(sqlite3.DatabaseError):
            connect(path, writing=True, timeout=0)

    assert len(os.listdir("/proc/self/fd")) == before


def test_calls_leave_no_connection_open(project: lineage.Project) -> None:
    """Nothing is held between public calls, also when they fail."""
    before = len(os.listdir("/proc/self/fd"))

    project.start_run().finish()
    for call in (lambda: project.version("nope"), lambda: project.start_run(use="nope"), lambda: project.sql("SELEC")):
        with pytest.raises(LineageError):
            call()

    assert len(os.listdir("/proc/self/fd")) == before
