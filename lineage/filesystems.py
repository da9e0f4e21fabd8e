"""What kind of file system a folder lies on: only ``gc`` and ``selftest`` ask, as reading and logging need not know.

``os.statvfs`` tells no kind, and statfs(2) is only to be had through ctypes. So Linux's table of mounts is read, and
elsewhere what ``mount`` prints. A folder belongs to the mount point that is the longest part of its path, and of
several at one place to the last; device numbers do not tell it, as btrfs and overlay give files some of their own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")
_LINE: Final = re.compile(r".* on (?P<place>/.*) \((?P<words>[^()]*)\)")
"""A line of ``mount`` on macOS and the BSDs: ``/dev/disk3s1 on / (apfs, local, journaled)``."""
_NETWORK: Final = re.compile(
    "9p|acfs|afpfs|afs|beegfs|ceph|cifs|coda|davfs|drvfs|gfs2?|glusterfs|gpfs|kafs|lustre|mmfs|ncpfs|nfs[34]?|ocfs2|"
    "orangefs|panfs|prl_fs|pvfs2|smb[23]|smbfs|vboxsf|virtiofs|vmhgfs|webdav|wekafs"
)
_LOCAL_FUSE: Final = re.compile("bindfs|encfs|exfat|fuse-overlayfs|gocryptfs|mergerfs|ntfs(-3g)?|unionfs")
"""What FUSE serves from a disk of this machine; of anything else it cannot be told who else changes it."""
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs"})


class FileSystem(NamedTuple):
    """A file system: its kind as the system calls it, and where it is mounted; both empty where nobody can tell."""

    kind: str
    place: str
    local: bool = False
    """Whether the system itself says that it is local (macOS does)."""

    @property
    def network(self) -> bool:
        """Whether other machines may change what lies on it, so that locks and caches are not to be relied on."""
        if self.kind.startswith(("fuse.", "macfuse", "osxfuse")):
            return _LOCAL_FUSE.fullmatch(self.kind.partition(".")[2]) is None
        return not self.local and _NETWORK.fullmatch(self.kind) is not None

    @property
    def in_memory(self) -> bool:
        """Whether what lies on it is gone when the machine stops."""
        return self.kind in _IN_MEMORY


UNKNOWN: Final = FileSystem("", "")


def file_system_of(folder: Path) -> FileSystem:
    """Return the file system that a folder lies on; UNKNOWN where the system does not tell."""
    try:
        text = _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return chosen(printed_mounts(_mount_command()), os.path.realpath(folder))
    return chosen(linux_mounts(text), os.path.realpath(folder))


def chosen(mounts: Iterator[FileSystem], path: str) -> FileSystem:
    """Return the mount that a path lies on: the one with the longest place, of several there the last."""
    around = [mount for mount in mounts if path == mount.place or path.startswith(mount.place.rstrip("/") + "/")]
    return max(reversed(around), key=lambda mount: len(mount.place), default=UNKNOWN)


def linux_mounts(text: str) -> Iterator[FileSystem]:
    """Yield the mounts of ``/proc/self/mountinfo``, see proc(5)."""
    for line in text.splitlines():
        head, _, tail = line.partition(" - ")
        fields, kind = head.split(" "), tail.partition(" ")[0]
        if len(fields) > 4 and kind:  # noqa: PLR2004 (the fifth is the place)
            yield FileSystem(kind, _ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4]))


def printed_mounts(text: str) -> Iterator[FileSystem]:
    """Yield the mounts that ``mount`` prints on macOS and the BSDs."""
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found is not None:
            kind, *words = (word.strip() for word in found["words"].split(","))
            yield FileSystem(kind, found["place"], "local" in words)


def _mount_command() -> str:
    import subprocess  # noqa: PLC0415 (10 ms, where there is no table of mounts)

    try:
        done = subprocess.run(["/sbin/mount"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "surrogateescape")
