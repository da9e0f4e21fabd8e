"""The project file that was opened: another that lies in its place now is never read or written in its name.

A folder may be renamed and a file replaced while a project is open, as nothing is held between calls. Device and
inode tell most of that; a file made in the place of one that was removed often gets its inode, so the project's own
id is compared as well. SQLite itself refuses to write into a file that was moved after it was opened.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from os import stat_result
from pathlib import Path

from lineage.errors import StateError, StorageError
from lineage.statements.artifacts import project_uid
from lineage.system import storage_errors


@dataclass(frozen=True, slots=True)
class Original:
    """Which file it was.

    Attributes:
        path: Where it lay.
        device: Of its file system.
        inode: Its own.
        uid: The project's.
    """

    path: Path
    device: int
    inode: int
    uid: str

    def check_place(self, *, writing: bool) -> None:
        """Refuse a file that took the place of the one that was opened; for writing, also one of several names.

        Where no file lies nothing is said: whoever opens it says so.

        Raises:
            StateError: Another file lies there.
            StorageError: It has another name: a hard link.
        """
        with storage_errors("cannot look at the project"):
            try:
                status = self.path.stat()  # once: each block of each call asks
            except (FileNotFoundError, NotADirectoryError):
                return
            if (status.st_dev, status.st_ino) != (self.device, self.inode):
                raise _another(self.path)
            if writing and status.st_nlink > 1:
                _refuse_hard_links(self.path, status)

    def check(self, connection: sqlite3.Connection, writing: bool) -> None:  # noqa: FBT001 (as a Database calls it)
        """Refuse another file that SQLite has just opened, also one that got the inode of the first.

        Raises:
            StateError: It is another.
            StorageError: It has several names, and is to be written.
        """
        self.check_place(writing=writing)
        if project_uid(connection) != self.uid:
            raise _another(self.path)


def original(path: Path, connection: sqlite3.Connection) -> Original:
    """Return which file a connection was opened on; its table of the project was checked before."""
    with storage_errors("cannot look at the project"):
        status = path.stat()
    return Original(path, status.st_dev, status.st_ino, project_uid(connection))


def _another(path: Path) -> StateError:
    return StateError(f"another file lies at {str(path)!r} than the project that was opened there: open it again")


def _refuse_hard_links(path: Path, status: stat_result) -> None:
    """Refuse a file that has a second name.

    SQLite names its journal after the name it was given, so whoever opens the other name after a crash misses it and
    reads half a commit; and a copy made of links, as ``cp -al`` makes backups, would change along. Names that only a
    creation or a packing under way, or cut off, has left do not count: nobody opens those.
    """
    links = _links_of_drafts(path, status)
    names = path.stat().st_nlink - links  # asked after they were counted: one that goes meanwhile is not missed
    if names > 1:
        message = (
            f"project {str(path)!r} has {names} names (hard links), and writing through one spoils the other: "
            f"make it a file of its own (cp {path.name} new, then mv new {path.name}) and open it again"
        )
        raise StorageError(message)


def _links_of_drafts(path: Path, status: stat_result) -> int:
    name = re.escape(f".{path.name}.") + "[0-9a-f]{16}"
    found = 0
    for child in path.parent.iterdir():
        if re.fullmatch(name + r"\.tmp", child.name):
            found += _is_same(child, status)
        elif re.fullmatch(name + r"\.pack", child.name):
            found += _is_same(child / "draft", status) + _is_same(child / "compact", status)
    return found


def _is_same(path: Path, status: stat_result) -> bool:
    try:
        other = path.lstat()
    except OSError:  # gone meanwhile
        return False
    return (other.st_dev, other.st_ino) == (status.st_dev, status.st_ino)
