"""A file of a draft while it is written: in memory as long as it is small, then under a name of the staging folder.

A small output is the usual one, and a staging folder with its lock, the file, and their removal cost as much as the
rows it becomes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lineage.system import storage_errors

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class NewFile(io.RawIOBase):
    """What is written, and where it is by now.

    Args:
        name: What it is to be called, for those who ask a file for its name.
        limit: Bytes it may have in memory.
        place: Gives the path it gets where it has more, or where somebody asks for its descriptor.
    """

    def __init__(self, name: str, limit: int, place: Callable[[], Path]) -> None:
        self.name = name
        self.mode = "wb"
        self.path: Path | None = None
        self._limit = limit
        self._place = place
        self._memory = io.BytesIO()
        self._file: io.FileIO | None = None

    def content(self) -> bytes:
        """Return the bytes that are in memory: all of them, where there is no path."""
        return self._memory.getvalue()

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some bytes, as many as there is room for."""
        if self._file is None and self._memory.tell() + memoryview(data).nbytes > self._limit:
            self._spill()
        return self._now().write(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move in the file."""
        return self._now().seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._now().tell()

    def truncate(self, size: int | None = None, /) -> int:
        """Cut the file off, or lengthen it by zeros."""
        return self._spill().truncate(size)

    def fileno(self) -> int:
        """Return a descriptor; it has to be a file of the disk for that."""
        return self._spill().fileno()

    def close(self) -> None:
        """Close the file; what is in memory stays, and the draft is let go that gave the place."""
        if not self.closed and self._file is not None:
            self._file.close()
        self._place = Path
        super().close()

    def _now(self) -> io.BytesIO | io.FileIO:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._memory if self._file is None else self._file

    def _spill(self) -> io.FileIO:
        """Go on in a file of the disk."""
        self._now()
        if self._file is None:
            with storage_errors("cannot write the new file", lambda: self.path):
                path = self._place()
                self._file = io.FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
                self.path = path  # once the file is there: from now on an error names it, and it is to be removed
                _write_all(self._file, self._memory.getvalue())
                self._file.seek(self._memory.tell())
                self._memory = io.BytesIO()
        return self._file


def _write_all(file: io.FileIO, data: bytes) -> None:
    """Write all bytes: the system may take fewer at a time, as on a disk that is nearly full."""
    while data:
        data = data[file.write(data) :]


def opened(raw: NewFile, mode: str, encoding: str | None) -> IO[Any]:
    """Return a new file as the mode asks for it, text or bytes."""
    binary = io.BufferedWriter(raw)
    return binary if "b" in mode else io.TextIOWrapper(binary, encoding=encoding)
