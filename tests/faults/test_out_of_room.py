"""Whatever runs out, each call says so and leaves nothing; what was acknowledged stays; with room the call works."""

from __future__ import annotations

from pathlib import Path

import jobs_room
import plants_room
import pytest
from jobs import done, may_mount
from ledger import Ledger
from plants import Bug

FULL = pytest.mark.faults("P6 P7", "F19-F24", "pages, inodes, bytes of a file, descriptors or memory run out")
MOUNTS = {"pages": "size=7m", "inodes": "nr_inodes=300"}
SOME = ["gc", "log large", "log small files", "pack", "create"]
"""Calls of the short form, for all that runs out but pages."""


def check_room(folder: Path, kind: str, calls: list[str], *, every: bool, bug: Bug | None = None) -> int:
    """Fail unless each call, tried with more and more room, fails clearly and then works; return the tries."""
    if kind in MOUNTS and not may_mount():
        pytest.skip("needs a mount namespace, to have a disk that is full")
    disk = folder / "disk"  # of its own: beside it may lie what is not the project's
    disk.mkdir()
    tried = done(jobs_room.sweep, disk, kind, calls, every, bug=bug, mount=MOUNTS.get(kind))
    return sum(tried.values())


@FULL
@pytest.mark.parametrize("kind", jobs_room.SCARCE)
def test_call_with_too_little_says_so_and_leaves_nothing(tmp_path: Path, ledger: Ledger, kind: str) -> None:
    """From nothing left to enough: an error with its place, or all of it."""
    calls = list(jobs_room.CALLS) if ledger.long or kind == "pages" else SOME

    ledger.case(check_room(tmp_path, kind, calls, every=ledger.long))


CAUGHT = {
    plants_room.bytes_that_find_no_place_are_not_told: ("inodes", "log large"),
    plants_room.errors_of_the_disk_pass_raw: ("file size", "download"),
    plants_room.errors_of_sqlite_pass_raw: ("pages", "alias"),
    plants_room.errors_name_no_path: ("file size", "log large"),
    plants_room.gc_needs_room_to_make_room: ("pages", "gc"),
    plants_room.a_pack_that_fails_leaves_its_draft: ("file size", "pack"),
    plants_room.a_creation_that_fails_leaves_its_draft: ("file size", "create"),
    plants_room.a_download_that_fails_leaves_its_file: ("file size", "download"),
    plants_room.the_name_is_committed_before_the_version: ("pages", "log"),
}


@FULL
@pytest.mark.parametrize("bug", CAUGHT, ids=lambda bug: bug.name)
def test_bug_where_something_runs_out_is_caught(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """Each is found by the sweep of the call it is in."""
    kind, call = CAUGHT[bug]

    with ledger.catches(bug.name):
        check_room(tmp_path, kind, [call], every=True, bug=bug)
