"""The clock may say anything: numbers, latest, lineage, gc and merge go by what was done, in the order it was done."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace

import plants_clock
import pytest
from conftest import draft
from invariants import assert_nothing_left_over, assert_store_sound
from ledger import Ledger
from plants import Bug, planted

import lineage
from lineage import values
from lineage.upkeep import deletion

CLOCK = pytest.mark.faults("P17", "F55-F57", "the clock stands ten years back, at 1970, or past 2038")
MOMENTS = {
    "now": datetime(2026, 5, 1, tzinfo=UTC),
    "ten years back": datetime(2016, 5, 1, tzinfo=UTC),
    "1970": datetime(1970, 1, 1, tzinfo=UTC),
    "past 2038": datetime(2039, 1, 20, tzinfo=UTC),
    "far away": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
}
FILE_TIMES = (0, 1, 2**31 + 1, 253_402_300_799)
LARGE = b"x" * 20_000


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Let the library's clock stand."""

    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # the plain class will do
            return moment.astimezone(tz)

    nanoseconds = int(moment.timestamp()) * 10**9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "datetime", Standing)
        patch.setattr(deletion, "datetime", Standing)
        patch.setattr(values, "time", SimpleNamespace(time_ns=lambda: nanoseconds))
        yield


def check_clock(project: lineage.Project, moments: list[datetime], bug: Bug | None = None) -> int:
    """Fail unless a chain of runs that is logged at these moments is as it would be at any others."""
    with planted(bug):
        for number, moment in enumerate(moments):
            with clock_at(moment):
                used = [f"d:v{number - 1}"] if number else []
                with project.start_run(id=f"r{number}", use=used) as run:
                    version = run.log_artifact(draft("d", {"a": LARGE + bytes([number])}), aliases=[f"at-{number}"])
                assert (version.number, project.version("d").number) == (number, number)
                project.log_artifact(draft("grown", {f"f{number}": "1", "last": str(number)}, incremental=True))
                assert project.version("grown").open("last").read() == str(number).encode()
        last = len(moments) - 1
        assert [one.number for one in project.versions(artifact="d", order="number")] == list(range(last + 1))
        assert len(project.ancestors(f"d:v{last}")) == 2 * last + 1
        assert project.depends_on(f"d:v{last}", "d:v0")
        assert not project.depends_on("d:v0", f"d:v{last}")
        assert len(project.version("grown").files()) == last + 2
        with clock_at(moments[-1]):
            _check_upkeep(project, last)
    return len(moments)


def _check_upkeep(project: lineage.Project, last: int) -> None:
    share = project.file.with_name("share.lineage")
    project.pack(share)
    other = lineage.open(project.file.with_name("other.lineage"))
    other.merge(share)
    other.merge(share)
    assert other.version("d").number == last
    pruned = project.prune("d", keep_last=1, keep_used=False, keep_aliased=False)
    assert pruned.versions == tuple(f"d:v{number}" for number in range(last))
    project.gc()
    for one in (project, other):
        assert_store_sound(one)
        assert_nothing_left_over(one)


def check_file_times(project: lineage.Project, moment: float, bug: Bug | None = None) -> int:
    """Fail unless gc and log do not care when a file says it was written."""
    with planted(bug):
        source = project.file.with_name("source")
        source.write_bytes(LARGE)
        os.utime(source, (moment, moment))
        try:
            project.log_artifact(source, "kept", "dataset")
        except lineage.LineageError as error:
            pytest.fail(str(error))
        project.log_artifact(draft("gone", {"a": LARGE + b"2"})).delete(delete_aliases=True)
        dead = project.blob_folder / "tmp" / "0123456789abcdef"
        shutil.copytree(project.blob_folder, dead, ignore=shutil.ignore_patterns("tmp"))
        for path in [*project.blob_folder.rglob("*"), project.file]:
            os.utime(path, (moment, moment))
        report = project.gc()
        assert (report.blobs, report.temporary) == (1, 1)
        assert project.version("kept").open("source").read() == LARGE
        assert_nothing_left_over(project)
    return 1


@CLOCK
@pytest.mark.parametrize("second", MOMENTS)
def test_log_after_the_clock_was_set_goes_on_as_before(project: lineage.Project, ledger: Ledger, second: str) -> None:
    """Whatever time the next log has, it is the next."""
    now, then = MOMENTS["now"], MOMENTS[second]

    ledger.case(check_clock(project, [now, then, now, then] if ledger.long else [now, then, now]))


@CLOCK
@pytest.mark.parametrize("moment", FILE_TIMES)
def test_gc_and_log_do_not_care_for_the_times_of_files(project: lineage.Project, ledger: Ledger, moment: float) -> None:
    """Files from 1970 and from the future are collected, or kept, as any."""
    ledger.case(check_file_times(project, moment))


@CLOCK
@pytest.mark.parametrize(
    "bug",
    [
        plants_clock.latest_goes_by_the_clock,
        plants_clock.the_newest_version_is_the_youngest,
        plants_clock.numbers_go_by_the_clock,
    ],
    ids=lambda bug: bug.name,
)
def test_bug_that_believes_the_clock_is_caught(project: lineage.Project, ledger: Ledger, bug: Bug) -> None:
    """One step back shows each."""
    with ledger.catches(bug.name):
        try:
            check_clock(project, [MOMENTS["now"], MOMENTS["ten years back"], MOMENTS["now"]], bug)
        except lineage.LineageError as error:
            pytest.fail(str(error))


@CLOCK
@pytest.mark.parametrize(
    "bug",
    [plants_clock.gc_goes_by_age, plants_clock.files_from_the_future_changed],
    ids=lambda bug: bug.name,
)
def test_bug_that_believes_the_times_of_files_is_caught(project: lineage.Project, ledger: Ledger, bug: Bug) -> None:
    """A file of tomorrow shows each."""
    with ledger.catches(bug.name):
        check_file_times(project, time.time() + 10**6, bug)
