"""What one process can try of a file system: names, renames, syncs, locks between its own descriptors, times."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from lineage.system import sync_folder

_LITTLE_ROOM: Final = 256 << 20
_FEW_INODES: Final = 1_000
_COARSE: Final = 2_000_000_000
"""Nanoseconds within which a file that changed is not noted as known: a clock may be so coarse, but no coarser."""


class Broken(Exception):  # noqa: N818 (a finding and not a failure of ours)
    """The file system does not do what it should; the text says what was seen."""


def room(place: Path) -> str:
    """There is room for more than a few versions."""
    found = os.statvfs(place)
    free = found.f_bavail * found.f_frsize
    said = f"{free / 1e9:.1f} GB are free"
    if free < _LITTLE_ROOM:
        raise Broken(f"only {said}")
    if found.f_files > 0 and found.f_favail < _FEW_INODES:
        raise Broken(f"{said}, but only {found.f_favail} more files can be made")
    return said


def create(place: Path) -> str:
    """A name that is taken cannot be taken again, and what is read-only stays there as it is."""
    path = place / "taken"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        return "a name is given once"
    raise Broken("a file could be created under a name that was taken (O_EXCL)")


def rename(place: Path) -> str:
    """A rename puts the new file in the old one's place: who reads the old one goes on with it."""
    old, new = place / "name", place / "draft"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    with old.open("rb") as reader:
        new.rename(old)
        if old.read_bytes() != b"new" or new.exists():
            raise Broken("a renamed file did not take the place of the one before")
        if reader.read() != b"old":
            raise Broken("who was reading a file found another in its place")
    return "a rename replaces whole"


def link(place: Path) -> str:
    """A link gives a second name, and never takes one."""
    file, name = place / "file", place / "name"
    file.write_bytes(b"file")
    try:
        os.link(file, name)
    except OSError as error:
        raise Broken(f"a file cannot have a second name: {error.strerror}") from error
    if not os.path.samestat(file.stat(), name.stat()):
        raise Broken("a second name of a file leads to another file")
    other = place / "other"
    other.write_bytes(b"other")
    try:
        os.link(other, name)
    except FileExistsError:
        return "a link refuses a name that is taken"
    raise Broken("a link took a name that was taken")


def sync(place: Path) -> str:
    """Files and folders can be synced; that the disk then has them only a power cut could show."""
    with (place / "file").open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        began = time.perf_counter()
        os.fsync(file.fileno())
        sync_folder(place)
    return f"a file and its folder were synced in {(time.perf_counter() - began) * 1000:.1f} ms"


def lock(place: Path) -> str:
    """Two descriptors of one process exclude each other, and readers share."""
    path = place / "lock"
    with ExitStack() as closing:
        first, second = (os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666) for _ in range(2))
        closing.callback(os.close, first)
        closing.callback(os.close, second)
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not refuses(second, fcntl.LOCK_SH) or not refuses(second, fcntl.LOCK_EX):
            raise Broken("a lock was given twice in one process")
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(first, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if refuses(second, fcntl.LOCK_SH):
            raise Broken("two readers could not share a lock")
        if not refuses(second, fcntl.LOCK_EX):
            raise Broken("a lock was given to a writer while a reader held it")
    return "a lock excludes within a process"


def refuses(descriptor: int, mode: int) -> bool:
    """Whether a lock is not to be had now."""
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        raise
    return False


def case(place: Path) -> str:
    """Names that differ in case are two."""
    return _two_names(place, "name", "NAME", "case")


def unicode_form(place: Path) -> str:
    """Names that differ in how an accent is written are two."""
    return _two_names(place, "caf\u00e9", "cafe\u0301", "Unicode form")


def _two_names(place: Path, first: str, second: str, what: str) -> str:
    (place / first).write_bytes(b"first")
    if os.path.lexists(place / second):
        raise Broken(f"names that differ only in {what} are one")
    if os.listdir(place) != [first]:  # noqa: PTH208 (names as the system gives them)
        raise Broken(f"a name comes back in another {what}")
    return f"names that differ in {what} are two"


def times(place: Path) -> str:
    """A file that changes has another time soon, and the file system's clock is ours."""
    path = place / "file"
    path.write_bytes(b"0")
    skew = abs(path.stat().st_mtime_ns - time.time_ns())
    if skew >= _COARSE:
        raise Broken(f"the clock of the file system is {skew / 1e9:.1f} s off from that of this machine")
    first = path.stat().st_mtime_ns
    began = time.monotonic_ns()
    while time.monotonic_ns() - began < _COARSE:
        path.write_bytes(b"1")
        if path.stat().st_mtime_ns != first:
            passed = max(time.monotonic_ns() - began, path.stat().st_mtime_ns - first)
            return f"a change is seen in a file's time after {passed / 1e6:.1f} ms"
        time.sleep(0.001)
    raise Broken("a file changed for two seconds and its time did not")
