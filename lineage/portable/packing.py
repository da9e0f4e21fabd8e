"""Packing: one file of the same format with every byte inside, from a project that others write to meanwhile.

One state of the rows is copied through SQLite into a file that has no name yet; there it is trimmed, filled with
the bytes, each hashed as it is read, and sealed. Then it is synced and named. The order is that of promises.md 5.3.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

from blake3 import blake3

from lineage.connections import copy_database, draft_database
from lineage.content import CHUNK, ChunkReader, damaged
from lineage.errors import CorruptionError, NotFoundError, StateError
from lineage.migrations import check_schema
from lineage.portable.draft import checked_target, draft_folder, publish
from lineage.portable.reports import PackReport, UnpackReport
from lineage.portable.selection import Selection, chosen
from lineage.sealing import compute_seal
from lineage.staging import copy_hashed
from lineage.statements import checks, content
from lineage.statements import portable as rows
from lineage.store import Store
from lineage.system import storage_errors

_LARGE: Final = 8 * CHUNK
"""Bytes from which a second thread reads and hashes ahead of the writing."""

_LARGE_FILE: Final = 32 << 20
"""Bytes from which a packed file has pages of 64 KiB: with them fifty empty tables alone take 3 MB."""


@dataclass(frozen=True, slots=True)
class PackRequest:
    """How a project is to be packed.

    Attributes:
        selection: Which runs and versions.
        types: Whose bytes are packed, by artifact type; None for all, empty for none.
        overwrite: Replace a file of that name.
        progress: Told the bytes packed.
    """

    selection: Selection
    types: tuple[str, ...] | None = None
    overwrite: bool = False
    progress: Callable[[int], None] | None = None


def pack(store: Store, target: Path, request: PackRequest) -> PackReport:
    """Write one file that holds a project, or a part of it, and return what is in it. ``Project.pack`` documents it."""
    if store.database.in_block:
        raise StateError("a project cannot be packed inside a batch or a snapshot: leave the block first")
    target = checked_target(target, overwrite=request.overwrite)
    with _keeping_bytes(store), draft_folder(target) as folder:
        with store.database.read() as connection:
            large = rows.bytes_known(connection) >= _LARGE_FILE
        draft = _copy(store, folder, large=large)
        if _trim(draft, store.path, request):
            compact = folder / "compact"
            copy_database(draft, compact, packed=large)
            draft.unlink()
            draft = compact
        with draft_database(draft) as connection:
            _check_inside(connection)
            _put_bytes(store, connection, request.progress)
            _check(connection)
            seal = compute_seal(connection)
            rows.put_seal(connection, seal)
            runs, artifacts, versions, blobs, size = rows.packed_counts(connection)
            absent, absent_size = rows.absent_total(connection)
        with storage_errors("cannot pack", target):
            length = draft.stat().st_size
        publish(draft, target, overwrite=request.overwrite)
    return PackReport(str(target), seal.digest, length, runs, artifacts, versions, blobs, size, absent, absent_size)


@contextmanager
def _keeping_bytes(store: Store) -> Iterator[None]:
    """Keep ``gc`` out while bytes are read: what cannot be written through this handle may be through another."""
    looks = store.database.read_only or not store.blobs.root.is_dir()
    with store.blobs.looking() if looks else store.storing():
        yield


def _copy(store: Store, folder: Path, *, large: bool) -> Path:
    draft = folder / "draft"
    with storage_errors("cannot pack", draft):
        draft.touch(0o666)
    copy_database(store.path, draft, packed=large, timeout=store.database.timeout)
    return draft


def _trim(draft: Path, source: Path, request: PackRequest) -> int:
    """Drop the seal, what was not chosen, bytes to leave out and garbage; return whether anything large went."""
    with draft_database(draft) as connection:
        check_schema(connection, source, exact=True)
        rows.drop_seal(connection)
        chose = not request.selection.is_everything
        if chose:
            rows.keep_only(connection, *chosen(connection, request.selection))
        dropped = rows.drop_garbage(connection)
        if request.types is not None:
            _refuse_unknown(request.types, rows.live_types(connection))
            rows.leave_out(connection, request.types or None)
        return chose or dropped or request.types is not None


def _refuse_unknown(types: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a type that nothing in the pack has: a misspelt one would leave out the bytes that were wanted."""
    unknown = [type for type in types if type not in known]
    if unknown:
        there = f"its types are {', '.join(map(repr, known))}" if known else "it holds no version"
        raise NotFoundError(f"nothing that is packed has type {unknown[0]!r}; {there}")


def _check_inside(connection: sqlite3.Connection) -> None:
    """Hash the bytes that came with the rows: whoever gets the file takes its seal for our word that they are right."""
    for digest, pieces in groupby(rows.pieces_inside(connection), key=itemgetter(0)):
        hasher = blake3()
        for _, data in pieces:
            hasher.update(data)
        if hasher.hexdigest() != digest:
            raise damaged(digest)


def _put_bytes(store: Store, connection: sqlite3.Connection, progress: Callable[[int], None] | None) -> None:
    for blob in rows.blobs_to_pack(connection):
        with _opened(store, blob) as source:
            hasher = blake3()
            pieces = _read_ahead(source, hasher) if blob.size >= _LARGE else _read(source, hasher)
            for seq, data in enumerate(pieces):
                rows.append_chunk(connection, blob.id, seq, data)
                if progress is not None:
                    progress(len(data))
            if not blob.size:
                rows.append_chunk(connection, blob.id, 0, b"")
        if hasher.hexdigest() != blob.digest:
            raise damaged(blob.digest)


def _opened(store: Store, blob: rows.BlobPlace) -> BinaryIO:
    """Open a blob beside the project: what lies inside came with the rows."""
    try:
        return store.blobs.open(blob.digest)
    except NotFoundError as error:
        message = f"{error}; a project that misses bytes is packed without them with content=False (--no-content)"
        raise NotFoundError(message, kind=error.kind) from error


def _read(source: BinaryIO, hasher: blake3) -> Iterator[bytes]:
    with storage_errors("cannot read bytes"):
        while data := _piece(source):
            hasher.update(data)
            yield data


def _piece(source: BinaryIO) -> bytes:
    """Return the next whole piece: a raw file may give less than it was asked for."""
    data = source.read(CHUNK)
    while data and len(data) < CHUNK and (more := source.read(CHUNK - len(data))):
        data += more
    return data


def _read_ahead(source: BinaryIO, hasher: blake3) -> Iterator[bytes]:
    """Yield the pieces of a large blob, the next one read and hashed by another thread meanwhile.

    SQLite, read() and blake3 all let go of the interpreter: with two cores, hashing costs no time of its own.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 (10 ms; large blobs only)

    def piece() -> bytes:
        data = _piece(source)
        hasher.update(data)
        return data

    with storage_errors("cannot read bytes"), ThreadPoolExecutor(1) as pool:
        coming = pool.submit(piece)
        while data := coming.result():
            coming = pool.submit(piece)
            yield data


def _check(connection: sqlite3.Connection) -> None:
    """See that the file is what it should be, as far as that can be told without reading all of it again."""
    if wrong := rows.sizes_astray(connection, CHUNK):
        raise damaged(wrong[0])
    if violations := checks.foreign_key_violations(connection):
        what = ", ".join(f"{table} -> {parent}" for table, parent in violations)
        raise CorruptionError(f"rows name others that are not there ({what}): run verify on the project")


def unpack(store: Store, *, larger_than: int, progress: Callable[[int], None] | None = None) -> UnpackReport:
    """Move the large contents of a packed file into the folder beside it. ``Project.unpack`` documents it."""
    if store.database.in_block:
        raise StateError("a project cannot be unpacked inside a batch or a snapshot: leave the block first")
    blobs = size = 0
    last: str | None = ""
    with store.storing():
        while last is not None:
            with store.database.read() as connection:
                window = rows.large_inside(connection, last, larger_than)
            for blob in window:
                _move_out(store, blob, progress)
                blobs, size = blobs + 1, size + blob.size
            last = window[-1].digest if window else None
    if blobs:
        store.database.compact()
    return UnpackReport(blobs, size)


def _move_out(store: Store, blob: rows.BlobPlace, progress: Callable[[int], None] | None) -> None:
    """Move one: the file is durable, and was hashed, before the rows go."""
    if not _is_beside(store, blob):
        staging = store.blobs.new_staging()
        try:
            inside = ChunkReader(store.database, blob.id, blob.size, [], lambda: store.blobs.open(blob.digest))
            with inside:
                staged = staging.stage(inside)
            if staged.digest != blob.digest:
                raise damaged(blob.digest)
            if os.path.lexists(store.blobs.path_of(blob.digest)) and not _is_beside(store, blob):
                store.blobs.quarantine(blob.digest)
            store.blobs.put(staged)
        finally:
            staging.close()
    store.blobs.sync([blob.digest])
    with store.writing() as connection:
        content.delete_chunks(connection, blob.digest)
    if progress is not None:
        progress(blob.size)


def _is_beside(store: Store, blob: rows.BlobPlace) -> bool:
    """Whether the bytes lie beside the file already, as an unpack that was cut off leaves them; no size proves it."""
    if not store.blobs.has(blob.digest, blob.size):
        return False
    with storage_errors("cannot read bytes"), store.blobs.open(blob.digest) as source:
        return copy_hashed(source, None) == (blob.digest, blob.size)
