"""The calls of the kernel that an operation makes, as strace writes them down."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nursery import Nursery, Told
from plants import Bug

CALLS = (
    "openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "renameat", "renameat2", "link",
    "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "fchmodat2", "lseek",
    "writev", "flock", "fcntl",
)  # fmt: skip
"""What is written down; a machine that lacks one of them is not asked for it."""
_LINE = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+|\?)(.*)$")


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        name: Of the call.
        nth: Which call of this name it is in the process, from 1.
        arguments: As strace writes them: text in hexadecimal, descriptors with their paths.
        result: What it returned; negative for an error.
        tail: What strace adds, such as what a descriptor that it returned stands for, or that the error was made up.
    """

    name: str
    nth: int
    arguments: tuple[str, ...]
    result: int
    tail: str

    def path(self, index: int) -> str:
        """Return the path that an argument is, or that a descriptor stands for."""
        found = self.arguments[index]
        return _text(found) if found.startswith('"') else _text(found.partition("<")[2])

    def at(self, index: int) -> str:
        """Return the path of a name that is relative to the descriptor before it."""
        name = self.path(index)
        return name if name.startswith("/") else f"{self.path(index - 1)}/{name}"

    def data(self, index: int) -> bytes:
        """Return the bytes that an argument is."""
        return bytes.fromhex(self.arguments[index].strip('"').replace("\\x", ""))

    def paths(self) -> list[str]:
        """Return the paths it is about."""
        match self.name:
            case "openat" | "mkdirat" | "unlinkat" | "fchmodat" | "fchmodat2":
                return [self.at(1)]
            case "renameat" | "renameat2" | "linkat":
                return [self.at(1), self.at(3)]
            case "rename" | "link":
                return [self.path(0), self.path(1)]
        return [self.path(0)]

    def changes(self, folder: Path) -> bool:
        """Whether it changes what is in the folder, or makes it durable."""
        if self.result < 0 or self.name in ("lseek", "writev", "flock", "fcntl"):
            return False
        if self.name == "openat" and "O_CREAT" not in self.arguments[2]:
            return False
        return any(path.startswith(f"{folder}/") or path == str(folder) for path in self.paths())


def _text(found: str) -> str:
    return bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", found))).decode(errors="surrogateescape")


def parsed(lines: Sequence[str]) -> Iterator[Call]:
    """Yield the calls of one process."""
    counts: Counter[str] = Counter()
    for line in lines:
        found = _LINE.match(line)
        if found is not None:
            name, arguments, result, tail = found.groups()
            counts[name] += 1
            returned = int(result) if result != "?" else -1
            yield Call(name, counts[name], tuple(arguments.split(", ")), returned, tail)


class Recorder:
    """A nursery whose children's calls are written down.

    Args:
        folder: Where the records go.
        bug: What is planted in the children.
        inject: What strace does to some calls besides.
        names: Which calls; with fewer a child is faster.
    """

    def __init__(
        self, folder: Path, *, bug: Bug | None = None, inject: Sequence[str] = (), names: Sequence[str] = CALLS
    ) -> None:
        folder.mkdir(parents=True)
        self._prefix = folder / "record"
        command = ["strace", "-f", "-ff", "-qq", "--seccomp-bpf", "-y", "-xx", "-s", "10000000", "-e", "signal=none"]
        command += ["-o", str(self._prefix), "-e", f"trace={','.join(f'?{name}' for name in names)}"]
        command += [word for one in inject for word in ("-e", f"inject={one}")]
        self.nursery = Nursery(folder / "nursery", strace=command, bug=bug)

    def calls(self, told: Told) -> list[Call]:
        """Return the calls of a child."""
        path = self._prefix.with_name(f"{self._prefix.name}.{told.pid}")
        return list(parsed(path.read_text().splitlines()))

    def record(self, operation: str, folder: Path) -> list[Call]:
        """Return the calls of an operation that nobody disturbs, done in a folder made ready for it."""
        told = self.nursery.run(operation, folder)
        assert (told.exit, told.failed, told.error) == (0, "", "")
        return self.calls(told)


def acknowledged(call: Call) -> bool:
    """Whether a call tells that a call of the library has returned."""
    if call.name != "writev":
        return False
    words = json.loads(bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", call.arguments[1]))))
    return bool(words[0] == "done")
