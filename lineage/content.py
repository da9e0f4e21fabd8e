"""Bytes in two places: small blobs inside the project file, the others beside it; verified when handed out."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final

from blake3 import blake3

from lineage.blobs import INLINE_LIMIT, BlobFolder, Staged, Staging
from lineage.database import Database
from lineage.errors import CorruptionError, ErrorKind, InvalidInputError
from lineage.manifests import split
from lineage.records import Entry
from lineage.statements import content as rows
from lineage.system import storage_errors
from lineage.values import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_AHEAD_BYTES: Final = 4 << 20
_AHEAD_ROWS: Final = 5_000
"""What one transaction ahead of the version's own may hold: some 20 ms of the writer lock."""

_AT_ONCE: Final = 64
"""Small blobs written by one statement, 1 MB at most."""

Work = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """An entry of a draft; `staged` is None where the bytes are stored already or are not ours.

    Attributes:
        source: A file that is known to hold these bytes, so that they can be read where they are stored no more.
    """

    entry: Entry
    staged: Staged | None
    source: str | None = None


@dataclass(slots=True)
class RowsAhead:
    """Rows written ahead of the version that names them, a bounded number per transaction.

    Blobs before manifests before the version: whatever a crash leaves is named by nothing, and ``gc`` takes it.
    The last, small group waits for :meth:`drain`, so that a small log is one transaction.
    """

    database: Database
    _waiting: list[Work] = field(default_factory=list)
    _rows: int = 0
    _bytes: int = 0

    def add(self, work: Work, *, rows: int = 1, size: int = 0) -> None:
        """Take on the writing of some rows."""
        self._waiting.append(work)
        self._rows += rows
        self._bytes += size
        if self._rows >= _AHEAD_ROWS or self._bytes >= _AHEAD_BYTES:
            with self.database.write() as connection:
                self.drain(connection)

    def drain(self, connection: sqlite3.Connection) -> None:
        """Write what waits."""
        for work in self._waiting:
            work(connection)
        self._waiting, self._rows, self._bytes = [], 0, 0


@dataclass(frozen=True, slots=True)
class Content:
    """A listing whose bytes are stored: what a manifest row is made from."""

    digest: Digest
    file_count: int
    size: int
    parts: tuple[Digest, ...]


def listing(entries: Iterable[DraftEntry]) -> list[Entry]:
    """Return the entries of a draft in the order of a manifest."""
    return sorted((item.entry for item in entries), key=lambda entry: entry.path)


def put_bytes(
    blobs: BlobFolder,
    ahead: RowsAhead,
    entries: Sequence[DraftEntry],
    staging: Staging | None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Store the staged bytes of a draft, files before rows; call it inside ``blobs.storing()``."""
    _refuse_foreign(ahead.database, blobs, entries)
    staged = {item.staged.digest: item.staged for item in entries if item.staged is not None}
    files = [one for one in staged.values() if one.path is not None]
    for one in files:
        blobs.put(one)
        if progress is not None:
            progress(one.size)
    blobs.sync(one.digest for one in files)
    if files:
        ahead.add(
            lambda connection: rows.insert_blobs(connection, [(f.digest, f.size) for f in files]), rows=len(files)
        )
    small = [one for one in staged.values() if one.path is None]
    if small:
        _put_small(ahead, small, staging)


def _refuse_foreign(database: Database, blobs: BlobFolder, entries: Sequence[DraftEntry]) -> None:
    """Refuse entries taken from a version of another project, or one deleted since: their bytes are not here."""
    shared = [item.entry for item in entries if item.staged is None and item.source is None and item.entry.stored]
    held = held_bytes(database, blobs, {str(entry.digest): entry.size or 0 for entry in shared})
    missing = sorted(entry.path for entry in shared if entry.digest not in held)
    if missing:
        paths = ", ".join(missing[:5])
        message = f"the bytes of {paths} are not in this project; download them and add them as files"
        raise InvalidInputError(message, kind=ErrorKind.CONTENT_MISSING)


def held_bytes(database: Database, blobs: BlobFolder, wanted: Mapping[str, int]) -> set[str]:
    """Return which of these digests, given with their sizes, have their bytes in this project.

    A row does not prove that a file is there: a ``gc`` on a full disk may have got no further than the file.
    """
    if not wanted:
        return set()
    with database.read() as connection:
        held = rows.held_inside(connection, list(wanted))
        beside = [digest for digest in wanted if digest not in held]
        known = rows.known_blobs(connection, beside) if beside else set()
    return held | {digest for digest in known if blobs.has(Digest.parse(digest), wanted[digest])}


def _put_small(ahead: RowsAhead, small: Sequence[Staged], staging: Staging | None) -> None:
    with ahead.database.read() as connection:
        held = rows.held_inside(connection, [one.digest for one in small])
    new = iter([one for one in small if one.digest not in held])
    while some := list(islice(new, _AT_ONCE)):
        ahead.add(_small_blobs(some, staging), rows=2 * len(some), size=sum(one.size for one in some))


def _small_blobs(some: Sequence[Staged], staging: Staging | None) -> Work:
    def write(connection: sqlite3.Connection) -> None:
        rows.insert_blobs(connection, [(one.digest, one.size) for one in some])
        rows.insert_chunks(connection, ((_staged_bytes(one, staging), one.digest) for one in some))

    return write


def _staged_bytes(one: Staged, staging: Staging | None) -> bytes:
    if one.data is not None or staging is None:
        return one.data or b""
    return staging.read(one)


def put_listing(ahead: RowsAhead, entries: Sequence[Entry]) -> Content:
    """Store the parts of a sorted listing that are new, and return what its manifest is made of."""
    parts, digest = split(entries)
    with ahead.database.read() as connection:
        known = rows.known_parts(connection, [one for one, _ in parts])
    for one, part in parts:
        if one not in known:
            ahead.add(_part(one, part), rows=len(part) + 1)
    size = sum(entry.size or 0 for entry in entries)
    return Content(digest, len(entries), size, tuple(one for one, _ in parts))


def _part(digest: Digest, entries: Sequence[Entry]) -> Work:
    return lambda connection: rows.insert_part(connection, digest, entries)


def put_manifest(connection: sqlite3.Connection, content: Content) -> int:
    """Return the manifest of stored content, made if it is new."""
    known = rows.manifest_id(connection, content.digest)
    if known is not None:
        return known
    manifest = rows.put_manifest(connection, content.digest, content.file_count, content.size)
    rows.put_manifest_parts(connection, manifest, content.parts)
    return manifest


def open_blob(database: Database, blobs: BlobFolder, digest: Digest, size: int) -> BinaryIO:
    """Return a blob's bytes as a file object that raises at the end if they are not those of the digest.

    Raises:
        NotFoundError: The bytes are in neither place.
        CorruptionError: At the end of a sequential read, or at once for a blob inside the file.
    """
    if size <= INLINE_LIMIT:
        with database.read() as connection:
            data = rows.chunk_data(connection, digest)
        if data is not None:
            if blake3(data).hexdigest() != digest:
                raise damaged(digest)
            return io.BytesIO(data)
    return io.BufferedReader(VerifyingReader(blobs.open(digest), digest, size), 1 << 16)


def read_small(database: Database, digests: Sequence[str]) -> dict[str, bytes]:
    """Return the bytes of those blobs that lie inside the file, unverified, in one read."""
    with database.read() as connection:
        return rows.small_blobs(connection, digests, INLINE_LIMIT) if digests else {}


def damaged(digest: str) -> CorruptionError:
    """Return the error for bytes that do not have their digest."""
    message = f"the stored bytes of {digest} are damaged; run verify to see which versions they belong to"
    return CorruptionError(message, kind=ErrorKind.CONTENT_DAMAGED)


class VerifyingReader(io.RawIOBase):
    """A blob read from a file; hashed on the way as long as it is read from start to end.

    A reader that seeks elsewhere gets those bytes unverified: hashing the whole first would cost a second for
    64 KB of a large blob. ``Version.verify`` and ``Project.verify`` hash everything.
    """

    def __init__(self, source: BinaryIO, digest: Digest, size: int) -> None:
        self._source = source
        self._digest = digest
        self._size = size
        self._hasher = blake3()
        self._hashed = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read some bytes; the call that reads the last of them, or meets the end before, checks the digest."""
        wanted = memoryview(buffer).cast("B")
        start = self._source.tell()
        with storage_errors("cannot read bytes"):
            data = self._source.read(len(wanted))
        wanted[: len(data)] = data
        if start == self._hashed:
            self._hasher.update(data)
            self._hashed += len(data)
            at_end = self._hashed >= self._size or not data
            if at_end and len(wanted) and self._hasher.hexdigest() != self._digest:
                raise damaged(self._digest)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move in the blob."""
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the blob."""
        return self._source.tell()

    def close(self) -> None:
        """Close the blob's file."""
        self._source.close()
        super().close()
