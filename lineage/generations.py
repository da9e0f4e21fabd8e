"""Which is older, the project file or its blob folder: what a backup that was put back leaves, and ``gc`` must see.

The folder holds, in ``newest``, the uid of the newest version whose commit it has seen, which whoever adds a version
writes there once the commit is durable, still under the writer lock; and the uid of a version that was deleted when
``gc`` last took bytes from it.

- A file that does not know the newest is older than the folder (or is another project's). What no row of it names may
  be what the newer file needs: ``gc`` would take it, so it refuses. So is a file in which the deleted version lives.
- A file that knows it, but whose bytes of later versions are gone, is newer than the folder. ``gc`` refuses too: what
  is garbage here may be what the file belonging to this folder needs.
- Otherwise they belong together.

Why this is enough, and cheap. Only a commit that adds a version makes new bytes worth keeping; rows of versions are
never removed, and what is deleted stays deleted: so "knows the newest" is "is at least as new". The uid goes there
after the commit, so a crash between the two leaves it behind and never ahead; that is told from a folder that was put
back by the bytes of the versions after it, which were durable before their rows. Hence it needs no sync of its own: one
write of 27 bytes, some 20 µs in all. A power cut can lose its last seconds, and nothing else. A uid that the file does
not know is left there by who writes next, so that the mismatch lasts until somebody has looked. A file without a
folder, as a packed one or a copy, has nothing to compare and is as new as it is. A uid and not a number: two files
that went on separately from one backup count alike.
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

NEWEST: Final = "newest"
_UIDS: Final = re.compile(rb"([0-9a-hjkmnp-tv-z]{26})\n(?:([0-9a-hjkmnp-tv-z]{26})\n)?", re.ASCII)
_LOOKED_AT: Final = 1_000
"""Blobs, newest first: a folder that was put back lacks those, and one is enough."""


class Standing(Enum):
    """How the project file and its blob folder stand to each other."""

    TOGETHER = "together"
    OLDER_FILE = "older-file"
    OLDER_BLOBS = "older-blobs"


def note_newest(store: Store, connection: sqlite3.Connection, version: int) -> None:
    """Once this transaction is durable, let the blob folder name a version that it adds.

    Not if the file is older than the folder: what shows it must stay until somebody has looked.
    """
    if not _is_older(connection, *_seen(store.blobs.root)):
        uid = rows.uid_of(connection, version)
        store.database.after_commit(NEWEST, lambda: _write(store.blobs.root, uid))


def standing(store: Store) -> Standing:
    """Return which is older, the project file or its blob folder; it reads only."""
    newest, deleted = _seen(store.blobs.root)
    if newest is None:
        return Standing.TOGETHER
    with store.database.read() as connection:
        if _is_older(connection, newest, deleted):
            return Standing.OLDER_FILE
        later = rows.newest_beside(connection, newest, _LOOKED_AT)
    lacking = any(not os.path.lexists(store.blobs.path_of(digest)) for digest in later)
    return Standing.OLDER_BLOBS if lacking else Standing.TOGETHER


def _is_older(connection: sqlite3.Connection, newest: str | None, deleted: str | None) -> bool:
    """Whether the file lacks the newest version that the folder has seen, or has one that was deleted."""
    lacking = newest is not None and not rows.has_own(connection, newest)
    return lacking or (deleted is not None and rows.is_live(connection, deleted))


def settle(store: Store) -> None:
    """Let the blob folder stand to the file as it is; call it inside ``blobs.collecting()``, when bytes were taken."""
    with store.database.read() as connection:
        uids = [uid for uid in (rows.newest_own(connection), rows.last_deleted(connection)) if uid is not None]
    if tuple(uids) != tuple(uid for uid in _seen(store.blobs.root) if uid is not None):
        _write(store.blobs.root, *uids, whole=True)


def explained(store: Store, found: Standing) -> str:
    """Return in words what is older than what, and what to do."""
    file, folder = str(store.path), str(store.blobs.root)
    if found is Standing.OLDER_FILE:
        return (
            f"project file {file!r} is older than its blob folder {folder!r}, which has seen a version that the file "
            "does not know, or that was deleted and lives in it: the file was put back from a backup, or is another "
            "project's. Put back the newest file"
        )
    return (
        f"blob folder {folder!r} is older than its project file {file!r}: it lacks bytes of versions that were logged "
        "after what it last saw, as when it was put back from a backup. Put back the newest folder, or log those "
        "bytes again"
    )


def _seen(root: Path) -> tuple[str | None, str | None]:
    """Return the uids that the folder names: the newest, and a deleted one; None for what a crash may have left."""
    try:
        descriptor = os.open(root / NEWEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None, None
    try:
        found = _UIDS.fullmatch(os.read(descriptor, 64))
    except OSError:
        return None, None
    finally:
        os.close(descriptor)
    return (None, None) if found is None else (found[1].decode(), None if found[2] is None else found[2].decode())


def _write(root: Path, *uids: str, whole: bool = False) -> None:
    """Write in place: one sector, which a disk writes whole. The commit holds without it, so nothing is raised.

    Args:
        root: The blob folder.
        uids: The newest version, and a deleted one.
        whole: Leave nothing else there.
    """
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(root / NEWEST, flags, 0o666)
        try:
            os.pwrite(descriptor, "".join(f"{uid}\n" for uid in uids).encode(), 0)
            if whole:
                os.ftruncate(descriptor, len(uids) * 27)
        finally:
            os.close(descriptor)
