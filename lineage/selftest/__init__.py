"""Whether a place can keep the promises: a short form of the tests of crashes, locks, names and syncs, on its own disk.

What a project promises rests on what its file system does: locks exclude, a rename is whole, a sync reaches the disk.
Most local disks do; network and FUSE file systems often do not, and say nothing. The checks run in a folder made for
them, which is removed, and take a few seconds. What only a power cut can show, such as a drive that lies about its
cache, cannot be seen here::

    report = selftest("/data")
    print(report.ok, [check.message for check in report.checks if not check.ok])
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lineage.errors import ErrorKind, InvalidInputError, LineageError
from lineage.filesystems import FileSystem, file_system_of
from lineage.selftest import children, probes
from lineage.selftest.probes import Broken
from lineage.system import storage_errors, unique_name
from lineage.values import file_path

__all__ = ["Check", "SelftestReport", "selftest"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: A stable word for it.
        ok: Whether it is as it should be.
        severity: What it is if not: ``"error"`` where a promise falls, ``"warning"`` where something is to be known.
        message: What was seen.
        consequence: What follows, if it is not.
    """

    name: str
    ok: bool
    severity: Literal["error", "warning"]
    message: str
    consequence: str


@dataclass(frozen=True, slots=True)
class SelftestReport:
    """What ``selftest`` saw of a place.

    Attributes:
        folder: The place.
        file_system: Its kind, as the system calls it; empty where nobody can tell.
        checks: What was tried, in its order.
    """

    folder: str
    file_system: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether the place can keep the promises; there may be warnings."""
        return all(check.ok or check.severity == "warning" for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Probe:
    """What tries one thing in an empty folder: it says what it saw, or raises Broken."""

    name: str
    look: Callable[[Path], str]
    consequence: str
    severity: Literal["error", "warning"] = "error"


_LOST: Final = "writers would overtake each other: numbers twice, versions lost. Keep the project elsewhere"
_TORN: Final = "a crash could leave half a file under a whole one's name. Keep the project elsewhere"
_PROBES: Final = (
    _Probe("room", probes.room, "logs will soon fail, with an error and nothing lost. Make room", "warning"),
    _Probe("create", probes.create, f"two programs could take one name. {_TORN}"),
    _Probe("rename", probes.rename, _TORN),
    _Probe("link", probes.link, "no project can be created or packed here. Create it elsewhere"),
    _Probe("sync", probes.sync, "what a call returned could be lost in a power cut. Keep the project elsewhere"),
    _Probe("lock", probes.lock, f"threads of a program would not exclude each other: {_LOST}"),
    _Probe("lock-processes", children.lock_processes, f"locks do not exclude: {_LOST}, and never run gc here"),
    _Probe(
        "lock-of-the-dead", children.lock_of_the_dead, "after a crash nobody could write. Keep the project elsewhere"
    ),
    _Probe("sqlite-locks", children.sqlite_locks, f"locks of SQLite do not exclude: {_LOST}"),
    _Probe("kill", children.kill, "a crash damages a project here. Keep it elsewhere, and tell us"),
    _Probe("case", probes.case, "a version with paths that differ only in case cannot be downloaded here", "warning"),
    _Probe(
        "unicode",
        probes.unicode_form,
        "a version with paths that differ only in Unicode form cannot be downloaded here",
        "warning",
    ),
    _Probe(
        "times",
        probes.times,
        "a file that changed could be taken for unchanged: set LINEAGE_CACHE to an empty text where you log from here",
        "warning",
    ),
)


def selftest(folder: str | os.PathLike[str] = ".") -> SelftestReport:
    """Try whether a folder is a place that keeps the promises of a project; nothing stays in it.

    Args:
        folder: Where a project is, or is to be.

    Raises:
        InvalidInputError: There is no such folder.
        StorageError: Nothing can be written there.
    """
    place = file_path(folder, "folder")
    with storage_errors("cannot try the folder"):
        if not place.is_dir():
            raise InvalidInputError(f"no folder {str(place)!r}", kind=ErrorKind.PATH_INVALID)
    kind = file_system_of(place)
    with _room_of_its_own(place) as own:
        checks = [_result(_Probe("file-system", lambda _: _said(kind), *_CONSEQUENCES[kind.network]), own)]
        checks += [_result(probe, own) for probe in _PROBES]
    return SelftestReport(str(place.absolute()), kind.kind, tuple(checks))


_CONSEQUENCES: Final[dict[bool, tuple[str, Literal["error", "warning"]]]] = {
    True: (
        "other machines may not see our locks: only one should log here, and gc refuses. Keep the project elsewhere",
        "error",
    ),
    False: ("what is logged is gone when the machine stops", "warning"),
}


def _said(kind: FileSystem) -> str:
    """Say what kind of file system it is."""
    if kind.network:
        raise Broken(f"a network file system, or one that another program serves: {kind.kind}, mounted at {kind.place}")
    if kind.in_memory:
        raise Broken(f"in memory: {kind.kind}, mounted at {kind.place}")
    return f"{kind.kind or 'of a kind that the system does not tell'}{f', mounted at {kind.place}' * bool(kind.place)}"


def _result(probe: _Probe, own: Path) -> Check:
    """Try one thing in a folder of its own; whatever it stumbles over is a failure."""
    place = own / probe.name
    try:
        place.mkdir()
        return Check(probe.name, True, probe.severity, probe.look(place), "")
    except (Broken, LineageError, OSError) as error:
        return Check(probe.name, False, probe.severity, str(error), probe.consequence)


@contextmanager
def _room_of_its_own(place: Path) -> Iterator[Path]:
    own = place / f".lineage-selftest.{unique_name()}"
    with storage_errors("cannot try the folder"):
        own.mkdir(mode=0o700)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
