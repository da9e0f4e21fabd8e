"""What is known of files outside the project: which digest a file had, so that an unchanged one need not be read.

A file counts as unchanged while device, inode, size, time of change and time of status change are the same, as
git takes it. One that was changed within the last two seconds is not noted: it may change again within the same
tick of its file system's clock and look the same. The cache lies with the user (``$XDG_CACHE_HOME/lineage``, or
``$LINEAGE_CACHE``, which may be empty to do without), never in a project, and holds no path. Losing it, or
sharing it between processes, does no harm; what cannot be asked is read. Verification never looks here.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from blake3 import blake3

from lineage.connections import connect
from lineage.errors import LineageError
from lineage.statements import known as rows
from lineage.statements.known import State
from lineage.values import Digest

_TOO_YOUNG: Final = 2_000_000_000
"""Nanoseconds: the coarsest clock of a file system in use, FAT's."""
_MOST_BYTES: Final = 256 << 20
"""Some two million files; then the half that was noted longest ago goes."""
_PATIENCE: Final = 0.2
"""Seconds to wait for another process: longer than its commit takes, shorter than reading a thousand files."""
_DAMAGED: Final = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_SIGN: Final = 1 << 63
_PACKED: Final = struct.Struct("<5q")


class StatCache:
    """The digests of files by their state. Nothing here raises: what goes wrong leaves files unknown.

    Args:
        path: The cache file, made when something is first noted; None to know nothing.
        clock: The time in nanoseconds.
    """

    def __init__(self, path: Path | None, clock: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._clock = clock

    def known(self, statuses: Sequence[os.stat_result]) -> list[Digest | None]:
        """Return the digest of each file that has not changed since it was read."""
        states = [_state(status) for status in statuses]
        with self._connected(create=False) as connection:
            if connection is not None:
                found = rows.known_files(connection, states)
                return [_checked(state, found.get(state)) for state in states]
        return [None] * len(states)

    def note(self, files: Iterable[tuple[os.stat_result, Digest]]) -> None:
        """Note what files hold, each by the status it had before it was read; too young ones are left out."""
        now = self._clock()
        noted = []
        for status, digest in files:
            state = _state(status)
            if max(state[3], state[4]) + _TOO_YOUNG <= now:
                content = bytes.fromhex(digest)
                noted.append((*state, content, _seal(state, content), now // 1_000_000_000))
        if not noted:
            return
        with self._connected(create=True) as connection:
            if connection is not None:
                rows.note_files(connection, noted)
                if rows.used_bytes(connection) > _MOST_BYTES:
                    rows.forget_older_half(connection)

    @contextmanager
    def _connected(self, *, create: bool) -> Iterator[sqlite3.Connection | None]:
        """Give a connection, inside a transaction if it may write; None where there is none to be had."""
        connection = self._opened(create=create)
        try:
            yield connection
            if connection is not None and create:
                rows.end(connection)
        except sqlite3.Error as error:
            self._forget_useless(error, create=create)
        finally:
            if connection is not None:
                connection.close()

    def _opened(self, *, create: bool) -> sqlite3.Connection | None:
        if self._path is None:
            return None
        connection = None
        try:
            there = self._path.exists()  # raises where its folder may not be looked into
            if not there and not create:
                return None
            if not there:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            connection = connect(self._path, writing=create, timeout=_PATIENCE)
            if create:
                rows.begin(connection)
        except (LineageError, OSError, sqlite3.Error) as error:
            if connection is not None:
                connection.close()
            self._forget_useless(error, create=create)
            return None
        return connection

    def _forget_useless(self, error: Exception, *, create: bool) -> None:
        """Remove a cache file that is damaged or of another form; another is made when something is noted."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        useless = code in _DAMAGED or (create and code == sqlite3.SQLITE_ERROR)
        if useless and self._path is not None:
            with suppress(OSError):
                self._path.unlink()


def users_cache() -> StatCache:
    """Return the cache of the user who runs this process, as the environment names it now."""
    named = os.environ.get("LINEAGE_CACHE")
    if named is not None:
        return StatCache(Path(named) / "files.db" if named else None)
    with suppress(RuntimeError):  # a user without a home
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return StatCache(Path(home) / "lineage" / "files.db")
    return StatCache(None)


def _state(status: os.stat_result) -> State:
    state = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    if max(state) < _SIGN:
        return state
    device, inode, size, mtime, ctime = ((one + _SIGN) % (2 * _SIGN) - _SIGN for one in state)  # SQLite's numbers
    return device, inode, size, mtime, ctime


def _seal(state: State, content: bytes) -> bytes:
    """Return what tells a row that was written whole from one that a crash or a bad disk made."""
    return blake3(_PACKED.pack(*state) + content).digest(8)


def _checked(state: State, row: tuple[bytes, bytes] | None) -> Digest | None:
    if row is None or _seal(state, row[0]) != row[1]:
        return None
    return Digest(row[0].hex())
