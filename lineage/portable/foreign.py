"""A project file from elsewhere: nothing of it is believed before it was looked at, all of it, on a private copy.

The order is that of promises.md 4.2: what kind of file; a copy that can change no more; its header; its tables text
for text; SQLite's own check; the seal; every row. Bytes are hashed when they are taken over. A live project is
copied page by page through SQLite, so that others may write to it meanwhile, and then looked at in the same way.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from lineage import connections
from lineage.blobs import BlobFolder
from lineage.errors import CorruptionError, ErrorKind, FormatError, InvalidInputError, NotFoundError
from lineage.migrations import FORMAT_VERSION, SCHEMA_DIR, check_schema, migrate
from lineage.portable.cells import cell_problems
from lineage.sealing import broken_seal
from lineage.staging import COPY_BUFFER, Staging, temporary_staging
from lineage.statements import checks, foreign, portable
from lineage.store import Store, at
from lineage.system import is_own, storage_error, storage_errors
from lineage.upkeep.consistency import row_problems
from lineage.values import shown

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER: Final = 100
_SHOWN: Final = 10


class Limits(NamedTuple):
    """How much a file from elsewhere may hold.

    Attributes:
        size: Bytes of the file, and of all its contents.
        entries: Rows of all tables together.
    """

    size: int
    entries: int


@contextmanager
def foreign_project(ours: Store, source: Path, limits: Limits, *, for_reading: bool = False) -> Iterator[Store]:
    """Give a project file from elsewhere as a store that only reads: a checked private copy, and its blob folder.

    Args:
        ours: The project that takes something in; the copy lies in its blob folder meanwhile.
        source: The file.
        limits: How much it may hold.
        for_reading: Make no blob folder, where there is none: nothing is to be taken in.

    Raises:
        NotFoundError: It is not there.
        InvalidInputError: It is no regular file, is this project itself, or holds more than the limits say.
        FormatError: It is no project file, of a newer format, or has other tables than its format.
        CorruptionError: It is damaged or forged; the message names up to ten reasons.
    """
    status = _status(source)
    if os.path.samestat(status, ours.path.stat()):
        message = f"{str(source)!r} is this project itself"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    _limited(status.st_size, limits.size, source, "bytes", "max_size")
    blobs = BlobFolder(source.with_suffix(".blobs"), timeout=ours.database.timeout)
    elsewhere = ours.database.read_only or (for_reading and not ours.blobs.root.is_dir())
    staging = temporary_staging() if elsewhere else ours.blobs.new_staging()
    try:
        with blobs.looking():  # a gc there would take bytes that the copy of the rows still names
            path = _private_copy(source, status, blobs, staging, ours.database.timeout)
            _check_file(path, source, limits)
            copy = at(path, blobs, read_only=True, timeout=0)
            _check_rows(copy, source)
            yield copy
    finally:
        staging.close()


def _status(source: Path) -> os.stat_result:
    try:
        status = source.lstat()
    except FileNotFoundError as error:
        message = f"no project file {str(source)!r}"
        raise NotFoundError(message, kind=ErrorKind.PROJECT_NOT_FOUND) from error
    except (OSError, ValueError) as error:
        message = f"{shown(str(source))} cannot be looked at: {error}"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID) from error
    if not stat.S_ISREG(status.st_mode):
        message = f"{str(source)!r} is not a regular file; a link is not followed"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    return status


def _limited(found: int, most: int, source: Path, what: str, name: str) -> None:
    if found > most:
        message = f"{str(source)!r} holds {found} {what}, and {most} are allowed; raise {name} if you trust it"
        raise InvalidInputError(message)


def _private_copy(source: Path, status: os.stat_result, blobs: BlobFolder, staging: Staging, timeout: float) -> Path:
    """Copy the file where nobody else writes: of a live project one state, of any other what lies there.

    Journals beside a packed file are the sender's word and not looked at. One that this process has open is copied
    through SQLite too: closing a descriptor of it would drop the locks.
    """
    path = staging.new_path()
    if blobs.root.is_dir() or is_own(status):
        connections.mirror_database(source, path, timeout=timeout)
        with path.open("r+b") as copy:
            _check_header(copy, source)
        return path
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(source, flags)
    except OSError as error:
        raise storage_error(error, "cannot read") from error
    with storage_errors("cannot copy", path), open(descriptor, "rb", buffering=0) as reader, path.open("xb") as writer:  # noqa: PTH123 (a descriptor)
        size = _check_header(reader, source)
        reader.seek(0)
        while size > 0 and (data := reader.read(min(COPY_BUFFER, size))):
            writer.write(data)
            size -= len(data)
    return path


def _check_header(file: BinaryIO, source: Path) -> int:
    """Look at the first hundred bytes, and return the size they tell, which must be the file's."""
    header = file.read(_HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        message = f"{str(source)!r} is not a lineage project file"
        raise FormatError(message, kind=ErrorKind.NOT_A_PROJECT)
    page = int.from_bytes(header[16:18], "big")
    page = 65536 if page == 1 else page
    size = os.fstat(file.fileno()).st_size
    if header[18:20] != b"\x01\x01" or page < 512 or page & (page - 1):  # noqa: PLR2004 (SQLite's smallest page)
        message = f"{str(source)!r} is not written as lineage writes files (journal mode or page size)"
        raise FormatError(message)
    if int.from_bytes(header[28:32], "big") * page != size:
        message = f"{str(source)!r} has {size} bytes, and its header tells of another size: it is cut or changed"
        raise CorruptionError(message)
    return size


def _check_file(path: Path, source: Path, limits: Limits) -> None:
    with connections.foreign_database(path) as connection:
        connections.check_format(connection, source, FORMAT_VERSION)
        if foreign.encoding(connection) != "UTF-8":
            raise FormatError(f"{str(source)!r} holds text that is not UTF-8")
        check_schema(connection, source, exact=True)
        damage = checks.integrity_check(connection)
        if damage:
            raise CorruptionError(f"{str(source)!r} is damaged ({'; '.join(damage[:_SHOWN])})")
        _limited(portable.bytes_known(connection), limits.size, source, "bytes of contents", "max_size")
    with connections.draft_database(path) as connection:
        migrate(connection, SCHEMA_DIR / "migrations")
        _limited(foreign.row_total(connection), limits.entries, source, "rows", "max_entries")


def _check_rows(copy: Store, source: Path) -> None:
    problems = [problem.message for problem in row_problems(copy) if problem.severity == "error"]
    with copy.database.read() as connection:
        problems += _seal_problems(connection)
        problems += cell_problems(connection)
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        reasons = "; ".join(problems[:_SHOWN])
        message = f"{str(source)!r} breaks the rules of its format, and nothing of it was taken: {reasons}{more}"
        raise CorruptionError(message)


def _seal_problems(connection: sqlite3.Connection) -> list[str]:
    _, why = broken_seal(connection)
    return [] if why is None else [f"its seal does not hold: {why}"]
