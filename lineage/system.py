"""Errors of the operating system and locks of the kernel: the two things files and databases share."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lineage.errors import BusyError, LineageError, ReadOnlyError, StorageError

_HINTS = {
    errno.ENOSPC: "make room (lineage gc frees what nothing names), then call again",
    errno.EDQUOT: "the quota is used up; make room, then call again",
    errno.EFBIG: "the file-size limit is reached",
    errno.EMFILE: "too many files are open in this process",
    errno.ENOLCK: "this file system gives no locks; keep the project on a local disk",
}


def unique_name() -> str:
    """Return a name for a temporary file that no other process, and no fork of this one, will choose."""
    return os.urandom(8).hex()


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Turn an OSError of the block into a LineageError that begins with `action` and names the path."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, action) from error


def storage_error(error: OSError, action: str) -> LineageError:
    """Return the LineageError for an OSError: ReadOnlyError where nothing can be written, else StorageError."""
    place = f" {os.fspath(error.filename)!r}" if error.filename is not None else ""
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0)
    message = f"{action}:{place} {reason}" + (f"; {hint}" if hint else "")
    return ReadOnlyError(message) if error.errno == errno.EROFS else StorageError(message)


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
    owner = os.getpid()
    with storage_errors("cannot lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    _lock(descriptor, path, timeout, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        if not shared:
            _sign(descriptor, owner)
        yield
    finally:
        if os.getpid() == owner:  # a child forked inside the block must not give up its parent's lock
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


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


def _sign(descriptor: int, owner: int) -> None:
    """Write who holds the lock, for the message of those who wait in vain.

    The lock holds without it, and on a full disk ``gc`` must get it.
    """
    with suppress(OSError):
        os.pwrite(descriptor, f"process {owner} on {os.uname().nodename}".ljust(120).encode()[:120], 0)


def _lock(descriptor: int, path: Path, timeout: float, mode: int) -> None:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        _wait_for_lock(descriptor, path, timeout, mode)
    except OSError as error:
        os.close(descriptor)
        raise storage_error(error, f"cannot lock {str(path)!r}") from error


def _wait_for_lock(descriptor: int, path: Path, timeout: float, mode: int) -> None:
    """Wait in the kernel's queue, which is fair, in a thread, which can be left behind.

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
                os.close(descriptor)

    threading.Thread(target=wait, name="lineage-lock", daemon=True).start()
    try:
        got.wait(timeout)
    finally:
        with turn:
            if not got.is_set():
                state["given_up"] = True
    if state["given_up"]:
        message = f"{str(path)!r} is held by {_holder(path)} for longer than {timeout:g} s; try again"
        raise BusyError(message)
    if failure:
        os.close(descriptor)
        raise storage_error(failure[0], f"cannot lock {str(path)!r}") from failure[0]


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
