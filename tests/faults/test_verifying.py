"""Verify finds each damaged blob, whole or in pieces, interrupted or not, and never ends with 0 when it found one."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import plants_verifying as bugs
import pytest
from conftest import draft
from ledger import Ledger
from plants import Bug, planted
from test_cli_support import call

import lineage
from lineage.upkeep import consistency, integrity

EACH = pytest.mark.faults("P9", "F111 F112", "each blob damaged in turn: named with its versions, exit status 10")
PIECES = pytest.mark.faults("P9", "F111", "verify stopped after so many bytes, or by Ctrl-C, and gone on with")
UNREAD = pytest.mark.faults("P9", "F31 F111", "what cannot be read is an error, and the exit status is not 0")
MEMORY = pytest.mark.faults("P9 P23", "", "what verify holds does not grow with the blobs")

Damage = Callable[[lineage.Project, str], None]


def filled(folder: Path, small: int = 3, large: int = 3) -> lineage.Project:
    """A project with blobs inside and beside the file, one of them longer than a megabyte."""
    project = lineage.open(folder / "p.lineage")
    files: dict[str, str | bytes] = {f"small{number}": f"{number}" * 100 for number in range(small)}
    files |= {f"large{number}": bytes([number]) * (20_000 + (number == 0) * (2 << 20)) for number in range(large)}
    project.log_artifact(draft("data", files))
    return project


def digests(project: lineage.Project) -> list[str]:
    """Return the digests of all blobs, in their order."""
    return [row["digest"] for row in project.sql("SELECT digest FROM blob ORDER BY digest")]


def path_of(project: lineage.Project, digest: str) -> Path:
    """Return where a blob beside the project lies."""
    return project.blob_folder / digest[:2] / digest[2:]


# --- damage ---


def flipped(project: lineage.Project, digest: str, bit: int = -1) -> None:
    """Flip a bit, the last one if not said, in whichever place the bytes are."""
    path = path_of(project, digest)
    if path.exists():
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        path.chmod(0o444)
        return
    with closing(sqlite3.connect(project.file)) as connection, connection:
        query = "SELECT c.id, c.data FROM chunk c JOIN blob b ON b.id = c.blob WHERE b.digest = ?"
        key, found = connection.execute(query, (digest,)).fetchone()
        data = bytearray(found)
        data[bit // 8] ^= 1 << bit % 8
        connection.execute("UPDATE chunk SET data = ? WHERE id = ?", (bytes(data), key))


def named(report: lineage.VerifyReport) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return what a report says of bytes."""
    return [
        (problem.kind.value, problem.subject, problem.versions)
        for problem in report.problems
        if problem.kind.startswith("bytes-")
    ]


# --- each blob ---


def check_each(folder: Path, bits: range, bug: Bug | None = None) -> int:
    """Damage each blob in turn, and see that it is named and the exit status says so."""
    project = filled(folder)
    tried = 0
    with planted(bug):
        assert project.verify().problems == ()
        for digest in digests(project):
            for bit in bits:
                flipped(project, digest, bit)
                report = project.verify()
                assert named(report) == [("bytes-damaged", digest, ("data:v0",))]
                assert not report.ok
                assert bit != bits[0] or call("verify", "--project", project.file).code == 10
                flipped(project, digest, bit)
                tried += 1
    return tried


@EACH
def test_verify_names_each_damaged_blob(tmp_path: Path, ledger: Ledger) -> None:
    """Inside or beside, first or last, short or longer than a buffer; in the long form, at many bits."""
    ledger.case(check_each(tmp_path, range(-1, -800, -17) if ledger.long else range(-1, -3, -1)))


@EACH
@pytest.mark.parametrize(
    "bug",
    [
        bugs.verify_that_skips_the_last_blob,
        bugs.verify_that_looks_at_files_only,
        bugs.verify_that_hashes_the_first_megabyte,
    ],
    ids=lambda bug: bug.name,
)
def test_verify_each_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """One blob that is passed over is enough."""
    with ledger.catches(bug.name):
        check_each(tmp_path, range(-1, -2, -1), bug)


# --- in pieces ---


def in_pieces(project: lineage.Project, limit: int) -> list[lineage.VerifyReport]:
    """Verify some bytes at a time until all are done."""
    reports = [project.verify(limit=limit)]
    while reports[-1].next_after is not None:
        assert len(reports) < 100, "it does not come to an end"
        reports.append(project.verify(after=reports[-1].next_after, limit=limit))
    return reports


def interrupted(project: lineage.Project, pieces: int) -> list[lineage.VerifyReport]:
    """Verify, press Ctrl-C after so many pieces of bytes, and go on."""
    left = [pieces]

    def press(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        project.verify(progress=press)
    first: lineage.VerifyReport = stop.value.report  # type: ignore[attr-defined]
    assert first.next_after is not None
    return [first, project.verify(after=first.next_after)]


def check_pieces(
    folder: Path, verify: Callable[[lineage.Project], list[lineage.VerifyReport]], bug: Bug | None
) -> None:
    """See that the pieces together are the whole, also where every other blob is damaged."""
    project = filled(folder)
    everything = digests(project)
    for digest in everything[::2]:
        flipped(project, digest)
    whole = project.verify()
    assert [subject for _, subject, _ in named(whole)] == everything[::2]
    with planted(bug):
        reports = verify(project)
        assert len(reports) > 1
        assert [one for report in reports for one in named(report)] == named(whole)
        assert sum(report.blobs for report in reports) == whole.blobs == len(everything)
        assert sum(report.bytes for report in reports) == whole.bytes
        assert [report.after for report in reports[1:]] == [report.next_after for report in reports[:-1]]
        assert reports[-1].next_after is None


@PIECES
@pytest.mark.parametrize("limit", [1, 301, 20_001])
def test_verify_in_pieces_is_the_whole(tmp_path: Path, ledger: Ledger, limit: int) -> None:
    """Each blob is looked at once, and one that is larger than the limit is no end."""
    check_pieces(tmp_path, lambda project: in_pieces(project, limit), None)
    ledger.case()


@PIECES
@pytest.mark.parametrize("pieces", range(5))
def test_verify_that_is_interrupted_goes_on(tmp_path: Path, ledger: Ledger, pieces: int) -> None:
    """Whichever piece of bytes Ctrl-C came after, in the middle of a blob too."""
    check_pieces(tmp_path, lambda project: interrupted(project, pieces), None)
    ledger.case()


@PIECES
@pytest.mark.parametrize(
    "bug",
    [
        bugs.verify_that_passes_over_one_where_it_goes_on,
        bugs.verify_that_says_it_is_done,
        bugs.verify_that_skips_the_last_blob,
    ],
    ids=lambda bug: bug.name,
)
def test_verify_pieces_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A piece that is lost between two calls does not pass."""
    with ledger.catches(bug.name):
        check_pieces(tmp_path, lambda project: in_pieces(project, 20_001), bug)


def test_verify_command_says_where_to_go_on(tmp_path: Path) -> None:
    """What it prints, and its document, lead to the end; damage found on the way is an exit status."""
    project = filled(tmp_path)
    first, *_, last = digests(project)
    flipped(project, last)
    begin = call("verify", "--project", project.file, "--max-bytes", "1B")
    rest = call("verify", "--project", project.file, "--after", first, "--json")

    assert (begin.code, f"go on with --after {first}" in begin.out) == (0, True)
    document = json.loads(rest.out)
    assert (rest.code, document["after"], document["next_after"]) == (10, first, None)
    assert call("verify", "--project", project.file, "--after", last[:8]).code == 10
    assert call("verify", "--project", project.file, "--after", "f" * 64).code == 0


def test_verify_command_that_is_interrupted_exits_with_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It still says what it found, and where to go on."""
    project = filled(tmp_path)
    kept = lineage.Project.verify

    def verify(self: lineage.Project, **options: object) -> lineage.VerifyReport:
        def press(_: int) -> None:
            raise KeyboardInterrupt

        return kept(self, **{**options, "progress": press})  # type: ignore[arg-type]

    monkeypatch.setattr(lineage.Project, "verify", verify)
    answer = call("verify", "--project", project.file)

    assert (answer.code, "not all bytes were looked at" in answer.out) == (130, True)


@pytest.mark.parametrize("after", ["xyz", "A" * 8, "0" * 65, "../etc", 7, None, b"00"])
def test_verify_after_what_is_no_digest_is_refused(project: lineage.Project, after: object) -> None:
    """It would pass over everything and say ok."""
    with pytest.raises(lineage.InvalidInputError, match="after"):
        project.verify(after=after)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "10GB", True])
def test_verify_up_to_what_is_no_size_is_refused(project: lineage.Project, limit: object) -> None:
    """It would look at nothing and say ok."""
    with pytest.raises(lineage.InvalidInputError, match="limit"):
        project.verify(limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "code"),
    [("10GB", 0), ("1.5 MiB", 0), ("100", 0), ("2t", 0), ("ten", 2), ("-1", 2), ("", 2), ("0", 2), ("1e9", 2)],
)
def test_verify_command_takes_sizes_as_people_write_them(project: lineage.Project, text: str, code: int) -> None:
    """What is none is a usage error, and not a size that somebody guessed."""
    assert call("verify", "--project", project.file, f"--max-bytes={text}").code == code


# --- what cannot be read ---


def shard_is_a_file(project: lineage.Project, digest: str) -> None:
    """The folder of a blob is a file."""
    shard = path_of(project, digest).parent
    shard.rename(project.file.with_name("aside"))
    shard.write_text("no folder")


def disk_refuses(project: lineage.Project, digest: str) -> None:
    """The file is a folder, as a read error is hard to come by."""
    path = path_of(project, digest)
    path.unlink()
    path.mkdir()


def gone(project: lineage.Project, digest: str) -> None:
    """The file is gone."""
    path_of(project, digest).unlink()


def check_unread(folder: Path, damage: Damage, bug: Bug | None = None) -> None:
    """Make bytes unreadable, and see that this is an error with and without reading content."""
    project = filled(folder, small=0, large=1)
    (digest,) = digests(project)
    damage(project, digest)
    with planted(bug):
        for options in ((), ("--no-content",), ("--json",), ("--max-bytes", "1GB")):
            assert call("verify", "--project", project.file, *options).code == 10
        assert [(subject, versions) for _, subject, versions in named(project.verify())] == [(digest, ("data:v0",))]
        assert call("verify", "--project", project.file, "--after", digest).code in {0, 10}


@UNREAD
@pytest.mark.parametrize("damage", [shard_is_a_file, disk_refuses, gone])
def test_verify_of_what_cannot_be_read_is_an_error(tmp_path: Path, ledger: Ledger, damage: Damage) -> None:
    """Nothing was seen to be wrong there, as nothing was seen."""
    check_unread(tmp_path, damage)
    ledger.case()


@UNREAD
@pytest.mark.parametrize(
    "bug",
    [bugs.verify_that_passes_over_what_cannot_be_read, bugs.report_that_is_ok_without_content],
    ids=lambda bug: bug.name,
)
def test_verify_unread_check_sees(tmp_path: Path, ledger: Ledger, bug: Bug) -> None:
    """A verify that says ok after it could not read does not pass."""
    with ledger.catches(bug.name):
        check_unread(tmp_path, shard_is_a_file, bug)


# --- memory ---


def held(folder: Path, count: int, bug: Bug | None) -> int:
    """Return the most bytes that verify holds of a project with so many blobs.

    The lesser of two calls: now and then the interpreter's table of interned names, pathlib's among them, grows.
    """
    folder.mkdir()
    project = lineage.open(folder / "p.lineage")
    with project.batch():
        for begin in range(0, count, 100):
            files: dict[str, str | bytes] = {f"{number}": f"{number}" for number in range(begin, begin + 100)}
            project.log_artifact(draft(f"data{begin}", files))
    with planted(bug):
        project.verify(limit=1)  # what the first call imports is not its own
        return min(_peak(project.verify) for _ in range(2))


def _peak(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_memory(folder: Path, more: int, bug: Bug | None = None) -> None:
    """See that some times the blobs take no more memory, but for the few artifacts that hold them."""
    few, many = held(folder / "few", 300, bug), held(folder / "many", 300 * more, bug)
    assert many - few < 10 * 300 * (more - 1), "bytes for each blob more"


@pytest.fixture
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it look at fewer at once, so that the windows of the smaller project are full too."""
    monkeypatch.setattr(integrity, "_BLOBS_AT_ONCE", 50)
    monkeypatch.setattr(consistency, "_PARTS_AT_ONCE", 2)
    monkeypatch.setattr(consistency, "_ENTRIES_AT_ONCE", 100)


@MEMORY
@pytest.mark.usefixtures("_small_windows")
def test_verify_holds_no_more_of_more_blobs(tmp_path: Path, ledger: Ledger) -> None:
    """A window of them, whatever their number."""
    check_memory(tmp_path, 20 if ledger.long else 4)
    ledger.case()


@MEMORY
@pytest.mark.usefixtures("_small_windows")
def test_verify_memory_check_sees_who_holds_all(tmp_path: Path, ledger: Ledger) -> None:
    """A list of all digests does not pass."""
    bug = bugs.verify_that_holds_all_blobs
    with ledger.catches(bug.name):
        check_memory(tmp_path, 4, bug)
