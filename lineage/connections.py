"""Connections to SQLite: the one door to it, with every setting of promises.md 4.1 and 4.2, and what a fork needs.

Project files are opened here, made, copied and drafted; files of others are opened with care.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from lineage.errors import BusyError, CorruptionError, ErrorKind, FormatError, StateError
from lineage.journal import check_journal
from lineage.system import storage_errors, sync_folder, unique_name
from lineage.translation import translated

APPLICATION_ID: Final = 0x4C4E4731
"""``LNG1``: what tells a project file from any other SQLite database."""
OLDEST_SQLITE: Final = (3, 37, 0)
"""STRICT tables came with it."""
FORKED: Final = (
    "this process was forked inside a call, a batch or a snapshot of this project; fork outside of it, or use 'spawn'"
)
_LIMITS: Final = (
    (sqlite3.SQLITE_LIMIT_LENGTH, 64 << 20),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (sqlite3.SQLITE_LIMIT_COLUMN, 64),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 64),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
)
"""What a file of others may ask of SQLite."""
_FORK_PATIENCE: Final = 5.0
"""Seconds that a fork waits for the calls of other threads: calls take milliseconds, a batch as long as it likes."""


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly, which the base class cannot, and that knows whose it is."""

    file: Path
    thread: int

    def close(self) -> None:
        """Close it, and let a fork go on that waited for it."""
        super().close()
        with _calls:
            _open_connections.discard(self)
            _calls.notify_all()


_open_connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
_calls = threading.Condition()
_inherited: set[Path] = set()
"""Project files that the parent of this process was in a call of when it forked: SQLite takes its locks for ours."""


def connect(path: Path, *, writing: bool, timeout: float, mend: bool = True) -> sqlite3.Connection:
    """Return a new connection with every setting of promises.md 4.1; the caller closes it.

    Args:
        path: The database.
        writing: Let it write.
        timeout: Seconds to wait for a lock.
        mend: Undo what a crash left half done; otherwise such a file is refused and stays as it is.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        message = f"SQLite {sqlite3.sqlite_version} is too old: lineage needs 3.37 or newer"
        raise FormatError(message)
    mends = not check_journal(path) or mend
    mode = "rw" if mends and os.access(path, os.W_OK) else "ro"  # "rw" also for readers: it mends what a crash left
    uri = f"{file_uri(path)}?mode={mode}"
    with _calls:
        if path in _inherited:
            raise StateError(FORKED)
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout, factory=_Connection)
        connection.file, connection.thread = path, threading.get_ident()
        _open_connections.add(connection)
    try:
        _configure(connection, path, writing=writing)
    except BaseException:
        connection.close()
        raise
    return connection


def begin_to_read(path: Path, *, timeout: float) -> sqlite3.Connection:
    """Return a new connection that sees one state of a database; the caller closes it.

    Raises:
        sqlite3.OperationalError: Somebody wrote for longer than the time-out, among others (:func:`is_busy`).
    """
    connection = connect(path, writing=False, timeout=timeout)
    try:
        connection.execute("BEGIN")
        connection.execute("PRAGMA application_id")  # only the first look at the file takes SQLite's lock
    except BaseException:
        connection.close()
        raise
    return connection


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether an error says that another connection holds a lock."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def file_uri(path: Path) -> str:
    """Return a path as SQLite takes any path: also one that is no text, or that it would read as something else."""
    return f"file:{quote_from_bytes(os.fsencode(path))}"


def _configure(connection: sqlite3.Connection, path: Path, *, writing: bool) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA temp_store = MEMORY")
    if not writing:
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    (mode,) = connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if mode != "truncate":
        message = f"another program holds {str(path)!r} in journal mode {mode!r}; close it there first"
        raise BusyError(message)


def check_format(connection: sqlite3.Connection, path: Path, newest: int) -> None:
    """Refuse what is not a project file of a format this library reads.

    Raises:
        FormatError: It is another database, or a project of another format; the message says which.
    """
    version = _format_of(connection, path)
    if version > newest:
        message = f"{str(path)!r} has format {version}, this lineage reads up to {newest}; upgrade lineage-db"
        raise FormatError(message, kind=ErrorKind.NEWER_FORMAT)
    if version < 0:
        raise FormatError(f"{str(path)!r} has format {version}, which no lineage ever wrote; restore it from a copy")
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except UnicodeDecodeError as error:  # sqlite3 cannot read SQLite's message where a damaged name stands in it
        message = f"project {str(path)!r} is damaged (its table of tables is); restore it from a copy"
        raise CorruptionError(message) from error


def _format_of(connection: sqlite3.Connection, path: Path) -> int:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        message = f"{str(path)!r} is not a lineage project file"
        raise FormatError(message, kind=ErrorKind.NOT_A_PROJECT)
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block writes if it ends well, and undo it if not; a child forked in it can end nothing."""
    connection.execute("BEGIN IMMEDIATE")
    process = os.getpid()
    try:
        yield
        _refuse_fork(process)
        connection.execute("COMMIT")
    except BaseException:
        if process == os.getpid() and connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _refuse_fork(process: int) -> None:
    if process != os.getpid():
        raise StateError("this process was forked inside a batch: only its parent can end it")


def copy_database(source: Path, draft: Path, *, packed: bool = False, timeout: float = 0) -> None:
    """Write one state of a database into a new file, through SQLite: reading it ourselves would drop its locks.

    The copy is compact and not synced, and may be half there after a crash: the caller names it when it is whole.

    Args:
        source: The database, also one that others write to.
        draft: The new file; nothing, or an empty file, may be there.
        packed: With pages of 64 KiB, in which mebibyte rows are written twice as fast.
        timeout: Seconds to wait for a lock.
    """
    with translated(source):
        connection = connect(source, writing=False, timeout=timeout)
        try:
            connection.execute("PRAGMA query_only = OFF")
            if packed:
                connection.execute("PRAGMA page_size = 65536")
            connection.execute("VACUUM INTO ?", (file_uri(draft),))
        finally:
            connection.close()


def mirror_database(source: Path, target: Path, *, timeout: float) -> None:
    """Copy the pages of a database that others may write to, whatever they hold; no SQL of it is run.

    What a crash left half done in it is its owner's to undo: nothing is written there.

    Raises:
        StateError: There is something to undo.
    """
    with translated(source):
        connection = connect(source, writing=False, timeout=timeout, mend=False)
        mirror = sqlite3.connect(f"{file_uri(target)}?mode=rwc", uri=True, isolation_level=None)
        try:
            connection.backup(mirror)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise
            message = f"project {str(source)!r} was left in the midst of a write: open it once, then try again"
            raise StateError(message) from error
        finally:
            mirror.close()
            connection.close()


@contextmanager
def scratch_database() -> Iterator[sqlite3.Connection]:
    """Give an empty database in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def draft_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a file that has no name yet: nothing is synced, and a crash leaves rubbish.

    Errors of SQLite are translated.
    """
    with translated(path):
        connection = sqlite3.connect(f"{file_uri(path)}?mode=rw", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()


@contextmanager
def foreign_database(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a file that may be hostile: it is read as it lies there, whatever journal is beside it.

    Limits keep a forged cell, or a schema of megabytes, from taking the memory. Errors of SQLite are translated.
    """
    with translated(path):
        uri = f"{file_uri(path)}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        try:
            for limit, value in _LIMITS:
                connection.setlimit(limit, value)
            _configure(connection, path, writing=False)
            yield connection
        finally:
            connection.close()


def create_database(path: Path, build: Callable[[sqlite3.Connection], None]) -> None:
    """Make a database under another name, sync it, and give it its name only when it is whole.

    Args:
        path: Its name; if somebody makes the file first, theirs stays.
        build: Makes the tables, inside a transaction of its own.
    """
    draft = path.with_name(f".{path.name}.{unique_name()}.tmp")
    try:
        with translated(draft), storage_errors(f"cannot create project {str(path)!r}"):
            _build(draft, build)
            _publish(draft, path)
    finally:
        for name in (draft.name, f"{draft.name}-journal"):  # TRUNCATE leaves the journal there, empty
            with suppress(OSError):  # the first error is the one to tell; gc takes what stays
                draft.with_name(name).unlink()


def _build(draft: Path, build: Callable[[sqlite3.Connection], None]) -> None:
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    connection = connect(draft, writing=True, timeout=0)
    try:
        with transaction(connection):
            build(connection)
    finally:
        connection.close()


def _publish(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except (FileExistsError, FileNotFoundError):
        if not path.exists():
            raise
        return  # two programs created it at once: the first one's file is the project, and its gc may take ours
    sync_folder(path.parent)


def _wait_for_other_threads() -> None:
    """Before a fork, let the calls of other threads end, and keep new ones out until it has happened."""
    _calls.acquire()
    own = threading.get_ident()
    _calls.wait_for(lambda: all(one.thread == own for one in _open_connections), timeout=_FORK_PATIENCE)


def _let_calls_go_on() -> None:
    _calls.release()  # looked up now: in a child it is another


def _keep_inherited_connections() -> None:
    """In a forked child, keep the parent's open connections from ever being closed, and the child off their files.

    Closing one would roll back the parent's running transaction on disk. An extra reference that nobody drops
    is the only way to stop the interpreter from doing so at exit. Any other connection to such a file would
    share the locks that SQLite remembers, and so read and write without one (tests/test_fork_threads.py).
    """
    global _calls  # noqa: PLW0603 (the parent's may have threads waiting in it)
    _calls = threading.Condition()
    _inherited.update(connection.file for connection in _open_connections)
    if _open_connections:
        import ctypes  # noqa: PLC0415 (in a child forked inside a call only; 10 ms)

        for connection in list(_open_connections):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


os.register_at_fork(
    before=_wait_for_other_threads,
    after_in_parent=_let_calls_go_on,
    after_in_child=_keep_inherited_connections,
)
