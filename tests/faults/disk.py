"""A disk that loses what was not synced: the calls of an operation are done to it, and it says what a power cut leaves.

Bytes of a file last once the file is synced, a name once its folder is: a sync of the one does nothing for the
other. That is less than any file system in use gives, and what POSIX promises.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from record import Call

PIECE: Final = 512
"""Bytes that a disk writes whole or not at all."""
MODES = ("ordered", "lost", "names without data", "data without names", "torn")
"""What a cut leaves of what was not synced: all; nothing; names alone; bytes alone; of both whatever the dice say."""


@dataclass
class Write:
    """Bytes that were written and not synced."""

    offset: int
    data: bytes


@dataclass
class Cut:
    """A file's length that was set and not synced."""

    size: int


@dataclass
class File:
    """A file: what lasts, and what was done since."""

    content: bytearray
    mode: int
    pending: list[Write | Cut] = field(default_factory=list)
    pending_mode: int | None = None

    def sync(self, *, mode: bool) -> None:
        """Make all of it last; fdatasync leaves the mode out."""
        self.content = apply(self.content, self.pending)
        self.pending = []
        if mode and self.pending_mode is not None:
            self.mode, self.pending_mode = self.pending_mode, None


def apply(content: bytearray, changes: list[Write | Cut]) -> bytearray:
    """Return the content with the changes done to it."""
    made = bytearray(content)
    for change in changes:
        size = change.size if isinstance(change, Cut) else change.offset
        if isinstance(change, Cut):
            del made[size:]
        made.extend(bytes(max(0, size - len(made))))
        if isinstance(change, Write):
            made[size : size + len(change.data)] = change.data
    return made


@dataclass(eq=False)
class Naming:
    """Names of a folder that were changed and not synced: some go, one comes; a rename within a folder is both.

    Attributes:
        away: The name that goes.
        name: The name that comes.
        node: What it names.
        after: What must have come before this can have gone: a file is not lost by a rename into another folder.
    """

    away: str | None
    name: str | None
    node: File | Folder | None
    after: Naming | None = None
    lasts: bool = False


@dataclass(eq=False)
class Folder:
    """A folder: the names that last, those that are seen, and the changes in between."""

    names: dict[str, File | Folder] = field(default_factory=dict)
    seen: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[Naming] = field(default_factory=list)

    def change(self, naming: Naming) -> None:
        """Change names, for those who look; a power cut may take it back."""
        rename(self.seen, naming)
        self.pending.append(naming)

    def sync(self) -> None:
        """Make all names last."""
        for naming in self.pending:
            rename(self.names, naming)
            naming.lasts = True
        self.pending = []


def rename(names: dict[str, File | Folder], naming: Naming) -> None:
    """Do one change of names."""
    if naming.away is not None:
        names.pop(naming.away, None)
    if naming.name is not None and naming.node is not None:
        names[naming.name] = naming.node


class Disk:
    """The folder of an operation, on such a disk.

    Args:
        ready: The folder as it was before; all of it lasts.
        place: Where it lay when the calls were made.
    """

    def __init__(self, ready: Path, place: Path) -> None:
        self._place = place
        self.root = _loaded(ready)
        self._positions: dict[str, int] = {}

    def do(self, call: Call) -> None:
        """Do a call of the kernel."""
        if call.result < 0 or any(argument.endswith("(deleted)") for argument in call.arguments):
            return
        match call.name:
            case "openat":
                self._open(call)
            case "lseek":
                self._positions[call.arguments[0].partition("<")[0]] = call.result
            case "write" | "pwrite64":
                self._write(call)
            case "ftruncate":
                self._changed(call.path(0), Cut(int(call.arguments[1])))
            case "fsync" | "fdatasync":
                self._sync(call)
            case "chmod" | "fchmod" | "fchmodat":
                node = self._node(call.paths()[0])
                if isinstance(node, File):
                    node.pending_mode = int(call.arguments[2 if call.name == "fchmodat" else 1], 8)
            case _:
                self._name(call)

    def _name(self, call: Call) -> None:
        paths = call.paths()
        if call.name.startswith("rename"):
            self._move(*paths)
        elif call.name.startswith("link"):
            self._add(paths[1], self._node(paths[0]))
        elif call.name.startswith(("unlink", "rmdir")):
            self._remove(paths[0])
        elif call.name.startswith("mkdir"):
            self._add(paths[0], Folder())

    def _open(self, call: Call) -> None:
        self._positions[str(call.result)] = 0
        path, flags = call.at(1), call.arguments[2]
        node = self._node(path)
        if node is None and "O_CREAT" in flags:
            self._add(path, File(bytearray(), int(call.arguments[3], 8) & ~_UMASK))
        elif isinstance(node, File) and "O_TRUNC" in flags:
            node.pending.append(Cut(0))

    def _write(self, call: Call) -> None:
        data = call.data(1)[: call.result]
        descriptor = call.arguments[0].partition("<")[0]
        if call.name == "pwrite64":
            self._changed(call.path(0), Write(int(call.arguments[3]), data))
        else:
            offset = self._positions.get(descriptor, 0)
            self._positions[descriptor] = offset + len(data)
            self._changed(call.path(0), Write(offset, data))

    def _changed(self, path: str, change: Write | Cut) -> None:
        node = self._node(path)
        if isinstance(node, File):
            node.pending.append(change)

    def _sync(self, call: Call) -> None:
        node = self._node(call.path(0))
        if isinstance(node, File):
            node.sync(mode=call.name == "fsync")
        elif node is not None:
            node.sync()

    def _inside(self, path: str) -> list[str] | None:
        try:
            return list(Path(path).relative_to(self._place).parts)
        except ValueError:
            return None

    def _node(self, path: str) -> File | Folder | None:
        parts = self._inside(path)
        node: File | Folder | None = None if parts is None else self.root
        for part in parts or ():
            node = node.seen.get(part) if isinstance(node, Folder) else None
        return node

    def _folder_of(self, path: str) -> tuple[Folder | None, str]:
        parent, name = os.path.split(path)
        node = self._node(parent)
        return (node if isinstance(node, Folder) else None), name

    def _add(self, path: str, node: File | Folder | None) -> None:
        folder, name = self._folder_of(path)
        if folder is not None:
            folder.change(Naming(None, name, node))

    def _remove(self, path: str) -> None:
        folder, name = self._folder_of(path)
        if folder is not None:
            folder.change(Naming(name, None, None))

    def _move(self, old: str, new: str) -> None:
        (source, old_name), (target, new_name) = self._folder_of(old), self._folder_of(new)
        node = self._node(old)
        if source is None or target is None:
            return
        if source is target:
            source.change(Naming(old_name, new_name, node))
            return
        coming = Naming(None, new_name, node)
        target.change(coming)
        source.change(Naming(old_name, None, None, after=coming))


_UMASK = 0o022


def _loaded(path: Path) -> Folder:
    folder = Folder()
    for child in sorted(path.iterdir()):
        node = _loaded(child) if child.is_dir() else File(bytearray(child.read_bytes()), child.stat().st_mode & 0o7777)
        folder.names[child.name] = folder.seen[child.name] = node
    return folder


# --- what a cut leaves ---


class Remains:
    """What a power cut leaves of a disk, now.

    Args:
        disk: Which.
        mode: One of `MODES`.
        dice: Say what comes through, where that is open.
    """

    def __init__(self, disk: Disk, mode: str, dice: random.Random) -> None:
        self._dice = dice
        self._mode = mode
        self._kept: dict[Naming, bool] = {}
        self._files: dict[int, tuple[bytes, int, int]] = {}
        self._numbers = count()
        self.tree = dict(self._walk(disk.root, ""))

    def _walk(self, folder: Folder, prefix: str) -> Iterator[tuple[str, tuple[bytes, int, int] | None]]:
        names = dict(folder.names)
        for naming in folder.pending:
            if self._keeps(naming):
                rename(names, naming)
        for name, node in sorted(names.items()):
            if isinstance(node, Folder):
                yield prefix + name, None
                yield from self._walk(node, f"{prefix}{name}/")
            else:
                yield prefix + name, self._file(node)

    def _keeps(self, naming: Naming) -> bool:
        """Whether a change of names has come through."""
        if naming not in self._kept:
            named = self._mode in ("ordered", "names without data")
            kept = self._dice.random() < 0.5 if self._mode == "torn" else named
            after = naming.after is None or naming.after.lasts or self._keeps(naming.after)
            self._kept[naming] = kept and after
        return self._kept[naming]

    def _file(self, file: File) -> tuple[bytes, int, int]:
        if id(file) not in self._files:
            self._files[id(file)] = self._content(file), self._file_mode(file), next(self._numbers)
        return self._files[id(file)]

    def _content(self, file: File) -> bytes:
        if self._mode in ("ordered", "data without names"):
            return bytes(apply(file.content, file.pending))
        return bytes(apply(file.content, list(self._pieces(file)))) if self._mode == "torn" else bytes(file.content)

    def _pieces(self, file: File) -> Iterator[Write | Cut]:
        for change in file.pending:
            if isinstance(change, Cut):
                if self._dice.random() < 0.5:
                    yield change
                continue
            start = 0
            while start < len(change.data):
                end = start + PIECE - (change.offset + start) % PIECE
                if self._dice.random() < 0.5:
                    yield Write(change.offset + start, change.data[start:end])
                start = end

    def _file_mode(self, file: File) -> int:
        kept = self._mode == "ordered" or (self._mode == "torn" and self._dice.random() < 0.5)
        return file.pending_mode if kept and file.pending_mode is not None else file.mode

    def write(self, folder: Path) -> None:
        """Write it into a new folder."""
        folder.mkdir()
        first: dict[int, Path] = {}
        for name, found in self.tree.items():
            path = folder / name
            if found is None:
                path.mkdir()
            elif found[2] in first:
                os.link(first[found[2]], path)
            else:
                path.write_bytes(found[0])
                path.chmod(found[1])
                first[found[2]] = path
