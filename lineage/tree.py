"""The files of a draft as a tree: a path is a file or a folder, never both, and a call adds all or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from lineage.content import DraftEntry
from lineage.errors import ErrorKind, InvalidInputError, NotFoundError
from lineage.values import entry_path


class Tree:
    """Entries by path. Calls may come from several threads.

    Args:
        owner: What the files belong to, for messages.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._files: dict[str, DraftEntry] = {}
        self._folders: dict[str, int] = {}
        self._turn = threading.RLock()

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> list[DraftEntry]:
        """Return the entries, in the order they came."""
        with self._turn:
            return list(self._files.values())

    def put(self, items: Iterable[DraftEntry], *, replace: bool) -> None:
        """Add entries, all or none; the same path with the same content is fine.

        Raises:
            InvalidInputError: A path is taken by other content and `replace` is not set, or is a folder.
        """
        with self._turn:
            before: list[tuple[str, DraftEntry | None]] = []
            try:
                for item in items:
                    known = self._files.get(item.entry.path)
                    self._put(item, known, replace=replace)
                    before.append((item.entry.path, known))
            except BaseException:
                for path, known in reversed(before):
                    self._set(path, known)
                raise

    def _put(self, item: DraftEntry, known: DraftEntry | None, *, replace: bool) -> None:
        path = item.entry.path
        if known is not None and not replace and known.entry != item.entry:
            message = f"{path!r} is in artifact {self._owner!r} already, with other content; overwrite=True replaces it"
            raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)
        self.refuse_clash(path)
        self._set(path, item)

    def _set(self, path: str, item: DraftEntry | None) -> None:
        """Make a path hold an entry, or nothing, and count what the folders above it hold."""
        change = (item is not None) - (path in self._files)
        if item is None:
            self._files.pop(path, None)
        else:
            self._files[path] = item
        for folder in _folders_of(path) if change else ():
            count = self._folders.pop(folder, 0) + change
            if count:
                self._folders[folder] = count

    def refuse_clash(self, path: str) -> None:
        """Refuse a file where a folder is, or a file as a folder.

        Raises:
            InvalidInputError: The path would be both.
        """
        with self._turn:
            above = next((folder for folder in _folders_of(path) if folder in self._files), None)
            taken = path if path in self._folders else above
        if taken is not None:
            message = f"Invalid artifact path {path!r}: {taken!r} cannot be both a file and a folder"
            raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)

    def refuse_taken(self, path: str) -> None:
        """Refuse a path at which there is something.

        Raises:
            InvalidInputError: There is.
        """
        self.refuse_clash(path)
        if path in self._files:
            message = f"{path!r} is in artifact {self._owner!r} already; mode 'w' replaces it"
            raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)

    def remove(self, path: str) -> None:
        """Take a file, or all files below a folder, away.

        Raises:
            NotFoundError: Nothing lies there.
        """
        gone = entry_path(path)
        with self._turn:
            doomed = [known for known in self._files if known == gone or known.startswith(gone + "/")]
            for known in doomed:
                self._set(known, None)
        if not doomed:
            message = f"{gone!r} is not in artifact {self._owner!r}"
            raise NotFoundError(message, kind=ErrorKind.ENTRY_NOT_FOUND)


def refuse_clashes(paths: Iterable[str]) -> None:
    """Refuse paths one of which would be a file and a folder.

    Raises:
        InvalidInputError: There is one; it is named.
    """
    files = set(paths)
    taken = next((parent for path in files for parent in _folders_of(path) if parent in files), None)
    if taken is not None:
        message = f"Invalid artifact path {taken!r}: it cannot be both a file and a folder"
        raise InvalidInputError(message, kind=ErrorKind.PATH_INVALID)


def _folders_of(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
