"""Connections to the project file: opened for one call, closed at its end; all of SQLite's settings.

No connection is held between public calls. One held in WAL mode loses acknowledged commits as soon as the
program itself reads or copies the project file, and poisons a forked child (promises.md, part 0); opening one
costs 0.4 ms. This module knows no table. Errors of sqlite3 become ours by :mod:`lineage.translation`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from lineage.errors import (
    BusyError,
    CorruptionError,
    ErrorKind,
    FormatError,
    ReadOnlyError,
    StateError,
)
from lineage.journal import check_journal, have_journal
from lineage.system import queued_lock, storage_errors, sync_folder, unique_name
from lineage.translation import translated

APPLICATION_ID: Final = 0x4C4E4731
"""``LNG1``: what tells a project file from any other SQLite database."""
OLDEST_SQLITE: Final = (3, 37, 0)
"""STRICT tables came with it."""


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


@dataclass(slots=True)
class _Session:
    """The connection a thread is working with, and what it may do."""

    connection: sqlite3.Connection
    writing: bool
    process: int
    after: dict[str, Callable[[], None]] = field(default_factory=dict)


_blocks = threading.local()


def _sessions() -> dict[Path, _Session]:
    """Return the sessions of this thread by project file.

    By file and not by object: two projects opened over one file are in the same batch, where the second would
    otherwise wait for a lock that its own thread holds.
    """
    found: dict[Path, _Session] = _blocks.__dict__.setdefault("sessions", {})
    return found


class Database:
    """One project file; objects over the same file share the block that a thread is in.

    Args:
        path: The file; it must be there (:func:`create_database` makes one).
        format_version: The newest ``user_version`` this library reads, and the one it writes.
        lock_path: The writer lock; its folder is made by whoever writes bytes.
        read_only: Refuse every write.
        timeout: Seconds to wait for a lock.
        before: Done first in each write transaction.
        check: Called at the start of each block, told whether it writes: refuses a file that took this one's place.
    """

    def __init__(  # noqa: PLR0913 (each by keyword)
        self,
        path: Path,
        *,
        format_version: int,
        lock_path: Path,
        read_only: bool,
        timeout: float,
        before: Callable[[sqlite3.Connection], None] | None = None,
        check: Callable[[sqlite3.Connection, bool], None] | None = None,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self.timeout = timeout
        self._format_version = format_version
        self._lock_path = lock_path
        self._before = before
        self._check = check

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the store; inside a block of this thread, that block's."""
        session = self._session()
        if session is not None:
            with translated(self.path):
                yield session.connection
            return
        with translated(self.path), self._connected(writing=False) as connection:
            connection.execute("BEGIN")
            self._refuse_another(connection, writing=False)
            yield connection

    @contextmanager
    def committed(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees what is committed, also inside a batch of this thread, which may be undone.

        Raises:
            StateError: That batch has grown so large that nobody can look past it: to wait would be to wait for
                this thread.
        """
        session = self._session()
        own = session is not None and session.writing
        with translated(self.path):
            connection = connect(self.path, writing=False, timeout=0 if own else self.timeout)
            try:
                connection.execute("BEGIN")
                self._look(connection, own=own)
                self._refuse_another(connection, writing=False)
                yield connection
            finally:
                connection.close()

    def _look(self, connection: sqlite3.Connection, *, own: bool) -> None:
        """Take the read lock and check the format."""
        try:
            check_format(connection, self.path, self._format_version)
        except sqlite3.OperationalError as error:
            if own and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                message = f"project {str(self.path)!r} is in a batch of this thread that is too large to look past"
                raise StateError(f"{message}; end the batch before you use its versions elsewhere") from error
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one durable transaction; nested, inside a savepoint of the outer one.

        Raises:
            ReadOnlyError: The project is read-only.
            BusyError: Another process held the writer lock for longer than the time-out.
            StateError: This thread is inside a snapshot, which only reads.
        """
        session = self._session()
        if self.read_only:
            message = f"project {str(self.path)!r} is open for reading only; open it for writing to change it"
            raise ReadOnlyError(message)
        if session is not None and not session.writing:
            raise StateError("a snapshot only reads: leave its block before you write")
        with translated(self.path):
            if session is None:
                with self._lock(), self._connected(writing=True) as connection:
                    with _transaction(connection):
                        self._refuse_another(connection, writing=True)
                        if self._before is not None:
                            self._before(connection)
                        yield connection
                    for call in _sessions()[self.path].after.values():
                        call()
            else:
                with _savepoint(session):
                    yield session.connection

    def after_commit(self, name: str, call: Callable[[], None]) -> None:
        """Call this once the running write transaction is durable, while the writer lock is still held.

        Of calls of one name only the last counts; what is undone calls nothing.
        """
        session = self._session()
        if session is None or not session.writing:
            raise StateError("there is no write transaction that could be committed")
        session.after[name] = call

    def _refuse_another(self, connection: sqlite3.Connection, *, writing: bool) -> None:
        if self._check is not None:
            self._check(connection, writing)

    def compact(self) -> None:
        """Rewrite the file without its free pages, while everybody waits; it takes as much room again.

        Raises:
            StateError: This thread is inside a read or write block.
            StorageError: There is no room for the copy; the file is as it was.
        """
        if self.in_block:
            raise StateError("a project cannot be compacted inside a batch or a snapshot")
        with translated(self.path), self._lock(), self._connected(writing=True) as connection:
            self._refuse_another(connection, writing=True)
            connection.execute("PRAGMA temp_store = FILE")  # the copy may be larger than the memory
            connection.execute(
                "PRAGMA page_size = 4096"
            )  # atomic enough on common disks; a packed file has larger ones
            connection.execute("VACUUM")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Take turns with the other writers, fairly; SQLite's own waiting starves some for seconds."""
        with queued_lock(self._lock_path, self._lock_path.with_name("turn.lock"), timeout=self.timeout):
            yield

    @property
    def in_block(self) -> bool:
        """Whether this thread is inside a read or write block."""
        return self._session() is not None

    def _session(self) -> _Session | None:
        session = _sessions().get(self.path)
        if session is not None and session.process != os.getpid():
            raise StateError(_FORKED)
        return session

    @contextmanager
    def _connected(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        if writing:
            have_journal(self.path)
        connection = connect(self.path, writing=writing, timeout=self.timeout)
        sessions = _sessions()
        sessions[self.path] = _Session(connection, writing, os.getpid())
        try:
            check_format(connection, self.path, self._format_version)
            yield connection
        finally:
            session = sessions.pop(self.path)
            if session.process == os.getpid():
                connection.close()


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
            raise StateError(_FORKED)
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout, factory=_Connection)
        connection.file, connection.thread = path, threading.get_ident()
        _open_connections.add(connection)
    try:
        _configure(connection, path, writing=writing)
    except BaseException:
        connection.close()
        raise
    return connection


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
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        message = f"{str(path)!r} is not a lineage project file"
        raise FormatError(message, kind=ErrorKind.NOT_A_PROJECT)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
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


_LIMITS: Final = (
    (sqlite3.SQLITE_LIMIT_LENGTH, 64 << 20),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (sqlite3.SQLITE_LIMIT_COLUMN, 64),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 64),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
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


@contextmanager
def _savepoint(session: _Session) -> Iterator[None]:
    connection, after = session.connection, dict(session.after)
    connection.execute("SAVEPOINT public_call")
    try:
        yield
    except BaseException:
        session.after = after
        if connection.in_transaction:
            connection.execute("ROLLBACK TO public_call")
            connection.execute("RELEASE public_call")
        raise
    connection.execute("RELEASE public_call")


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
        with _transaction(connection):
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


_FORKED: Final = (
    "this process was forked inside a call, a batch or a snapshot of this project; fork outside of it, or use 'spawn'"
)


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
