"""A file that is being made: whole under its name, or not there at all.

It is made in a folder of its own beside its place, so that the last step is a rename on one file system. A kernel
lock tells a folder whose maker lives from one that a crash left, and the next who makes such a file removes those.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lineage.errors import ConflictError, ErrorKind, InvalidInputError, LineageError, NotFoundError, StorageError
from lineage.staging import remove_tree
from lineage.store import SUFFIX
from lineage.system import is_own, storage_errors, sync_folder, unique_name


def checked_target(target: Path, *, overwrite: bool) -> Path:
    """Return where a new project file may be put.

    Raises:
        InvalidInputError: The name does not end in ``.lineage``, or a project that is open here lies there.
        NotFoundError: Its folder is missing.
        ConflictError: Something lies there, and `overwrite` is not set.
    """
    if target.suffix != SUFFIX or target.name == SUFFIX:
        message = f"{str(target)!r}: a project file's name ends in {SUFFIX!r}, such as 'share{SUFFIX}'"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
    with storage_errors("cannot pack", target):
        target = target.absolute()
        if not target.parent.is_dir():
            message = f"no folder {str(target.parent)!r} for the packed file"
            raise NotFoundError(message, kind=ErrorKind.PROJECT_NOT_FOUND)
        if os.path.lexists(target):
            _check_overwrite(target, overwrite=overwrite)
    return target


def _check_overwrite(target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        message = f"{str(target)!r} is there already; choose another name, or overwrite it (--overwrite)"
        raise ConflictError(message, kind=ErrorKind.NAME_TAKEN)
    if target.is_dir() or (target.exists() and is_own(target.stat())):
        message = f"{str(target)!r} is a folder, or a project that is open here; pack into another file"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)


@contextmanager
def draft_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside `target` in which its file can be made; it is gone afterwards."""
    with storage_errors("cannot pack", target):
        for folder in target.parent.glob(f".{target.name.replace('[', '[[]')}.*.pack"):
            _remove_dead(folder)
        folder, descriptor = _locked_folder(target)
    try:
        yield folder
    finally:
        _discard(folder)
        os.close(descriptor)


def _discard(folder: Path) -> None:
    """Remove the folder; a list of its names takes descriptors, and there may be none left, so those known go first."""
    with suppress(OSError, LineageError):  # the first error is the one to tell; the next packing takes what stays
        for name in ("draft", "compact", "lock"):
            (folder / name).unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError:
            _remove(folder)


def _locked_folder(target: Path) -> tuple[Path, int]:
    """Make a folder and lock it; whoever takes it for dead before it is locked has it, and another is made."""
    while True:
        folder = target.with_name(f".{target.name}.{unique_name()}.pack")
        folder.mkdir(mode=0o700)
        try:
            descriptor = _lock(folder)
        except BaseException:
            with suppress(StorageError):  # the first error is the one to tell
                _remove(folder)
            raise
        if descriptor is not None:
            return folder, descriptor


def _lock(folder: Path) -> int | None:
    """Return a descriptor that holds the folder's lock; None if somebody is removing the folder."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BlockingIOError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _remove_dead(folder: Path) -> None:
    """Remove a folder that nobody has locked; while that is going on nobody can."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        _remove_lockless(folder)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _remove_lockless(folder: Path) -> None:
    """Remove a folder whose lock a crash took or kept from being made; a maker that is just about to makes another."""
    with suppress(FileNotFoundError):
        names = [path.name for path in folder.iterdir()]
        if not names:
            with suppress(OSError):  # the lock is there now
                folder.rmdir()
        elif "lock" not in names:  # a living maker makes the lock before anything else
            _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, the lock last: without it, what is left of a removal that was cut off would stay for good."""
    with storage_errors("cannot remove temporary files", folder):
        for path in list(folder.iterdir()):
            if path.name != "lock":
                remove_tree(path)
    remove_tree(folder)


def publish(draft: Path, target: Path, *, overwrite: bool) -> None:
    """Make a file durable and give it its name.

    Raises:
        ConflictError: Somebody made a file of that name meanwhile.
        StorageError: The disk refused; no file has the name then.
    """
    with storage_errors("cannot pack", target):
        descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if overwrite:
            draft.rename(target)
        else:
            try:
                os.link(draft, target)
            except FileExistsError:
                _check_overwrite(target, overwrite=False)
                raise
        try:
            sync_folder(target.parent)
        except OSError:
            if not overwrite:
                target.unlink(missing_ok=True)
            raise
