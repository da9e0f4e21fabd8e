"""Packing: one file that holds a project or a part of it, whole or not there, and opens where it lies."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import draft
from footprint import refused
from invariants import assert_nothing_left_over, assert_store_sound
from test_cli_support import call, good

import lineage
from lineage.content import CHUNK
from lineage.system import file_lock

LARGE = random.Random(1).randbytes(3 * CHUNK + 12_345)
MEDIUM = b"m" * 20_000


@pytest.fixture
def filled(project: lineage.Project) -> lineage.Project:
    """A pipeline of three runs with contents of every size, aliases, a link, a deleted version and garbage."""
    with project.start_run("load", id="load") as run:
        run.log_artifact(draft("data", {"large.bin": LARGE, "medium": MEDIUM, "small": "hi", "empty": b""}))
    with project.start_run("train", id="train", use=["data"]) as run:
        run.log({"loss": 0.5})
        run.log_artifact(draft("model", {"w": b"w" * 30_000}, type="model"), aliases=["best"], tags=["t"])
    with project.start_run("train", id="train2", use=["data"]) as run:
        run.log_artifact(draft("model", {"w": b"2" * 30_000}, type="model"))
    with project.start_run("eval", id="eval", use=["model:v1"]) as run:
        run.log_artifact(draft("report", {"r": "fine"}, type="report"))
    project.link("model:v0", "Best models")
    project.log_artifact(draft("gone", {"g": b"g" * 40_000}))
    project.delete_artifact("gone")
    return project


def packed(project: lineage.Project, name: str = "share.lineage", **options: Any) -> lineage.Project:
    """Pack a project and open the file."""
    report = project.pack(project.file.parent / name, **options)
    return lineage.open(report.file)


def contents(project: lineage.Project) -> dict[str, bytes]:
    """Return every file of every live version."""
    return {
        f"{version.reference}/{entry.path}": version.open(entry.path).read()
        for version in project.versions()
        for entry in version.files()
    }


def answers(project: lineage.Project) -> list[list[dict[str, object]]]:
    """Return what every view says."""
    views = (
        "runs",
        "artifacts",
        "versions",
        "edges",
        "reproductions",
        "files",
        "aliases",
        "alias_history",
        "metrics",
        "tags",
    )
    return [sorted(project.sql(f"SELECT * FROM {view}"), key=str) for view in views]


def failing(_: int) -> None:
    """Raise, as a caller's own code may."""
    raise ZeroDivisionError


# --- the whole of it ---


def test_pack_holds_everything_and_answers_as_it_is(filled: lineage.Project) -> None:
    """Every view, every byte and every question is the same in the one file, with no folder beside it."""
    share = packed(filled)

    assert answers(share) == answers(filled)
    assert contents(share) == contents(filled)
    assert [node.id for node in share.version("report").ancestors()] == [
        node.id for node in filled.version("report").ancestors()
    ]
    assert not share.blob_folder.exists()
    assert share.verify().problems == ()
    assert_nothing_left_over(share)


def test_pack_report_says_what_is_inside(filled: lineage.Project) -> None:
    """Counts, sizes and the digest that the file is sealed with."""
    report = filled.pack("share.lineage")

    assert (report.runs, report.artifacts, report.versions) == (4, 5, 6)
    assert (report.blobs, report.bytes) == (7, len(LARGE) + 20_000 + 2 + 30_000 * 2 + 4)
    assert (report.left_out, report.left_out_bytes) == (0, 0)
    assert report.size == Path(report.file).stat().st_size
    assert lineage.open(report.file).verify().seal == report.digest


def test_pack_again_gives_the_same_digest_whoever_packs(filled: lineage.Project) -> None:
    """From the project, from its packed file, from an unpacked one, from one it was merged into: one digest."""
    digest = filled.pack("one.lineage").digest
    unpacked = packed(filled, "two.lineage")
    unpacked.unpack()
    empty = lineage.open("empty.lineage")
    empty.merge("one.lineage")

    found = [
        project.pack(f"x{number}.lineage").digest
        for number, project in enumerate((filled, lineage.open("one.lineage"), unpacked, empty))
    ]

    assert found == [digest] * 4


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.version("model").update(description="new"),
        lambda p: p.run("train").update(notes="new"),
        lambda p: p.version("data").add_alias("gold"),
        lambda p: p.update_artifact("data", type="other"),
        lambda p: p.record("eval", consumed=["data"]),
        lambda p: p.log_artifact(draft("data", {"a": "new"})),
        lambda p: p.version("model:v1").delete(delete_aliases=True),
    ],
)
def test_pack_of_a_changed_project_has_another_digest(
    filled: lineage.Project, change: Callable[[lineage.Project], object]
) -> None:
    """The digest stands for everything."""
    before = filled.pack("one.lineage").digest

    change(filled)

    assert filled.pack("two.lineage").digest != before


def test_pack_of_a_version_of_another_project_keeps_its_node(filled: lineage.Project) -> None:
    """What is only a place in the graph stays one."""
    other = lineage.open("other.lineage")
    with other.start_run(use=[filled.version("model:v0")]):
        pass

    share = packed(other)

    assert [version.reference for version in share.runs()[0].used_artifacts()] == ["p/model:v0"]
    assert share.verify().problems == ()


def test_pack_of_an_empty_project_is_a_small_file(project: lineage.Project) -> None:
    """Large pages are for large contents."""
    report = project.pack("share.lineage")

    assert report.size < 400_000
    assert len(lineage.open(report.file).runs()) == 0


# --- opened in place ---


def test_packed_file_serves_any_range_of_a_large_content(filled: lineage.Project) -> None:
    """Reads anywhere, over the ends of pieces, to the end and beyond it."""
    file = packed(filled).version("data").open("large.bin")

    for start, length in [
        (0, 10),
        (CHUNK - 5, 10),
        (CHUNK, CHUNK),
        (2 * CHUNK + 7, 2 * CHUNK),
        (len(LARGE) - 3, 9),
        (5, 1),
    ]:
        file.seek(start)
        assert file.read(length) == LARGE[start : start + length]
    file.seek(len(LARGE) + 5)
    assert file.read(5) == b""
    file.seek(-4, os.SEEK_END)
    assert (file.tell(), file.read()) == (len(LARGE) - 4, LARGE[-4:])


def test_packed_file_downloads_without_unpacking(filled: lineage.Project, tmp_path: Path) -> None:
    """The folder is the one a live project gives."""
    folder = packed(filled).version("data").download(tmp_path / "out")

    assert (folder / "large.bin").read_bytes() == LARGE
    assert sorted(path.name for path in folder.iterdir()) == ["empty", "large.bin", "medium", "small"]


def test_packed_file_in_a_read_only_folder_is_read_and_left_as_it_is(filled: lineage.Project, tmp_path: Path) -> None:
    """Nothing appears beside it, and its bytes stay."""
    folder = tmp_path / "media"
    folder.mkdir()
    share = packed(filled, "media/share.lineage")
    before = share.file.read_bytes()
    share.file.chmod(0o444)
    folder.chmod(0o555)

    reader = lineage.open(share.file)

    assert reader.read_only
    assert contents(reader) == contents(filled)
    assert reader.verify().ok
    assert reader.pack(tmp_path / "copy.lineage").digest == filled.pack(tmp_path / "other.lineage").digest
    folder.chmod(0o755)
    assert [path.name for path in folder.iterdir()] == ["share.lineage"]
    assert share.file.read_bytes() == before


def test_packed_file_can_be_written_to_and_packed_again(filled: lineage.Project) -> None:
    """New bytes lie beside it; the seal is gone with the first write, and the next pack makes a new one."""
    share = packed(filled)
    version = share.log_artifact(draft("data", {"new": b"n" * 50_000}))

    assert version.reference == "data:v1"
    assert [path.parent.name for path in share.blob_folder.glob("??/*")] == [version.entry("new").digest[:2]]  # type: ignore[index]  # it has bytes
    assert share.verify().seal is None
    again = packed(share, "again.lineage")
    assert contents(again) == contents(share)
    assert again.verify().seal is not None
    assert_store_sound(share, strays=False)


def test_packed_file_does_not_store_known_bytes_again(filled: lineage.Project) -> None:
    """What lies inside is found when it is logged once more."""
    share = packed(filled)

    share.log_artifact(draft("copy", {"again": LARGE}))

    assert list(share.blob_folder.glob("??/*")) == []
    assert share.version("copy").open("again").read() == LARGE


def test_batch_that_fails_keeps_the_seal(filled: lineage.Project) -> None:
    """A write that is undone broke nothing."""
    share = packed(filled)
    seal = share.verify().seal

    with pytest.raises(ZeroDivisionError), share.batch():
        share.log_artifact(draft("x", {"a": "1"}))
        1 / 0  # noqa: B018 (it is to fail)

    assert share.verify().seal == seal is not None


def test_gc_and_repair_of_a_packed_file_do_no_harm(filled: lineage.Project) -> None:
    """Nothing is garbage, nothing is broken, nothing is left out."""
    share = packed(filled)

    assert share.gc(compact=True).blobs == 0
    assert share.repair(dry_run=False).actions == ()
    assert contents(share) == contents(filled)


# --- unpack ---


def test_unpack_makes_a_file_and_a_blob_folder(filled: lineage.Project) -> None:
    """Large contents lie beside it afterwards, small ones inside; a second call finds nothing."""
    share = packed(filled)
    told: list[int] = []

    report = share.unpack(progress=told.append)

    assert (report.blobs, report.bytes) == (4, sum(told))
    assert share.file.stat().st_size < len(LARGE)
    assert contents(share) == contents(filled)
    assert share.unpack().blobs == 0
    assert_nothing_left_over(share)


def test_unpack_of_what_cannot_be_written_is_refused(filled: lineage.Project) -> None:
    """It moves bytes, so it writes."""
    share = packed(filled)

    with pytest.raises(lineage.ReadOnlyError):
        lineage.open(share.file, read_only=True).unpack()
    with pytest.raises(lineage.StateError), share.batch():
        share.unpack()


def test_unpack_of_damaged_bytes_moves_nothing_of_them(filled: lineage.Project) -> None:
    """They stay where they are, and the error names them."""
    share = packed(filled)
    with closing(sqlite3.connect(share.file)) as connection, connection:
        connection.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE seq = 1")

    with pytest.raises(lineage.CorruptionError, match="are damaged"):
        share.unpack()

    assert [problem.kind for problem in share.verify().problems if problem.severity == "error"] == ["bytes-damaged"]


@pytest.mark.parametrize("wrong", ["other bytes", "fewer bytes", "a link"])
def test_unpack_sets_aside_what_lies_in_a_blobs_place(filled: lineage.Project, wrong: str) -> None:
    """Bytes inside go only where a file was hashed that holds them too; nothing that was there is lost."""
    share = packed(filled)
    digest = str(share.version("data").entry("large.bin").digest)
    place = share.blob_folder / digest[:2] / digest[2:]
    place.parent.mkdir(parents=True)
    if wrong == "a link":
        place.symlink_to("nowhere")
    else:
        place.write_bytes(b"x" * (len(LARGE) if wrong == "other bytes" else 5))

    share.unpack()

    assert contents(share) == contents(filled)
    assert [path.name.partition(".")[0] for path in (share.blob_folder / "quarantine").iterdir()] == [digest]
    assert_store_sound(share)


def test_unpack_takes_the_file_that_one_that_was_cut_off_has_written(filled: lineage.Project) -> None:
    """Good bytes beside the file are hashed and left as they are."""
    share = packed(filled)
    digest = str(share.version("data").entry("large.bin").digest)
    place = share.blob_folder / digest[:2] / digest[2:]
    place.parent.mkdir(parents=True)
    place.write_bytes(LARGE)
    place.chmod(0o444)
    before = place.stat()

    share.unpack()

    assert os.path.samestat(before, place.stat())
    assert contents(share) == contents(filled)


def test_bytes_that_were_left_out_count_nowhere_as_here(filled: lineage.Project) -> None:
    """What sizes, prune and gc tell is what is on the disk; the sizes of versions are what they were."""
    bare = packed(filled, content={"type": "model"})
    (size,) = bare.size("data")

    assert (size.total, size.own, size.shared) == (0, 0, 0)
    assert size.logical == bare.version("data").size > len(LARGE)
    bare.version("report").delete(delete_aliases=True)
    bare.log_artifact(draft("data", {"a": b"new"}))
    assert bare.prune(keep_last=1, artifact="data", keep_used=False, dry_run=True).bytes == 0
    bare.prune(keep_last=1, artifact="data", keep_used=False)
    dry, done = bare.gc(dry_run=True), bare.gc()
    assert (dry.bytes, done.bytes) == (0, 0)
    assert done.blobs == 5
    assert_store_sound(bare)


@pytest.mark.parametrize("path", ["large.bin", "small"])
@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_fill_brings_back_what_was_lost(filled: lineage.Project, harm: str, path: str) -> None:
    """A backup heals what versions name: what is missing, and what is damaged once repair has set it aside."""
    filled.pack("backup.lineage")
    digest = str(filled.version("data").entry(path).digest)
    file = filled.blob_folder / digest[:2] / digest[2:]
    if path == "small":
        change = "DELETE FROM chunk WHERE" if harm == "gone" else "UPDATE chunk SET data = x'0000' WHERE"
        with closing(sqlite3.connect(filled.file)) as connection, connection:
            connection.execute(f"{change} blob = (SELECT id FROM blob WHERE digest = ?)", [digest])
    elif harm == "gone":
        file.unlink()
    else:
        file.chmod(0o644)
        file.write_bytes(b"x" * len(LARGE))
    assert not filled.verify().ok

    actions = filled.repair(dry_run=False).actions
    report = filled.fill("backup.lineage")

    assert ["fill" in action.what for action in actions] == ([] if harm == "gone" else [True])
    assert (report.blobs, report.bytes) == (1, len(LARGE) if path == "large.bin" else 2)
    assert contents(filled) == contents(lineage.open("backup.lineage"))
    assert_store_sound(filled)
    assert filled.fill("backup.lineage").blobs == 0


def test_verify_of_bytes_that_are_gone_names_fill(filled: lineage.Project) -> None:
    """What heals a problem is said where it is told."""
    digest = str(filled.version("data").entry("large.bin").digest)
    (filled.blob_folder / digest[:2] / digest[2:]).unlink()

    (problem,) = [one for one in filled.verify().problems if one.severity == "error"]

    assert "fill" in problem.message


def test_fill_brings_nothing_that_no_version_names(filled: lineage.Project) -> None:
    """What gc would take is not missed."""
    filled.pack("backup.lineage")
    digest = str(filled.version("report").entry("r").digest)
    filled.version("report").delete(delete_aliases=True)
    with closing(sqlite3.connect(filled.file)) as connection, connection:
        connection.execute("DELETE FROM chunk WHERE blob = (SELECT id FROM blob WHERE digest = ?)", [digest])

    assert filled.fill("backup.lineage").blobs == 0


@pytest.mark.parametrize("place", [CHUNK, CHUNK + 7])
def test_unpack_under_a_reader_is_not_noticed(project: lineage.Project, place: int) -> None:
    """Who has begun to read a large file inside goes on in the one that lies beside by then."""
    data = random.Random(2).randbytes(10 * CHUNK)
    project.log_artifact(draft("data", {"a": data}))
    share = packed(project)

    with share.version("data").open("a") as whole, share.version("data").open("a") as jumping:
        head = whole.read(place)
        jumping.seek(9 * CHUNK)
        share.unpack()

        assert head + whole.read() == data
        assert jumping.read() == data[9 * CHUNK :]


def test_piece_that_is_missing_is_damage_to_its_reader(project: lineage.Project) -> None:
    """Where nothing lies beside the file, bytes that come to an end too early are no whole file."""
    project.log_artifact(draft("data", {"a": LARGE}))
    share = packed(project)

    with closing(sqlite3.connect(share.file)) as connection, connection:
        connection.execute("DELETE FROM chunk WHERE seq = 1")

    with pytest.raises(lineage.CorruptionError, match="are damaged"):
        share.version("data").open("a").read()


# --- while others write ---


def test_pack_through_a_handle_that_only_reads_keeps_gc_out(filled: lineage.Project) -> None:
    """Somebody else may write: the bytes of the state that is packed stay until it is."""
    reading, hasty, refusals = lineage.open(filled.file, read_only=True), lineage.open(filled.file, timeout=0), []

    def collect(_: int) -> None:
        with pytest.raises(lineage.BusyError) as caught:
            hasty.gc()
        refusals.append(caught.value)

    reading.pack("share.lineage", progress=collect)

    assert refusals
    assert lineage.open("share.lineage").verify().ok


def test_pack_in_a_batch_of_the_same_thread_does_not_wait_for_a_gc_behind_it(filled: lineage.Project) -> None:
    """The batch keeps gc out already; one that waits keeps newcomers out, and they would wait for each other."""
    reading = lineage.open(filled.file, read_only=True, timeout=0)

    with filled._store.storing(), file_lock(filled.blob_folder / "gate.lock", timeout=0):
        reading.pack("share.lineage")

    assert lineage.open("share.lineage").verify().ok


# --- whole or absent ---


def test_pack_does_not_overwrite_unless_told(filled: lineage.Project) -> None:
    """What lies there stays, byte for byte, until somebody says otherwise."""
    Path("share.lineage").write_text("theirs")

    with pytest.raises(lineage.ConflictError, match="is there already"):
        filled.pack("share.lineage")

    assert Path("share.lineage").read_text() == "theirs"
    filled.pack("share.lineage", overwrite=True)
    assert lineage.open("share.lineage").verify().ok


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("share.db", "InvalidInputError"),
        (".lineage", "InvalidInputError"),
        ("no/share.lineage", "NotFoundError"),
        ("p.lineage", "ConflictError"),
    ],
)
def test_pack_to_a_place_where_it_cannot_be_is_refused(filled: lineage.Project, path: str, error: str) -> None:
    """Before anything is written."""
    before = sorted(Path().iterdir())

    with pytest.raises(getattr(lineage, error)):
        filled.pack(path)

    assert sorted(Path().iterdir()) == before


def test_pack_over_a_project_that_is_open_is_refused(filled: lineage.Project) -> None:
    """A rename under an open project would lose what is written to it."""
    lineage.open("other.lineage")

    for name in ("p.lineage", "other.lineage"):
        with pytest.raises(lineage.InvalidInputError, match="open here"):
            filled.pack(name, overwrite=True)


def test_pack_that_fails_leaves_nothing(filled: lineage.Project) -> None:
    """Not under its name, and not under another; the same call works when the cause is gone."""
    before = sorted(path.name for path in Path().iterdir())

    with pytest.raises(ZeroDivisionError):
        filled.pack("share.lineage", progress=failing)

    assert sorted(path.name for path in Path().iterdir()) == before
    assert filled.pack("share.lineage").blobs == 7


def test_pack_of_damaged_bytes_is_refused(filled: lineage.Project) -> None:
    """No bytes leave unverified."""
    blob = max(filled.blob_folder.glob("??/*"), key=lambda path: path.stat().st_size)
    blob.chmod(0o644)
    with blob.open("r+b") as file:
        file.seek(CHUNK)
        file.write(b"flip")

    with pytest.raises(lineage.CorruptionError, match="are damaged"):
        filled.pack("share.lineage")
    blob.unlink()
    with pytest.raises(lineage.NotFoundError, match="run verify"):
        filled.pack("share.lineage")

    assert not Path("share.lineage").exists()
    assert filled.pack("share.lineage", content=False).left_out == 7


def test_pack_inside_a_block_is_refused(filled: lineage.Project) -> None:
    """A batch may still be undone."""
    with pytest.raises(lineage.StateError, match="leave the block"), filled.batch():
        filled.pack("share.lineage")


KILLED = """
import os, sys, lineage
project = lineage.open(sys.argv[1])
count = 0
def tell(size):
    global count
    count += 1
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), 9)
if sys.argv[2] == "0":
    from lineage.portable import packing
    packing.publish = lambda *_, **__: os.kill(os.getpid(), 9)
project.pack("share.lineage", progress=tell)
"""


@pytest.mark.parametrize("moment", [0, 1, 3, 6])
def test_pack_that_is_killed_leaves_no_file_and_the_next_one_cleans_up(filled: lineage.Project, moment: int) -> None:
    """At no instant does half a file bear the name; what the dead left goes with the next pack to that name."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(filled.file), str(moment)])

    assert done.returncode == -signal.SIGKILL
    assert not Path("share.lineage").exists()
    assert [path.name for path in Path().glob(".share*")] != []
    filled.pack("share.lineage")
    assert [path.name for path in Path().glob(".share*")] == []
    assert lineage.open("share.lineage").verify().ok


def test_pack_while_others_write_holds_one_state(filled: lineage.Project) -> None:
    """Each pack is sound and holds a beginning of what was written; writers are not disturbed."""
    stop = threading.Event()
    errors: list[Exception] = []

    def write() -> None:
        try:
            number = 0
            while not stop.is_set():
                number += 1
                with lineage.open(filled.file).start_run("w", use=["data"]) as run:
                    run.log_artifact(draft("stream", {"n": str(number).encode() * 9_000}))
        except Exception as error:  # noqa: BLE001 (told by the test)
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reports = [filled.pack(f"s{number}.lineage") for number in range(5)]
    finally:
        stop.set()
        writer.join()

    assert errors == []
    for report in reports:
        share = lineage.open(report.file)
        assert share.verify().problems == ()
        numbers = [version.number for version in share.versions({"name": "stream"})]
        assert sorted(numbers) == list(range(len(numbers)))


# --- a part of it ---


def test_pack_of_a_version_brings_its_whole_lineage(filled: lineage.Project) -> None:
    """All that is upstream is there, and nothing else; the numbers stay, with gaps."""
    share = packed(filled, select="report")

    assert sorted(version.reference for version in share.versions()) == ["data:v0", "model:v1", "report:v0"]
    assert sorted(run.id for run in share.runs()) == ["eval", "load", "train2"]
    assert [node.id for node in share.version("report").ancestors()] == [
        node.id for node in filled.version("report").ancestors()
    ]
    assert share.version("model").reference == "model:v1"
    assert share.verify().problems == ()


@pytest.mark.parametrize(
    ("options", "versions", "runs"),
    [
        ({"select": "model:v0"}, "data:v0 model:v0", "load train"),
        ({"select": "model:v0", "upstream": False}, "model:v0", ""),
        ({"select": "data", "downstream": True}, "data:v0 model:v0 model:v1 report:v0", "eval load train train2"),
        ({"select": "train"}, "data:v0", "load train"),
        ({"select": ["train", "model:v0"]}, "data:v0 model:v0", "load train"),
        ({"select": "model"}, "data:v0 model:v0 model:v1", "load train train2"),
        ({"select": "model", "versions": "latest"}, "data:v0 model:v1", "load train2"),
        ({"select": "model:best"}, "data:v0 model:v0", "load train"),
        ({"select": "Best models"}, "Best models:v0 data:v0 model:v0", "load train"),
        ({"versions": "aliased"}, "Best models:v0 data:v0 model:v0 model:v1 report:v0", "eval load train train2"),
        ({"versions": "latest", "upstream": False}, "Best models:v0 data:v0 model:v0 model:v1 report:v0", ""),
    ],
)
def test_pack_of_a_part_holds_what_was_asked_for(
    filled: lineage.Project, options: dict[str, Any], versions: str, runs: str
) -> None:
    """References, names, runs, up- and downstream, all versions or some; whatever it is, it is sound."""
    share = packed(filled, **options)

    assert sorted(version.reference for version in share.versions()) == sorted(_split(versions))
    assert sorted(run.id for run in share.runs()) == runs.split()
    assert share.verify().problems == ()
    assert all(share.version(version.name) for version in share.versions())
    assert contents(share) == {key: data for key, data in contents(filled).items() if key in contents(share)}


def _split(versions: str) -> list[str]:
    """Return references of a text; one name holds a blank."""
    return (
        versions.replace("Best models", "Best_models")
        .replace(" ", "\n")
        .replace("Best_models", "Best models")
        .split("\n")
    )


def test_pack_of_handles_takes_what_they_stand_for(filled: lineage.Project) -> None:
    """A Version, a Run and a Reference are as good as their names."""
    share = packed(filled, select=[filled.version("model:v0"), filled.run("eval"), lineage.Reference("data", number=0)])

    assert {run.id for run in share.runs()} == {"load", "train", "eval", "train2"}


def test_history_of_a_part_agrees_with_its_aliases(filled: lineage.Project) -> None:
    """Moves from and to what was left out end there; `latest` names the highest that is there."""
    share = packed(filled, select="model:v0")

    assert sorted(share.version("model:v0").aliases) == ["best", "latest"]
    assert [event.moved_to for event in share.alias_history("model:latest")][-1] == "model:v0"
    assert share.verify().problems == ()


def test_part_can_be_written_to_and_packed(filled: lineage.Project) -> None:
    """Numbers go on where the project's own were."""
    share = packed(filled, select="model:v0")

    assert share.log_artifact(draft("model", {"w": b"3"}, type="model")).reference == "model:v2"
    assert packed(share, "again.lineage").verify().problems == ()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"select": "nothing"}, "NotFoundError", "nothing is called 'nothing'"),
        ({"select": "data:v9"}, "NotFoundError", "no version 'data:v9'"),
        ({"select": [3]}, "InvalidInputError", "select 3"),
        ({"select": ""}, "InvalidInputError", "select ''"),
        ({"versions": "some"}, "InvalidInputError", "versions 'some'"),
        ({"content": "no"}, "InvalidInputError", "content 'no'"),
        ({"content": {"name": "x"}}, "InvalidInputError", "content"),
        ({"progress": 3}, "InvalidInputError", "progress 3"),
    ],
)
def test_pack_of_what_cannot_be_is_refused(
    filled: lineage.Project, options: dict[str, Any], error: str, words: str
) -> None:
    """The message names it, and nothing is written."""
    with pytest.raises(getattr(lineage, error), match=words):
        packed(filled, **options)

    assert list(Path().glob("*share*")) == []


# --- without all of its bytes ---


def test_bytes_left_out_are_known_and_no_damage(filled: lineage.Project) -> None:
    """Listings, sizes and digests are there; verify counts what was left out and finds nothing wrong."""
    share = packed(filled, content=False)
    report = share.verify()

    assert answers(share)[:3] == answers(filled)[:3]
    assert [entry.size for entry in share.version("data").files()] == [0, len(LARGE), 20_000, 2]
    assert (report.problems, report.left_out, report.blobs) == ((), 7, 0)
    assert {row["left_out"] for row in share.sql("SELECT left_out FROM files")} == {1}
    assert share.gc().blobs == 0
    assert share.repair(dry_run=False).remaining == ()


@pytest.mark.parametrize(
    "read", [lambda v: v.open("large.bin"), lambda v: v.open("small"), lambda v: v.download("out")]
)
def test_bytes_left_out_are_asked_for_in_vain_with_a_word_where_to_have_them(
    filled: lineage.Project, read: Callable[[lineage.Version], object]
) -> None:
    """The error says that they were left out, and what brings them."""
    with pytest.raises(lineage.NotFoundError, match="left out .*fill.* brings them") as caught:
        read(packed(filled, content=False).version("data"))

    assert caught.value.kind == "content-left-out"


def test_content_of_one_type_is_packed_alone(filled: lineage.Project) -> None:
    """The models' bytes are there, the others are known."""
    share = packed(filled, content={"type": "model"})

    assert share.version("model").open("w").read() == b"2" * 30_000
    assert share.verify().left_out == 5
    with pytest.raises(lineage.NotFoundError):
        share.version("data").open("small")


@pytest.mark.parametrize(("types", "unknown"), [("modle", "modle"), (["model", "dataset"], "dataset")])
def test_content_of_a_type_that_nothing_packed_has_is_refused(
    filled: lineage.Project, types: str | list[str], unknown: str
) -> None:
    """A misspelt type would leave out what was wanted; of a part of the project, its own types count."""
    with refused(filled, lineage.NotFoundError, f"nothing that is packed has type '{unknown}'; its types are 'model'"):
        filled.pack("share.lineage", select="model", upstream=False, content={"type": types})


def test_fill_brings_what_was_left_out(filled: lineage.Project) -> None:
    """From the live project or from a packed one; what neither has stays left out, and a second call does nothing."""
    models = packed(filled, "models.lineage", content={"type": "model"})
    share = packed(filled, content=False)
    told: list[int] = []

    first = share.fill(models, progress=told.append)
    second = share.fill(filled.file)

    assert (first.blobs, first.bytes, first.left_out) == (2, sum(told), 5)
    assert (second.blobs, second.left_out) == (5, 0)
    assert share.fill(filled).blobs == 0
    assert contents(share) == contents(filled)
    assert packed(share, "again.lineage").verify().seal == packed(filled, "other.lineage").verify().seal
    assert_nothing_left_over(share)


def test_log_of_bytes_left_out_brings_them(filled: lineage.Project) -> None:
    """Whoever has the file need not fill."""
    share = packed(filled, content=False)

    share.log_artifact(draft("copy", {"x": LARGE, "y": "hi"}))

    assert share.version("data").open("large.bin").read() == LARGE
    assert share.version("data").open("small").read() == b"hi"
    assert share.verify().left_out == 5


def test_draft_of_a_version_whose_bytes_were_left_out_is_refused(filled: lineage.Project) -> None:
    """A new version is whole, or it is not made; the message says what brings the bytes, and does it."""
    share = packed(filled, content=False)
    edited = share.version("data").new_draft()

    with pytest.raises(lineage.InvalidInputError, match="large.bin, .* are not in this project: .* fill") as caught:
        share.log_artifact(edited)

    assert caught.value.kind == lineage.ErrorKind.CONTENT_LEFT_OUT
    share.fill(filled)
    assert share.log_artifact(edited).open("large.bin").read() == LARGE


def test_delete_of_a_version_whose_bytes_were_left_out_leaves_no_trace_of_them(filled: lineage.Project) -> None:
    """A later gc takes the rows of what nobody names any more."""
    share = packed(filled, content=False)

    share.delete_artifact("data")
    share.gc()

    assert share.verify().left_out == 3


# --- the command line ---


def test_command_pack_prints_what_is_inside(filled: lineage.Project) -> None:
    """File, digest and counts; with --digest nothing but the digest; with --json a document."""
    lines = dict(line.split(None, 1) for line in good("--project", filled.file, "pack", "one.lineage").lines)
    digest = good("--project", filled.file, "pack", "two.lineage", "--digest").out.strip()
    document = good("--project", filled.file, "pack", "three.lineage", "--json").json

    assert lines["digest"] == digest == document["digest"]
    assert (document["runs"], document["left_out"]) == (4, 0)


def test_command_pack_takes_a_part(filled: lineage.Project) -> None:
    """What is selected, without bytes, over what was there."""
    Path("share.lineage").write_text("old")
    options = ["--no-content", "--overwrite", "--no-upstream", "--versions", "latest"]

    good("--project", filled.file, "pack", "share.lineage", "model", "eval", *options)

    share = lineage.open("share.lineage")
    assert [version.reference for version in share.versions()] == ["model:v1"]
    assert share.verify().left_out == 1
    assert call("--project", filled.file, "pack", "x.lineage", "--no-content", "--content-type", "model").code == 2


def test_command_verify_of_a_packed_file_prints_its_seal(filled: lineage.Project) -> None:
    """Who received it compares the digest; a part says what was left out; a changed file exits with 10."""
    digest = filled.pack("share.lineage", content={"type": "model"}).digest

    answer = good("verify", "share.lineage")

    assert answer.lines[-1] == f"sealed: {digest}"
    assert "5 blobs left out" in answer.out
    with closing(sqlite3.connect("share.lineage")) as connection, connection:
        connection.execute("UPDATE run SET name = 'forged' WHERE uid = 'train'")
    changed = call("verify", "share.lineage")
    assert changed.code == 10
    assert "seal" in changed.out


def test_command_unpack_and_fill_do_what_the_methods_do(filled: lineage.Project) -> None:
    """A facts line each, and documents."""
    filled.pack("bare.lineage", content=False)
    filled.pack("share.lineage")

    assert good("--project", "bare.lineage", "fill", "share.lineage", "--json").json["blobs"] == 7
    assert good("--project", "bare.lineage", "fill", "share.lineage").out.startswith("brought")
    assert good("--project", "share.lineage", "unpack", "--json").json["blobs"] == 4
    assert good("--project", "share.lineage", "unpack").out.startswith("moved")


def test_what_a_pack_left_that_was_killed_in_its_first_or_last_moments_goes_with_the_next(
    filled: lineage.Project,
) -> None:
    """It had no lock yet, or no more: an empty folder, or one whose lock nobody holds."""
    for name, inside in (("0", []), ("1", ["lock"]), ("2", ["lock", "draft", "compact"]), ("3", ["draft"])):
        folder = Path(f".share.lineage.{name * 16}.pack")
        folder.mkdir()
        for file in inside:
            (folder / file).write_text("left")

    filled.pack("share.lineage")

    assert list(Path().glob(".share*")) == []
