"""Bytes in, digest out: where a draft keeps its bytes until they are logged.

Large files lie in a folder that is locked as long as its owner lives, small ones in one spool or in memory.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import stat
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from blake3 import blake3

from lineage.errors import ErrorKind, InvalidInputError, StateError
from lineage.system import (
    open_source,
    read_found,
    storage_errors,
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
        with storage_errors("cannot stage bytes", path), removed_on_error(path), path.open("xb") as target:
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
            removed_on_error(path),
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


def tree_size(path: Path) -> int:
    """Return the bytes of the regular files at or below `path`; what goes meanwhile does not count.

    Nor does what has another name: a staged file that a crash left may be a stored blob by now, whose bytes stay.
    """
    size = 0
    for file in [path, *(Path(folder) / name for folder, _, names in os.walk(path) for name in names)]:
        with suppress(FileNotFoundError):
            status = file.lstat()
            size += status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0
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


@contextmanager
def removed_on_error(path: Path) -> Iterator[None]:
    """Remove a file if the block that makes it fails."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            path.unlink()
        raise
