"""Every call that writes, where something has run out: pages, inodes, bytes of a file, descriptors, memory."""

from __future__ import annotations

import gc
import os
import resource
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from conftest import draft

import lineage

LARGE = 120_000
PAGE = 4096
SOME = (0, 1, 3, 10, 40, 160, 640)
"""How much is left, in the short form: more each time, until the call works."""
MOST = 1_000


# --- what there is little of ---


class Pages:
    """Pages of a small file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filler = folder / "filler"
        self._filler.touch()

    def leave(self, number: int) -> None:
        """Leave so many free."""
        free = os.statvfs(self._folder).f_bavail
        size = self._filler.stat().st_size + (free - number) * PAGE
        descriptor = os.open(self._filler, os.O_WRONLY)
        try:
            os.truncate(descriptor, size)
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
        assert os.statvfs(self._folder).f_bavail == number

    def all(self) -> None:
        """Give back what was taken."""
        os.truncate(self._filler, 0)


class Inodes:
    """Inodes of a small file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fillers: list[Path] = []
        (folder / "fillers").mkdir()

    def leave(self, number: int) -> None:
        """Leave so many free."""
        while (free := os.statvfs(self._folder).f_ffree) != number:
            if free < number:
                self._fillers.pop().unlink()
            else:
                self._fillers.append(self._folder / "fillers" / str(len(self._fillers)))
                self._fillers[-1].touch()

    def all(self) -> None:
        """Give back what was taken."""
        while self._fillers:
            self._fillers.pop().unlink()


class Limit:
    """A limit of this process, counted from what it has."""

    def __init__(self, kind: int, base: Callable[[], int], unit: int) -> None:
        self._kind, self._base, self._unit = kind, base, unit
        self._before = resource.getrlimit(kind)

    def leave(self, number: int) -> None:
        """Leave so many units."""
        resource.setrlimit(self._kind, (self._base() + number * self._unit, self._before[1]))

    def all(self) -> None:
        """Take the limit away."""
        resource.setrlimit(self._kind, self._before)


def _next_descriptor() -> int:
    descriptor = os.open("/", os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def _memory() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


SCARCE: dict[str, Callable[[Path], Pages | Inodes | Limit]] = {
    "pages": Pages,
    "inodes": Inodes,
    "file size": lambda _: Limit(resource.RLIMIT_FSIZE, lambda: 0, PAGE),
    "descriptors": lambda _: Limit(resource.RLIMIT_NOFILE, _next_descriptor, 1),
    "memory": lambda _: Limit(resource.RLIMIT_AS, _memory, 1 << 19),
}


# --- what is called ---


class Yard:
    """A project, what it was told is done, and things that lie where there is room."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self.folder, self.outside = folder, outside
        self.file = folder / "p.lineage"
        self.known: dict[str, bytes] = {}
        project = self.open()
        self.log("m", b"m" * LARGE)
        self.log("small", b"small")
        (outside / "source").write_bytes(b"from a file" * LARGE)
        (outside / "small").mkdir()
        (outside / "small" / "a").write_bytes(b"s" * 9_000)
        (outside / "small" / "b").write_bytes(b"t" * 9_000)
        other = lineage.open(outside / "other.lineage")
        self.theirs = draft("theirs", {"large": b"t" * LARGE, "small": b"their small"})
        other.log_artifact(self.theirs)
        other.pack(outside / "share.lineage")
        project.log_artifact(draft("gone", {"large": b"g" * LARGE * 3, "small": b"g" * 9_000})).delete(
            delete_aliases=True
        )

    def open(self) -> lineage.Project:
        """Return the project, opened anew."""
        return lineage.open(self.file)

    def log(self, name: str, content: bytes) -> None:
        """Log, and note that it is acknowledged."""
        version = self.open().log_artifact(draft(name, {"a": content}))
        self.known[version.reference] = content

    def add(self) -> None:
        """Log a file that lies where there is room."""
        made = lineage.Artifact("added", "dataset")
        made.add_file(self.outside / "source", "a")
        self.known[self.open().log_artifact(made).reference] = b"from a file" * LARGE

    def add_small(self) -> None:
        """Log small files that lie where there is room."""
        made = lineage.Artifact("added-small", "dataset")
        made.add_dir(self.outside / "small")
        self.known[self.open().log_artifact(made).reference] = b"s" * 9_000

    def alias(self) -> None:
        """Move a name."""
        self.open().version("m:v0").add_alias("best")
        assert self.open().version("m:best").number == 0

    def delete(self) -> None:
        """Delete a version."""
        self.open().version("small:v0").delete(delete_aliases=True)
        self.known.pop("small:v0")

    def collect(self) -> None:
        """Collect garbage."""
        assert self.open().gc().blobs in (2, 3)  # of "gone", and of "small" if that is deleted by now

    def pack(self) -> None:
        """Pack, onto the same disk."""
        share = self.folder / "share.lineage"
        self.open().pack(share)
        assert lineage.open(share, read_only=True).verify().problems == ()

    def merge(self) -> None:
        """Take in another's file."""
        self.open().merge(self.outside / "share.lineage")
        assert self.open().version("theirs:v0").open("large").read() == b"t" * LARGE

    def download(self) -> None:
        """Download, onto the same disk."""
        target = self.folder / "out"
        try:
            self.open().version("m:v0").download(target)
        finally:
            whole = {one.read_bytes() for one in target.rglob("*")} if target.exists() else set()
            assert whole <= {self.known["m:v0"]}
        assert whole

    def create(self) -> None:
        """Make another project."""
        made = lineage.open(self.folder / "new.lineage")
        made.log_artifact(draft("first", {"a": b"1"}))

    def check(self) -> None:
        """Fail unless all that was acknowledged is there, whole, and nothing temporary."""
        gc.collect()  # a draft that the error held
        project = self.open()
        for reference, content in self.known.items():
            assert project.version(reference).open("a").read() == content, reference
        mine = {one.reference for one in project.versions() if not one.reference.startswith("theirs")}
        assert mine == set(self.known)
        assert [one for one in project.verify(content=False).problems if one.severity == "error"] == []
        left = [*(project.blob_folder / "tmp").iterdir(), *self.folder.rglob(".*")]
        assert left == [], left


CALLS: dict[str, Callable[[Yard], None]] = {
    "gc": Yard.collect,
    "log": lambda yard: yard.log("new", b"small and new"),
    "log large": lambda yard: yard.log("new", b"n" * LARGE),
    "log known": lambda yard: yard.log("copy", b"m" * LARGE),
    "log a file": Yard.add,
    "log small files": Yard.add_small,
    "alias": Yard.alias,
    "pack": Yard.pack,
    "merge": Yard.merge,
    "download": Yard.download,
    "create": Yard.create,
    "delete": Yard.delete,
}


def sweep(folder: str, kind: str, calls: list[str], every: bool) -> dict[str, int]:
    """Try each call with nothing left, then a little more, until it works; return how often each was tried."""
    outside = Path(tempfile.mkdtemp(dir=folder if kind in ("file size", "descriptors", "memory") else None))
    yard = Yard(Path(folder), outside)
    scarce = SCARCE[kind](Path(folder))
    tried = {}
    for name in calls:
        tried[name] = _until_it_works(yard, scarce, name, range(MOST) if every else SOME)
        scarce.all()
        yard.check()
    if kind == "pages" and "gc" in calls:
        assert tried["gc"] == 1, "gc found no room to make room"
    yard.open().gc()
    assert yard.open().verify().problems == ()
    return tried


def _until_it_works(yard: Yard, scarce: Pages | Inodes | Limit, name: str, steps: Iterable[int]) -> int:
    for count, left in enumerate(steps, 1):
        scarce.leave(left)
        failure = _failure(yard, CALLS[name])
        if isinstance(scarce, Limit):
            scarce.all()
        if failure is None:
            return count
        assert "/" in failure, f"{name} with {left} left names no path: {failure}"
        yard.check()
    raise AssertionError(f"{name} never worked")


def _failure(yard: Yard, call: Callable[[Yard], None]) -> str | None:
    try:
        call(yard)
    except lineage.LineageError as error:
        return str(error)
    except MemoryError:  # Python's own word; what counts is that nothing is lost
        return "/ no memory"
    return None
