"""Bytes in, digest out: the blob folder beside a project file, and the staging of drafts.

The order of writes is that of promises.md 5.1: a temporary name, the bytes, read-only, sync, rename, sync of
the folder. A blob is never opened for writing under its final name, and being there proves nothing: what is
handed out is hashed again. This module knows no database.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import stat
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from blake3 import blake3

from lineage.errors import CorruptionError, ErrorKind, InvalidInputError, NotFoundError, StateError, StorageError
from lineage.system import (
    is_locked,
    note_own,
    open_source,
    queued_lock,
    read_found,
    storage_error,
    storage_errors,
    sync_folder,
    unique_name,
)
from lineage.values import Digest

INLINE_LIMIT: Final = 16 * 1024
"""Bytes up to which a blob lies in the project file: creating a file costs 0.03-0.3 ms, a row 0.06-0.08."""
FORKED_DRAFT: Final = "this draft was begun by the process that forked this one; make another for what is added here"
COPY_BUFFER: Final = 1 << 20
_FICLONE: Final = 0x40049409
"""Linux's ioctl that shares the extents of two files; ext4 refuses it, btrfs and XFS do it."""


class Reader(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """Bytes that a draft holds: a file of the staging folder, a stretch of its spool, or `data` in memory."""

    digest: Digest
    size: int
    path: Path | None
    offset: int = 0
    data: bytes | None = None


def in_memory(data: bytes) -> Staged:
    """Return small contents that a draft keeps in memory."""
    return Staged(Digest(blake3(data).hexdigest()), len(data), None, data=data)


class Staging:
    """A folder of one draft, in which its bytes wait to be logged; gone when the draft is.

    Several threads may stage at once. Small contents share one spool file, as creating a file costs more than
    writing 10 KB. A kernel lock on the folder's lock file tells ``gc`` in any process that its owner lives.

    Args:
        parent: The folder it is made in.
    """

    def __init__(self, parent: Path) -> None:
        self.folder = parent / unique_name()
        with storage_errors("cannot stage bytes", self.folder), ExitStack() as undo:
            self.folder.mkdir(mode=0o700)
            undo.callback(_remove_half_made, self.folder)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._spool = (self.folder / "spool").open("w+b", buffering=0)
            undo.pop_all()
        self._end = 0
        self._names = count(1)
        self._turn = threading.Lock()
        self._owner = os.getpid()
        self.close = weakref.finalize(self, _discard, self.folder, descriptor, self._spool, os.getpid())

    def new_path(self) -> Path:
        """Return a name in the folder that nothing bears yet.

        Raises:
            StateError: This process was forked from the one that stages here: both would write to the same places.
        """
        self._refuse_fork()
        return self.folder / f"{next(self._names)}"

    def stage(self, source: Reader) -> Staged:
        """Copy what `source` gives and return its digest: the digest is that of the stored bytes."""
        head = _read_up_to(source, INLINE_LIMIT + 1)
        if len(head) <= INLINE_LIMIT:
            return self._spool_bytes(head)
        path = self.new_path()
        with storage_errors("cannot stage bytes", path), _removed_on_error(path), path.open("xb") as target:
            digest, size = copy_hashed(_Chained(head, source), target.write)
        return Staged(digest, size, path)

    def stage_file(self, path: Path) -> Staged:
        """Copy the regular file at `path`, sharing its extents where the file system can.

        Raises:
            InvalidInputError: It is no regular file, or it changed while it was read, twice; one that keeps its size
                is known to by its times, which stand still for a tick of the kernel's clock, 1 to 10 ms.
            StorageError: It cannot be read, or the copy cannot be written.
        """
        for _ in range(2):
            with open_source(path) as source:
                before = os.fstat(source.fileno())
                staged = self._clone(source, before.st_size) or self.stage(source)
                if _same_state(before, path) and before.st_size in (staged.size, 0):
                    return staged
                self.drop(staged)
        message = f"{str(path)!r} changes while it is read; log it when its writer is done"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_CHANGED)

    def stage_small(self, path: str, status: os.stat_result) -> Staged | None:
        """Copy a small file that a walk has just found; None where :meth:`stage_file` has to look closer."""
        data = read_found(path, status, INLINE_LIMIT)
        return None if data is None else self._spool_bytes(data)

    def adopt(self, path: Path) -> Staged:
        """Take over a file written under a name that :meth:`new_path` gave."""
        with storage_errors("cannot stage bytes", path), path.open("rb", buffering=0) as source:
            if os.fstat(source.fileno()).st_size > INLINE_LIMIT:
                digest, size = copy_hashed(source, None)
                return Staged(digest, size, path)
            staged = self._spool_bytes(source.read())
            path.unlink()
        return staged

    def read(self, staged: Staged) -> bytes:
        """Return the bytes of a stretch of the spool."""
        return os.pread(self._spool.fileno(), staged.size, staged.offset)

    def open(self, staged: Staged) -> BinaryIO:
        """Return staged bytes as a file object."""
        return io.BytesIO(self.read(staged)) if staged.path is None else staged.path.open("rb")

    def drop(self, staged: Staged) -> None:
        """Forget staged bytes; a stretch of the spool stays until the draft goes."""
        if staged.path is not None:
            with suppress(OSError):  # it goes with the draft at the latest
                staged.path.unlink()

    def _refuse_fork(self) -> None:
        if os.getpid() != self._owner:
            raise StateError(FORKED_DRAFT)

    def _spool_bytes(self, data: bytes) -> Staged:
        self._refuse_fork()
        with self._turn:
            start, self._end = self._end, self._end + len(data)
        with storage_errors("cannot stage bytes", self.folder):
            _write_all(self._spool.fileno(), data, start)
        return Staged(Digest(blake3(data).hexdigest()), len(data), None, start)

    def _clone(self, source: BinaryIO, size: int) -> Staged | None:
        """Reflink a large file, then hash the clone; None where that cannot be done."""
        if size <= INLINE_LIMIT:
            return None
        path = self.new_path()
        with (
            storage_errors("cannot stage bytes", path),
            _removed_on_error(path),
            path.open("x+b", buffering=0) as target,
        ):
            try:
                fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
            except OSError:  # another file system, or one that cannot: copy instead
                path.unlink()
                return None
            digest, size = copy_hashed(target, None)
        return Staged(digest, size, path)


def _remove_half_made(folder: Path) -> None:
    """Remove what there is of a new staging folder, without a descriptor: there may be none left."""
    with suppress(OSError):
        for name in ("lock", "spool"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _discard(folder: Path, descriptor: int, spool: BinaryIO, owner: int) -> None:
    """Remove a staging folder; a forked child leaves its parent's alone."""
    if os.getpid() != owner:
        return
    spool.close()  # frees the one descriptor that a list of names takes, of which there may be no other
    with suppress(OSError):  # what stays is dead and gc's
        for path in list(folder.iterdir()):
            path.unlink()
        folder.rmdir()
    os.close(descriptor)


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
        """Give a staged file its place; durable once :meth:`sync` has run.

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
            source = self._on_our_disk(source)
            with _removed_on_error(source):
                make_read_only(source)
                source.rename(target)

    def _on_our_disk(self, source: Path) -> Path:
        """Copy a file staged on another file system, so that the rename is one."""
        if source.stat().st_dev == self.root.stat().st_dev:
            return source
        copy = self.temporary / unique_name()
        with _removed_on_error(copy), source.open("rb") as reader, copy.open("xb") as writer:
            shutil.copyfileobj(reader, writer, COPY_BUFFER)
        return copy

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


def tree_size(path: Path) -> int:
    """Return the bytes of the regular files at or below `path`; what goes meanwhile does not count."""
    size = 0
    for file in [path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)]:
        with suppress(FileNotFoundError):
            status = file.lstat()
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size


def remove_tree(path: Path) -> None:
    """Remove a dead staging folder or file, also where its owner is about to."""
    with storage_errors("cannot remove temporary files", path):
        while path.is_dir() and not path.is_symlink():
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        path.unlink(missing_ok=True)


def temporary_staging() -> Staging:
    """Return a staging folder for a draft made while no project is open, in the system's temporary folder."""
    with storage_errors("cannot find a temporary folder"):
        import tempfile  # noqa: PLC0415 (with random and hashlib 8 ms; only drafts made before any project is open need it)

        parent = Path(tempfile.gettempdir())
    return Staging(parent)


def copy_hashed(
    source: Reader, write: Callable[[bytes], object] | None, progress: Callable[[int], None] | None = None
) -> tuple[Digest, int]:
    """Read `source` to its end, `write` each piece if told how, and return digest and size of the bytes."""
    hasher = blake3()
    size = 0
    while data := source.read(COPY_BUFFER):
        hasher.update(data)
        if write is not None:
            write(data)
        size += len(data)
        if progress is not None:
            progress(len(data))
    return Digest(hasher.hexdigest()), size


def _same_state(before: os.stat_result, path: Path) -> bool:
    try:
        now = path.stat()
    except OSError:
        return False
    return (before.st_size, before.st_mtime_ns, before.st_ino, before.st_dev) == (
        now.st_size,
        now.st_mtime_ns,
        now.st_ino,
        now.st_dev,
    )


def _read_up_to(source: Reader, limit: int) -> bytes:
    head = source.read(limit)
    while head and len(head) < limit:
        more = source.read(limit - len(head))
        if not more:
            break
        head += more
    return head


@dataclass(slots=True)
class _Chained:
    """Bytes already read, then the rest of a source."""

    head: bytes
    rest: Reader

    def read(self, size: int, /) -> bytes:
        if self.head:
            data, self.head = self.head[:size], self.head[size:]
            return data
        return self.rest.read(size)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def make_read_only(path: Path) -> None:
    """Take away the right to write to a file, and make it durable: its bytes, and that it is so."""
    path.chmod(0o444)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            path.unlink()
        raise
