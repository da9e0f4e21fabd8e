"""Errors of sqlite3 as errors of lineage: one class for each thing a caller can do about them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lineage.errors import (
    BusyError,
    CorruptionError,
    ErrorKind,
    FormatError,
    InvalidInputError,
    LineageError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)


@contextmanager
def callers_code() -> Iterator[None]:
    """Let errors of sqlite3 that the code of others raises in the block pass as they are: not our file is meant.

    What goes wrong in ours is translated before it comes here, by the call that met it.
    """
    try:
        yield
    except sqlite3.Error as error:
        error.__dict__["of_others"] = True
        raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn an error of sqlite3 in the block into a LineageError."""
    try:
        yield
    except sqlite3.Error as error:
        if error.__dict__.get("of_others"):
            raise
        raise _translation(error, path) from error


_WORDS: Final[dict[int, tuple[type[LineageError], str]]] = {
    sqlite3.SQLITE_NOTADB: (FormatError, "{file} is not a lineage project file ({error})"),
    sqlite3.SQLITE_BUSY: (BusyError, "project {file} is locked by another program; try again ({error})"),
    sqlite3.SQLITE_LOCKED: (BusyError, "project {file} is locked by this program; leave the other block ({error})"),
    sqlite3.SQLITE_READONLY: (ReadOnlyError, "project {file} cannot be written here ({error})"),
    sqlite3.SQLITE_FULL: (StorageError, "project {file}: the disk is full; make room, then call again ({error})"),
    sqlite3.SQLITE_IOERR: (StorageError, "project {file}: {error}; mend the place, then call again"),
    sqlite3.SQLITE_CANTOPEN: (StorageError, "project {file}: {error}; mend the place, then call again"),
    sqlite3.SQLITE_PERM: (StorageError, "project {file}: {error}; mend the place, then call again"),
    sqlite3.SQLITE_CORRUPT: (CorruptionError, "project {file} is damaged ({error}); restore it from a copy"),
    sqlite3.SQLITE_TOOBIG: (InvalidInputError, "project {file}: a value is too large for a row; log it as a file"),
}
"""What each primary result code of SQLite means to the caller; any other is damage that verify can name."""


_LONGEST_PATH: Final = 504
"""Bytes of a path: SQLite takes 512, and its journal's name is eight longer."""


def _translation(error: sqlite3.Error, path: Path) -> LineageError:
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte; the rest says where it happened
    if code == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return NotFoundError(f"no project file {str(path)!r}", kind=ErrorKind.PROJECT_NOT_FOUND)
    if code == sqlite3.SQLITE_CANTOPEN and len(os.fsencode(path)) > _LONGEST_PATH:
        message = f"project {str(path)!r}: SQLite opens paths of at most {_LONGEST_PATH} bytes; give it a shorter one"
        return StorageError(message)
    cls, words = _WORDS.get(code, (CorruptionError, "project {file}: {error}; run verify"))
    kind = ErrorKind.NOT_A_PROJECT if cls is FormatError else None
    return cls(words.format(file=repr(str(path)), error=error), kind=kind)
