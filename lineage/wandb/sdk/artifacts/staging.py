"""Where W&B's programs put files on their way into an artifact."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from lineage.system import storage_errors

_folders: dict[int, str] = {}


def get_staging_dir() -> str:
    """Return a folder for such files; what is added to an artifact is copied from it at once.

    It is this process's own, which no other user can reach, and goes when the process ends.
    """
    process = os.getpid()
    if process not in _folders or not Path(_folders[process]).is_dir():
        with storage_errors("cannot make a folder for files on their way into an artifact"):
            _folders[process] = tempfile.mkdtemp(prefix="lineage-staging-")
        atexit.register(_remove, _folders[process], process)
    return _folders[process]


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked child ends before its parent
        shutil.rmtree(folder, ignore_errors=True)
