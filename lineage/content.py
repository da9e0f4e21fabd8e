"""Bytes in two places: small blobs inside the project file, the others beside it; verified when handed out."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from blake3 import blake3

from lineage.blobs import BlobFolder
from lineage.database import Database
from lineage.errors import CorruptionError, ErrorKind, InvalidInputError, NotFoundError
from lineage.manifests import split
from lineage.records import Entry
from lineage.staging import COPY_BUFFER, INLINE_LIMIT, Staged, Staging
from lineage.statements import content as rows
from lineage.statements.portable import is_absent
from lineage.system import storage_errors
from lineage.values import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_AHEAD_BYTES: Final = 4 << 20
_AHEAD_ROWS: Final = 5_000
"""What one transaction ahead of the version's own may hold: some 20 ms of the writer lock."""
CHUNK: Final = 1 << 20
"""Bytes of every piece but the last of a large blob inside the project file."""
_CHUNKS_AHEAD: Final = 8

_AT_ONCE: Final = 64
"""Small blobs written by one statement, 1 MB at most."""
_PARTS_AT_ONCE: Final = 100
"""Parts of a listing, of some 64 entries each, that one read takes: 20 ms in which no writer can commit."""

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


def read_entries(
    database: Database,
    version: int,
    check: Callable[[sqlite3.Connection], object] | None = None,
    *,
    origin: bool = True,
) -> list[Entry]:
    """Return the entries of a version in the order of their paths, of which nobody need wait for more than some.

    Args:
        database: Where.
        version: Which; it never changes, so that several reads see one listing.
        check: Raises, at any of the reads, if the version was deleted: its entries would be found no more.
        origin: Whether entries say of which version they are.
    """
    found: list[Entry] = []
    place: int | None = -1
    while place is not None:
        with database.read() as connection:
            if check is not None:
                check(connection)
            some, place = rows.entries_after(connection, version, place, _PARTS_AT_ONCE, origin=origin)
        found += some
    return found


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
    files = _not_inside(ahead.database, [one for one in staged.values() if one.path is not None])
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


def _not_inside(database: Database, files: list[Staged]) -> list[Staged]:
    """Return the staged files whose bytes do not lie inside the project already, as those of a packed one do."""
    if not files:
        return files
    with database.read() as connection:
        inside = rows.held_inside(connection, [one.digest for one in files])
    return [one for one in files if one.digest not in inside]


def _refuse_foreign(database: Database, blobs: BlobFolder, entries: Sequence[DraftEntry]) -> None:
    """Refuse entries taken from a version of another project, or one deleted since: their bytes are not here."""
    shared = [item.entry for item in entries if item.staged is None and item.source is None and item.entry.stored]
    sizes = {str(entry.digest): entry.size or 0 for entry in shared}
    held = held_bytes(database, blobs, sizes)
    missing = [entry for entry in shared if entry.digest not in held or entry.size != sizes[entry.digest]]
    if missing:
        raise _not_here(database, sorted(missing, key=lambda entry: entry.path))


def _not_here(database: Database, missing: Sequence[Entry]) -> InvalidInputError:
    """Return the error for entries whose bytes cannot be named: a new version is whole, or it is not made."""
    with database.read() as connection:
        places = rows.places_of(connection, [str(entry.digest) for entry in missing])
    left_out = [entry.path for entry in missing if places.get(str(entry.digest), (0, False, False))[2]]
    if left_out:
        message = (
            f"the bytes of {', '.join(left_out[:5])} are not in this project: they were left out when it was packed, "
            "and fill (lineage fill) brings them from a project that has them"
        )
        return InvalidInputError(message, kind=ErrorKind.CONTENT_LEFT_OUT)
    paths = ", ".join(entry.path for entry in missing[:5])
    message = f"the bytes of {paths} are not in this project, or not of that size; download them and add them as files"
    return InvalidInputError(message, kind=ErrorKind.CONTENT_MISSING)


def held_bytes(database: Database, blobs: BlobFolder, wanted: Mapping[str, int]) -> set[str]:
    """Return which of these digests, given with their sizes, have their bytes in this project.

    A row does not prove that a file is there: a ``gc`` on a full disk may have got no further than the file.
    """
    if not wanted:
        return set()
    with database.read() as connection:
        places = rows.places_of(connection, list(wanted))
    return {
        digest
        for digest, (size, inside, _) in places.items()
        if size == wanted[digest] and (inside or blobs.has(Digest.parse(digest), size))
    }


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


def open_blob(database: Database, blobs: BlobFolder, digest: Digest, size: int, *, verified: bool = True) -> BinaryIO:
    """Return a blob's bytes as a file object that raises at the end if they are not those of the digest.

    Args:
        database: Where bytes may lie inside.
        blobs: Where they may lie beside it.
        digest: Which.
        size: Its bytes.
        verified: False where the caller hashes what it reads.

    Raises:
        NotFoundError: The bytes are in neither place.
        CorruptionError: At the end of a sequential read, or at once for a small blob inside the file.
    """
    if size <= INLINE_LIMIT:
        with database.read() as connection:
            data = rows.chunk_data(connection, digest)
        if data is not None:
            if blake3(data).hexdigest() != digest:
                raise damaged(digest)
            return io.BytesIO(data)
    source = _open_large(database, blobs, digest, size)
    return io.BufferedReader(VerifyingReader(source, digest, size), 1 << 16) if verified else source


def _open_large(database: Database, blobs: BlobFolder, digest: Digest, size: int) -> BinaryIO:
    """Look beside the project first: a look there costs a tenth of a connection, and most large blobs are there."""
    if not blobs.has(digest, size):
        with database.read() as connection:
            inside = rows.place_inside(connection, digest) if size > INLINE_LIMIT else None
            absent = inside is None and is_absent(connection, digest)
            whole = inside is not None and size <= _CHUNKS_AHEAD * CHUNK
            pieces = rows.chunks_from(connection, inside, 0, _CHUNKS_AHEAD) if inside is not None and whole else []
        if inside is not None:
            return cast("BinaryIO", ChunkReader(database, inside, size, pieces, lambda: blobs.open(digest)))
        if absent and not blobs.path_of(digest).exists():
            raise left_out(digest)
    return blobs.open(digest)


def left_out(digest: str) -> NotFoundError:
    """Return the error for bytes that were left out when the project was packed."""
    message = (
        f"the bytes {digest} were left out of this project when it was packed; "
        "fill (lineage fill) brings them from a project that has them"
    )
    return NotFoundError(message, kind=ErrorKind.CONTENT_LEFT_OUT)


def read_small(database: Database, digests: Sequence[str]) -> dict[str, bytes]:
    """Return the bytes of those blobs that lie inside the file, unverified, in one read."""
    with database.read() as connection:
        return rows.small_blobs(connection, digests, INLINE_LIMIT) if digests else {}


def damaged(digest: str) -> CorruptionError:
    """Return the error for bytes that do not have their digest."""
    message = f"the stored bytes of {digest} are damaged; run verify to see which versions they belong to"
    return CorruptionError(message, kind=ErrorKind.CONTENT_DAMAGED)


class ChunkReader(io.RawIOBase):
    """A large blob inside the project file, read some pieces at a time; between two reads nothing is held.

    Who reads on gets the next pieces together, as a connection costs what reading a megabyte does. Who jumps gets
    just what he asks for. Bytes that an unpack moves meanwhile are read where they lie then.

    Args:
        database: In which file.
        blob: The row of the blob.
        size: Its bytes.
        pieces: The first of its pieces, where they are known already.
        beside: Opens the file beside the project.
    """

    def __init__(
        self, database: Database, blob: int, size: int, pieces: list[bytes], beside: Callable[[], BinaryIO]
    ) -> None:
        self._beside = beside
        self._file: BinaryIO | None = None
        self._database = database
        self._blob = blob
        self._size = size
        self._place = 0
        self._pieces = pieces
        self._start = 0
        self._end = sum(map(len, pieces))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read some bytes, none at the end; the caller hashes them."""
        wanted = memoryview(buffer).cast("B")
        piece, offset = self._piece(len(wanted))
        data = memoryview(piece)[offset : offset + len(wanted)]
        wanted[: len(data)] = data
        self._place += len(data)
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return some bytes, none at the end; a whole piece as it came, without a copy."""
        if size < 0:
            return self.readall()
        piece, offset = self._piece(size)
        data = piece if not offset and len(piece) <= size else piece[offset : offset + size]
        self._place += len(data)
        return data

    def _piece(self, length: int) -> tuple[bytes, int]:
        """Return the piece that holds the place, or enough of it, and where the place is in it."""
        if self._place >= self._size:  # at the end nothing need be asked, which would cost a connection
            return b"", 0
        if self._file is None and not self._start <= self._place < self._end:
            self._fetch(length)
        index, offset = divmod(self._place - self._start, CHUNK)
        if self._file is None and index < len(self._pieces) and offset < len(self._pieces[index]):
            return self._pieces[index], offset
        return self._read_beside(length), 0

    def _read_beside(self, length: int) -> bytes:
        """Return bytes of the file beside the project, none where they are in neither place any more."""
        if self._file is None:
            try:
                self._file = self._beside()
            except NotFoundError:
                return b""
        self._file.seek(self._place)
        return self._file.read(length)

    def _fetch(self, length: int) -> None:
        goes_on = self._place == self._end
        seq, offset = divmod(self._place, CHUNK)
        with self._database.read() as connection:
            if goes_on and not offset:
                self._pieces = rows.chunks_from(connection, self._blob, seq, _CHUNKS_AHEAD)
            else:
                self._pieces = [rows.chunk_slice(connection, self._blob, seq, offset, max(length, 1))]
        self._start, self._end = self._place, self._place + sum(map(len, self._pieces))

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move in the blob."""
        start = (0, self._place, self._size)[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        """Return the position in the blob."""
        return self._place

    def close(self) -> None:
        """Close the file beside the project, where the bytes were read from there."""
        if self._file is not None:
            self._file.close()
        super().close()


class VerifyingReader(io.RawIOBase):
    """A blob read from a file; hashed on the way as long as it is read from start to end.

    A reader that seeks elsewhere gets those bytes unverified: hashing the whole first would cost a second for
    64 KB of a large blob. ``Version.verify`` and ``Project.verify`` hash everything.
    """

    def __init__(self, source: BinaryIO, digest: Digest, size: int) -> None:
        self._source = cast("io.RawIOBase", source)  # all that are opened here can read into a buffer
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
            count = self._source.readinto(wanted) or 0
        if start == self._hashed:
            self._hasher.update(wanted[:count])
            self._hashed += count
            at_end = self._hashed >= self._size or not count
            if at_end and len(wanted) and self._hasher.hexdigest() != self._digest:
                raise damaged(self._digest)
        return count

    def readall(self) -> bytes:
        """Return the rest, in large pieces: the default are 8 KiB, at which a gigabyte takes seven seconds."""
        return b"".join(iter(lambda: self.read(COPY_BUFFER) or b"", b""))

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
