"""Statements over the cache of known files, which is a file of the user's and no project: see ``statcache``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from lineage.statements import json_array

State = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of bytes and of anything, in nanoseconds."""


def begin(connection: sqlite3.Connection) -> None:
    """Begin to write, and make the table where it is missing; nothing is synced, as losing it does no harm."""
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        """CREATE TABLE IF NOT EXISTS known (
             device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
             ctime INTEGER NOT NULL, digest BLOB NOT NULL, seal BLOB NOT NULL, noted INTEGER NOT NULL,
             PRIMARY KEY (device, inode)) STRICT, WITHOUT ROWID"""
    )


def end(connection: sqlite3.Connection) -> None:
    """Let other processes see what was written."""
    connection.execute("COMMIT")


def known_files(connection: sqlite3.Connection, states: Sequence[State]) -> dict[State, tuple[bytes, bytes]]:
    """Return digest and seal of the files that are known in exactly one of these states.

    CROSS, so that SQLite looks up one inode after the other: else it reads the whole device for each.
    """
    wanted = set(states)
    found: dict[State, tuple[bytes, bytes]] = {}
    for device in {state[0] for state in wanted}:
        rows = connection.execute(
            """SELECT k.device, k.inode, k.size, k.mtime, k.ctime, k.digest, k.seal
               FROM json_each(?) n CROSS JOIN known k ON k.device = ? AND k.inode = n.value""",
            (json_array(state[1] for state in states if state[0] == device), device),
        )
        found.update((row[:5], row[5:]) for row in rows if row[:5] in wanted)
    return found


def note_files(connection: sqlite3.Connection, rows: Iterable[tuple[int | bytes, ...]]) -> None:
    """Note files (state, digest, seal, time), each in the place of what was known of its inode."""
    connection.executemany(
        """INSERT INTO known (device, inode, size, mtime, ctime, digest, seal, noted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (device, inode) DO UPDATE SET size = excluded.size, mtime = excluded.mtime,
             ctime = excluded.ctime, digest = excluded.digest, seal = excluded.seal, noted = excluded.noted""",
        rows,
    )


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return the bytes that hold something."""
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((count - free) * size)


def forget_older_half(connection: sqlite3.Connection) -> None:
    """Drop the files that were noted longest ago."""
    connection.execute(
        """DELETE FROM known WHERE noted <= (SELECT noted FROM known ORDER BY noted
           LIMIT 1 OFFSET (SELECT count(*) FROM known) / 2)"""
    )
