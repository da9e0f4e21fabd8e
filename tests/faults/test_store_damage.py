"""A store that was damaged from outside: verify says so and names whom it hits, and no wrong byte is given out."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import plants_damage as bugs
import pytest
from conftest import draft
from forgery import LARGE, unmoved
from ledger import Ledger
from plants import Bug, planted

import lineage

BLOBS = pytest.mark.faults("P9 P10", "F111 F31", "blobs flipped, cut, missing, replaced: named, and never given out")
BITS = pytest.mark.faults("P9 P10", "F111", "every bit of a small blob")
DATABASE = pytest.mark.faults("P9 P10 P14", "F112", "flipped bits in the project file")
ROWS = pytest.mark.faults("P9", "F114", "rows edited by hand")

BACKUPS = pytest.mark.faults("P9 P10", "F113", "project file and blobs from backups of different days")

SMALL = b"sixteen bytes..."


@dataclass
class Yard:
    """A project with two versions that share bytes, and one that has nothing to do with them."""

    folder: Path

    @property
    def project(self) -> lineage.Project:
        """The project, opened anew."""
        return lineage.open(self.folder / "p.lineage")

    def path(self, content: bytes) -> Path:
        """Return where bytes lie beside the file."""
        from blake3 import blake3

        digest = blake3(content).hexdigest()
        return self.folder / "p.blobs" / digest[:2] / digest[2:]

    def sql(self, statement: str, *values: object) -> int:
        """Edit rows as somebody with a shell would."""
        with closing(sqlite3.connect(self.folder / "p.lineage", isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA ignore_check_constraints = ON")
            return connection.execute(statement, values).rowcount


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound project to copy."""
    folder = tmp_path_factory.mktemp("sound")
    project = lineage.open(folder / "p.lineage")
    with project.start_run("make", id="make", config={"lr": 1}) as run:
        run.log({"loss": 0.5})
        run.log_artifact(draft("hit", {"large": LARGE, "small": SMALL, "other": "1"}), aliases=["best"])
        run.log_artifact(draft("hit", {"large": LARGE, "small": SMALL, "other": "2"}))
    with project.start_run("use", id="use", use=["hit"]) as run:
        run.log_artifact(draft("unhurt", {"u": "u" * 20_000, "v": "v"}))
    project.link("unhurt:v0", "Best")
    return folder


@pytest.fixture
def yard(sound: Path, tmp_path: Path) -> Yard:
    """A copy to do harm to."""
    return fresh(sound, tmp_path)


def fresh(sound: Path, folder: Path) -> Yard:
    """Return a sound copy."""
    shutil.rmtree(folder / "yard", ignore_errors=True)
    shutil.copytree(sound, folder / "yard")
    return Yard(folder / "yard")


# --- bytes ---


def rewrite(path: Path, data: bytes) -> None:
    """Put other bytes into a blob's file."""
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def instead(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else in a blob's place."""
    path.unlink()
    make(path)


def linked(path: Path) -> None:
    """Put a link to the right bytes there."""
    path.with_name("elsewhere").write_bytes(LARGE)
    path.symlink_to("elsewhere")


BESIDE: dict[str, tuple[Callable[[Yard], object], str]] = {
    "a bit": (lambda yard: rewrite(yard.path(LARGE), b"m" + LARGE[1:]), "bytes-damaged"),
    "the last bit": (lambda yard: rewrite(yard.path(LARGE), LARGE[:-1] + b"f"), "bytes-damaged"),
    "zeros": (lambda yard: rewrite(yard.path(LARGE), bytes(len(LARGE))), "bytes-damaged"),
    "a byte less": (lambda yard: rewrite(yard.path(LARGE), LARGE[:-1]), "bytes-size"),
    "a byte more": (lambda yard: rewrite(yard.path(LARGE), LARGE + b"x"), "bytes-size"),
    "nothing": (lambda yard: rewrite(yard.path(LARGE), b""), "bytes-size"),
    "gone": (lambda yard: yard.path(LARGE).unlink(), "bytes-missing"),
    "the folder gone": (lambda yard: shutil.rmtree(yard.path(LARGE).parent), "bytes-missing"),
    "a folder": (lambda yard: instead(yard.path(LARGE), Path.mkdir), "bytes-replaced"),
    "a FIFO": (lambda yard: instead(yard.path(LARGE), os.mkfifo), "bytes-replaced"),
    "a link to the right bytes": (lambda yard: instead(yard.path(LARGE), linked), "bytes-replaced"),
    "a link to nowhere": (lambda yard: instead(yard.path(LARGE), lambda p: p.symlink_to("x")), "bytes-replaced"),
}
INSIDE: dict[str, tuple[str, tuple[object, ...], str]] = {
    "a bit": ("UPDATE chunk SET data = ? WHERE data = ?", (b"t" + SMALL[1:], SMALL), "bytes-damaged"),
    "zeros": ("UPDATE chunk SET data = zeroblob(16) WHERE data = ?", (SMALL,), "bytes-damaged"),
    "a byte less": ("UPDATE chunk SET data = ? WHERE data = ?", (SMALL[1:], SMALL), "bytes-size"),
    "a byte more": ("UPDATE chunk SET data = ? WHERE data = ?", (SMALL + b"x", SMALL), "bytes-size"),
    "nothing": ("UPDATE chunk SET data = x'' WHERE data = ?", (SMALL,), "bytes-size"),
    "gone": ("DELETE FROM chunk WHERE data = ?", (SMALL,), "bytes-missing"),
    "another piece": ("UPDATE chunk SET seq = 1 WHERE data = ?", (SMALL,), ""),
    "another's": ("UPDATE chunk SET data = x'75' WHERE data = ?", (SMALL,), "bytes-size"),
}


def check_named(yard: Yard, kind: str, bug: Bug | None = None) -> None:
    """See that verify names what is wrong, and both versions that it hits; it reads only, and exits not with 0."""
    with unmoved(yard.folder), planted(bug):
        report = yard.project.verify()
    errors = [problem for problem in report.problems if problem.severity == "error"]
    assert not report.ok
    assert {str(problem.kind) for problem in errors} == {kind}
    assert {versions for problem in errors for versions in problem.versions} >= {"hit:v0", "hit:v1"}
    assert not {"unhurt:v0"} & {version for problem in errors for version in problem.versions}


def check_not_given_out(yard: Yard, path: str, right: bytes, bug: Bug | None = None) -> None:
    """See that no way of reading gives other bytes than those that were logged: an error, or exactly those."""
    out = yard.folder.with_name("out")
    shutil.rmtree(out, ignore_errors=True)
    project = yard.project
    version = project.version("hit")
    ways: list[Callable[[], object]] = [
        lambda: version.download(out),
        lambda: version.checkout(out),
        lambda: version.download(out, paths=[path]),
    ]
    with unmoved(yard.folder), planted(bug):
        for way in ways:
            with pytest.raises(lineage.LineageError):
                way()
            assert not (out / path).exists()
            assert [one.name for one in out.iterdir() if one.name.startswith(".")] == []
        for size in (-1, 1, 7, 1 << 20):
            read_to_the_end(version, path, size, right)
        with pytest.raises(lineage.LineageError):
            project.pack(yard.folder.with_name("packed.lineage"))
        assert not yard.folder.with_name("packed.lineage").exists()
        assert (project.version("unhurt").download(out) / "v").read_bytes() == b"v"


def read_to_the_end(version: lineage.Version, path: str, size: int, right: bytes) -> None:
    """Read a file some bytes at a time: before its end is reached, there is an error, unless all is right."""
    found = b""
    try:
        with version.open(path) as file:
            while data := file.read(size):
                found += data
    except lineage.LineageError:
        return
    assert found == right
    pytest.fail(f"{path} was read as if nothing were wrong")


@BLOBS
def test_blobs_beside_the_file_that_are_damaged_are_named_and_not_given_out(
    sound: Path, tmp_path: Path, ledger: Ledger
) -> None:
    """Flipped, cut, longer, gone, a folder, a FIFO, a link: whom it hits is said."""
    for harm, kind in BESIDE.values():
        yard = fresh(sound, tmp_path)
        harm(yard)
        check_named(yard, kind)
        check_not_given_out(yard, "large", LARGE)
        ledger.case()


@BLOBS
def test_blobs_inside_the_file_that_are_damaged_are_named_and_not_given_out(
    sound: Path, tmp_path: Path, ledger: Ledger
) -> None:
    """The same for those that lie in rows."""
    for statement, values, kind in INSIDE.values():
        yard = fresh(sound, tmp_path)
        assert yard.sql(statement, *values) == 1
        if kind:
            check_named(yard, kind)
            check_not_given_out(yard, "small", SMALL)
        else:
            right_or_refused(yard)
        ledger.case()


def right_or_refused(yard: Yard) -> None:
    """See that whatever a download brings is what was logged."""
    out = yard.folder.with_name("out")
    shutil.rmtree(out, ignore_errors=True)
    for version in ("hit:v0", "hit:v1", "unhurt:v0"):
        try:
            folder = yard.project.version(version).download(out / version)
        except lineage.LineageError:
            continue
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENTS[version]


CONTENTS = {
    "hit:v0": {"large": LARGE, "small": SMALL, "other": b"1"},
    "hit:v1": {"large": LARGE, "small": SMALL, "other": b"2"},
    "unhurt:v0": {"u": b"u" * 20_000, "v": b"v"},
}


@BLOBS
def test_blobs_that_anybody_may_write_and_files_of_strangers_are_warned_of(yard: Yard, ledger: Ledger) -> None:
    """Nothing is lost by them, and all can still be had."""
    yard.path(LARGE).chmod(0o644)
    (yard.folder / "p.blobs" / "stranger").write_text("x")
    (yard.path(LARGE).parent / ("f" * 62)).write_text("stray")

    report = yard.project.verify()

    assert report.ok
    assert {str(one.kind) for one in report.problems} == {"bytes-writable", "foreign-file", "stray-file"}
    right_or_refused(yard)
    ledger.case(3)


@BLOBS
@pytest.mark.parametrize(
    ("bug", "what", "check"),
    [
        (bugs.bytes_are_not_looked_at, "a bit", "named"),
        (bugs.hashes_are_not_compared, "a bit", "named"),
        (bugs.sizes_are_not_compared, "a byte less", "named"),
        (bugs.versions_are_not_named, "a bit", "named"),
        (bugs.download_does_not_compare, "a bit", "given"),
        (bugs.open_does_not_compare, "a bit", "given"),
        (bugs.links_in_the_store_are_followed, "a link to the right bytes", "given"),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_damage_that_is_not_noticed_is_caught(yard: Yard, ledger: Ledger, bug: Bug, what: str, check: str) -> None:
    """Verify, download and open each need each of their looks."""
    harm, kind = BESIDE[what]
    harm(yard)
    with ledger.catches(bug.name):
        if check == "named":
            check_named(yard, kind, bug)
        else:
            check_not_given_out(yard, "large", LARGE, bug)


@BLOBS
@pytest.mark.parametrize("bug", [bugs.pack_takes_bytes_inside_as_they_lie, bugs.download_does_not_compare])
def test_damage_inside_the_file_that_is_not_noticed_is_caught(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """What lies in rows is hashed like any other bytes."""
    statement, values, _ = INSIDE["a bit"]
    yard.sql(statement, *values)
    with ledger.catches(bug.name):
        check_not_given_out(yard, "small", SMALL, bug)


@BLOBS
@pytest.mark.parametrize("bug", [bugs.folder_is_not_looked_through], ids=lambda bug: bug.name)
def test_strangers_that_are_not_seen_are_caught(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """What nobody looks through, nobody warns of."""
    with ledger.catches(bug.name), planted(bug):
        (yard.folder / "p.blobs" / "stranger").write_text("x")
        assert "foreign-file" in {str(one.kind) for one in yard.project.verify().problems}


def check_each_bit(yard: Yard, bits: list[int], bug: Bug | None = None) -> None:
    """Flip one bit after the other of a small blob."""
    for bit in bits:
        data = bytearray(SMALL)
        data[bit // 8] ^= 1 << bit % 8
        assert yard.sql("UPDATE chunk SET data = ? WHERE length(data) = 16", bytes(data)) == 1
        with planted(bug):
            project = yard.project
            assert "bytes-damaged" in {str(one.kind) for one in project.verify().problems}, bit
            with pytest.raises(lineage.CorruptionError):
                project.version("hit").open("small").read()
            with pytest.raises(lineage.CorruptionError):
                project.version("hit").download(yard.folder.with_name("bits"), paths=["small"])
        assert list(yard.folder.with_name("bits").iterdir()) == []
    yard.sql("UPDATE chunk SET data = ? WHERE length(data) = 16", SMALL)
    assert yard.project.verify().ok


@BITS
def test_every_bit_of_a_small_blob_is_found(yard: Yard, ledger: Ledger) -> None:
    """And not one of them is ever given out."""
    bits = list(range(8 * len(SMALL)))[:: 1 if ledger.long else 13]
    check_each_bit(yard, bits)
    ledger.case(len(bits))


@BITS
def test_bits_of_a_large_blob_are_found(yard: Yard, ledger: Ledger) -> None:
    """In each of its kilobytes; in the long form, in each byte of its first kilobyte too."""
    places = [*range(0, len(LARGE), 1_000 if ledger.long else 5_000), *(range(1_000) if ledger.long else ())]
    for place in places:
        data = bytearray(LARGE)
        data[place] ^= 1 << place % 8
        rewrite(yard.path(LARGE), bytes(data))
        assert not yard.project.verify().ok
        with pytest.raises(lineage.CorruptionError):
            yard.project.version("hit").download(yard.folder.with_name("bits"), paths=["large"])
        ledger.case()


@BITS
@pytest.mark.parametrize(
    "bug", [bugs.hashes_are_not_compared, bugs.download_does_not_compare], ids=lambda bug: bug.name
)
def test_bits_that_are_not_noticed_are_caught(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """One bit is enough."""
    with ledger.catches(bug.name):
        check_each_bit(yard, [5], bug)


# --- the project file ---


def check_flip(yard: Yard, whole: bytes, place: int, mask: int, bug: Bug | None = None) -> bool:
    """Flip a bit of the project file; return whether it was found. Else all that can be had is as it was."""
    file = yard.folder / "p.lineage"
    file.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
    with unmoved(yard.folder), planted(bug):
        try:
            project = lineage.open(file, create=False)
            ok = project.verify().ok
        except lineage.LineageError as error:
            assert str(error)
            return True
    assert_gc_takes_nothing(yard)
    if ok:
        right_or_refused(yard)
    return not ok


def assert_gc_takes_nothing(yard: Yard) -> None:
    """See that gc leaves the bytes, whatever the damaged file says."""
    try:
        lineage.open(yard.folder / "p.lineage").gc(dry_run=True)
    except lineage.LineageError as error:
        assert str(error)


@DATABASE
def test_flip_in_each_page_of_the_project_file_is_found_or_without_effect(yard: Yard, ledger: Ledger) -> None:
    """Opening or verifying says so, and writes nothing; else what can be downloaded is what was logged."""
    import random

    chance = random.Random(11)
    whole = (yard.folder / "p.lineage").read_bytes()
    pages = range(len(whole) // 4096)
    found = 0
    for page in pages if ledger.long else chance.sample(pages, 12):
        used = [place for place in range(4096) if whole[page * 4096 + place]] or [0]
        for place in chance.sample(used, min(len(used), 40 if ledger.long else 2)):
            found += check_flip(yard, whole, page * 4096 + place, 1 << chance.randrange(8))
            ledger.case()
    assert found > 3


@DATABASE
@pytest.mark.parametrize("bug", [bugs.parts_are_not_hashed], ids=lambda bug: bug.name)
def test_flips_of_listings_that_are_not_noticed_are_caught(yard: Yard, ledger: Ledger, bug: Bug) -> None:
    """A letter of a path, in the row and in its index, is no damage that SQLite knows of."""
    with ledger.catches(bug.name), planted(bug):
        assert yard.sql("UPDATE entry SET path = 'larger' WHERE path = 'large'") > 0
        kinds = {str(one.kind) for one in yard.project.verify().problems}
        assert "part-digest" in kinds


# --- rows ---

EDITS: list[tuple[str, str]] = [
    ("UPDATE consumed SET version = 99", "foreign-key"),
    ("UPDATE produced SET run = 99 WHERE version = 1", "foreign-key"),
    ("DELETE FROM run WHERE uid = 'make'", "foreign-key"),
    ("DELETE FROM version WHERE number = 0 AND artifact = 1", "numbering"),
    ("UPDATE artifact SET next_number = 0 WHERE name = 'hit'", "numbering"),
    ("UPDATE artifact SET next_number = 9 WHERE name = 'hit'", "numbering"),
    ("INSERT INTO consumed (run, version) SELECT run, version FROM produced WHERE version = 1", "own-input"),
    ("INSERT INTO consumed (run, version) SELECT 1, max(version) FROM produced", "cycle"),
    ("UPDATE manifest SET file_count = file_count + 1", "manifest-counts"),
    ("UPDATE manifest SET size = size + 1", "manifest-counts"),
    ("UPDATE manifest_part SET part = (SELECT max(id) FROM part) WHERE manifest = 1", "manifest-digest"),
    ("DELETE FROM entry WHERE path = 'large'", "part-digest"),
    ("UPDATE entry SET path = '../evil' WHERE path = 'large'", "path"),
    ("UPDATE entry SET blob = (SELECT max(id) FROM blob) WHERE path = 'large'", "part-digest"),
    ("UPDATE blob SET size = size + 1 WHERE size = 20000", "bytes-size"),
    ("UPDATE blob SET digest = substr(digest, 2) || 'z' WHERE size = 16", "bytes-damaged"),
    ("DELETE FROM alias WHERE name = 'latest'", "latest-missing"),
    ("UPDATE alias SET version = 3 WHERE name = 'best'", "alias-target"),
    ("DELETE FROM alias_event WHERE name = 'best'", "alias-history"),
    ("UPDATE run SET config = '{'", "json"),
    ("UPDATE version SET metadata = '[1]'", "json"),
    ("UPDATE metric SET value = NULL, document = '{'", "json"),
    ("UPDATE version SET uid = 'I' || substr(uid, 2)", "uid"),
    ("UPDATE artifact SET name = '../x' WHERE name = 'hit'", "name"),
    ("UPDATE artifact SET deleted_at = created_at WHERE name = 'hit'", "deletion"),
    ("UPDATE link SET source = 1", "link"),
    ("UPDATE artifact SET project = 'p', project_uid = uid WHERE name = 'hit'", "foreign-version"),
    ("INSERT INTO run_tag (run, tag) VALUES (99, 'x')", "foreign-key"),
]
"""What somebody does with the sqlite3 shell, and what verify calls it."""


def check_edit_found(yard: Yard, statement: str, kind: str, bug: Bug | None = None) -> None:
    """Edit rows and verify: the kind is named, nothing is changed."""
    assert yard.sql(statement) > 0, statement
    with unmoved(yard.folder), planted(bug):
        report = yard.project.verify()
    assert not report.ok, statement
    assert kind in {str(one.kind) for one in report.problems if one.severity == "error"}, (statement, report.problems)


@ROWS
def test_rows_edited_by_hand_are_found(sound: Path, tmp_path: Path, ledger: Ledger) -> None:
    """An edge, a count, a key, a name: each by its own kind."""
    for statement, kind in EDITS:
        check_edit_found(fresh(sound, tmp_path), statement, kind)
        ledger.case()


@ROWS
@pytest.mark.parametrize(
    ("bug", "edit"),
    [
        (bugs.rows_are_not_checked, 0),
        (bugs.rows_are_not_checked, 7),
        (bugs.listings_are_not_hashed, 8),
        (bugs.parts_are_not_hashed, 12),
    ],
    ids=lambda one: one.name if isinstance(one, Bug) else "",
)
def test_edits_that_are_not_found_are_caught(yard: Yard, ledger: Ledger, bug: Bug, edit: int) -> None:
    """Each check is the only one for something."""
    with ledger.catches(bug.name):
        check_edit_found(yard, *EDITS[edit], bug)


# --- backups ---


def check_backup(yard: Yard, which: str, bug: Bug | None = None) -> None:
    """Put back an older half of a project: verify names what is missing, or warns of what nothing names."""
    before = yard.folder.with_name("before")
    shutil.copytree(yard.folder, before)
    yard.project.log_artifact(draft("late", {"late": LARGE[::-1]}))
    if which == "blobs":
        yard.path(LARGE[::-1]).unlink()
    else:
        shutil.copy(before / "p.lineage", yard.folder / "p.lineage")
    shutil.rmtree(before)
    with planted(bug):
        report = yard.project.verify()
    found = {(str(one.kind), one.severity, one.versions) for one in report.problems}
    expected = {
        "blobs": {("bytes-missing", "error", ("late:v0",))},
        "file": {("stray-file", "warning", ()), ("older-file", "error", ())},
    }
    assert found == expected[which]
    right_or_refused(yard)


@BACKUPS
def test_halves_of_a_project_from_different_days_are_told(sound: Path, tmp_path: Path, ledger: Ledger) -> None:
    """Older blobs miss bytes, whose versions are named; an older file leaves bytes that nothing names."""
    for which in ("blobs", "file"):
        check_backup(fresh(sound, tmp_path), which)
        ledger.case()


@BACKUPS
@pytest.mark.parametrize(
    ("bug", "which"),
    [(bugs.bytes_are_not_looked_at, "blobs"), (bugs.folder_is_not_looked_through, "file")],
    ids=lambda one: one.name if isinstance(one, Bug) else one,
)
def test_halves_that_are_not_told_are_caught(yard: Yard, ledger: Ledger, bug: Bug, which: str) -> None:
    """Neither half knows of the other by itself."""
    with ledger.catches(bug.name):
        check_backup(yard, which, bug)
