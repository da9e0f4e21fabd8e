"""What lies beside a packed file, what it is called, and what is no file at all: nothing of it counts."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import plants_packed as bugs
import pytest
from conftest import draft
from forgery import Bench, everything, forging, make_share, unmoved
from ledger import Ledger
from plants import Bug, planted
from test_merge_laws import facts_of

import lineage
from lineage.values import new_uid

PLACES = pytest.mark.faults("P12 P14 P18", "F89 F91 F92 F93", "packed file: journals beside it, odd names, no files")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A place to forge in."""
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "share").mkdir()
    return Bench(folder / "bench", make_share(folder / "share"))


def check_journal_without_effect(bench: Bench, bug: Bug | None = None) -> None:
    """Put a journal beside a file that would write old pages over it: it counts for nothing, and stays."""
    bench.copy()
    with closing(sqlite3.connect(bench.theirs, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE run SET name = 'forged'")
        connection.execute("UPDATE chunk SET data = zeroblob(length(data))")
        hot = bench.theirs.with_name(bench.theirs.name + "-journal").read_bytes()
        connection.execute("ROLLBACK")
    bench.copy()
    with forging(bench.theirs, seal=False) as connection:
        connection.execute("UPDATE run SET name = 'second' WHERE uid = 'load'")
    forged = bench.theirs.read_bytes()
    for data, expected in ((forged, None), (bench.whole, bench.right[0])):
        bench.forge(data)
        bench.theirs.with_name(bench.theirs.name + "-journal").write_bytes(hot)
        bench.theirs.with_name(bench.theirs.name + "-wal").write_bytes(b"wal" * 100)
        project = bench.project()
        try:
            with planted(bug), unmoved(bench.theirs.parent):
                project.merge(bench.theirs)
        except lineage.LineageError:
            assert expected is None
        else:
            assert facts_of(project) == expected
    for beside in list(bench.theirs.parent.iterdir()):
        beside.unlink()


@PLACES
def test_journal_of_the_sender_has_no_effect_and_stays(bench: Bench, ledger: Ledger) -> None:
    """Neither does it change a whole file, nor does it mend one that was changed."""
    check_journal_without_effect(bench)
    ledger.case(2)


NAMES = [
    "a?mode=rwc",
    "a#b",
    "a%41",
    "a'b\"c",
    "file:a",
    ":memory:",
    "-a",
    "--help",
    "ü \n",
    "a;b",
    "a\\b",
    "\udcff",
    "a b",
    "*",
]


def check_odd_name_is_that_file(bench: Bench, folder: Path, name: str, bug: Bug | None = None) -> None:
    """Merge from a file of an odd name, by a path of its own and by the name alone."""
    home = folder / "odd"
    home.mkdir()
    odd = Path(shutil.copy(bench.share, home / f"{name}.lineage"))
    project = bench.project()
    with planted(bug), pytest.MonkeyPatch.context() as patch, unmoved(home):
        patch.chdir(home)
        assert project.merge(odd.name).versions == 6, name
        assert lineage.open(odd.name, create=False, read_only=True).verify().ok
    assert facts_of(project) == bench.right[0]
    shutil.rmtree(home)


@PLACES
def test_file_of_an_odd_name_is_that_file(bench: Bench, tmp_path: Path, ledger: Ledger) -> None:
    """No part of a name is read as anything else, and nothing appears beside it."""
    for name in NAMES if ledger.long else bench.chance.sample(NAMES, 6):
        check_odd_name_is_that_file(bench, tmp_path, name)
        ledger.case()


def check_no_file_is_refused(bench: Bench, folder: Path, bug: Bug | None = None) -> int:
    """Merge and fill from what is no file; return how many."""
    (folder / "link.lineage").symlink_to(bench.share)
    (folder / "dangling.lineage").symlink_to("nowhere")
    (folder / "loop.lineage").symlink_to("loop.lineage")
    (folder / "folder.lineage").mkdir()
    os.mkfifo(folder / "fifo.lineage")
    with (folder / "hole.lineage").open("wb") as hole:
        hole.truncate(3 << 30)
    names: list[str | Path] = [folder / f"{name}.lineage" for name in ("link", "dangling", "loop", "folder", "hole")]
    names += ["/dev/zero", "/dev/full", "/proc/self/mem", "/proc/self/environ", "\0", "", "x" * 300, "/dev/fd/0"]
    if bug is None:
        names.append(folder / "fifo.lineage")  # whoever follows it waits for ever
    project = bench.target
    for name in names:
        for call in (project.merge, project.fill):
            with planted(bug), unmoved(project.file.parent):
                try:
                    call(name)
                except lineage.LineageError as error:
                    assert str(error)
                except OSError as error:
                    pytest.fail(f"{name}: {error!r}")
                else:
                    pytest.fail(f"{name} was taken")
    return 2 * len(names)


@PLACES
def test_things_that_are_no_files_are_refused(bench: Bench, tmp_path: Path, ledger: Ledger) -> None:
    """A link, a FIFO, a folder, a device, a hole of three gigabytes: at once."""
    ledger.case(check_no_file_is_refused(bench, tmp_path))


def check_changing_file(bench: Bench, bug: Bug | None = None) -> None:
    """Merge from a file while somebody writes other bytes into it: all of it, or nothing, and never what was forged."""
    bench.copy()
    with forging(bench.theirs, seal=False) as connection:
        connection.execute("UPDATE chunk SET data = zeroblob(length(data))")
        connection.execute("UPDATE run SET name = 'second'")
    forged = bench.theirs.read_bytes()
    stop = threading.Event()

    def write() -> None:
        with bench.theirs.open("r+b", buffering=0) as file:
            while not stop.is_set():
                for data in (forged, bench.whole):
                    file.seek(0)
                    file.write(data)

    bench.copy()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(8):
            project = bench.project()
            with planted(bug):
                try:
                    project.merge(bench.theirs)
                except lineage.LineageError:
                    continue
                except (KeyError, TypeError, IndexError, ValueError) as error:
                    pytest.fail(repr(error))
            assert facts_of(project) == bench.right[0]
    finally:
        stop.set()
        writer.join()


@PLACES
def test_file_that_changes_while_it_is_read_is_taken_whole_or_not_at_all(bench: Bench, ledger: Ledger) -> None:
    """It is looked at on a copy that can change no more."""
    for _ in range(20 if ledger.long else 1):
        check_changing_file(bench)
        ledger.case(8)


@PLACES
def test_reading_from_a_file_leaves_its_folder_as_it_was(bench: Bench, tmp_path: Path, ledger: Ledger) -> None:
    """Read-only media will do, for all that reads."""
    media = tmp_path / "media"
    media.mkdir()
    copy = Path(shutil.copy(bench.share, media / "share.lineage"))
    project = bench.project()
    for mode, file_mode in ((0o555, 0o444), (0o755, 0o644)):
        copy.chmod(file_mode)
        media.chmod(mode)
        before = everything(media)
        for act in (
            lambda: project.merge(copy),
            lambda: project.fill(copy),
            lambda: lineage.open(copy).versions(),
            lambda: lineage.open(copy).verify(),
            lambda: lineage.open(copy).version("data").download(tmp_path / "out"),
            lambda: lineage.open(copy, read_only=True).pack(tmp_path / f"{new_uid()}.lineage"),
        ):
            act()
            assert everything(media) == before
            ledger.case()
    media.chmod(0o755)


@PLACES
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (bugs.file_is_read_where_it_lies, lambda bench, _, bug: check_journal_without_effect(bench, bug)),
        (bugs.links_and_devices_are_followed, check_no_file_is_refused),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_files_that_are_not_copied_or_looked_at_are_caught(
    bench: Bench, tmp_path: Path, ledger: Ledger, bug: Bug, check: Callable[[Bench, Path, Bug], object]
) -> None:
    """What lies beside a file, and what it is, counts where nobody sees to it."""
    with ledger.catches(bug.name):
        check(bench, tmp_path, bug)
    bench.__dict__.pop("target", None)
    for beside in list(bench.theirs.parent.iterdir()):
        beside.unlink()


@PLACES
def test_live_project_that_is_written_to_is_read_in_one_state(bench: Bench, tmp_path: Path, ledger: Ledger) -> None:
    """Its own writers go on; its file and folder are not touched by us."""
    live = lineage.open(tmp_path / "live.lineage")
    live.log_artifact(draft("live", {"a": "1"}))
    before = live.file.read_bytes()

    project = bench.project()
    assert project.merge(live.file).versions == 1

    assert live.file.read_bytes() == before
    ledger.case()
