"""The journal beside a project file: SQLite obeys what lies there, so it is looked at before, and made before."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from lineage.errors import CorruptionError
from lineage.system import storage_errors, sync_folder

_MAGIC: Final = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""What a journal begins with, and ends with only where it names another file."""


def check_journal(path: Path) -> bool:
    """Return whether a database's journal holds anything: of a write that goes on, or one that a crash cut off.

    One that names another file is refused: SQLite would delete that one.

    Such a journal is that of several databases which are written together, and lineage writes none. Whoever forges one
    beside a file that he hands over chooses what is deleted. Closing a journal drops no locks, as there are none on it.

    Raises:
        CorruptionError: There is one.
    """
    journal = path.with_name(f"{path.name}-journal")
    try:
        if not journal.stat().st_size:  # as nearly always: 2 µs
            return False
        with journal.open("rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            start, end = file.tell(), file.read()
    except OSError:  # it is not there, is too short, or SQLite cannot read it either
        return False
    if start and end == _MAGIC:
        message = f"{str(journal)!r} is not of lineage's making: do not trust what lies beside it, or remove that file"
        raise CorruptionError(message)
    return True


def have_journal(path: Path) -> None:
    """Make the journal's name durable before anything is written; from then on it stays there, empty.

    SQLite would make it, but passes over a failing sync of its folder: a power cut could leave half of the first write.
    """
    journal = path.with_name(f"{path.name}-journal")
    if os.path.lexists(journal) or not path.exists():  # SQLite says what is wrong with that
        return
    with storage_errors("cannot make the journal"):
        status = path.stat()
        descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with suppress(OSError):  # as SQLite does, for those who write after us; only root can give files away
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o666)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):  # so that the next write tries again
                journal.unlink()
            raise
        finally:
            os.close(descriptor)
