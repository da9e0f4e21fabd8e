"""Which is older, the project file or its blob folder: what a backup that was put back leaves, and ``gc`` must see.

The folder holds, in ``newest``, the uid of the newest version whose commit it has seen. Whoever adds a version writes
it there once the commit is durable, still under the writer lock.

- A file that does not know that version is older than the folder (or is another project's). What no row of it names
  may be what the newer file needs: ``gc`` would take it, so it refuses.
- A file that knows it, but whose bytes of later versions are gone, is newer than the folder. ``gc`` refuses too: what
  is garbage here may be what the file belonging to this folder needs.
- Otherwise they belong together.

Why this is enough, and cheap. Only a commit that adds a version can make new bytes worth keeping, and rows of versions
are never removed, so "knows the newest" is "is at least as new". The uid goes after the commit, so a crash between
the two leaves it behind and never ahead; it is then told from a folder that was put back by the bytes of the versions
after it, which were durable before their rows. Hence it needs no sync of its own: one write of 27 bytes, 15 µs. A power
cut can lose the last seconds of it, and of nothing else. A uid that the file does not know is left there by who
writes next, so that the mismatch lasts until somebody has looked. A file without a folder, as a packed one or a copy,
has nothing to compare and is as new as it is. A uid and not a number: two files that went on separately from one
backup count alike.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

from lineage.statements import upkeep as rows
from lineage.store import Store
from lineage.values import Digest

NEWEST: Final = "newest"
_UID: Final = re.compile(rb"([0-9a-hjkmnp-tv-z]{26})\n", re.ASCII)
_LOOKED_AT: Final = 1_000
"""Blobs, newest first: a folder that was put back lacks those, and one is enough."""


class Standing(Enum):
    """How the project file and its blob folder stand to each other."""

    TOGETHER = "together"
    OLDER_FILE = "older-file"
    OLDER_BLOBS = "older-blobs"


def note_newest(store: Store, connection: sqlite3.Connection, version: int) -> None:
    """Once this transaction is durable, let the blob folder name a version that it adds.

    Not if what the folder names is unknown to the file: that must stay until somebody has looked.
    """
    seen = _seen(store.blobs.root)
    if seen is None or rows.own_version(connection, seen) is not None:
        uid = rows.uid_of(connection, version)
        store.database.after_commit(NEWEST, lambda: _write(store.blobs.root, uid))


def standing(store: Store) -> Standing:
    """Return which is older, the project file or its blob folder; it reads only."""
    seen = _seen(store.blobs.root)
    if seen is None:
        return Standing.TOGETHER
    with store.database.read() as connection:
        version = rows.own_version(connection, seen)
        if version is None:
            return Standing.OLDER_FILE
        later = rows.newest_beside(connection, version, _LOOKED_AT)
    lacking = any(not os.path.lexists(store.blobs.path_of(Digest(digest))) for digest in later)
    return Standing.OLDER_BLOBS if lacking else Standing.TOGETHER


def settle(store: Store) -> None:
    """Let the blob folder name the newest version of the file as it is; call it inside ``blobs.collecting()``."""
    with store.database.read() as connection:
        uid = rows.newest_own(connection)
    if uid is None:
        with suppress(OSError):
            (store.blobs.root / NEWEST).unlink()
    elif uid != _seen(store.blobs.root):
        _write(store.blobs.root, uid)


def explained(store: Store, found: Standing) -> str:
    """Return in words what is older than what, and what to do."""
    file, folder = str(store.path), str(store.blobs.root)
    if found is Standing.OLDER_FILE:
        return (
            f"project file {file!r} is older than its blob folder {folder!r}, which has seen a version that the file "
            "does not know: the file was put back from a backup, or is another project's. Put back the newest file"
        )
    return (
        f"blob folder {folder!r} is older than its project file {file!r}: it lacks bytes of versions that were logged "
        "after what it last saw, as when it was put back from a backup. Put back the newest folder, or log those "
        "bytes again"
    )


def _seen(root: Path) -> str | None:
    """Return the uid that the folder names; None if there is none, or what a crash made of it."""
    try:
        descriptor = os.open(root / NEWEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = _UID.fullmatch(os.read(descriptor, 64))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if found is None else found[1].decode()


def _write(root: Path, uid: str) -> None:
    """Write in place: one sector, which a disk writes whole. The commit holds without it, so nothing is raised."""
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(root / NEWEST, flags, 0o666)
        try:
            os.pwrite(descriptor, f"{uid}\n".encode(), 0)
        finally:
            os.close(descriptor)
