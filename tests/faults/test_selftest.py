"""Where a project may be kept: selftest sees what a file system does not do; gc refuses where locks may not hold."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import plants_selftest as bugs
import pytest
from conftest import draft
from ledger import Ledger
from plants import Bug, planted
from test_cli_support import call

import lineage
from lineage import filesystems, selftest
from lineage.filesystems import UNKNOWN, FileSystem, chosen, linux_mounts, printed_mounts
from lineage.selftest import children
from lineage.upkeep.collection import ACCEPTABLE

SOUND = pytest.mark.faults("P21", "F38", "selftest of a sound disk: ok, and nothing of it stays")
FAULTY = pytest.mark.faults("P21", "F29 F30 F38", "selftest on a file system that lies: named, exit status not 0")
KIND = pytest.mark.faults("P21", "F38", "which file system a folder lies on, of Linux's and macOS' tables")
REFUSED = pytest.mark.faults("P5 P21", "F38", "gc on a network file system, or with locks that do not lock")
FREE = pytest.mark.faults("P21", "F38", "reading and logging go on there, and do not ask")
REAL = pytest.mark.faults("P21", "F38", "selftest, log and gc on real mounts: tmpfs and overlay")

# --- a sound place ---


def check_sound(folder: Path, bug: Bug | None = None) -> None:
    """Try a folder of this disk and see that it is as it was."""
    (folder / "theirs").write_text("kept")
    with planted(bug):
        report = selftest.selftest(folder)
    assert [check for check in report.checks if not check.ok and check.severity == "error"] == []
    assert report.ok
    assert sorted(path.name for path in folder.iterdir() if path.name != ".cache") == ["theirs"]


@SOUND
def test_selftest_of_this_disk_is_ok_and_leaves_nothing(tmp_path: Path, ledger: Ledger) -> None:
    """Each check says what it saw."""
    check_sound(tmp_path)
    ledger.case()


@SOUND
def test_selftest_sound_check_sees_what_it_leaves(tmp_path: Path, ledger: Ledger) -> None:
    """A folder of ours on their disk does not pass."""
    bug = bugs.selftest_that_leaves_its_folder
    with ledger.catches(bug.name):
        check_sound(tmp_path, bug)


def test_selftest_command_says_it_in_words_and_as_a_document(tmp_path: Path) -> None:
    """A line for each check, a verdict, and the same for machines."""
    words = call("selftest", tmp_path)
    document = json.loads(call("selftest", tmp_path, "--json").out)

    assert (words.code, words.out.splitlines()[-1]) == (0, f"{tmp_path} can keep the promises")
    assert document["ok"] is True
    assert [f"{check['name']}: " in words.out for check in document["checks"]] == [True] * 14


@pytest.mark.parametrize("folder", ["nowhere", "file", ""])
def test_selftest_of_no_folder_is_refused(tmp_path: Path, folder: str) -> None:
    """There is nothing to try."""
    (tmp_path / "file").touch()

    assert call("selftest", folder).code == 2


def test_selftest_of_a_folder_that_cannot_be_written_says_so() -> None:
    """The place cannot be tried, which is an error of the place."""
    if not Path("/proc/self").is_dir():
        pytest.skip("needs a folder in which nobody can create anything, as /proc is")
    answer = call("selftest", "/proc/self")

    assert (answer.code, "cannot try the folder" in answer.err) == (9, True)


# --- places that lie ---

Patch = Callable[[pytest.MonkeyPatch], None]


def locks_do_nothing(patch: pytest.MonkeyPatch) -> None:
    """Every lock is given."""
    patch.setattr(fcntl, "flock", lambda descriptor, mode: None)


def locks_are_unknown(patch: pytest.MonkeyPatch) -> None:
    """The file system has no locks."""

    def flock(descriptor: int, mode: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    patch.setattr(fcntl, "flock", flock)


def locks_outlive(patch: pytest.MonkeyPatch) -> None:
    """The lock of a process that is gone is still held, as a server holds it that does not know yet."""
    patch.setattr(children, "refuses", lambda descriptor, mode: True)


def sqlite_does_not_lock(patch: pytest.MonkeyPatch) -> None:
    """Record locks are given to whoever asks: here the parent writes without any."""
    kept = children._database

    def database(path: Path, lock: str) -> Any:
        return _Unlocked() if lock == "ours.lock" else kept(path, lock)

    patch.setattr(children, "_database", database)


class _Unlocked:
    def write(self) -> AbstractContextManager[None]:
        return nullcontext()


def links_are_refused(patch: pytest.MonkeyPatch) -> None:
    """FAT and exFAT have no second names."""

    def link(source: object, target: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    patch.setattr(os, "link", link)


def links_replace(patch: pytest.MonkeyPatch) -> None:
    """A link takes a name that is taken."""
    kept = os.link

    def link(source: Any, target: Any) -> None:
        if os.path.lexists(target):
            Path(target).unlink()
        kept(source, target)

    patch.setattr(os, "link", link)


def renames_copy(patch: pytest.MonkeyPatch) -> None:
    """A rename writes into the file that is there."""

    def rename(self: Path, target: Path) -> Path:
        shutil.copyfile(self, target)
        self.unlink()
        return target

    patch.setattr(Path, "rename", rename)


def names_are_given_twice(patch: pytest.MonkeyPatch) -> None:
    """O_EXCL is passed over, as old NFS does."""
    kept = os.open

    def opened(path: Any, flags: int, *mode: Any, **options: Any) -> int:
        return kept(path, flags & ~os.O_EXCL, *mode, **options)

    patch.setattr(os, "open", opened)


def syncs_fail(patch: pytest.MonkeyPatch) -> None:
    """Nothing can be synced."""

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    patch.setattr(os, "fsync", fsync)


def a_kill_loses(patch: pytest.MonkeyPatch) -> None:
    """What a killed process wrote last is gone."""
    kept = children.Child.kill

    def kill(self: children.Child) -> None:
        kept(self)
        for blob in sorted(Path.cwd().glob(".lineage-selftest.*/kill/p.blobs/??/*"))[:1]:
            blob.unlink()

    patch.setattr(children.Child, "kill", kill)


def case_folds(patch: pytest.MonkeyPatch) -> None:
    """Names are one whatever their case."""
    kept = os.path.lexists
    patch.setattr(os.path, "lexists", lambda path: kept(path) or kept(Path(path).parent / Path(path).name.lower()))


def unicode_folds(patch: pytest.MonkeyPatch) -> None:
    """Names are one however their accents are written."""
    kept = os.path.lexists
    patch.setattr(os.path, "lexists", lambda path: kept(path) or kept(unicodedata.normalize("NFC", str(path))))


def clock_is_off(patch: pytest.MonkeyPatch) -> None:
    """The server's clock is a minute ahead."""
    kept = time.time_ns
    patch.setattr(time, "time_ns", lambda: kept() - 60_000_000_000)


def times_stand_still(patch: pytest.MonkeyPatch) -> None:
    """A file keeps its time when it is written."""
    kept = Path.write_bytes

    def write(self: Path, data: bytes) -> int:
        times = (self.stat().st_atime_ns, self.stat().st_mtime_ns) if self.exists() else None
        count = kept(self, data)
        if times is not None:
            os.utime(self, ns=times)
        return count

    patch.setattr(Path, "write_bytes", write)


def disk_is_full(patch: pytest.MonkeyPatch) -> None:
    """A megabyte is left."""
    kept = os.statvfs

    def statvfs(path: Any) -> os.statvfs_result:
        found = list(kept(path))
        found[3:5] = 256, 256
        return os.statvfs_result(found)

    patch.setattr(os, "statvfs", statvfs)


def is_nfs(patch: pytest.MonkeyPatch) -> None:
    """The table of mounts says so."""
    patch.setattr(selftest, "file_system_of", lambda folder: FileSystem("nfs4", "/home"))


def is_in_memory(patch: pytest.MonkeyPatch) -> None:
    """The table of mounts says so."""
    patch.setattr(selftest, "file_system_of", lambda folder: FileSystem("tmpfs", "/dev/shm"))


LIES: list[tuple[Patch, str, bool]] = [
    (locks_do_nothing, "lock", False),
    (locks_do_nothing, "lock-processes", False),
    (locks_are_unknown, "lock", False),
    (locks_outlive, "lock-of-the-dead", False),
    (sqlite_does_not_lock, "sqlite-locks", False),
    (links_are_refused, "link", False),
    (links_replace, "link", False),
    (renames_copy, "rename", False),
    (names_are_given_twice, "create", False),
    (syncs_fail, "sync", False),
    (a_kill_loses, "kill", False),
    (case_folds, "case", True),
    (unicode_folds, "unicode", True),
    (clock_is_off, "times", True),
    (times_stand_still, "times", True),
    (disk_is_full, "room", True),
    (is_nfs, "file-system", False),
    (is_in_memory, "file-system", True),
]
"""What is wrong with the place, which check says so, and whether one can live with it."""


def check_faulty(lie: Patch, name: str, warning: bool, bug: Bug | None = None, *, alone: bool = True) -> None:
    """Try the working folder on a file system with a fault, and see that it is named with what follows.

    With `alone` no other check is run, as all of them take seconds.
    """
    with pytest.MonkeyPatch.context() as patch, planted(bug):
        lie(patch)
        if alone:
            patch.setattr(selftest, "_PROBES", tuple(probe for probe in selftest._PROBES if probe.name == name))
        report = selftest.selftest(".")
        (check,) = [check for check in report.checks if check.name == name]
        assert (check.ok, check.severity) == (False, "warning" if warning else "error")
        assert check.message
        assert check.consequence
        assert report.ok is warning


@FAULTY
@pytest.mark.parametrize(("lie", "name", "warning"), LIES)
def test_selftest_names_what_the_place_does_not_do(ledger: Ledger, lie: Patch, name: str, warning: bool) -> None:
    """A lock that is none, a rename that copies, a sync that fails: each is found by its own check."""
    check_faulty(lie, name, warning, alone=not ledger.long)
    ledger.case()


@FAULTY
@pytest.mark.parametrize(
    ("bug", "lie", "name"),
    [
        (bugs.selftest_that_believes, renames_copy, "rename"),
        (bugs.selftest_that_ends_well, syncs_fail, "sync"),
        (bugs.selftest_that_believes_a_lock, locks_do_nothing, "lock"),
        (bugs.selftest_that_hears_what_it_wants, locks_do_nothing, "lock-processes"),
        (bugs.selftest_that_hears_what_it_wants, sqlite_does_not_lock, "sqlite-locks"),
        (bugs.selftest_that_looks_at_nothing, a_kill_loses, "kill"),
        (bugs.network_that_nobody_knows, is_nfs, "file-system"),
    ],
    ids=lambda one: getattr(one, "name", None) or getattr(one, "__name__", str(one)),
)
def test_selftest_faulty_check_sees(ledger: Ledger, bug: Bug, lie: Patch, name: str) -> None:
    """A selftest that believes a lock without trying it does not pass."""
    with ledger.catches(bug.name):
        check_faulty(lie, name, False, bug)


# --- which file system ---

LINUX = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw
30 27 0:31 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 0:32 / /home/me/local rw - btrfs /dev/sdb rw
32 27 0:33 / /mnt/with\\040blank rw - cifs //server/share rw
33 27 0:34 / /mnt/twice rw - ext4 /dev/sdc rw
34 27 0:35 / /mnt/twice rw - 9p host rw
35 27 0:36 / /mnt/ssh rw - fuse.sshfs me@server: rw
36 27 0:37 / /mnt/usb rw - fuseblk /dev/sdd rw
37 27 0:38 / /mnt/merged rw - fuse.mergerfs a:b rw
38 27 0:39 / /mnt/bucket rw - fuse.some-new-bucket bucket rw
39 27 0:40 / /dev/shm rw - tmpfs tmpfs rw
40 27 0:41 / /overlay rw - overlay overlay rw
41 27 0:42 / /shared rw - virtiofs tag rw
42 27 0:43 / /scratch rw - lustre host:/scratch rw
rubbish
"""
MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)
//me@server/share on /Volumes/share (one) (smbfs, nodev, nosuid, mounted by me)
server:/export on /Volumes/nfs (nfs, nodev)
"""
PLACES = [
    (LINUX, "/", "ext4", False),
    (LINUX, "/homeless", "ext4", False),
    (LINUX, "/home", "nfs4", True),
    (LINUX, "/home/me", "nfs4", True),
    (LINUX, "/home/me/local/data", "btrfs", False),
    (LINUX, "/mnt/with blank/x", "cifs", True),
    (LINUX, "/mnt/twice/x", "9p", True),
    (LINUX, "/mnt/ssh", "fuse.sshfs", True),
    (LINUX, "/mnt/usb", "fuseblk", False),
    (LINUX, "/mnt/merged", "fuse.mergerfs", False),
    (LINUX, "/mnt/bucket", "fuse.some-new-bucket", True),
    (LINUX, "/dev/shm", "tmpfs", False),
    (LINUX, "/overlay/x", "overlay", False),
    (LINUX, "/shared", "virtiofs", True),
    (LINUX, "/scratch/me", "lustre", True),
    (MACOS, "/Users/me", "apfs", False),
    (MACOS, "/Volumes/share (one)/x", "smbfs", True),
    (MACOS, "/Volumes/nfs", "nfs", True),
    ("", "/", "", False),
]


def check_kind(table: str, path: str, kind: str, network: bool, bug: Bug | None = None) -> None:
    """See which mount of a table a path is on."""
    read = linux_mounts if table == LINUX else printed_mounts
    with planted(bug):
        found = filesystems.chosen(read(table), path)
        assert (found.kind, found.network) == (kind, network)


@KIND
@pytest.mark.parametrize(("table", "path", "kind", "network"), PLACES)
def test_file_system_of_a_path_is_the_mount_it_lies_on(
    ledger: Ledger, table: str, path: str, kind: str, network: bool
) -> None:
    """The longest place of its path, and of two at one place the one on top."""
    check_kind(table, path, kind, network)
    ledger.case()


@KIND
@pytest.mark.parametrize("bug", [bugs.network_that_nobody_knows, bugs.mount_that_is_the_first], ids=lambda b: b.name)
def test_file_system_check_sees(ledger: Ledger, bug: Bug) -> None:
    """Whoever knows no network, or the root alone, does not pass."""
    with ledger.catches(bug.name):
        check_kind(LINUX, "/home/me", "nfs4", True, bug)


def test_file_system_of_this_folder_is_known(tmp_path: Path) -> None:
    """The system tells, on Linux and macOS."""
    assert filesystems.file_system_of(tmp_path) != UNKNOWN


def test_file_system_without_a_table_of_mounts_is_what_mount_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is on macOS; where there is neither, nobody knows, and nothing is refused for it."""
    monkeypatch.setattr(filesystems, "_MOUNTS", Path("/nowhere"))
    monkeypatch.setattr(filesystems, "_mount_command", lambda: MACOS)
    assert filesystems.file_system_of(Path("/Volumes/nfs")).network
    monkeypatch.setattr(filesystems, "_mount_command", lambda: "")
    assert not filesystems.file_system_of(Path("/Volumes/nfs")).network


# --- gc there ---


def check_refused(folder: Path, patch: pytest.MonkeyPatch, bug: Bug | None = None) -> None:
    """Collect on a network file system: refused with the reason, done when it is accepted."""
    project = lineage.open(folder / "p.lineage")
    project.log_artifact(draft("data", {"large": b"." * 20_000}))
    project.delete_artifact("data", delete_aliases=True)
    patch.setattr("lineage.upkeep.collection.file_system_of", lambda _: FileSystem("nfs4", "/home"))
    with planted(bug):
        with pytest.raises(lineage.ConflictError, match=r"network file system \(nfs4\).*--accept network") as caught:
            project.gc()
        assert caught.value.kind is lineage.ErrorKind.NETWORK_FILE_SYSTEM
        assert len(list(project.blob_folder.glob("??/*"))) == 1
        assert call("gc", "--project", project.file).code == 4
        with pytest.raises(lineage.ConflictError, match="network file system"):
            project.gc(dry_run=True)
        assert project.gc(dry_run=True, accept=["network-file-system"]).blobs == 1
        assert call("gc", "--project", project.file, "--accept", "network-file-system").code == 0
        assert list(project.blob_folder.glob("??/*")) == []


def check_no_locks(folder: Path, patch: pytest.MonkeyPatch, bug: Bug | None = None) -> None:
    """Collect where locks do nothing: refused, and not to be accepted away."""
    project = lineage.open(folder / "p.lineage")
    project.log_artifact(draft("data", {"large": b"." * 20_000}))
    project.delete_artifact("data", delete_aliases=True)
    locks_do_nothing(patch)
    with planted(bug), pytest.raises(lineage.StorageError, match="locks do not hold"):
        project.gc(accept=[kind.value for kind in ACCEPTABLE])


@REFUSED
@pytest.mark.parametrize("check", [check_refused, check_no_locks])
def test_gc_refuses_where_locks_may_not_hold(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, check: Callable[..., None]
) -> None:
    """It says why, and what accepts it."""
    check(tmp_path, monkeypatch)
    ledger.case()


@REFUSED
@pytest.mark.parametrize(
    ("check", "bug"),
    [(check_refused, bugs.gc_that_asks_no_place), (check_no_locks, bugs.gc_that_tries_no_lock)],
    ids=["place", "lock"],
)
def test_gc_refused_check_sees(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, check: Callable[..., None], bug: Bug
) -> None:
    """A gc that asks nothing does not pass."""
    with ledger.catches(bug.name):
        check(tmp_path, monkeypatch, bug)


def check_free(folder: Path, patch: pytest.MonkeyPatch, bug: Bug | None = None) -> None:
    """Log, read, verify and delete without anybody asking what the place is."""

    def ask(_: Path) -> FileSystem:
        pytest.fail("only gc and selftest ask")

    patch.setattr(filesystems, "file_system_of", ask)
    patch.setattr("lineage.upkeep.collection.file_system_of", ask)
    with planted(bug):
        project = lineage.open(folder / "p.lineage")
        with project.start_run("train") as run:
            run.log_artifact(draft("data", {"large": b"." * 20_000}))
        assert project.version("data").open("large").read(1) == b"."
        assert project.verify().ok
        assert project.repair().actions == ()
        project.delete_artifact("data", delete_aliases=True)


@FREE
def test_logging_and_reading_do_not_ask_for_the_place(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cost what they cost elsewhere."""
    check_free(tmp_path, monkeypatch)
    ledger.case()


@FREE
def test_logging_check_sees_who_asks(tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that reads the table of mounts does not pass."""
    bug = bugs.log_that_asks_for_the_place
    with ledger.catches(bug.name):
        check_free(tmp_path, monkeypatch, bug)


# --- real mounts ---

PROGRAM = """\
import os, sys, pathlib
sys.path[:0] = [sys.argv[1]]
import lineage, lineage.selftest
from lineage.filesystems import file_system_of
place = pathlib.Path(sys.argv[2])
assert file_system_of(place).kind == sys.argv[3], file_system_of(place)
report = lineage.selftest.selftest(place)
assert report.ok, [check for check in report.checks if not check.ok]
project = lineage.open(place / "p.lineage")
for _ in range(2):
    draft = lineage.Artifact("data", "dataset")
    with draft.new_file("large", "wb") as file:
        file.write(os.urandom(20000))
    project.log_artifact(draft)
project.version("data:v0").delete()
assert project.gc().blobs == 1
assert project.verify().problems == ()
"""
MOUNTS = {
    "tmpfs": "mount -t tmpfs tmpfs {place}",
    "overlay": "mount -t tmpfs tmpfs {base} && mkdir {base}/l {base}/u {base}/w"
    " && mount -t overlay overlay -o lowerdir={base}/l,upperdir={base}/u,workdir={base}/w {place}",
}


@REAL
@pytest.mark.parametrize("kind", sorted(MOUNTS))
def test_selftest_and_gc_on_a_real_mount(tmp_path: Path, ledger: Ledger, kind: str) -> None:
    """What a container gives: known by its name, sound, and gc works there."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        pytest.skip("needs unshare and mount")
    place, base = tmp_path / "place", tmp_path / "base"
    place.mkdir()
    base.mkdir()
    mount = MOUNTS[kind].format(place=place, base=base)
    program = [sys.executable, "-c", PROGRAM, str(Path(lineage.__file__).parents[1]), str(place), kind]
    script = f'{mount} || exit 77; exec "$@"'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", *program], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no such mount to be had here: {done.stderr.strip()}")

    assert (done.returncode, done.stderr) == (0, "")
    ledger.case()


@REAL
def test_real_mount_check_sees_who_knows_the_root_only(ledger: Ledger) -> None:
    """A mount below the root is another file system."""
    with ledger.catches(bugs.mount_that_is_the_first.name), planted(bugs.mount_that_is_the_first):
        assert filesystems.chosen(linux_mounts(LINUX), "/dev/shm").kind == "tmpfs"
    assert chosen(linux_mounts(LINUX), "/dev/shm").kind == "tmpfs"
