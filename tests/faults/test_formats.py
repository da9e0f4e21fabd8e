"""Files of other formats: a newer one is refused and left alone, an older one is upgraded once, with a way back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import plants_formats as bugs
import pytest
from ledger import Ledger
from plants import Bug, plant_what_the_environment_names, planted
from test_cli_support import call
from test_old_formats import format_of, restored
from test_two_writers import at_the_word, heard, started, together

import lineage
from lineage.migrations import FORMAT_VERSION

NEWER = pytest.mark.faults("P19", "F90", "a project of a newer format: refused with the number, not a byte changed")
ONCE = pytest.mark.faults("P19", "F08", "programs that open an older project at once upgrade it once")
COPY = pytest.mark.faults("P19", "F08", "the file as it was stays beside an upgraded one")


def newer(folder: Path) -> Path:
    """Make a project of a format that comes after ours."""
    project = lineage.open(folder / "p.lineage")
    with closing(sqlite3.connect(project.file)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    return project.file


def check_newer(folder: Path, use: Callable[[Path], object], bug: Bug | None = None) -> None:
    """Use a newer project and see that it is refused."""
    path = newer(folder)
    before = path.read_bytes(), sorted(one.name for one in folder.iterdir())
    words = f"has format {FORMAT_VERSION + 1}, this lineage reads up to {FORMAT_VERSION}; upgrade lineage-db"
    with planted(bug), pytest.raises(lineage.FormatError, match=words) as caught:
        use(path)
    assert caught.value.kind is lineage.ErrorKind.NEWER_FORMAT
    assert (path.read_bytes(), sorted(one.name for one in folder.iterdir())) == before


def command(path: Path) -> None:
    """Ask on the command line."""
    answer = call("ls", "--project", path)
    assert answer.code == 11
    raise lineage.FormatError(answer.err, kind=lineage.ErrorKind.NEWER_FORMAT)


USES: list[Callable[[Path], object]] = [
    lineage.open,
    lambda path: lineage.open(path, read_only=True),
    command,
]


@NEWER
@pytest.mark.parametrize("use", USES)
def test_newer_format_is_refused_with_the_number(tmp_path: Path, ledger: Ledger, use: Callable[[Path], object]) -> None:
    """Whoever wrote it knows what may be in it; this library does not."""
    check_newer(tmp_path, use)
    ledger.case()


@NEWER
def test_newer_format_of_a_merge_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    """What is taken in is looked at the same way."""
    (tmp_path / "theirs").mkdir()
    theirs = newer(tmp_path / "theirs")
    with pytest.raises(lineage.FormatError, match=f"has format {FORMAT_VERSION + 1}"):
        lineage.open(tmp_path / "p.lineage").merge(theirs)
    ledger.case()


@NEWER
def test_newer_format_check_sees_who_opens_it(tmp_path: Path, ledger: Ledger) -> None:
    """A library that opens it does not pass."""
    bug = bugs.newer_format_that_is_opened
    with ledger.catches(bug.name):
        check_newer(tmp_path, lineage.open, bug)


# --- an older one ---


def opened(door: Connection, path: str) -> str:
    """Open it when the others do."""
    plant_what_the_environment_names()
    at_the_word(door)
    try:
        project = lineage.open(path, create=False)
        return f"{format_of(project.file)} {project.verify().problems}"
    except lineage.LineageError as error:
        return f"{type(error).__name__}: {error}"


def check_once(folder: Path, programs: int, bug: Bug | None = None) -> None:
    """Let several open it at once: each goes on in the new format, and there is one copy."""
    path = restored(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (bug.environment if bug else {}).items():
            patch.setenv(name, value)
        with started(*[(opened, str(path))] * programs) as crew:
            together(crew)
            answers = {heard(door) for _, door in crew}
    assert answers == {f"{FORMAT_VERSION} ()"}
    assert sorted(one.name for one in folder.glob("*.format*")) == ["old.lineage.format1"]
    assert format_of(folder / "old.lineage.format1") == 1


@ONCE
def test_older_format_is_upgraded_once(tmp_path: Path, ledger: Ledger) -> None:
    """Who waited for the lock finds it done."""
    for number in range(10 if ledger.long else 1):
        check_once(tmp_path / f"{number}", 4 if ledger.long else 2)
        ledger.case()


@ONCE
def test_older_format_once_check_sees_an_upgrade_done_twice(tmp_path: Path, ledger: Ledger) -> None:
    """Who comes second and does it again does not pass."""
    bug = bugs.upgrade_that_asks_no_number
    with ledger.catches(bug.name):
        check_once(tmp_path, 2, bug)


def check_copy(folder: Path, bug: Bug | None = None) -> None:
    """Upgrade, go back, log with the old library's file, upgrade again: each file as it was is kept."""
    path = restored(folder)
    before = shutil.copy2(path, folder / "before")
    old = rows_of(path)
    with planted(bug):
        lineage.open(path)
        copy = path.with_name("old.lineage.format1")
        assert copy.exists()
        assert (format_of(copy), rows_of(copy)) == (1, old)
        shutil.copy2(before, path)  # as if it had been killed before it was done
        lineage.open(path)
        assert len(list(folder.glob("*.format*"))) == 1
        shutil.copy2(copy, path)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE run SET notes = 'written by the old library'")
        lineage.open(path)
    copies = sorted(folder.glob("*.format*"))
    assert [one.name for one in copies] == ["old.lineage.format1", "old.lineage.format1.2"]
    assert rows_of(copies[0]) == old
    assert {row[1] for row in rows_of(copies[1])} == {"written by the old library"}


def rows_of(path: Path) -> list[tuple[str, str | None]]:
    """Return what a file says of its runs."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT uid, notes FROM run ORDER BY uid").fetchall()


@COPY
def test_upgrade_keeps_the_file_as_it_was(tmp_path: Path, ledger: Ledger) -> None:
    """And does not pass by one that is there: it may be of other rows."""
    check_copy(tmp_path)
    ledger.case()


@COPY
@pytest.mark.parametrize(
    "bug",
    [
        bugs.upgrade_that_keeps_no_copy,
        bugs.upgrade_that_writes_over_a_copy,
        bugs.upgrade_that_adds_a_copy_at_each_try,
    ],
    ids=lambda bug: bug.name,
)
def test_upgrade_copy_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """An upgrade without a way back does not pass."""
    with ledger.catches(bug.name):
        check_copy(tmp_path, bug)
