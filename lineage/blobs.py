"""The blob folder beside a project file: bytes by their digests.

The order of writes is that of promises.md 5.1: a temporary name, the bytes, read-only, sync, the name, sync of
the folder. A blob is never opened for writing under its final name, and being there proves nothing: what is
handed out is hashed again. This module knows no database.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lineage.errors import CorruptionError, ErrorKind, InvalidInputError, NotFoundError, StorageError
from lineage.staging import Staged, Staging, copy_hashed, removed_on_error
from lineage.system import (
    is_locked,
    note_own,
    queued_lock,
    storage_error,
    storage_errors,
    sync_folder,
    turn_to_look,
    unique_name,
)
from lineage.values import Digest


class _Storing(threading.local):
    """Where this thread is storing bytes: process and folder, as a forked child holds none of its parent's locks."""

    def __init__(self) -> None:
        self.places: set[tuple[int, Path]] = set()


_storing = _Storing()


class BlobFolder:
    """The blobs beside a project file: ``<root>/aa/<62 hex digits>``, plus staging and locks.

    One level of 256 folders: two are slower (design.md, section 2). The folder is made by the first write.

    Args:
        root: ``iv3.blobs`` for ``iv3.lineage``.
        timeout: Seconds to wait for a lock.
    """

    def __init__(self, root: Path, *, timeout: float) -> None:
        self.root = root
        self.temporary = root / "tmp"
        self.quarantine_folder = root / "quarantine"
        self.write_lock = root / "write.lock"
        self._timeout = timeout

    def make(self) -> None:
        """Make the folder where it is missing."""
        if not self.temporary.is_dir():
            with storage_errors("cannot make the blob folder", self.root):
                self.root.mkdir(exist_ok=True)  # not its parents: a project that was removed stays so
                self.temporary.mkdir(exist_ok=True)
                sync_folder(self.root)
                sync_folder(self.root.parent)
        _refuse_link(self.root, self.temporary)
        note_own(self.root)

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Keep ``gc`` out while bytes are stored that no row names yet.

        Through a gate, so that a waiting ``gc`` gets its turn, and new writers theirs after it. Inside
        such a block of the same thread nothing more is taken: behind a waiting ``gc`` it would wait for itself.
        """
        here = os.getpid(), self.root
        if here in _storing.places:
            yield
            return
        self.make()
        with self._lock(shared=True):
            _storing.places.add(here)
            try:
                yield
            finally:
                _storing.places.discard(here)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Keep ``gc`` out while bytes are read, also where nothing may be written; nothing is made for it."""
        if (os.getpid(), self.root) in _storing.places:  # as in storing
            yield
            return
        with turn_to_look(self.root / "gc.lock", self.root / "gate.lock", timeout=self._timeout):
            yield

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep every writer of bytes out, for ``gc``."""
        self.make()
        with self._lock():
            yield

    @contextmanager
    def _lock(self, *, shared: bool = False) -> Iterator[None]:
        with queued_lock(self.root / "gc.lock", self.root / "gate.lock", timeout=self._timeout, shared=shared):
            yield

    def new_staging(self) -> Staging:
        """Return a staging folder on the file system of the blobs, safe from ``gc`` for as long as it lives."""
        with self.storing():
            return Staging(self.temporary)

    def path_of(self, digest: Digest) -> Path:
        """Return where the blob lies or would lie; nothing but a digest is joined to the folder, whoever gives it."""
        Digest.parse(str(digest))
        return self.root / digest[:2] / digest[2:]

    def has(self, digest: Digest, size: int) -> bool:
        """Whether a regular file of that size lies there: the file system's word, not a row's."""
        try:
            found = self.path_of(digest).lstat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise storage_error(error, "cannot look for bytes") from error
        return stat.S_ISREG(found.st_mode) and found.st_size == size

    def put(self, staged: Staged) -> None:
        """Give a staged file its place, durable once :meth:`sync` has run; it keeps its name in the staging folder.

        Whoever logs it may fail yet: then its draft must still have its bytes, which ``gc`` may take from their place.
        A failed sync is never tried again as if nothing had happened: the staged copy is thrown away.
        """
        source = staged.path
        if source is None:
            message = "only staged files go beside the project; small contents go into it"
            raise ValueError(message)
        if self.has(staged.digest, staged.size):
            return
        target = self.path_of(staged.digest)
        with storage_errors("cannot store bytes", self.root):
            target.parent.mkdir(exist_ok=True)
            _refuse_link(target.parent)
            status = source.stat()
            if status.st_dev != self.root.stat().st_dev or status.st_nlink > 1:  # another project has it: see there
                self._put_copy(staged.digest, source, target)
                return
            with removed_on_error(source):
                make_read_only(source)
            try:
                os.link(source, target)
            except OSError:  # others were first, damaged bytes lie there, or the file system has no hard links
                if not self.has(staged.digest, staged.size):
                    self._put_copy(staged.digest, source, target)

    def _put_copy(self, digest: Digest, source: Path, target: Path) -> None:
        """Put a copy in the place of a blob; it replaces what lies there.

        No two projects have one file for their bytes: what harms it would harm both.
        """
        copy = self.temporary / unique_name()
        with removed_on_error(copy):
            with source.open("rb") as reader, copy.open("xb") as writer:
                copied, _ = copy_hashed(reader, writer.write)
            if copied != digest:
                message = f"the staged bytes {digest} have changed in {str(source)!r}; make the draft again"
                raise CorruptionError(message, kind=ErrorKind.CONTENT_DAMAGED)
            make_read_only(copy)
            copy.rename(target)

    def sync(self, digests: Iterable[Digest]) -> None:
        """Make the names of blobs durable, also of those found there: their writer may not have got so far."""
        with storage_errors("cannot store bytes", self.root):
            shards = {digest[:2] for digest in digests}
            for shard in shards:
                sync_folder(self.root / shard)
            if shards:
                sync_folder(self.root)

    def open(self, digest: Digest) -> BinaryIO:
        """Return a blob as an unverified file object.

        Raises:
            NotFoundError: It is not there, or is no regular file.
        """
        path = self.path_of(digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            message = f"the bytes {digest} are not in {str(self.root)!r}; run verify to see which versions miss them"
            raise NotFoundError(message, kind=ErrorKind.CONTENT_MISSING) from error
        except OSError as error:
            raise storage_error(error, "cannot read bytes") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            message = f"{str(path)!r} is not a regular file; run verify"
            raise CorruptionError(message, kind=ErrorKind.CONTENT_DAMAGED)
        return open(descriptor, "rb", buffering=0)  # noqa: PTH123 (a descriptor, not a path)

    def digests(self) -> Iterator[tuple[Digest, os.stat_result]]:
        """Yield every file that lies where a blob may lie."""
        for shard in sorted(self._shards()):
            with os.scandir(shard) as found:
                for item in found:
                    with suppress(InvalidInputError, FileNotFoundError):  # other names; gone meanwhile
                        yield Digest.parse(shard.name + item.name), item.stat(follow_symlinks=False)

    def _shards(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        found = [child for child in self.root.iterdir() if len(child.name) == 2 and child.is_dir()]  # noqa: PLR2004 (two hex digits)
        _refuse_link(self.root, *found)
        return found

    def delete(self, digest: Digest) -> None:
        """Remove a blob; nothing happens if it is not there."""
        with storage_errors("cannot remove bytes"):
            self.path_of(digest).unlink(missing_ok=True)

    def quarantine(self, digest: Digest, source: Path | None = None) -> Path:
        """Move a damaged blob aside and return where it lies now; `source` if its bytes are not in its place."""
        with storage_errors("cannot quarantine bytes", self.root):
            self.quarantine_folder.mkdir(exist_ok=True)
            _refuse_link(self.quarantine_folder)
            target = self.quarantine_folder / f"{digest}.{unique_name()}"
            (source or self.path_of(digest)).rename(target)
            sync_folder(self.quarantine_folder)
            sync_folder(self.root)  # in which the folder may be new
        return target

    def dead_stagings(self) -> list[Path]:
        """Return what lies in ``tmp`` and belongs to no living process; call it inside :meth:`collecting`."""
        if not self.temporary.is_dir():
            return []
        _refuse_link(self.root, self.temporary)
        return [child for child in sorted(self.temporary.iterdir()) if not _is_alive(child)]


def _refuse_link(*folders: Path) -> None:
    """Refuse a folder of ours that is a link: what it leads to is not ours to write into, let alone to clear."""
    for folder in folders:
        if folder.is_symlink():
            message = f"{str(folder)!r} is a link; put the folder itself there, or link the whole project's folder"
            raise StorageError(message)


def _is_alive(staging: Path) -> bool:
    lock = staging / "lock"
    try:
        return lock.is_file() and is_locked(lock)
    except StorageError:
        if lock.exists():
            raise
        return True  # its owner is removing it


def make_read_only(path: Path) -> None:
    """Take away the right to write to a file, and make it durable: its bytes, and that it is so."""
    path.chmod(0o444)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
