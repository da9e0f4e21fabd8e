"""Where a disabled run lies: a folder of its own that nothing is left of, whatever became of the program."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from lineage.errors import LineageError
from lineage.system import is_locked, storage_errors

_PREFIX: Final = "lineage-disabled-"
_held: dict[Path, int] = {}
"""Descriptors of the locks of this process's folders; the kernel lets go of them with the process."""


def new_folder() -> Path:
    """Return a folder for a run that is not to be kept, and remove those of programs that died."""
    with storage_errors("cannot make a folder for a run that is not kept"):
        _remove_dead()
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        descriptor = os.open(folder / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / "new").rename(folder / "lock")  # whoever finds it finds it locked
    _held[folder] = descriptor
    return folder


def remove_folder(folder: Path) -> None:
    """Remove such a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder in _held:
        os.close(_held.pop(folder))


def _remove_dead() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError, LineageError):  # gone by now
            lock, status = folder / "lock", folder.lstat()
            ours = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode)
            if ours and lock.exists() and not is_locked(lock):
                shutil.rmtree(folder, ignore_errors=True)
