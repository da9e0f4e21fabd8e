"""Whether the bytes of a project are what their digests say, in both places where they can lie.

Nothing is held open over the whole of it: blobs are looked at in the order of their digests, some at a time.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Final, NamedTuple

from blake3 import blake3

from lineage.content import CHUNK
from lineage.errors import LineageError, NotFoundError
from lineage.generations import NEWEST, Standing, standing
from lineage.staging import COPY_BUFFER
from lineage.statements import checks
from lineage.statements import content as rows
from lineage.statements.upkeep import known_blobs
from lineage.store import Store
from lineage.system import storage_errors
from lineage.upkeep.collection import bounded, shards
from lineage.upkeep.problems import Problem, ProblemKind, Severity
from lineage.values import Digest

Progress = Callable[[int], None]

_BLOBS_AT_ONCE: Final = 1_000
_BYTES_AT_ONCE: Final = 64 << 20
"""What lies inside the file and is hashed in one read: some 50 ms in which no writer can commit."""
_OURS: Final = frozenset({"tmp", "quarantine", "write.lock", "turn.lock", "gate.lock", "gc.lock", NEWEST})
_SHARD: Final = re.compile(r"[0-9a-f]{2}", re.ASCII)
_NAME: Final = re.compile(r"[0-9a-f]{62}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WARNINGS: Final = frozenset({ProblemKind.BYTES_WRITABLE, ProblemKind.STRAY_FILE, ProblemKind.FOREIGN_FILE})


class BlobRow(NamedTuple):
    """A blob as its row has it; `inside` if the bytes, or some, are in the project file."""

    digest: Digest
    size: int
    inside: bool


class Fault(NamedTuple):
    """What is wrong with the bytes in one of the two places where they can be."""

    kind: ProblemKind
    message: str


@dataclass(slots=True)
class Seen:
    """How bytes are to be looked at, and how much was.

    Attributes:
        content: Read and hash them; otherwise only see whether they are there, in the right size.
        progress: Told the bytes read.
        after: The digest of the last blob that was looked at, or where to begin: blobs come in their order.
        limit: Look at no further blob once so many bytes were; None for no limit.
        blobs: How many blobs were looked at.
        bytes: Theirs.
        whole: Whether the last blob was looked at.
    """

    content: bool
    progress: Progress | None
    after: str = ""
    limit: int | None = None
    blobs: int = 0
    bytes: int = 0
    whole: bool = False


def byte_problems(store: Store, seen: Seen) -> Iterator[Problem]:
    """Yield what is wrong with the bytes of blobs, from where `seen` stands to the limit or the last blob."""
    while True:
        with store.database.read() as connection:
            window = [BlobRow(*row) for row in rows.blobs_after(connection, seen.after, _BLOBS_AT_ONCE)]
        if not window:
            seen.whole = True
            return
        for some in bounded(window, lambda blob: blob.size, _BYTES_AT_ONCE):
            with store.database.read() as connection:
                inside = {blob: look_inside(connection, blob, content=seen.content) for blob in some if blob.inside}
            for blob in some:
                if seen.limit is not None and seen.bytes >= seen.limit:
                    return
                yield from blob_problems(store, blob, inside.get(blob), content=seen.content, progress=seen.progress)
                seen.blobs += 1
                seen.bytes += blob.size
                seen.after = blob.digest


def blob_problems(
    store: Store, blob: BlobRow, inside: Fault | None, *, content: bool, progress: Progress | None = None
) -> Iterator[Problem]:
    """Yield what is wrong with a blob, given what is wrong with its bytes inside the project file.

    A fault counts only if it is still there in a read that also finds the row: while that read lasts, nobody can
    commit that the row is gone, and files go only after that.
    """
    beside = look_beside(store, blob, content=content, progress=progress)
    if blob.inside and inside is None and progress is not None:
        progress(blob.size)
    if inside is None and _is_fine(blob, beside):
        return
    with store.database.read() as connection:
        state = look_up(connection, blob.digest, content=content)
        if state is None:
            return
        blob, inside = state
        if beside is not None and beside.kind is ProblemKind.BYTES_MISSING:
            beside = look_beside(store, blob, content=False)
        versions = tuple(rows.references_with(connection, [blob.digest]))
    for fault in (inside, None if _is_fine(blob, beside) else beside):
        if fault is not None:
            yield Problem(fault.kind, blob.digest, fault.message, versions, _severity(fault.kind, versions))


def _is_fine(blob: BlobRow, beside: Fault | None) -> bool:
    return beside is None or (blob.inside and beside.kind is ProblemKind.BYTES_MISSING)


def _severity(kind: ProblemKind, versions: tuple[str, ...]) -> Severity:
    """Missing bytes that no live version names are no loss: gc takes the row. Damaged ones a log could reuse."""
    harmless = kind in _WARNINGS or (kind is ProblemKind.BYTES_MISSING and not versions)
    return "warning" if harmless else "error"


def look_up(connection: Connection, digest: str, *, content: bool = True) -> tuple[BlobRow, Fault | None] | None:
    """Return a blob and what is wrong with its bytes inside the project file; None if it has no row."""
    row = checks.blob_row(connection, digest)
    if row is None:
        return None
    blob = BlobRow(Digest(digest), *row)
    return blob, look_inside(connection, blob, content=content) if blob.inside else None


def look_inside(connection: Connection, blob: BlobRow, *, content: bool) -> Fault | None:
    """Return what is wrong with a blob's bytes inside the project file."""
    if content:
        hasher, size, astray = blake3(), 0, 0
        for seq, piece in checks.chunks(connection, blob.digest):
            hasher.update(piece)
            size += len(piece)
            astray += len(piece) != min(CHUNK, blob.size - seq * CHUNK)
    else:
        size, astray = checks.size_inside(connection, blob.digest, CHUNK)
    if fault := _size_fault("in the project file", blob, size):
        return fault
    if content and hasher.hexdigest() != blob.digest:
        return _damage("in the project file", blob)
    if astray:
        message = f"in the project file are the bytes {blob.digest} in pieces of another size, or numbered with gaps"
        return Fault(ProblemKind.BYTES_DAMAGED, message)
    return None


def look_beside(store: Store, blob: BlobRow, *, content: bool, progress: Progress | None = None) -> Fault | None:
    """Return what is wrong with a blob's file beside the project, where missing is one of the things."""
    if not _DIGEST.fullmatch(blob.digest):  # it would be a path of anywhere
        return Fault(ProblemKind.BYTES_MISSING, f"the row of a blob has {blob.digest!r} for a digest")
    path = store.blobs.path_of(blob.digest)
    try:
        status = path.lstat()
    except FileNotFoundError:
        message = f"the {blob.size} bytes {blob.digest} are gone; fill brings them from a project or a backup"
        return Fault(ProblemKind.BYTES_MISSING, message)
    except OSError as error:
        return Fault(ProblemKind.BYTES_UNREADABLE, f"the bytes {blob.digest} cannot be reached: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return Fault(ProblemKind.BYTES_REPLACED, f"{str(path)!r} is no regular file, but a link, a folder or the like")
    fault = _size_fault(f"in {str(path)!r}", blob, status.st_size)
    if fault is None and content:
        fault = _hashed(store, blob, progress)
    if fault is None and status.st_mode & 0o222:
        return Fault(ProblemKind.BYTES_WRITABLE, f"{str(path)!r} can be written; blobs are read-only files")
    return fault


def _size_fault(where: str, blob: BlobRow, size: int) -> Fault | None:
    if size == blob.size:
        return None
    return Fault(ProblemKind.BYTES_SIZE, f"{where} are {size} bytes of {blob.digest}, and not {blob.size}")


def _damage(where: str, blob: BlobRow) -> Fault:
    return Fault(ProblemKind.BYTES_DAMAGED, f"{where} are bytes that are not those of {blob.digest}")


def _hashed(store: Store, blob: BlobRow, progress: Progress | None) -> Fault | None:
    hasher = blake3()
    try:
        for piece in _pieces(store, blob.digest):
            hasher.update(piece)
            if progress is not None:
                progress(len(piece))
    except NotFoundError as error:  # it went since it was looked at
        return Fault(ProblemKind.BYTES_MISSING, str(error))
    except LineageError as error:
        return Fault(ProblemKind.BYTES_UNREADABLE, str(error))
    where = f"in {str(store.blobs.path_of(blob.digest))!r}"
    return None if hasher.hexdigest() == blob.digest else _damage(where, blob)


def _pieces(store: Store, digest: Digest) -> Iterator[bytes]:
    with storage_errors("cannot read bytes"), store.blobs.open(digest) as source:
        while data := source.read(COPY_BUFFER):
            yield data


def folder_problems(store: Store) -> Iterator[Problem]:
    """Look at what lies in the blob folder: files that no row names, strangers, links in place of folders."""
    root = store.blobs.root
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        message = f"{str(root)!r} is no folder of its own, but a link or a file"
        yield Problem(ProblemKind.BLOB_FOLDER, root.name, message)
        return
    if not root.is_dir():
        return
    with storage_errors("cannot look through the blob folder"):
        children = sorted(root.iterdir())
    for child in children:
        if _SHARD.fullmatch(child.name):
            yield from _shard_problems(child)
        elif child.name not in _OURS:
            yield _foreign(child)
    if not any(child.is_symlink() for child in children):  # of what a link leads to, nothing is ours to look through
        yield from _strays(store)


def _strays(store: Store) -> Iterator[Problem]:
    """Name files that no row names, and say that gc takes them only where it does: a newer file may name them."""
    together = standing(store) is Standing.TOGETHER
    fate = "gc takes it, unless it is being logged now" if together else "what is newer may need it, so gc leaves it"
    for found in shards(store):
        with store.database.read() as connection:
            known = known_blobs(connection, found)
        for digest in found.keys() - known:
            message = f"no row names {str(store.blobs.path_of(digest))!r}; {fate}"
            yield Problem(ProblemKind.STRAY_FILE, digest, message, severity="warning")


def _shard_problems(shard: Path) -> Iterator[Problem]:
    if shard.is_symlink() or not shard.is_dir():
        message = f"{str(shard)!r} is no folder of its own, but a link or a file"
        yield Problem(ProblemKind.BLOB_FOLDER, shard.name, message)
        return
    with storage_errors("cannot look through the blob folder"):
        strangers = sorted(child for child in shard.iterdir() if not _NAME.fullmatch(child.name))
    yield from map(_foreign, strangers)


def _foreign(path: Path) -> Problem:
    message = f"{str(path)!r} is not of lineage's making; nothing touches it"
    return Problem(ProblemKind.FOREIGN_FILE, path.name, message, severity="warning")
