"""The project file as one database: a connection for each call, blocks that share one, and the writer's turn.

No connection is held between public calls. One held in WAL mode loses acknowledged commits as soon as the
program itself reads or copies the project file, and poisons a forked child (promises.md, part 0); opening one
costs 0.4 ms. This module knows no table. Errors of sqlite3 become ours by :mod:`lineage.translation`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lineage.connections import FORKED, begin_to_read, check_format, connect, is_busy, transaction
from lineage.errors import ReadOnlyError, StateError
from lineage.journal import have_journal
from lineage.system import queued_lock, turn_to_look
from lineage.translation import translated


@dataclass(slots=True)
class _Session:
    """The connection a thread is working with, and what it may do."""

    connection: sqlite3.Connection
    writing: bool
    process: int
    after: dict[str, Callable[[], None]] = field(default_factory=dict)
    undo: list[Callable[[], None]] = field(default_factory=list)


_FIRST_LOOK: Final = 0.02
"""Seconds to wait for SQLite's read lock before one takes turns with the writers: four looks."""
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
        path: The file; it must be there (:func:`lineage.connections.create_database` makes one).
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
        self._locks = (lock_path, lock_path.with_name("turn.lock"))
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
        with translated(self.path):
            connection = self._looking_past() if session is not None and session.writing else self._looking()
            try:
                check_format(connection, self.path, self._format_version)
                self._refuse_another(connection, writing=False)
                yield connection
            finally:
                connection.close()

    def _looking_past(self) -> sqlite3.Connection:
        """Return a connection that sees what is committed while this thread writes."""
        try:
            return begin_to_read(self.path, timeout=0)
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            message = f"project {str(self.path)!r} is in a batch of this thread that is too large to look past"
            raise StateError(f"{message}; end the batch before you use its versions elsewhere") from error

    def _looking(self) -> sqlite3.Connection:
        """Return a connection that has begun to read; it waits for that no longer than for its turn.

        Who commits keeps readers out while the disk syncs, and SQLite polls: beside one program that logged without
        a pause, a read took 620 ms in the mean and up to 7.6 s; now 23 and 142 ms (tests/faults/test_flood.py). So
        whoever finds the lock taken takes his turn among the writers, and lets the next one in as soon as he reads.
        """
        try:
            return begin_to_read(self.path, timeout=min(self.timeout, _FIRST_LOOK))
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        with turn_to_look(*self._locks, timeout=self.timeout):
            return begin_to_read(self.path, timeout=self.timeout)

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
                    with _undoing(_sessions()[self.path]), transaction(connection):
                        self._refuse_another(connection, writing=True)
                        if self._before is not None:
                            self._before(connection)
                        yield connection
                    for call in _sessions()[self.path].after.values():
                        call()
            else:
                with _undoing(session), _savepoint(session):
                    yield session.connection

    def after_commit(self, name: str, call: Callable[[], None]) -> None:
        """Call this once the running write transaction is durable, while the writer lock is still held.

        Of calls of one name only the last counts; what is undone calls nothing.
        """
        self._transaction().after[name] = call

    def after_undo(self, call: Callable[[], None]) -> None:
        """Call this if what the running write transaction wrote so far is undone, by itself or by the batch it is in.

        The writer lock is still held then.
        """
        self._transaction().undo.append(call)

    def _transaction(self) -> _Session:
        session = self._session()
        if session is None or not session.writing:
            raise StateError("there is no write transaction that could be committed")
        return session

    @contextmanager
    def undoing(self, call: Callable[[], None]) -> Iterator[None]:
        """Call this if the block fails, or if it ends well in a write block of this thread that is undone later.

        It takes back what the block did outside of this file, which no rollback reaches.
        """
        session = self._session()
        if session is not None and session.writing:
            with _undoing(session):
                session.undo.append(call)
                yield
            return
        try:
            yield
        except BaseException:
            call()
            raise

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
        with queued_lock(*self._locks, timeout=self.timeout):
            yield

    @property
    def in_block(self) -> bool:
        """Whether this thread is inside a read or write block."""
        return self._session() is not None

    def _session(self) -> _Session | None:
        session = _sessions().get(self.path)
        if session is not None and session.process != os.getpid():
            raise StateError(FORKED)
        return session

    @contextmanager
    def _connected(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        if writing:
            have_journal(self.path)
        connection = connect(self.path, writing=True, timeout=self.timeout) if writing else self._looking()
        sessions = _sessions()
        sessions[self.path] = _Session(connection, writing, os.getpid())
        try:
            check_format(connection, self.path, self._format_version)
            yield connection
        finally:
            session = sessions.pop(self.path)
            if session.process == os.getpid():
                connection.close()


@contextmanager
def _undoing(session: _Session) -> Iterator[None]:
    """Take back, if the block fails, what was done outside of the file since it began, the last first."""
    before = len(session.undo)
    try:
        yield
    except BaseException:
        while len(session.undo) > before and session.process == os.getpid():  # a forked child undoes nothing
            session.undo.pop()()
        raise


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
