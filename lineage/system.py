"""What the operating system gives: its errors, the locks of its kernel, its folders; files and databases share it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from lineage.errors import BusyError, ErrorKind, InvalidInputError, LineageError, ReadOnlyError, StorageError
from lineage.values import shown

_HINTS = {
    errno.ENOSPC: "make room (lineage gc frees what nothing names), then call again",
    errno.EDQUOT: "the quota is used up; make room, then call again",
    errno.EFBIG: "the file-size limit is reached",
    errno.EMFILE: "too many files are open in this process",
    errno.ENOLCK: "this file system gives no locks; keep the project on a local disk",
}


Place: TypeAlias = Path | Callable[[], Path | None] | None
"""Where something is, or what tells it once it is known."""

_own: dict[tuple[int, int], Path] = {}
"""Device and inode of every project file and blob folder this process has worked with, and where it lay."""


def note_own(path: Path) -> None:
    """Remember a project file or blob folder, so that nobody here reads it as plain data."""
    status = path.stat()
    _own[status.st_dev, status.st_ino] = path


def is_own(status: os.stat_result) -> bool:
    """Whether this is a project file that this process has opened, or its blob folder.

    Reading the file ourselves could lose commits: closing any descriptor of it drops the POSIX locks by which
    SQLite holds it (promises.md, part 0).
    """
    path = _own.get((status.st_dev, status.st_ino))
    try:
        return path is not None and os.path.samestat(path.stat(), status)
    except OSError:  # the project is gone, and its inode may be another file's by now
        return False


def unique_name() -> str:
    """Return a name for a temporary file that no other process, and no fork of this one, will choose."""
    return os.urandom(8).hex()


@contextmanager
def storage_errors(action: str, path: Place = None) -> Iterator[None]:
    """Turn an OSError of the block into a LineageError that begins with `action` and names the path.

    Args:
        action: What cannot be done.
        path: Where, for an error that does not say it itself, as that of a write into an open file.
    """
    try:
        yield
    except OSError as error:
        if error.__dict__.get("of_others"):
            raise
        raise storage_error(error, action, path) from error


@contextmanager
def callers_errors() -> Iterator[None]:
    """Let an OSError that the code of others raises in the block pass as it is: it is not our file that is meant."""
    try:
        yield
    except OSError as error:
        error.__dict__["of_others"] = True
        raise


def storage_error(error: OSError, action: str, path: Place = None) -> LineageError:
    """Return the LineageError for an OSError: ReadOnlyError where nothing can be written, else StorageError."""
    place = error.filename
    if place is None:
        place = path() if callable(path) else path
    where = f" {os.fspath(place)!r}" if place is not None else ""
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0)
    message = f"{action}:{where} {reason}" + (f"; {hint}" if hint else "")
    return ReadOnlyError(message) if error.errno == errno.EROFS else StorageError(message)


@contextmanager
def full_disk_errors(action: str, path: Place) -> Iterator[None]:
    """Do the same around the code of others, for what only our file can have met there: no room, or a broken disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename is not None:
            raise
        raise storage_error(error, action, path) from error


class _Patience:
    """How long somebody waits, all his waiting together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - time.monotonic())


@contextmanager
def file_lock(path: Path, *, timeout: float, shared: bool = False) -> Iterator[None]:
    """Hold a kernel lock on the file at `path` for the block; it dies with the process.

    flock and not the filelock package: that one polls (the slowest of 8 writers waited 340 ms; waiting in the
    kernel's queue 43), has no shared mode without an SQLite file of its own, and costs 64 ms of import. Each
    call opens the file anew, so threads exclude each other too. ``tests/test_locks.py`` guards this.

    Args:
        path: The lock file, made if absent.
        timeout: Seconds to wait.
        shared: Let others that also ask for a shared lock in.

    Raises:
        BusyError: The lock was not to be had in time; the message names the process that holds it.
        StorageError: The file cannot be made, or the file system gives no locks.
    """
    with _held(path, _Patience(timeout), shared=shared):
        yield


@contextmanager
def queued_lock(path: Path, queue: Path, *, timeout: float, shared: bool = False) -> Iterator[None]:
    """Hold a lock as :func:`file_lock` does, but never twice while somebody else waits for it.

    The kernel wakes who waits and hands nothing over: one that lets go and comes back at once would be first again
    and again. So whoever wants the lock takes the queue first, and keeps it while he waits: who comes back finds it
    taken, and has to sleep like the rest.

    Args:
        path: The lock file.
        queue: Another, for those who wait.
        timeout: Seconds to wait for both.
        shared: Let others that also ask for a shared lock in.

    Raises:
        BusyError: As of :func:`file_lock`; the process that is named holds the lock, and does not wait.
        StorageError: As of :func:`file_lock`.
    """
    patience = _Patience(timeout)
    with ExitStack() as held:
        with _held(queue, patience, before=path):
            held.enter_context(_held(path, patience, shared=shared))
        yield


@contextmanager
def turn_to_look(path: Path, queue: Path, *, timeout: float) -> Iterator[None]:
    """Wait for a :func:`queued_lock` as who only looks, also where nothing may be written: no file is made or signed.

    Where there is no lock to be had it does without: nobody ever wrote there, or the file system locks no file that is
    open for reading, as NFS; to look is allowed all the same.

    Raises:
        BusyError: As of :func:`file_lock`.
    """
    patience = _Patience(timeout)
    with ExitStack() as held:
        with suppress(StorageError), _held(queue, patience, before=path, looks=True):
            held.enter_context(_held(path, patience, shared=True, looks=True))
        yield


@contextmanager
def _held(
    path: Path, patience: _Patience, *, shared: bool = False, before: Path | None = None, looks: bool = False
) -> Iterator[None]:
    """Hold a lock; one that is a queue before another is not signed, as it is the other's holder that all wait for."""
    owner = os.getpid()
    signed = not shared and before is None
    looking = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # it may lie beside a file from elsewhere, and be a FIFO
    with storage_errors("cannot lock"):
        descriptor = os.open(path, (looking if looks else os.O_RDWR | os.O_CREAT) | os.O_CLOEXEC, 0o666)
    _lock_descriptors.add(descriptor)
    _lock(descriptor, before or path, patience, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        if signed:
            _sign(descriptor, f"process {owner} on {os.uname().nodename}")
        yield
    finally:
        if os.getpid() == owner:  # a child forked inside the block has none: see _close_inherited_locks
            if signed:
                _sign(descriptor, "")
            _let_go(descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds an exclusive lock on the file at `path`."""
    with storage_errors("cannot look at the lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False


def _sign(descriptor: int, holder: str) -> None:
    """Write who holds the lock, for the message of those who wait in vain; nobody once it is free.

    The lock holds without it, and on a full disk ``gc`` must get it.
    """
    with suppress(OSError):
        os.pwrite(descriptor, holder.ljust(120).encode()[:120], 0)


def _lock(descriptor: int, path: Path, patience: _Patience, mode: int) -> None:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        _wait_for_lock(descriptor, path, patience, mode)
    except OSError as error:
        _let_go(descriptor)
        raise storage_error(error, f"cannot lock {str(path)!r}") from error


def _wait_for_lock(descriptor: int, path: Path, patience: _Patience, mode: int) -> None:
    """Wait in the kernel's queue, in a thread, which can be left behind.

    A waiter that gives up leaves the thread the descriptor: it closes it once its turn comes.
    """
    turn = threading.Lock()
    state = {"given_up": False}
    got = threading.Event()
    failure: list[OSError] = []

    def wait() -> None:
        try:
            fcntl.flock(descriptor, mode)
        except OSError as error:
            failure.append(error)
        with turn:
            got.set()
            if state["given_up"]:
                _let_go(descriptor)

    threading.Thread(target=wait, name="lineage-lock", daemon=True).start()
    try:
        got.wait(patience.left)
    except BaseException:  # Ctrl-C while the lock was handed over
        with turn:
            if got.is_set() and not failure:
                _let_go(descriptor)
        raise
    finally:
        with turn:
            if not got.is_set():
                state["given_up"] = True
    if state["given_up"]:
        message = f"{str(path)!r} is held by {_holder(path)} for longer than {patience.seconds:g} s; try again"
        raise BusyError(message)
    if failure:
        _let_go(descriptor)
        raise storage_error(failure[0], f"cannot lock {str(path)!r}") from failure[0]


def _let_go(descriptor: int) -> None:
    """Give up a lock that is held or was to be.

    Closing is not enough: a child forked while the file was being opened has a copy that nobody knows of.
    """
    with suppress(OSError):  # then closing has to do: what the block has done is done
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    _lock_descriptors.discard(descriptor)
    os.close(descriptor)


_lock_descriptors: set[int] = set()


def _close_inherited_locks() -> None:
    """In a forked child, close the lock files of the parent: the kernel's lock is held until the last copy is closed.

    Else a lock would outlive a parent that is killed, in a worker that knows nothing of it. Closing a copy does not
    give up the parent's lock.
    """
    for descriptor in _lock_descriptors:
        with suppress(OSError):
            os.close(descriptor)
    _lock_descriptors.clear()


os.register_at_fork(after_in_child=_close_inherited_locks)


def _holder(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip() or "another process"
    except OSError:
        return "another process"


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def open_source(path: Path) -> Iterator[BinaryIO]:
    """Open a file somebody wants to log; a FIFO or a device is refused and never waited for.

    Raises:
        InvalidInputError: It is not there, is no regular file, or is a project file that is open here.
        StorageError: It cannot be read.
    """
    try:
        _refuse_source(path, path.stat())  # before it is opened: see is_own
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f"{shown(path)} is no path: {error}", kind=ErrorKind.SOURCE_INVALID) from error
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise storage_error(error, "cannot read") from error
        message = f"no file {shown(str(path))}: {error.strerror}"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID) from error
    with storage_errors("cannot read", path), open(descriptor, "rb", buffering=0) as source:  # noqa: PTH123 (a descriptor)
        _refuse_source(path, os.fstat(descriptor))
        yield source


def read_found(path: str, status: os.stat_result, limit: int) -> bytes | None:
    """Return the bytes of a small file whose status a walk has just found: 15 µs, where :func:`open_source` takes 60.

    Returns:
        None where that one has to look closer: the file is larger than `limit`, not regular, ours, or not as it was.
    """
    if status.st_size > limit or is_own(status):  # before it is opened: see is_own
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        before = os.fstat(descriptor)
        data = os.read(descriptor, limit + 1) if stat.S_ISREG(before.st_mode) else b""
        after = os.fstat(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    states = {(one.st_size, one.st_mtime_ns, one.st_ino, one.st_dev) for one in (status, before, after)}
    return data if len(states) == 1 and len(data) == status.st_size else None


_LARGE: Final = 1 << 20
"""Bytes: read and copied in a millisecond, which is what asking the cache and the project costs."""
_NO_FILE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def _refuse_source(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        message = f"{str(path)!r} is not a regular file; log files, not folders, FIFOs or devices"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    if is_own(status):
        message = f"{str(path)!r} is a project file that is open here; it cannot be read as a plain file"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)


def large_file(path: Path) -> os.stat_result | None:
    """Return the status of a regular file that takes longer to read than to look up; None of any other."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # whoever opens it says what is wrong
        return None
    return status if status.st_size >= _LARGE and stat.S_ISREG(status.st_mode) else None


def walk_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file below a folder with its path inside, in a fixed order; raises as :func:`walk_statuses`."""
    for path, inside, _ in walk_statuses(root):
        yield Path(path), inside


def walk_statuses(root: Path) -> Iterator[tuple[str, str, os.stat_result]]:
    """Yield every file below a folder with its path inside and its status, in a fixed order.

    Raises:
        InvalidInputError: `root` is no folder, or something below it is neither file nor folder, a broken link
            or a loop of links; it is named.
        StorageError: A folder cannot be read.
    """
    if not os.path.isdir(root):  # noqa: PTH112 (pathlib's raises where a name is too long)
        message = f"no folder {str(root)!r}"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    for around in (real := Path(os.path.realpath(root)), *real.parents):
        _refuse_blobs(around, around.stat())
    waiting = [(str(root), "", frozenset({_identity(root.stat())}))]
    while waiting:
        folder, prefix, above = waiting.pop()
        with storage_errors("cannot read the folder"), os.scandir(folder) as found:
            children = sorted(found, key=_name)
        for child in children:
            inside = prefix + child.name
            status = _status(child)
            if stat.S_ISDIR(status.st_mode):
                identity = _identity(status)
                if identity in above:
                    message = f"{child.path!r} is a link to a folder that holds it; remove the loop"
                    raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
                _refuse_blobs(child.path, status)
                waiting.append((child.path, inside + "/", above | {identity}))
            else:
                yield child.path, inside, status


def _name(child: os.DirEntry[str]) -> str:
    return child.name


def _refuse_blobs(folder: Path | str, status: os.stat_result) -> None:
    if is_own(status):
        message = f"{str(folder)!r} holds the blobs of a project that is open here; they are no data to log"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)


def _status(child: os.DirEntry[str]) -> os.stat_result:
    """Return the status of what a name leads to; refuse what is neither a file nor a folder."""
    path = child.path
    try:
        status = child.stat()
    except FileNotFoundError as error:
        message = f"{path!r} is a broken link; remove it or restore its target"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID) from error
    except OSError as error:
        message = f"{path!r} cannot be followed: {error.strerror}"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID) from error
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        message = f"{path!r} is a FIFO, a socket or a device; log files and folders"
        raise InvalidInputError(message, kind=ErrorKind.SOURCE_INVALID)
    return status


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
