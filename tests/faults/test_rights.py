"""Where nothing may be written, everything can be read and nothing is changed; each write says what is missing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import jobs_rights
import plants_rights
import pytest
from jobs import done, may_mount
from ledger import Ledger
from plants import Bug

RIGHTS = pytest.mark.faults("P7 P14", "F33 F34", "read-only files, folders and mounts, and other users' projects")
FEW = pytest.mark.faults("P7", "F34 F40 F69", "umask 077, an unreadable file among others, 32 descriptors")
WAYS = ["read-only folder", "read-only file", "another user's", "another user's, locks shut", "read-only mount"]
_NEW = {"pack here", "download here", "create here"}
FREE = {"read-only file": _NEW, "another user's, locks shut": _NEW - {"pack here"}}
"""What may be done there: a folder that is open to all takes new files."""


@pytest.fixture
def open_place(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that every user may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def check_rights(folder: Path, way: str, bug: Bug | None = None) -> int:
    """Fail unless all reads work, all writes are refused, and nothing has changed."""
    if way == "read-only mount":
        if not may_mount():
            pytest.skip("needs a mount namespace, to have a read-only mount")
        (folder / "p").mkdir()
        told = done(jobs_rights.try_all, folder, way, bug=bug, mount="size=20m", at="p", nobody=True)
    else:
        told = done(jobs_rights.try_all, folder, way, bug=bug, nobody=True)
    for name, words in told.items():
        if name in FREE.get(way, ()):
            assert words == "done", (name, words)
        else:
            assert words.startswith(("ReadOnlyError: ", "StorageError: ")), (name, words)
            assert "'/" in words, (name, words)
    return len(told) + len(jobs_rights.READS)


@RIGHTS
@pytest.mark.parametrize("way", WAYS)
def test_project_without_rights_is_read_and_left_alone(open_place: Path, ledger: Ledger, way: str) -> None:
    """Also by root on a read-only mount, and by users who may write the file and not its locks."""
    ledger.case(check_rights(open_place, way))


@RIGHTS
@pytest.mark.parametrize(
    "bug",
    [plants_rights.a_project_is_taken_for_writable, plants_rights.opening_touches_the_file],
    ids=lambda bug: bug.name,
)
def test_bug_where_nothing_may_be_written_is_caught(open_place: Path, ledger: Ledger, bug: Bug) -> None:
    """One writes, one takes the folder for its own."""
    with ledger.catches(bug.name):
        check_rights(open_place, "read-only file", bug)


@FEW
def test_other_users_of_a_closed_project_are_told(open_place: Path, ledger: Ledger) -> None:
    """With umask 077 nobody else gets in, by an error of ours."""
    refused = done(jobs_rights.as_two_users, open_place, nobody=True)

    assert refused == 3
    ledger.case(refused)


def check_unreadable(folder: Path, bug: Bug | None = None) -> int:
    """Fail unless the file that cannot be read is named, and nothing is logged."""
    told = done(jobs_rights.unreadable_in_the_middle, folder, bug=bug, nobody=True)
    assert "closed" in told
    assert "Permission denied" in told
    return 1


def check_descriptors(folder: Path, bug: Bug | None = None) -> int:
    """Fail unless 1,000 files need no more than 32 descriptors."""
    assert done(jobs_rights.many_files, folder, bug=bug) == 1_000
    return 1_000


@FEW
@pytest.mark.parametrize("check", [check_unreadable, check_descriptors])
def test_folder_is_logged_whole_or_not_at_all(open_place: Path, ledger: Ledger, check: object) -> None:
    """Whatever may not be opened, or not at once."""
    assert callable(check)
    ledger.case(check(open_place))


@FEW
@pytest.mark.parametrize(
    ("bug", "check"),
    [
        (plants_rights.what_cannot_be_read_is_left_out, check_unreadable),
        (plants_rights.files_that_are_read_stay_open, check_descriptors),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_bug_with_what_may_be_opened_is_caught(open_place: Path, ledger: Ledger, bug: Bug, check: object) -> None:
    """Files that are passed by, and files that stay open."""
    assert callable(check)
    with ledger.catches(bug.name):
        check(open_place, bug)
