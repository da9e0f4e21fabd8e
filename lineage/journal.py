"""What may lie beside a project file as its journal, which SQLite obeys when it opens the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from lineage.errors import CorruptionError

_MAGIC: Final = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
"""What a journal begins with, and ends with only where it names another file."""


def check_journal(path: Path) -> bool:
    """Return whether a database's journal holds anything: of a write that goes on, or one that a crash cut off.

    One that names another file is refused: SQLite would delete that one.

    Such a journal is that of several databases which are written together, and lineage writes none. Whoever forges one
    beside a file that he hands over chooses what is deleted. Closing a journal drops no locks, as there are none on it.

    Raises:
        CorruptionError: There is one.
    """
    journal = path.with_name(f"{path.name}-journal")
    try:
        if not journal.stat().st_size:  # as nearly always: 2 µs
            return False
        with journal.open("rb") as file:
            file.seek(-len(_MAGIC), os.SEEK_END)
            start, end = file.tell(), file.read()
    except OSError:  # it is not there, is too short, or SQLite cannot read it either
        return False
    if start and end == _MAGIC:
        message = f"{str(journal)!r} is not of lineage's making: do not trust what lies beside it, or remove that file"
        raise CorruptionError(message)
    return True
