"""Collecting garbage: rows and bytes that no live version names, and what crashed programs left.

The order is that of promises.md 5.2: what needs no room on the disk first, then rows, and bytes only after the
rows that named them are gone for good. A crash at any instruction leaves bytes without a row, which the next
``gc`` takes, and never a live version without its bytes. Where it cannot be sure that bytes are garbage, it refuses.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from sqlite3 import Connection
from typing import Final, TypeVar

from lineage.errors import ConflictError, CorruptionError, ErrorKind, InvalidInputError, StateError, StorageError
from lineage.filesystems import file_system_of
from lineage.generations import Standing, explained, settle, standing
from lineage.staging import remove_tree, tree_size
from lineage.statements import upkeep as rows
from lineage.store import Store
from lineage.system import is_locked, storage_errors
from lineage.values import Digest, listed, shown

ACCEPTABLE: Final = (ErrorKind.OLDER_FILE, ErrorKind.OLDER_BLOBS, ErrorKind.NETWORK_FILE_SYSTEM)
"""What makes ``gc`` refuse until the caller has looked."""
Progress = Callable[[int], None]
T = TypeVar("T")

_WINDOW: Final = 5_000
"""Rows that one read looks at: 10-50 ms in which no writer can commit."""
_PARTS_AT_ONCE: Final = 100
_BLOBS_AT_ONCE: Final = 500
_FILES_AT_ONCE: Final = 1_000
_MANIFEST_ROWS_AT_ONCE: Final = 10_000
"""What one write transaction drops, so that other writers wait for some 20 ms; a part has about 64 entries."""


@dataclass(frozen=True, slots=True)
class GcReport:
    """What ``gc`` took, or would take.

    Attributes:
        dry_run: Whether nothing was changed.
        blobs: Blobs that no live version names.
        bytes: Theirs, but for those that were left out when the project was packed. Those inside the project file
            become free pages of it, which new rows use; `compact` gives them back to the disk.
        parts: Pieces of listings that no live version names.
        environments: Descriptions of Python and its packages that no run names.
        strays: Files in the blob folder that no row names, as a crash leaves them.
        stray_bytes: Theirs.
        temporary: Staging folders and files of programs that are gone.
        temporary_bytes: Theirs.
    """

    dry_run: bool
    blobs: int
    bytes: int
    parts: int
    environments: int
    strays: int
    stray_bytes: int
    temporary: int
    temporary_bytes: int

    @property
    def total_bytes(self) -> int:
        """All bytes together."""
        return self.bytes + self.stray_bytes + self.temporary_bytes


def gc(
    store: Store,
    *,
    dry_run: bool = False,
    compact: bool = False,
    accept: Iterable[str] = (),
    progress: Progress | None = None,
) -> GcReport:
    """Drop what nothing names: bytes, listings, and what crashed programs left in the blob folder.

    Programs that store bytes wait while it runs; drafts of living programs are left alone. It works on a full
    disk. A dry run takes no lock and changes nothing; it may count what others are storing at that moment. It promises
    nothing that would be refused: where bytes may be another file's or machine's, it refuses as well.

    Args:
        store: Where.
        dry_run: Only count.
        compact: Afterwards rewrite the project file without its free pages, which takes as much room again.
        accept: What would otherwise make it refuse, of :data:`ACCEPTABLE`.
        progress: Told the bytes taken.

    Raises:
        CorruptionError: The project file is damaged: what is garbage cannot be told.
        StorageError: The disk refused, or gives no locks to rely on.
        ConflictError: The project lies on a network file system, or file and blob folder are not of one time.
        StateError: This thread is inside a batch or a snapshot.
        ReadOnlyError: The project is read-only.
    """
    if store.database.in_block:
        raise StateError("gc cannot run inside a batch or a snapshot: what they wrote may still be undone")
    accepted = _accepted(accept)
    if dry_run:
        _refuse_doubt(store, accepted)
        return _Collection(store, dry_run=True, progress=progress).run()
    store.check_writable()
    with store.blobs.collecting():
        _refuse_without_locks(store)
        _refuse_doubt(store, accepted)
        report = _Collection(store, dry_run=False, progress=progress).run()
        settle(store)
    if compact:
        store.database.compact()
    return report


def _accepted(accept: Iterable[str]) -> frozenset[str]:
    accepted = listed(accept, "accept")
    for word in accepted:
        if word not in ACCEPTABLE:
            raise InvalidInputError(f"accept {shown(word)}: it is one of {', '.join(ACCEPTABLE)}")
    return frozenset(accepted)


def _refuse_without_locks(store: Store) -> None:
    """Refuse where the lock that is held holds nobody off: one that a second descriptor does not see is none."""
    root = store.blobs.root
    if not is_locked(root / "gc.lock"):
        raise StorageError(f"locks do not hold in {str(root)!r}: gc could take what others are storing")


def _refuse_doubt(store: Store, accepted: frozenset[str]) -> None:
    """Refuse where it cannot be told who else is storing, or what another file or folder needs.

    On a network file system a lock may hold here and not elsewhere.
    """
    root = store.blobs.root
    place = file_system_of(root)
    if place.network and ErrorKind.NETWORK_FILE_SYSTEM not in accepted:
        message = (
            f"{str(root)!r} lies on a network file system ({place.kind}), where other machines may not see our locks: "
            "gc could take what they are storing. If nobody else works with the project now, accept it"
        )
        raise _refusal(message, ErrorKind.NETWORK_FILE_SYSTEM)
    found = standing(store)
    if found is not Standing.TOGETHER and found.value not in accepted:
        message = f"{explained(store, found)}; or run verify, see what is missing, and accept them as they are"
        raise _refusal(message, ErrorKind(found.value))


def _refusal(message: str, kind: ErrorKind) -> ConflictError:
    return ConflictError(f"{message}: gc(accept=['{kind}']), 'lineage gc --accept {kind}'", kind=kind)


@dataclass(slots=True)
class _Collection:
    """One run of ``gc``: its steps in their order, and what they took so far.

    Nothing comes alive meanwhile, as whoever names bytes holds the lock that ``gc`` holds. Statements that
    delete look again all the same.
    """

    store: Store
    dry_run: bool
    progress: Progress | None
    blobs: int = 0
    bytes: int = 0
    parts: int = 0
    environments: int = 0
    strays: int = 0
    stray_bytes: int = 0
    temporary: int = 0
    temporary_bytes: int = 0

    def run(self) -> GcReport:
        self._refuse_damage()
        self._take_temporary()
        self._take_strays()
        try:
            self._take_rows()
        except StorageError:  # most likely the disk is full, and SQLite needs room to delete a row
            if self.dry_run or not self._free_files():
                raise
            self._take_rows()
        return GcReport(
            self.dry_run,
            self.blobs,
            self.bytes,
            self.parts,
            self.environments,
            self.strays,
            self.stray_bytes,
            self.temporary,
            self.temporary_bytes,
        )

    def _refuse_damage(self) -> None:
        with self.store.database.read() as connection:
            damage = rows.quick_check(connection)
        if damage:
            message = f"project {str(self.store.path)!r} is damaged ({damage[0]}); gc takes nothing from it: run verify"
            raise CorruptionError(message)

    def _tell(self, size: int) -> None:
        if self.progress is not None:
            self.progress(size)

    def _take_temporary(self) -> None:
        """Take what is dead in ``tmp``; it needs no room, so it comes first."""
        for path in [*self.store.blobs.dead_stagings(), *_dead_drafts(self.store.path)]:
            with storage_errors("cannot look at temporary files"):
                size = tree_size(path)
            if not self.dry_run:
                remove_tree(path)
            self.temporary += 1
            self.temporary_bytes += size
            self._tell(size)

    def _take_strays(self) -> None:
        """Take files that no row names; it needs no room either."""
        for found in shards(self.store):
            strays = self._without_row(found)
            if strays and not self.dry_run:
                with self.store.writing():  # look again when nobody has rows that are not committed yet
                    strays = self._without_row(strays)
                    for digest in strays:
                        self.store.blobs.delete(digest)
            for size in strays.values():
                self.strays += 1
                self.stray_bytes += size
                self._tell(size)

    def _without_row(self, found: dict[Digest, int]) -> dict[Digest, int]:
        with self.store.database.read() as connection:
            known = rows.known_blobs(connection, found)
        return {digest: size for digest, size in found.items() if digest not in known}

    def _take_rows(self) -> None:
        """Take listings, then their parts, then blobs that no part names any more."""
        for manifests in self._windows(rows.dead_manifests):
            for some in bounded(manifests, lambda manifest: manifest.parts, _MANIFEST_ROWS_AT_ONCE):
                self._drop_manifests(some)
        for parts in self._windows(rows.dead_parts):
            for neighbours in bounded(parts, lambda _: 1, _PARTS_AT_ONCE):
                self._drop_parts(neighbours)
        for blobs in self._windows(rows.dead_blobs):
            for few in bounded(blobs, lambda _: 1, _BLOBS_AT_ONCE):
                self._drop_blobs(few)
        self._drop_environments()

    def _windows(self, look: Callable[[Connection, int, int], tuple[int | None, list[T]]]) -> Iterator[list[T]]:
        last: int | None = 0
        while last is not None:
            with self.store.database.read() as connection:
                last, dead = look(connection, last, _WINDOW)
            yield dead

    def _drop_manifests(self, manifests: list[rows.DeadManifest]) -> None:
        """Drop listings whole: of one that was dropped in part, the rest would pass for all of it."""
        if not self.dry_run:
            with self.store.writing() as connection:
                rows.delete_manifests(connection, [manifest.id for manifest in manifests])

    def _drop_parts(self, parts: list[int]) -> None:
        if self.dry_run:
            self.parts += len(parts)
            return
        with self.store.writing() as connection:
            dropped = rows.delete_parts(connection, parts)
        self.parts += dropped

    def _drop_blobs(self, blobs: list[rows.DeadBlob]) -> None:
        dropped = {blob.digest for blob in blobs}
        if not self.dry_run:
            with self.store.writing() as connection:
                dropped = rows.delete_blobs(connection, [blob.id for blob in blobs])
        for blob in blobs:
            if blob.digest in dropped:
                if not self.dry_run:
                    _unlink(self.store, blob.digest)
                self.blobs += 1
                self.bytes += blob.size
                self._tell(blob.size)

    def _drop_environments(self) -> None:
        with self.store.database.read() as connection:
            unused = rows.unused_environments(connection)
        if unused and not self.dry_run:
            with self.store.writing() as connection:
                rows.delete_environments(connection, unused)
        self.environments += len(unused)

    def _free_files(self) -> int:
        """Remove files of dead blobs ahead of their rows, and return how many: on a full disk nothing else goes.

        A row without its file is harmless while no live version names it: whoever logs the bytes again looks
        for the file and not for the row.
        """
        freed = 0
        for blobs in self._windows(rows.dead_blobs):
            for blob in blobs:
                freed += self.store.blobs.has(blob.digest, blob.size)
                _unlink(self.store, blob.digest)
        return freed


def bounded(items: Iterable[T], weight: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most that weight, or of one heavier item."""
    found: list[T] = []
    total = 0
    for item in items:
        total += weight(item)
        if found and total > most:
            yield found
            found, total = [], weight(item)
        found.append(item)
    if found:
        yield found


def shards(store: Store) -> Iterator[dict[Digest, int]]:
    """Yield digest and size of what lies in the blob folder, so many whole shards at a time as hold a thousand files.

    With a connection for each of 256 shards, while all others wait, the slowest of 600 calls took 7 s where it takes
    0.4 now (tests/faults/test_flood.py). A whole shard before anything is removed from it: readdir need not cope with
    files that go meanwhile. Folders are no blobs that a crash could leave, so they are left for ``verify`` to name.
    """
    with storage_errors("cannot look through the blob folder"):
        found: dict[Digest, int] = {}
        for _, shard in groupby(store.blobs.digests(), key=lambda item: item[0][:2]):
            found |= {digest: status.st_size for digest, status in shard if not stat.S_ISDIR(status.st_mode)}
            if len(found) >= _FILES_AT_ONCE:
                yield found
                found = {}
        yield found


def _unlink(store: Store, digest: Digest) -> None:
    """Remove a blob's file; a folder in its place is left for ``verify`` to name."""
    if not store.blobs.path_of(digest).is_dir():
        store.blobs.delete(digest)


def _dead_drafts(path: Path) -> list[Path]:
    """Return what programs killed while they created this project left beside it."""
    draft = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{16}\.tmp(-journal)?")
    with storage_errors("cannot look through the project's folder"):
        return sorted(child for child in path.parent.iterdir() if draft.fullmatch(child.name))
