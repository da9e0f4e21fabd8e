"""Download into a folder with traps: whole files only, no link followed, nothing outside touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import plants_damage as bugs
import pytest
from conftest import draft
from forgery import everything, unmoved
from ledger import Ledger
from plants import Bug, planted

import lineage

TRAPS = pytest.mark.faults("P10 P12", "F115", "download over links, FIFOs, folders, files of others")
STORE = pytest.mark.faults("P12 P16", "F117", "download into the store")
TWO = pytest.mark.faults("P10 P3", "F116", "downloads at once, or killed: whole files only")

FILES: dict[str, str | bytes] = {
    "a": "mine",
    "in/b": b"b" * 30_000,
    "in/deep/c": "c",
    "big": b"0123456789abcdef" * 400_000,
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one version."""
    folder = tmp_path_factory.mktemp("stored")
    lineage.open(folder / "p.lineage").log_artifact(draft("d", FILES))
    return folder


def content(path: str) -> bytes:
    """Return what a file must hold."""
    text = FILES[path]
    return text.encode() if isinstance(text, str) else text


def assert_whole(folder: Path) -> None:
    """Fail unless every file of the version that is there is a whole one of its own, and none is temporary."""
    for path in FILES:
        found = folder / path
        if found.is_file() and not found.is_symlink():
            assert (found.read_bytes(), found.stat().st_nlink) == (content(path), 1), path
    assert list(folder.rglob("*.lineage-download")) == []


# --- traps ---


def trap(kind: str, place: Path, outside: Path) -> None:
    """Lay a trap at the place of a file or folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    make: dict[str, Callable[[], object]] = {
        "file": lambda: place.write_text("theirs"),
        "long file": lambda: place.write_bytes(b"x" * 100_000),
        "right file": lambda: place.write_bytes(content("a")),
        "link": lambda: place.symlink_to(outside / "victim"),
        "link to right bytes": lambda: place.symlink_to(outside / "right"),
        "dangling link": lambda: place.symlink_to(outside / "nothing"),
        "folder link": lambda: place.symlink_to(outside),
        "loop": lambda: place.symlink_to(place.name),
        "device": lambda: place.symlink_to("/dev/full"),
        "hard link": lambda: os.link(outside / "victim", place),
        "hard link to right bytes": lambda: os.link(outside / "right", place),
        "FIFO": lambda: os.mkfifo(place),
        "folder": lambda: (place / "theirs").mkdir(parents=True),
        "read-only file": lambda: os.close(os.open(place, os.O_WRONLY | os.O_CREAT, 0o444)),
    }
    make[kind]()


KINDS = (
    *(
        "file",
        "long file",
        "right file",
        "link",
        "link to right bytes",
        "dangling link",
        "folder link",
        "loop",
        "device",
    ),
    *("hard link", "hard link to right bytes", "FIFO", "folder", "read-only file"),
)


def check_trap(  # noqa: PLR0917 (what is laid where, and how it is met)
    stored: Path, folder: Path, kind: str, at: str, way: str, bug: Bug | None = None
) -> None:
    """Download or check out over a trap: replaced by a whole file or refused; what is outside stays as it was."""
    outside, out = folder / "outside", folder / "out"
    for one in (outside, out):
        shutil.rmtree(one, ignore_errors=True)
    outside.mkdir()
    (outside / "victim").write_text("precious")
    (outside / "right").write_bytes(content("a"))
    trap(kind, out / at, outside)
    version = lineage.open(stored / "p.lineage", read_only=True).version("d")
    with unmoved(stored), planted(bug):
        before = everything(outside)
        refused = None
        try:
            getattr(version, way)(out)
        except lineage.LineageError as error:
            refused = error
        assert everything(outside) == before, (kind, at, way)
    assert_whole(out)
    assert (outside / "victim").read_text() == "precious"
    if refused is None:
        assert all((out / path).read_bytes() == content(path) for path in FILES), (kind, at, way)
        assert not (out / at).is_symlink()
        assert (outside / "victim").stat().st_nlink == (outside / "right").stat().st_nlink == 1
    else:
        assert str(refused)
        assert way == "download", (kind, at, refused)
        assert (at, kind) == ("a", "folder") or at == "in", (kind, at, refused)


@TRAPS
@pytest.mark.parametrize("way", ["download", "checkout"])
def test_traps_are_replaced_or_refused_and_lead_nowhere(stored: Path, tmp_path: Path, ledger: Ledger, way: str) -> None:
    """At the place of a file, and of a folder that files go into."""
    for kind in KINDS:
        for at in ("a", "in") if kind != "folder" or way == "checkout" else ("a",):
            check_trap(stored, tmp_path, kind, at, way)
            ledger.case()


@TRAPS
@pytest.mark.parametrize(
    ("bug", "kind", "at"),
    [
        (bugs.links_to_folders_are_followed, "folder link", "in"),
        (bugs.links_to_files_are_followed, "link to right bytes", "a"),
        (bugs.links_to_files_are_followed, "hard link to right bytes", "a"),
        (bugs.file_is_written_in_its_place, "link", "a"),
        (bugs.file_is_written_in_its_place, "hard link", "a"),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else one,
)
def test_traps_that_are_walked_into_are_caught(  # noqa: PLR0917 (fixtures and parameters)
    stored: Path, tmp_path: Path, ledger: Ledger, bug: Bug, kind: str, at: str
) -> None:
    """One flag left out, and somebody else's file is written."""
    with ledger.catches(bug.name):
        check_trap(stored, tmp_path, kind, at, "download", bug)


# --- the store ---


def check_store_refused(folder: Path, bug: Bug | None = None) -> int:
    """Download and check out into the store itself, and over the project file; return how many ways were tried."""
    project = lineage.open(folder / "p.lineage")
    version = project.log_artifact(draft("d", FILES))
    names = [f"p.lineage{end}" for end in ("", "-journal", "-wal", "-shm")] + ["p.blobs/tmp/x", "p.blobs/ab/cd"]
    traps = [project.log_artifact(draft(f"trap{number}", {name: "x"})) for number, name in enumerate(names)]
    (folder / "link").symlink_to("p.blobs")
    assert version is not None
    ways: list[Callable[[], object]] = [partial(one.download, folder) for one in traps if one is not None]
    for place in ("p.blobs", "p.blobs/in", "p.blobs/tmp", "link", "p.blobs/../p.blobs", "link/../p.blobs/x"):
        ways += [
            partial(version.download, folder / place),
            partial(version.checkout, folder / place),
        ]
    ways += [partial(version.checkout, place) for place in (folder, folder.parent, "/")]
    with unmoved(folder), planted(bug):
        for number, way in enumerate(ways[: 6 if bug else None]):
            with pytest.raises(lineage.LineageError):
                way()
                pytest.fail(f"way {number} was taken")
    assert project.verify().ok
    return len(ways)


@STORE
def test_download_into_the_store_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    """By its own name, through a link, by a file's name: not a byte of it is touched."""
    (tmp_path / "store").mkdir()
    ledger.case(check_store_refused(tmp_path / "store"))


@STORE
@pytest.mark.parametrize("bug", [bugs.store_is_no_matter], ids=lambda bug: bug.name)
def test_store_that_is_written_over_is_caught(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A file called p.lineage-journal would be read by SQLite."""
    (tmp_path / "store").mkdir()
    with ledger.catches(bug.name):
        check_store_refused(tmp_path / "store", bug)


# --- two at once, and killed ---


def check_two_at_once(stored: Path, folder: Path, bug: Bug | None = None) -> None:
    """Let several download to one folder at once: each file is whole whenever somebody looks."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    version = lineage.open(stored / "p.lineage", read_only=True).version("d")
    errors: list[BaseException] = []
    start = threading.Barrier(5)

    def bring() -> None:
        start.wait()
        try:
            version.download(out)
        except BaseException as error:  # noqa: BLE001 (told below)
            errors.append(error)

    def look() -> None:
        start.wait()
        while any(thread.is_alive() for thread in threads[:4]):
            try:
                halves = [one for one in FILES if (out / one).is_file() and (out / one).read_bytes() != content(one)]
                errors.extend(AssertionError(f"half of {one} was seen") for one in halves)
            except FileNotFoundError:
                continue

    threads = [threading.Thread(target=bring) for _ in range(4)] + [threading.Thread(target=look)]
    with planted(bug):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert_whole(out)
    assert all((out / path).exists() for path in FILES)


PROGRAM = """
import os, signal, sys
from plants import plant_what_the_environment_names
plant_what_the_environment_names()
import lineage
left = int(sys.argv[3])
def tell(size):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
lineage.open(sys.argv[1], read_only=True).version("d").download(sys.argv[2], progress=tell)
"""


def check_killed(stored: Path, folder: Path, moment: int, bug: Bug | None = None) -> bool:
    """Kill a download after so many pieces: what has its name is whole, and the next one goes on; say if killed."""
    out = folder / "out"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}", **(bug.environment if bug else {})}
    command = [sys.executable, "-c", PROGRAM, str(stored / "p.lineage"), str(out), str(moment)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    for path in FILES:
        assert not (out / path).exists() or (out / path).read_bytes() == content(path), (moment, path)
    with planted(bug):
        lineage.open(stored / "p.lineage", read_only=True).version("d").download(out)
    assert all((out / path).read_bytes() == content(path) for path in FILES)
    shutil.rmtree(out)
    return ended.returncode != 0


@TWO
def test_downloads_to_one_folder_at_once_are_whole(stored: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Each has temporary names of its own, and a file appears by a rename."""
    for _ in range(50 if ledger.long else 3):
        check_two_at_once(stored, tmp_path)
        ledger.case()


@TWO
def test_download_that_is_killed_leaves_whole_files_only(stored: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Between any two pieces of it."""
    killed = 0
    for moment in range(20) if ledger.long else (1, 4):
        killed += check_killed(stored, tmp_path, moment)
        ledger.case()
    assert killed


@TWO
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (bugs.temporary_name_is_shared, check_two_at_once),
        (
            bugs.file_is_written_in_its_place,
            lambda stored, folder, bug: [check_killed(stored, folder, n, bug) for n in (3, 6, 12)],
        ),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_files_that_are_seen_by_half_are_caught(
    stored: Path, tmp_path: Path, ledger: Ledger, bug: Bug, check: Callable[[Path, Path, Bug], object]
) -> None:
    """One temporary name for all, or none at all."""
    with ledger.catches(bug.name):
        check(stored, tmp_path, bug)
