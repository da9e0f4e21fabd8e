"""Files from elsewhere may be hostile: what is forged is refused with a clear error, and changes nothing."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import draft
from invariants import assert_store_sound
from test_merge_laws import facts_of, seal_of

import lineage
from lineage.sealing import compute_seal
from lineage.values import new_uid

PAGE = 4096


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed file with a bit of everything."""
    folder = tmp_path_factory.mktemp("share")
    other = lineage.open(folder / "other.lineage")
    other.log_artifact(draft("abroad", {"x": "x"}))
    project = lineage.open(folder / "p.lineage")
    with project.start_run("load", id="load", config={"lr": 0.1}, tags=["t"], use=[other.version("abroad")]) as run:
        run.log({"loss": 0.5, "image": "text"})
        made = draft("data", {"a": "1", "dir/b": b"b" * 20_000}, metadata={"k": 1}, description="words")
        made.add_reference("s3://bucket/key")
        run.log_artifact(made, tags=["t"])
    with project.start_run("train", id="train", use=["data"]) as run:
        run.log_artifact(draft("model", {"w": "1"}, type="model"), aliases=["best"])
    with project.start_run("train", id="again", use=["data"]) as run:
        run.log_artifact(draft("model", {"w": "1"}, type="model"))
        run.log_artifact(draft("model", {"w": "2"}, type="model"))
    project.link("model:v0", "Best models")
    return Path(project.pack(folder / "share.lineage").file)


@pytest.fixture
def theirs(share: Path, tmp_path: Path) -> Path:
    """A copy of it to do harm to."""
    return Path(shutil.copy(share, tmp_path / "theirs.lineage"))


@contextmanager
def unmoved(project: lineage.Project) -> Iterator[None]:
    """See that a project and its folder hold afterwards what they held."""
    before = seal_of(project), sorted(project.blob_folder.rglob("*/*"))
    yield
    assert (seal_of(project), sorted(project.blob_folder.rglob("*/*"))) == before


@contextmanager
def forging(path: Path, *, seal: bool = True) -> Iterator[sqlite3.Connection]:
    """Give a connection that obeys none of the file's rules, and seal the file anew as an enemy would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection
        if seal:
            connection.execute("DELETE FROM seal")
            try:
                connection.execute("INSERT INTO seal VALUES (1, ?, ?)", compute_seal(connection))
            except (sqlite3.Error, TypeError):
                connection.execute("DELETE FROM seal")


def refused(project: lineage.Project, path: Path) -> lineage.LineageError:
    """Merge a file that must be refused and return the error."""
    project.log_artifact(draft("mine", {"a": "1"}))
    with unmoved(project), pytest.raises(lineage.LineageError) as caught:
        project.merge(path)
    assert str(caught.value)
    return caught.value


def harmless(project: lineage.Project, path: Path, good: Path) -> bool:
    """Merge a file that is damaged somewhere; return whether it was refused, else see that nothing came of it."""
    with unmoved(project):
        try:
            project.merge(path, dry_run=True)
        except lineage.LineageError:
            return True
    empty, right = (lineage.open(project.file.with_name(f"{new_uid()}.lineage")) for _ in range(2))
    empty.merge(path)
    right.merge(good)
    assert facts_of(empty) == facts_of(right)
    assert seal_of(empty) == seal_of(right)
    return False


# --- the file as bytes ---


def test_flip_in_each_header_byte_is_refused_or_without_effect(
    project: lineage.Project, share: Path, theirs: Path
) -> None:
    """A hundred bytes that decide what everything else is."""
    whole = theirs.read_bytes()
    found = []
    for place in range(100):
        theirs.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        found.append(harmless(project, theirs, share))

    assert sum(found) > 30


def test_flips_anywhere_are_refused_or_without_effect(project: lineage.Project, share: Path, theirs: Path) -> None:
    """One bit in each page, and many more at random: the seal and the digests know each that matters."""
    whole = theirs.read_bytes()
    chance = random.Random(7)
    places = [page * PAGE + chance.randrange(PAGE) for page in range(len(whole) // PAGE)]
    places += [chance.randrange(len(whole)) for _ in range(60)]
    for place in places:
        flipped = bytes([whole[place] ^ (1 << chance.randrange(8))])
        theirs.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        harmless(project, theirs, share)


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[:PAGE],
        lambda data: data[:99],
        lambda data: data[:16],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data + bytes(PAGE),
        lambda data: b"not a database" * 500,
        lambda data: data[:18] + b"\x02\x02" + data[20:],
        lambda data: data[:18] + b"\x09\x09" + data[20:],
        lambda data: data[:16] + b"\x00\x00" + data[18:],
        lambda data: data[:16] + b"\x00\x03" + data[18:],
        lambda data: data[:28] + b"\xff\xff\xff\xff" + data[32:],
        lambda data: data[:56] + struct.pack(">I", 2) + data[60:],
        lambda data: data[:56] + struct.pack(">I", 3) + data[60:],
        lambda data: data[:60] + struct.pack(">I", 99) + data[64:],
        lambda data: data[:60] + struct.pack(">i", -1) + data[64:],
        lambda data: data[:68] + b"GPKG" + data[72:],
        lambda data: data[:PAGE] + bytes(PAGE) + data[2 * PAGE :],
        lambda data: data[: 2 * PAGE] + data[PAGE : 2 * PAGE] + data[3 * PAGE :],
    ],
)
def test_file_that_is_cut_or_changed_is_refused(
    project: lineage.Project, theirs: Path, harm: Callable[[bytes], bytes]
) -> None:
    """Cut, grown, zeroed, with other header fields: one clear error."""
    theirs.write_bytes(harm(theirs.read_bytes()))

    assert isinstance(refused(project, theirs), lineage.FormatError | lineage.CorruptionError)


def test_newer_format_says_which_is_needed(project: lineage.Project, theirs: Path) -> None:
    """Upgrade, and it will open."""
    with forging(theirs, seal=False) as connection:
        connection.execute("PRAGMA user_version = 99")

    assert refused(project, theirs).kind == "newer-format"


def test_things_that_are_no_files_are_refused(project: lineage.Project, theirs: Path, tmp_path: Path) -> None:
    """A link, a FIFO, a folder, a device, an archive, another database, a hole of three gigabytes: at once."""
    (tmp_path / "link.lineage").symlink_to(theirs)
    os.mkfifo(tmp_path / "fifo.lineage")
    (tmp_path / "folder.lineage").mkdir()
    with zipfile.ZipFile(tmp_path / "zip.lineage", "w") as archive:
        archive.writestr("a", "b")
    with closing(sqlite3.connect(tmp_path / "other.lineage")) as connection, connection:
        connection.execute("CREATE TABLE t (a)")
    with (tmp_path / "hole.lineage").open("wb") as hole:
        hole.truncate(3 << 30)

    for name in ("link", "fifo", "folder", "zip", "other", "hole"):
        with pytest.raises(lineage.LineageError):
            project.merge(tmp_path / f"{name}.lineage")
    for device in ("/dev/zero", "/proc/self/mem", "\0"):
        with pytest.raises(lineage.LineageError):
            project.merge(device)


@pytest.mark.parametrize("name", ["a?mode=rwc", "a#b", "a%41", "a'b\"c", "file:a", ":memory:", "-a", "ü \n"])
def test_file_of_an_odd_name_is_that_file(project: lineage.Project, theirs: Path, tmp_path: Path, name: str) -> None:
    """No part of a name is read as anything else."""
    odd = theirs.rename(tmp_path / f"{name}.lineage")
    before = sorted(tmp_path.iterdir())

    assert project.merge(odd).versions == 5
    new = {path.name for path in tmp_path.iterdir()} - {path.name for path in before}
    assert new == {"p.blobs", "p.lineage-journal"}


def test_journal_of_the_sender_has_no_effect_and_stays(project: lineage.Project, share: Path, theirs: Path) -> None:
    """A forged journal would write old pages over the file."""
    original = theirs.read_bytes()
    journal = theirs.with_name(theirs.name + "-journal")
    with closing(sqlite3.connect(theirs, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE run SET name = 'forged'")
        hot = journal.read_bytes() if journal.exists() else b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504)
        connection.execute("ROLLBACK")
    theirs.write_bytes(original)
    journal.write_bytes(hot)
    theirs.with_name(theirs.name + "-wal").write_bytes(b"wal" * 100)

    project.merge(theirs)

    assert (theirs.read_bytes(), journal.read_bytes()) == (original, hot)
    right = lineage.open(project.file.with_name("right.lineage"))
    right.merge(share)
    assert facts_of(project) == facts_of(right)


def test_reading_from_a_file_leaves_its_folder_as_it_was(project: lineage.Project, share: Path, tmp_path: Path) -> None:
    """Read-only media will do."""
    media = tmp_path / "media"
    media.mkdir()
    copy = Path(shutil.copy(share, media / "share.lineage"))
    copy.chmod(0o444)
    media.chmod(0o555)

    project.merge(copy)
    project.fill(copy)

    media.chmod(0o755)
    assert [path.name for path in media.iterdir()] == ["share.lineage"]


# --- tables that are none ---

SCHEMAS = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM version; END",
    "an index that computes": "CREATE INDEX x ON run (length(name))",
    "a view of the same name": "DROP VIEW runs; CREATE VIEW runs AS SELECT 1 AS id",
    "an endless view": "CREATE VIEW e AS WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT n FROM r",
    "a view in place of a table": "DROP TABLE absent; CREATE VIEW absent AS SELECT id AS blob FROM blob",
    "a table that is a program": "CREATE VIRTUAL TABLE v USING fts5 (a)",
    "a generated column": "ALTER TABLE run ADD COLUMN g TEXT GENERATED ALWAYS AS (hex(zeroblob(900000000)))",
    "another column": "ALTER TABLE run ADD COLUMN more TEXT",
    "another table": "CREATE TABLE more (a INTEGER)",
    "a table less": "DROP TABLE absent",
    "an index less": "DROP INDEX run_name",
    "a weaker table": "DROP TABLE absent; CREATE TABLE absent (blob INTEGER PRIMARY KEY)",
}


@pytest.mark.parametrize("what", SCHEMAS)
def test_tables_other_than_the_formats_are_refused_before_a_row_is_read(
    project: lineage.Project, theirs: Path, what: str
) -> None:
    """Text for text, and the error names what is strange."""
    with forging(theirs, seal=False) as connection:
        for statement in SCHEMAS[what].split("; C") if "DROP" in SCHEMAS[what] else [SCHEMAS[what]]:
            connection.execute(statement if statement.startswith(("C", "D", "A")) else f"C{statement}")

    assert isinstance(refused(project, theirs), lineage.FormatError)


@pytest.mark.parametrize(
    "what", [what for what in SCHEMAS if what not in ("another table", "a table less", "an index less")]
)
def test_opening_such_a_file_in_place_is_refused_too(theirs: Path, what: str) -> None:
    """Before a view is asked or a row is written."""
    with forging(theirs, seal=False) as connection:
        for statement in SCHEMAS[what].split("; C") if "DROP" in SCHEMAS[what] else [SCHEMAS[what]]:
            connection.execute(statement if statement.startswith(("C", "D", "A")) else f"C{statement}")

    with pytest.raises(lineage.FormatError, match="which no lineage|what no lineage makes"):
        lineage.open(theirs)


def test_opening_a_project_with_a_plain_table_of_its_owner_works(project: lineage.Project, tmp_path: Path) -> None:
    """Nothing of ours meets it; but packed for others it is not."""
    project.log_artifact(draft("data", {"a": "1"}))
    with closing(sqlite3.connect(project.file)) as connection, connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
        connection.execute("CREATE INDEX notes_text ON notes (text)")

    assert lineage.open(project.file).version("data").reference == "data:v0"
    with pytest.raises(lineage.FormatError, match="table 'notes'"):
        project.pack(tmp_path / "share.lineage")


# --- rows that lie, sealed anew ---

D = "0" * 64
LIES = {
    "a path upwards": "UPDATE entry SET path = '../x' WHERE path = 'a'",
    "an absolute path": "UPDATE entry SET path = '/etc/x' WHERE path = 'a'",
    "a backslash": "UPDATE entry SET path = '..\\x' WHERE path = 'a'",
    "a drive": "UPDATE entry SET path = 'C:x' WHERE path = 'a'",
    "a line break": "UPDATE entry SET path = 'a' || char(10) WHERE path = 'a'",
    "a NUL": "UPDATE entry SET path = 'a' || char(0) WHERE path = 'a'",
    "a double slash": "UPDATE entry SET path = 'dir//b' WHERE path = 'dir/b'",
    "an empty path": "UPDATE entry SET path = '' WHERE path = 'a'",
    "a long part": "UPDATE entry SET path = hex(zeroblob(200)) WHERE path = 'a'",
    "a file that is a folder": "UPDATE entry SET path = 'a/c' WHERE path = 'dir/b'",
    "an artifact's name": "UPDATE artifact SET name = '../x' WHERE name = 'data'",
    "an artifact that is half foreign": "UPDATE artifact SET project = 'p' WHERE name = 'data'",
    "a foreign artifact that is ours": "UPDATE artifact SET project = NULL, project_uid = NULL",
    "a digest": f"UPDATE blob SET digest = '../../{D[:58]}' WHERE size = 20000",
    "an upper-case digest": "UPDATE blob SET digest = upper(digest)",
    "a short digest": "UPDATE blob SET digest = 'ab' WHERE size = 20000",
    "other bytes": "UPDATE chunk SET data = zeroblob(length(data)) WHERE length(data) = 20000",
    "a byte more": "UPDATE chunk SET data = CAST(data || 'x' AS BLOB) WHERE length(data) = 20000",
    "bytes missing": "DELETE FROM chunk WHERE length(data) = 20000",
    "a negative size": "UPDATE blob SET size = -1 WHERE size = 20000",
    "a size beyond all": "UPDATE blob SET size = 9223372036854775807 WHERE size = 20000",
    "a listing of other counts": "UPDATE manifest SET file_count = 7",
    "a manifest's digest": f"UPDATE manifest SET digest = '{D}' WHERE file_count = 3",
    "a part's digest": f"UPDATE part SET digest = '{D}' WHERE id = 1",
    "a negative number": "UPDATE version SET number = -1 WHERE number = 1",
    "a number beyond all": "UPDATE version SET number = 9223372036854775807 WHERE number = 1",
    "a gap": "UPDATE version SET number = 5 WHERE number = 1",
    "a counter that is behind": "UPDATE artifact SET next_number = 0 WHERE name = 'model'",
    "an edge to itself": "INSERT INTO consumed (run, version) SELECT run, version FROM produced",
    "a cycle": (
        "INSERT INTO consumed (run, version) SELECT (SELECT id FROM run WHERE uid = 'load'), v.id FROM version v"
        " JOIN artifact a ON a.id = v.artifact WHERE a.name = 'model'"
    ),
    "an edge of nobody": "INSERT INTO consumed (run, version) VALUES (99, 1)",
    "a producer of nothing": "INSERT INTO produced (run, version) VALUES (1, 99)",
    "an alias of another's version": "UPDATE alias SET version = 1 WHERE name = 'best'",
    "an alias's name": "UPDATE alias SET name = 'v3' WHERE name = 'best'; UPDATE alias_event SET name = 'v3'",
    "a history that disagrees": "UPDATE alias_event SET to_version = NULL WHERE name = 'best'",
    "a history of others": "UPDATE alias_event SET from_version = 1 WHERE name = 'best'",
    "metadata that is no JSON": "UPDATE version SET metadata = '{' WHERE number = 1",
    "metadata that is a list": "UPDATE version SET metadata = '[1]' WHERE number = 1",
    "metadata of NaN": "UPDATE version SET metadata = '{\"a\":NaN}' WHERE number = 1",
    "metadata too deep": "UPDATE version SET metadata = '{\"a\":' || replace(hex(zeroblob(25000)), '00', '[') || '}'",
    "half a character": 'UPDATE version SET metadata = \'{"a":"\\ud800"}\' WHERE number = 1',
    "config that is no JSON": "UPDATE run SET config = 'x'",
    "extra that is no JSON": "UPDATE entry SET extra = 'x' WHERE uri IS NOT NULL",
    "a status": "UPDATE run SET status = 'rm -rf'",
    "a run's id": "UPDATE run SET uid = 'a/../b' WHERE uid = 'load'",
    "a uid": "UPDATE version SET uid = 'x' WHERE number = 1",
    "two of one uid": "UPDATE project SET uid = 'x'",
    "a time": "UPDATE version SET created_at = 'yesterday' WHERE number = 1",
    "a tag": "UPDATE run_tag SET tag = char(27) || '[31m'",
    "a label of controls": "UPDATE run SET name = char(7)",
    "a type of nothing": "UPDATE artifact SET type = '' WHERE name = 'data'",
    "a description with NUL": "UPDATE version SET description = 'a' || char(0)",
    "an environment": "UPDATE environment SET document = '{}'",
    "a metric's document": "UPDATE metric SET document = '{' WHERE document IS NOT NULL",
    "a metric twice": "UPDATE metric SET value = 1 WHERE document IS NOT NULL",
    "a reference that is none": "UPDATE entry SET uri = 'no uri' WHERE uri IS NOT NULL",
    "an entry of nothing": "UPDATE entry SET blob = NULL WHERE path = 'a'",
    "a protected flag": "UPDATE alias SET protected = 7",
    "a link to itself": "UPDATE link SET source = version",
    "a link to other content": "UPDATE link SET source = 1",
    "two projects": "INSERT INTO project (id, uid, created_at) SELECT 2, uid, created_at FROM project",
    "no project": "DELETE FROM project",
    "text that is not UTF-8": "UPDATE run SET notes = CAST(x'ff41' AS TEXT)",
    "a number for text": "UPDATE version SET ttl = -5",
}


@pytest.mark.parametrize("lie", LIES)
def test_rows_that_lie_are_refused(project: lineage.Project, theirs: Path, lie: str) -> None:
    """Whatever the row says, not a row and not a byte of it comes in, and the error is one of ours."""
    with forging(theirs) as connection:
        for statement in LIES[lie].split("; "):
            connection.execute(statement)

    error = refused(project, theirs)

    assert isinstance(
        error, lineage.CorruptionError | lineage.ConflictError | lineage.NotFoundError | lineage.CycleError
    )


def test_rows_changed_behind_the_seal_are_refused(project: lineage.Project, theirs: Path) -> None:
    """A digit in a metric breaks no rule of the format: the seal knows."""
    with forging(theirs, seal=False) as connection:
        connection.execute("UPDATE metric SET value = 0.75 WHERE value IS NOT NULL")

    assert "its seal does not hold" in str(refused(project, theirs))


def test_version_that_claims_to_be_one_of_ours_is_refused(project: lineage.Project, share: Path, theirs: Path) -> None:
    """The id is that of ours, the content is not."""
    project.merge(share)
    with forging(theirs) as connection:
        connection.execute(
            """UPDATE version SET manifest = (SELECT w.manifest FROM version w JOIN artifact a ON a.id = w.artifact
                                              WHERE a.name = 'data')
               WHERE id = (SELECT v.id FROM version v JOIN artifact a ON a.id = v.artifact
                           WHERE a.name = 'model' AND v.number = 1)"""
        )

    assert "has other content" in str(refused(project, theirs))


def test_second_producer_is_refused(project: lineage.Project, share: Path, theirs: Path) -> None:
    """Two projects that tell different stories about one version."""
    project.merge(share)
    with forging(theirs) as connection:
        connection.execute(
            """UPDATE produced SET run = (SELECT id FROM run WHERE uid = 'again')
               WHERE run = (SELECT id FROM run WHERE uid = 'train')"""
        )

    assert "was produced by run 'train'" in str(refused(project, theirs)).replace("run train", "run 'train'")


def test_bytes_that_nothing_names_do_not_come_in(project: lineage.Project, theirs: Path) -> None:
    """What no live version lists is not stored."""
    with forging(theirs) as connection:
        connection.execute("INSERT INTO blob (id, digest, size) VALUES (99, ?, 50000)", ("ab" * 32,))
        connection.execute("INSERT INTO chunk (blob, seq, data) VALUES (99, 0, zeroblob(50000))")

    project.merge(theirs)

    assert project.sql("SELECT 1 FROM blob WHERE digest = ?", ["ab" * 32]) == []
    assert_store_sound(project, strays=False)


def test_unsealed_file_that_is_sound_comes_in(project: lineage.Project, theirs: Path) -> None:
    """A live project has no seal either."""
    with forging(theirs, seal=False) as connection:
        connection.execute("DELETE FROM seal")

    assert project.merge(theirs).versions == 5


def test_file_of_an_older_format_is_brought_up_to_date_in_private(tmp_path: Path) -> None:
    """Theirs stays as it is; what it holds comes in."""
    for old in sorted(Path(__file__).with_name("data").glob("format*/*.lineage")):
        folder = Path(shutil.copytree(old.parent, tmp_path / old.parent.name))
        before = (folder / old.name).read_bytes()
        project = lineage.open(tmp_path / f"into-{old.parent.name}.lineage")

        report = project.merge(folder / old.name)

        assert report.versions > 0
        assert (folder / old.name).read_bytes() == before
        assert [path.name for path in folder.iterdir() if path.suffix not in (".lineage", ".blobs")] == []
        assert_store_sound(project)


def test_fill_takes_no_bytes_that_are_not_those_of_the_digest(
    project: lineage.Project, share: Path, theirs: Path
) -> None:
    """Hashed on the way in, whatever the row says."""
    bare = lineage.open(lineage.open(shutil.copy(share, "whole.lineage")).pack("bare.lineage", content=False).file)
    with forging(theirs) as connection:
        connection.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE length(data) = 20000")

    with pytest.raises(lineage.CorruptionError, match="damaged"):
        bare.fill(theirs)

    assert bare.verify().ok
    assert project.verify().ok
